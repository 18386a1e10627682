"""What is added to a certificate when a date has passed: only what was done and seen since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from erasure.evidence.body import VERSION
from erasure.models import Certificate, ErasureRequest, PlanStep
from erasure.runs import statement


@dataclass(frozen=True, kw_only=True)
class Done:
    """What was done on a date to some rows, or copies, of a step."""

    step: PlanStep
    action: str
    rows: int
    residue: str
    note: str
    verification: str = "asked again by key"


def body_of(
    request: ErasureRequest, steps: Sequence[PlanStep], done: Sequence[Done], outcome: str
) -> dict[str, Any]:
    """The addendum's body: ``done`` now, and what of all ``steps`` is still there."""
    now, amended = timezone.now().isoformat(), statement.certificates_of(request).first()
    number = Certificate.objects.filter(request=str(request.id), kind="addendum").count() + 1
    return {
        "id": f"lethe-{request.id}-{number}",
        "version": VERSION,
        "kind": "addendum",
        "amends": amended.pk if amended else f"lethe-{request.id}",
        "issued_at": now,
        "issuer": {"controller": settings.LETHE_CONTROLLER},
        "tool": {"name": "lethe", "version": statement.tool_version()},
        "request": {"id": str(request.id), "law": request.law, "channel": request.channel},
        "subject": {"pseudonym": request.subject},
        "decision": {"outcome": outcome},
        "locations": [
            {
                "store": one.step.store,
                "kind": one.step.store_kind,
                "dataset": one.step.dataset,
                "action": one.action,
                "rows": one.rows,
                "residue": one.residue,
                "note": one.note,
                "verification": one.verification,
                "verified_at": now,
            }
            for one in done
        ],
        "backups": statement.backups_of(request, steps),
        "residual": statement.residual_of(request, steps),
    }
