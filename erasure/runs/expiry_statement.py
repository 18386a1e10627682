"""What became of a plan for data past their date: its results, and a certificate without a
person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from erasure.evidence.body import VERSION
from erasure.models import Expiry, Run
from erasure.runs.statement import tool_version


def results(expiry: Expiry, run: Run, counts: Mapping[int, Counter[str]]) -> list[dict[str, Any]]:
    """The steps of the plan with rows, rows left and residue; ``counts`` as they were received."""
    stores = {part.store: part for part in run.stores.all()}
    found = []
    for step in expiry.steps:
        told, store = counts.get(step["ordinal"], Counter()), stores.get(step["store"])
        words = [w for w in told if w not in ("rows", "left") and told[w]]
        residue = words[0] if words else "clean"
        if residue == "logically_deleted" and store is not None and store.residue:
            residue = store.residue
        found.append({**step, "rows": told["rows"], "left": told["left"], "residue": residue})
    return found


def body_of(expiry: Expiry) -> dict[str, Any]:
    """A certificate without a person: what was over, who approved, what was done, what is left."""
    now = timezone.now().isoformat()
    residual = [{**left, "until": None} for left in expiry.left]
    residual += [
        {
            "dataset": step["dataset"],
            "rows": step["left"],
            "reason": "renewed, on hold or referred to by the time they should have gone",
            "until": None,
        }
        for step in expiry.steps
        if step["left"]
    ]
    return {
        "id": f"lethe-{expiry.id}",
        "version": VERSION,
        "kind": "retention",
        "issued_at": now,
        "issuer": {"controller": settings.LETHE_CONTROLLER},
        "tool": {"name": "lethe", "version": tool_version()},
        "request": {
            "id": str(expiry.id),
            "channel": "retention",
            "clock": [
                {"event": "planned", "at": expiry.made_at.isoformat()},
                *({"event": "approved", "at": at.isoformat()} for at in [expiry.approved_at] if at),
            ],
        },
        "decision": {
            "outcome": "completed",
            "ground": f"retention of {expiry.dataset} is over: {expiry.rule}",
            "decided_by": expiry.made_by,
            "approved_by": expiry.approved_by,
        },
        "locations": [
            {
                "store": step["store"],
                "kind": step["kind"],
                "dataset": step["dataset"],
                "action": step["action"],
                "rows": step["rows"],
                "residue": step["residue"],
                "verification": "asked again by key; there is no person to search by",
                "verified_at": now,
            }
            for step in expiry.steps
        ],
        "residual": residual,
        "limits": list(expiry.limits),
    }
