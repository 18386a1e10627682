"""What can be said of a case once it is verified: the body of its certificate, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.utils import timezone

from erasure import vault
from erasure.domain.keeping import kept_by
from erasure.domain.plan import MODEL_ACTIONS
from erasure.domain.steps import KEPT
from erasure.evidence.body import VERSION
from erasure.models import (
    Certificate,
    ErasureRequest,
    Notice,
    Plan,
    PlanStep,
    Run,
    ScanResult,
    StoreRun,
    StoreScan,
    SuppressionEntry,
)
from erasure.runs import records, rescanning
from erasure.runs.earlier import left_by_earlier
from lineage import selectors
from lineage.graph import StoreEntry

_SILENT = frozenset({"mention", "shallow", "refcount"})
Steps = Sequence[PlanStep]


def steps_of(request: ErasureRequest) -> list[PlanStep]:
    """The steps of the plan that was carried out, or is about to be."""
    plan = request.plans.exclude(state="stale").first()
    return list(plan.steps.all()) if plan else []


def spoken(step: PlanStep) -> bool:
    """Steps that found nothing in somebody else's rows go without saying."""
    return bool(step.rows) or step.via not in _SILENT


def residue_places(request: ErasureRequest, run: Run) -> str:
    """Where something was seen again, in words."""
    seen = run.scan_results.filter(request=request, verdict="residue")
    places = [f"{s.store}.{s.collection}.{s.field} ({s.count})" for s in seen[:10]]
    return ", ".join(places)


def residual_of(request: ErasureRequest, steps: Steps | None = None) -> list[dict[str, Any]]:
    """Everything that was not erased, and why."""
    steps = steps_of(request) if steps is None else steps
    residual = [
        {
            "dataset": s.dataset,
            "rows": s.rows or 0,
            "reason": s.reason,
            "until": s.until.isoformat() if s.until else None,
        }
        for s in steps
        if s.rows and s.residue == "retained_until" and (s.action in KEPT or s.spec.get("kept"))
    ]
    residual += [
        {
            "dataset": n.dataset,
            "rows": 0,
            "reason": "a recipient who is told by hand",
            "until": None,
        }
        for n in request.notices.filter(told_at=None).order_by("dataset")
    ]
    residual += [
        {"dataset": s.dataset, "rows": s.rows or 0, "reason": s.note or s.residue, "until": None}
        for s in steps
        if s.rows and s.residue == "pseudonymized"
    ]
    return [*residual, *left_by_earlier(request)]


def shared_of(request: ErasureRequest) -> list[dict[str, Any]]:
    """Equal values that stay because they are somebody else's own."""
    rows = (
        ScanResult.objects.filter(run=request.run, request=request, verdict="shared")
        .values("store", "collection", "field")
        .annotate(rows=Sum("count"))
        .order_by("store", "collection", "field")
    )
    return [
        {
            "dataset": f"{r['store']}.{r['collection']}",
            "field": r["field"],
            "rows": r["rows"],
            "explanation": "an equal value in somebody else's row",
        }
        for r in rows
    ]


def limits_of(plan: Plan, steps: Steps) -> list[dict[str, Any]]:
    """What happened beside the steps because it was accepted: nobody searched for what it held,
    or followed what it wrote."""
    accepted = {entry["code"]: entry["by"] for entry in plan.accepted}
    limits = []
    for finding in plan.findings:
        code = finding["code"]
        acted = [
            s
            for s in steps
            if s.rows and s.action not in KEPT and code in s.explained.get("effects", ())
        ]
        if not acted or code not in accepted:
            continue
        limit: dict[str, Any] = {"dataset": finding["place"]}
        by = f"accepted by {accepted[code]} ({code})"
        if finding["kind"] == "trigger":
            limit["statement"] = (
                f"a trigger ran on the rows that were acted on, {by}: what it wrote in this store "
                "was searched by value, what it wrote elsewhere was not"
            )
        else:
            limit["rows"] = sum(s.along.get(code, 0) for s in acted)
            limit["statement"] = (
                f"rows that no step names went along, {by}: they are counted, and what they held "
                "was not searched for elsewhere"
            )
        limits.append(limit)
    return limits


def backups_of(request: ErasureRequest, steps: Steps | None = None) -> list[dict[str, Any]]:
    """Backup sets that still hold the person, with the day the last copy goes."""
    steps = steps_of(request) if steps is None else steps
    return [
        {"set": s.dataset, "last_copy_until": s.until.isoformat() if s.until else None}
        for s in steps
        if s.action == "expire" and s.residue != "clean"
    ]


