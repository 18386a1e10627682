"""What the re-scan of a run has seen of one person: counts by place, never values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from erasure.models import ErasureRequest, ScanResult
from lineage.prepared import Prepared, Slot

_SEEN = Prepared(
    lambda: ScanResult.objects.filter(run=Slot("run"), request=Slot("request")).order_by(
        "store", "collection", "field"
    )
)


def seen_of(request: ErasureRequest) -> list[ScanResult]:
    """What the re-scan of its run has seen of the person, place by place."""
    return _SEEN.all(run=request.run_id, request=request.pk) if request.run_id else []


def residue_places(seen: Iterable[ScanResult]) -> str:
    """Where something was seen again, in words."""
    residue = [s for s in seen if s.verdict == "residue"]
    return ", ".join(f"{s.store}.{s.collection}.{s.field} ({s.count})" for s in residue[:10])


def shared_of(seen: Iterable[ScanResult]) -> list[dict[str, Any]]:
    """Equal values that stay because they are somebody else's own."""
    return [
        {
            "dataset": f"{s.store}.{s.collection}",
            "field": s.field,
            "rows": s.count,
            "explanation": "an equal value in somebody else's row",
        }
        for s in seen
        if s.verdict == "shared"
    ]
