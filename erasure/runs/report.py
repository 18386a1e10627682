"""A case as JSON (the command contract) and as a table on the console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.timezone import localdate
from rich.console import Console
from rich.table import Table

from erasure.models import ErasureRequest, Plan
from erasure.runs import sightings, statement, windows


def case_json(request: ErasureRequest, seconds: float) -> dict[str, Any]:
    """The object that ``erase --json`` prints."""
    return {
        "request": str(request.id),
        "outcome": request.state,
        "steps": [
            {
                "dataset": s.dataset,
                "action": s.action,
                "via": s.via,
                "rows": s.rows or 0,
                "residue": s.residue,
            }
            for s in statement.steps_of(request)
            if statement.spoken(s)
        ],
        "models": statement.models_of(request),
        "backups": statement.backups_of(request),
        "residual": statement.residual_of(request) + _blocked(request),
        "shared": sightings.shared_of(sightings.seen_of(request)),
        **_undo_until(request),
        "limits": _limits(request),
        "certificate": certificate_path(request),
        "seconds": round(seconds, 3),
    }


def _undo_until(request: ErasureRequest) -> dict[str, str]:
    """Until when the case can still be undone; nothing where it cannot."""
    window = windows.window_of(request)
    if window is None or window.closed_at is not None:
        return {}
    return {"undo_until": window.closes_at.isoformat()}


def undo_words(plan: Plan) -> str:
    """What an officer approves about the undo window."""
    hours = plan.undo_seconds / 3600
    length = f"{hours:g} hours" if hours <= 48 else f"{hours / 24:g} days"
    length = length if hours >= 1 else f"{plan.undo_seconds // 60} minutes"
    due = plan.request.due_at
    beyond = f", but not beyond {localdate(due):%d %b %Y}" if due else ""
    return (
        f"can be undone for {length} after the run begins{beyond}; until then what "
        "was erased is kept sealed, and the case is not closed"
    )


def _limits(request: ErasureRequest) -> list[dict[str, Any]]:
    """What happened beside the steps of a case that was carried out."""
    plan = request.plans.filter(state="carried_out").first()
    return statement.limits_of(plan, list(plan.steps.all())) if plan else []


def _blocked(request: ErasureRequest) -> list[dict[str, Any]]:
    """What the re-scan saw again, where a case is blocked by it."""
    if request.state != "blocked" or request.run is None:
        return []
    seen = request.run.scan_results.filter(request=request, verdict="residue")
    return [
        {
            "dataset": f"{s.store}.{s.collection}.{s.field}",
            "rows": s.count,
            "reason": "seen again by the re-scan",
            "until": None,
        }
        for s in seen.order_by("store", "collection", "field")
    ]


def plan_json(request: ErasureRequest) -> dict[str, Any]:
    """The object that ``erase --dry-run --json`` prints."""
    plan = request.plans.latest("made_at")
    return {
        "request": str(request.id),
        "outcome": "planned",
        "digest": plan.digest,
        **({"undo_seconds": plan.undo_seconds} if plan.undo_seconds else {}),
        "steps": [
            {
                "dataset": s.dataset,
                "action": s.action,
                "via": s.via,
                "rows": s.counted,
                "reason": s.reason,
                "path": s.path,
                "how": s.explained or None,
            }
            for s in plan.steps.all()
        ],
        "warnings": plan.warnings,
        "findings": plan.findings,
        "certificate": None,
    }


def failure_json(error: str, seconds: float) -> dict[str, Any]:
    """The object when nothing could be planned or carried out."""
    return {
        "request": None,
        "outcome": "blocked",
        "error": error,
        "steps": [],
        "models": [],
        "backups": [],
        "residual": [],
        "shared": [],
        "limits": [],
        "certificate": None,
        "seconds": round(seconds, 3),
    }


def certificate_path(request: ErasureRequest) -> str | None:
    """Absolute path of the case's certificate, or None."""
    sealed = statement.certificates_of(request).first()
    return str(Path(settings.LETHE_HOME) / sealed.path) if sealed else None


def print_case(content: dict[str, Any], console: Console) -> None:
    """The same, for people."""
    if content["outcome"] == "no_data":
        console.print(f"Request {content['request']}: no store knows this person (no_data)")
        return
    # Above the table: a narrow one would break its title, and the number is copied from here.
    console.print(f"Request {content['request']}: {content['outcome']}", soft_wrap=True)
    table = Table()
    for name in ("dataset", "action", "rows", "residue"):
        table.add_column(name, overflow="fold")
    for step in content["steps"]:
        table.add_row(step["dataset"], step["action"], str(step["rows"]), step["residue"])
    console.print(table)
    for backup in content["backups"]:
        console.print(f"backup {backup['set']}: last copy until {backup['last_copy_until']}")
    for model in content["models"]:
        console.print(f"model {model['model']}: {model['old_version']} → {model['new_version']}")
    for residual in content["residual"]:
        until = f" until {residual['until']}" if residual["until"] else ""
        what = f"{residual['dataset']} ({_rows(residual['rows'])})"
        console.print(f"not erased: {what}: {residual['reason']}{until}")
    _print_beside(content, console)


def _print_beside(content: dict[str, Any], console: Console) -> None:
    """What is not the person's own, and what happened although no step names it."""
    for shared in content["shared"]:
        console.print(
            f"shared: {shared['rows']} equal values of other people in "
            f"{shared['dataset']}.{shared['field']}"
        )
    undo = content.get("undo_until")
    waits = f"; can be undone until {undo}" if undo else ""
    console.print(f"certificate: {content['certificate'] or 'none'}{waits}", soft_wrap=True)
    for limit in content["limits"]:
        rows = f" ({_rows(limit['rows'])})" if "rows" in limit else ""
        console.print(f"beside the plan: {limit['dataset']}{rows}: {limit['statement']}")


def _rows(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"
