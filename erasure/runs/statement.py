"""What can be said of a case once it is verified: the body of its certificate, and its JSON."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from erasure import vault
from erasure.evidence.body import VERSION
from erasure.models import ErasureRequest, PlanStep, Run, ScanResult, SuppressionEntry
from lineage import selectors

_SILENT = frozenset({"mention", "shallow", "refcount"})
_RETENTION_MONTHS = 24


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


def residual_of(request: ErasureRequest) -> list[dict[str, Any]]:
    """Everything that was not erased, and why."""
    residual = [
        {
            "dataset": s.dataset,
            "rows": s.rows or 0,
            "reason": s.reason,
            "until": s.until.isoformat() if s.until else None,
        }
        for s in steps_of(request)
        if s.rows and s.action in ("retain", "restrict")
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
        for s in steps_of(request)
        if s.rows and s.residue == "pseudonymized"
    ]
    return residual


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


def backups_of(request: ErasureRequest) -> list[dict[str, Any]]:
    """Backup sets that still hold the person, with the day the last copy goes."""
    return [
        {"set": s.dataset, "last_copy_until": s.until.isoformat() if s.until else None}
        for s in steps_of(request)
        if s.action == "expire" and s.residue != "clean"
    ]


def models_of(request: ErasureRequest) -> list[dict[str, Any]]:
    """What became of the models that the person was trained into."""
    if request.run is None:
        return []
    jobs = request.run.model_jobs.order_by("dataset")
    trained = {s.dataset for s in steps_of(request) if s.rows and s.store_kind == "model_registry"}
    return [
        {
            "model": job.dataset,
            "action": "retrain",
            "old_version": _text(job.report.get("old")),
            "new_version": _text(job.report.get("new")),
            "audit": {k: v for k, v in job.report.items() if k not in ("old", "new")},
        }
        for job in jobs
        if job.dataset in trained
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def body_of(request: ErasureRequest, run: Run, outcome: str) -> dict[str, Any]:
    """The certificate's body (see ``evidence.body``): never more than was verified."""
    plan = request.plans.exclude(state="stale").get()
    replay = {"amends": f"lethe-{request.replay_of}"} if request.replay_of else {}
    return {
        "id": f"lethe-{request.id}",
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
            "clock": _clock(request),
        },
        "subject": {
            "pseudonym": request.subject,
            "identifier_kinds": sorted({i.kind for i in request.identifiers.all()}),
        },
        "identity_check": {"method": request.identity_check, "result": "accepted"},
        "decision": {
            "outcome": outcome,
            "approved_by": plan.approved_by,
            "exceptions": _exceptions(request),
        },
        "scope": _scope(request, run, plan.digest),
        "locations": [_location(s, run) for s in steps_of(request) if spoken(s)],
        "backups": [
            {
                **backup,
                "statement": "beyond use until then: restored only through the replay gate",
                "replay": f"replay_erasures {backup['set'].partition('.')[0]}",
            }
            for backup in backups_of(request)
        ],
        "models": models_of(request),
        "recipients": [
            {"recipient": n.dataset, "told_at": None, "channel": "by hand"}
            for n in request.notices.order_by("dataset")
        ],
        "residual": residual_of(request),
        "shared": shared_of(request),
        "letters": [],
        "suppression": {
            "entries": SuppressionEntry.objects.filter(request_id=request.id).count(),
            "hash_key": vault.hash_key_id(),
        },
        "record": {"erased_after": None},
    }


def tool_version() -> str:
    """The installed version, or the one of a checkout that was not installed."""
    try:
        return version("lethe")
    except PackageNotFoundError:
        return "checkout"


def _clock(request: ErasureRequest) -> list[dict[str, str]]:
    clock = [
        {"event": "received", "at": request.received_at.isoformat()},
        {"event": "answer_by", "at": request.due_at.isoformat()},
    ]
    if request.closed_at:
        clock.append({"event": "closed", "at": request.closed_at.isoformat()})
    return clock


def _exceptions(request: ErasureRequest) -> list[dict[str, Any]]:
    return [
        {
            "dataset": s.dataset,
            "reason": s.spec["dataset"]["exception"] or "",
            "legal_reference": s.spec["dataset"]["legal_reference"],
            "until": s.until.isoformat() if s.until else None,
        }
        for s in steps_of(request)
        if s.action == "retain" and s.rows
    ]


def _scope(request: ErasureRequest, run: Run, digest: str) -> dict[str, Any]:
    datasets = selectors.datasets()
    scans = list(run.scans.order_by("store"))
    seen = set(run.scan_results.filter(request=request).values_list("store", flat=True))
    return {
        "graph_hash": selectors.catalogue_version(),
        "plan": digest,
        "stores": len({d.store for d in datasets.values()}),
        "datasets": len(datasets),
        "fields": sum(len(d.fields) for d in datasets.values()),
        "models": run.model_jobs.count(),
        "searched_without_hit": [
            f"{s.store}: {s.collections} collections, {s.fields} fields, {s.rows} rows"
            for s in scans
            if s.store not in seen
        ],
    }


def _location(step: PlanStep, run: Run) -> dict[str, Any]:
    store_run = run.stores.filter(store=step.store).first()
    scan = run.scans.filter(store=step.store).first()
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
        "operation_id": f"{run.id}:{step.ordinal}",
    }
    if store_run and store_run.started_at and store_run.finished_at:
        location["started_at"] = store_run.started_at.isoformat()
        location["ended_at"] = store_run.finished_at.isoformat()
    if scan:
        location["verification"] = "asked again by key; re-scanned by value"
        location["verified_at"] = scan.at.isoformat()
        location["result"] = "nothing found outside what is listed"
    return location
