"""What can be said of a case once it is verified: the body of its certificate, and its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone

from erasure import vault
from erasure.domain.keeping import kept_by
from erasure.domain.plan import MODEL_ACTIONS
from erasure.domain.steps import KEPT
from erasure.evidence.body import VERSION
from erasure.models import (
    Certificate,
    ErasureRequest,
    Identifier,
    Letter,
    ModelJob,
    Notice,
    Pause,
    Plan,
    PlanStep,
    ScanResult,
    SuppressionEntry,
)
from erasure.runs import records, rescanning, sightings
from erasure.runs.earlier import told_of_earlier
from erasure.runs.facts import RunFacts
from lineage.prepared import Prepared, Slot

_SILENT = frozenset({"mention", "shallow", "refcount"})
_PLAN = Prepared(lambda: _of_case(Plan).exclude(state="stale")[:1])
_STEPS = Prepared(lambda: PlanStep.objects.filter(plan=Slot("plan")))
_NOTICES = Prepared(lambda: _of_case(Notice).order_by("dataset"))
_LETTERS = Prepared(
    lambda: _of_case(Letter).filter(state__in=("sent", "by_hand")).order_by("sent_at")
)
_PAUSES = Prepared(lambda: _of_case(Pause))
_PROVED = Prepared(lambda: _of_case(Identifier).exclude(proved_by="").values_list("kind"))
Steps = Sequence[PlanStep]
Notices = Sequence[Notice]


M = TypeVar("M", bound=Model)


def _of_case(model: type[M]) -> QuerySet[M]:
    return model._default_manager.filter(request=Slot("request"))


def steps_of(request: ErasureRequest) -> list[PlanStep]:
    """The steps of the plan that was carried out, or is about to be."""
    plan = _PLAN.first(request=request.pk)
    if plan is None:
        return []
    steps = _STEPS.all(plan=plan.pk)
    for step in steps:
        step.plan = plan
    return steps


def spoken(step: PlanStep) -> bool:
    """Steps that found nothing in somebody else's rows go without saying."""
    return bool(step.rows) or step.via not in _SILENT


def residual_of(
    request: ErasureRequest, steps: Steps | None = None, notices: Notices | None = None
) -> list[dict[str, Any]]:
    """Everything that was not erased, and why."""
    steps = steps_of(request) if steps is None else steps
    notices = notices_of(request) if notices is None else notices
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
        for n in notices
        if n.told_at is None
    ]
    residual += [
        {"dataset": s.dataset, "rows": s.rows or 0, "reason": s.note or s.residue, "until": None}
        for s in steps
        if s.rows and s.residue == "pseudonymized"
    ]
    return [*residual, *told_of_earlier(request)]


def notices_of(request: ErasureRequest) -> list[Notice]:
    """Whom to tell of the case, by dataset."""
    return _NOTICES.all(request=request.pk)


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
    if request.run_id is None:
        return []
    steps = steps_of(request) if steps is None else steps
    trained = {s.dataset for s in steps if s.rows and s.action in MODEL_ACTIONS}
    jobs = ModelJob.objects.filter(runs=request.run_id).order_by("dataset") if trained else ()
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


def body_of(
    request: ErasureRequest,
    facts: RunFacts,
    outcome: str,
    steps: Steps,
    seen: Sequence[ScanResult],
) -> dict[str, Any]:
    """The certificate's body (see ``evidence.body``): never more than was verified. ``steps``: as
    of :func:`steps_of`, with what came of them; ``seen``: as of :func:`seen_of`."""
    notices = notices_of(request)
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
            "identifier_kinds": sorted({kind for (kind,) in _PROVED.all(request=request.pk)}),
        },
        "identity_check": {"method": request.identity_check, "result": "accepted"},
        "decision": {
            "outcome": outcome,
            "approved_by": plan.approved_by,
            "exceptions": _exceptions(steps, request.law),
        },
        "scope": _scope(seen, facts, plan, later),
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
            {"recipient": n.dataset, "told_at": None, "channel": _channel(n)} for n in notices
        ],
        "residual": residual_of(request, steps, notices) + _unscanned(request, later),
        "shared": sightings.shared_of(seen),
        "limits": limits_of(plan, steps),
        "letters": letters_of(request),
        "suppression": _suppression(request),
        "record": {"erased_after": _day(records.kept_until(request))},
    }


def _suppression(request: ErasureRequest) -> dict[str, Any]:
    entries = SuppressionEntry.objects.filter(request_id=request.id).count()
    return {"entries": entries, "hash_key": vault.hash_key_id()}


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
    return [
        {
            "template": letter.code,
            "version": str(letter.version),
            "sent_at": letter.sent_at.isoformat(),
            "hash": letter.sha256,
        }
        for letter in _LETTERS.all(request=request.pk)
        if letter.sent_at
    ]


@cache
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
    for pause in _PAUSES.all(request=request.pk):
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
    seen: Iterable[ScanResult], facts: RunFacts, plan: Plan, later: Sequence[str]
) -> dict[str, Any]:
    hit = {s.store for s in seen}
    return {
        "graph_hash": plan.catalogue_version,
        **facts.scope,
        "plan": plan.digest,
        "searched_without_hit": [
            f"{s.store}: {s.collections} collections, {s.fields} fields, {s.rows} rows"
            for s in facts.scans.values()
            if s.store not in hit and s.store not in later
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