def models_of(request: ErasureRequest, steps: Steps | None = None) -> list[dict[str, Any]]:
    """What became of the models that the person was trained into."""
    if request.run is None:
        return []
    steps = steps_of(request) if steps is None else steps
    trained = {s.dataset for s in steps if s.rows and s.action in MODEL_ACTIONS}
    jobs = request.run.model_jobs.order_by("dataset") if trained else ()
    return [
        {
            "model": job.dataset,
            "action": str(job.report.get("action", "retrain")),
            "old_version": _text(job.report.get("old")),
            "new_version": _text(job.report.get("new")),
            "audit": {
                **{k: v for k, v in job.report.items() if k not in ("old", "new", "action")},
                "decisions": job.decisions,
            },
        }
        for job in jobs
        if job.dataset in trained
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What every certificate of a run says alike, read once however many people are in it."""

    run: Run
    stores: Mapping[str, StoreRun]
    scans: Mapping[str, StoreScan]
    scope: Mapping[str, Any]
    entries: Sequence[StoreEntry]
    windows: Mapping[UUID, datetime]


def facts_of(run: Run) -> RunFacts:
    """Read the facts of a run that has been verified."""
    return RunFacts(
        run=run,
        stores={s.store: s for s in run.stores.all()},
        scans={s.store: s for s in run.scans.order_by("store")},
        entries=selectors.stores(),
        scope={**selectors.size(), "models": run.model_jobs.count()},
        windows={
            window.request_id: window.closed_at
            for window in run.undo_windows.exclude(closed_at=None)
            if window.closed_at
        },
    )


def body_of(request: ErasureRequest, facts: RunFacts, outcome: str, steps: Steps) -> dict[str, Any]:
    """The certificate's body (see ``evidence.body``): never more than was verified. ``steps``: as
    of :func:`steps_of`, with what came of them."""
    plan = steps[0].plan if steps else request.plans.exclude(state="stale").latest("made_at")
    later = rescanning.scheduled(request, facts.entries) if outcome == "awaiting_rescan" else []
    earlier = certificates_of(request).count()
    amends = f"lethe-{request.replay_of}" if request.replay_of else f"lethe-{request.id}"
    replay = {"amends": amends} if request.replay_of or earlier else {}
    return {
        "id": f"lethe-{request.id}-again-{earlier}" if earlier else f"lethe-{request.id}",
        "version": VERSION,
        "kind": "replay" if request.replay_of else "certificate",
        **replay,
        "issued_at": timezone.now().isoformat(),
        "issuer": {"controller": settings.LETHE_CONTROLLER},
        "tool": {"name": "lethe", "version": tool_version()},
        "request": {
            "id": str(request.id),
            "law": request.law,
            "channel": request.channel,
            "clock": _clock(request, facts),
        },
        "subject": {
            "pseudonym": request.subject,
            "identifier_kinds": sorted({i.kind for i in request.identifiers.all() if i.proved_by}),
        },
        "identity_check": {"method": request.identity_check, "result": "accepted"},
        "decision": {
            "outcome": outcome,
            "approved_by": plan.approved_by,
            "exceptions": _exceptions(steps, request.law),
        },
        "scope": _scope(request, facts, plan, later),
        "locations": [_location(s, facts, later) for s in steps if spoken(s)],
        "backups": [
            {
                **backup,
                "statement": "beyond use until then: restored only through the replay gate",
                "replay": f"replay_erasures {backup['set'].partition('.')[0]}",
            }
            for backup in backups_of(request, steps)
        ],
        "models": models_of(request, steps),
        "recipients": [
            {"recipient": n.dataset, "told_at": None, "channel": _channel(n)}
            for n in request.notices.order_by("dataset")
        ],
        "residual": residual_of(request, steps) + _unscanned(request, later),
        "shared": shared_of(request),
        "limits": limits_of(plan, steps),
        "letters": letters_of(request),
        "suppression": {
            "entries": SuppressionEntry.objects.filter(request_id=request.id).count(),
            "hash_key": vault.hash_key_id(),
        },
        "record": {"erased_after": _day(records.kept_until(request))},
    }


def _unscanned(request: ErasureRequest, later: Sequence[str]) -> list[dict[str, Any]]:
    day = rescanning.due_at(request.closed_at).date() if request.closed_at else None
    return [
        {
            "dataset": store,
            "rows": 0,
            "reason": "erased and asked again by key; the deep re-scan is due",
            "until": day.isoformat() if day else None,
        }
        for store in later
    ]


def _channel(notice: Notice) -> str:
    return "webhook" if notice.calls.exclude(state="blocked").exists() else "by hand"


def certificates_of(request: ErasureRequest) -> QuerySet[Certificate]:
    """One for every time it was carried out, the newest first; without what was added later."""
    sealed = Certificate.objects.filter(request=str(request.id)).exclude(kind="addendum")
    return sealed.order_by("-leaf")


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def letters_of(request: ErasureRequest) -> list[dict[str, str]]:
    """The letters that went out until now, each with the hash of exactly what was sent."""
    sent = request.letters.filter(state__in=("sent", "by_hand")).order_by("sent_at")
    return [
        {
            "template": letter.code,
            "version": str(letter.version),
            "sent_at": letter.sent_at.isoformat(),
            "hash": letter.sha256,
        }
        for letter in sent
        if letter.sent_at
    ]


def tool_version() -> str:
    """The installed version, or the one of a checkout that was not installed."""
    try:
        return version("lethe")
    except PackageNotFoundError:
        return "checkout"


def _clock(request: ErasureRequest, facts: RunFacts) -> list[dict[str, str]]:
    clock = [
        {"event": "received", "at": request.received_at.isoformat()},
    ]
    if request.reopened_at:
        clock.append({"event": "reopened", "at": request.reopened_at.isoformat()})
    for pause in request.pauses.all():
        clock.append({"event": f"{pause.why}_asked_for", "at": pause.since.isoformat()})
        if pause.until:
            clock.append({"event": f"{pause.why}_received", "at": pause.until.isoformat()})
    if request.extended_at:
        clock.append({"event": "extended", "at": request.extended_at.isoformat()})
    if request.due_at:
        clock.append({"event": "answer_by", "at": request.due_at.isoformat()})
    if closed := facts.windows.get(request.id):
        clock.append({"event": "undo_window_closed", "at": closed.isoformat()})
    if request.closed_at:
        clock.append({"event": "closed", "at": request.closed_at.isoformat()})
    return clock


def _exceptions(steps: Steps, law: str) -> list[dict[str, Any]]:
    return [
        {
            "dataset": s.dataset,
            "reason": spec["dataset"]["exception"] or "",
            "legal_reference": spec["dataset"]["legal_reference"],
            "until": until.isoformat() if until else None,
            **({"fields": spec["kept"]} if spec.get("kept") else {}),
            # Cal. Civ. Code 1798.105(d), 11 CCR 7022(f): for nothing else.
            **({"used_for": "this reason only"} if law == "ccpa" else {}),
        }
        for s in steps
        if s.rows
        for spec, until in kept_by(s.spec, s.until)
    ]


def _scope(
    request: ErasureRequest, facts: RunFacts, plan: Plan, later: Sequence[str]
) -> dict[str, Any]:
    found = facts.run.scan_results.filter(request=request)
    seen = set(found.values_list("store", flat=True))
    return {
        "graph_hash": plan.catalogue_version,
        **facts.scope,
        "plan": plan.digest,
        "searched_without_hit": [
            f"{s.store}: {s.collections} collections, {s.fields} fields, {s.rows} rows"
            for s in facts.scans.values()
            if s.store not in seen and s.store not in later
        ],
    }


def _location(step: PlanStep, facts: RunFacts, later: Sequence[str]) -> dict[str, Any]:
    store_run, scan = facts.stores.get(step.store), facts.scans.get(step.store)
    if step.store in later:
        scan = None
    location: dict[str, Any] = {
        "store": step.store,
        "kind": step.store_kind,
        "dataset": step.dataset,
        "action": step.action,
        "method": step.via,
        "rows": step.rows or 0,
        "residue": step.residue,
        "until": step.until.isoformat() if step.until else None,
        "note": step.note,
        "operation_id": f"{facts.run.id}:{step.ordinal}",
    }
    if store_run and store_run.started_at and store_run.finished_at:
        location["started_at"] = store_run.started_at.isoformat()
        location["ended_at"] = store_run.finished_at.isoformat()
    if scan:
        location["verification"] = "asked again by key; re-scanned by value"
        location["verified_at"] = scan.at.isoformat()
        location["result"] = "nothing found outside what is listed"
    return location
