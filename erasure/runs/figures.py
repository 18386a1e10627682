"""What an authority asks of a controller: counts, days and shares over a span of receipt."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce, TruncMonth
from django.utils import timezone

from erasure.domain.states import SETTLED
from erasure.models import Complaint, ErasureRequest, KeptDataset
from erasure.runs import dues

_DAY = 86_400


def figures(since: datetime, until: datetime) -> dict[str, Any]:
    """The figures of requests that came in from ``since`` until before ``until``; what a restore
    has opened is none. Nobody is named."""
    cases = ErasureRequest.objects.order_by().filter(
        received_at__gte=since, received_at__lt=until, replay_of=None
    )
    every = cases.count()
    asked = cases.filter(Q(pauses__why="identity") | Q(reasoning__about="identity_doubt"))
    kept = KeptDataset.objects.order_by().filter(request__in=cases, lifted_at=None)
    return {
        "received": every,
        "by_month": _by_month(cases),
        "by_right": _counts(cases, "right"),
        "by_law": _counts(cases, "law"),
        "by_channel": _counts(cases, "channel"),
        "by_outcome": _counts(cases.filter(state__in=SETTLED), "state"),
        "by_ground": _counts(cases.exclude(ground=""), "ground"),
        "by_refusal": _counts(cases.filter(state="refused"), "refused_for"),
        "by_exception": _counts(kept, "code"),
        **_days(cases),
        "share_extended": _share(cases.exclude(extended_at=None).count(), every),
        "share_identity_asked": _share(asked.distinct().count(), every),
        "reopened": cases.exclude(reopened_at=None).count(),
        "by_complaint": _complaints(since, until),
        "open": dues.unanswered(cases).count(),
        "overdue": dues.overdue(cases, timezone.now()).count(),
    }


def _counts(rows: QuerySet[Any], column: str) -> dict[str, int]:
    counted = rows.values(column).annotate(n=Count("pk")).order_by(column)
    return {row[column] or "none": row["n"] for row in counted}


def _complaints(since: datetime, until: datetime) -> dict[str, int]:
    """Complaints that came in then, by what they came to; ``none``: not answered yet."""
    came = Complaint.objects.order_by().filter(received_at__gte=since, received_at__lt=until)
    return _counts(came, "verdict")


def _by_month(cases: QuerySet[ErasureRequest]) -> dict[str, int]:
    months = cases.annotate(month=TruncMonth("received_at")).values("month")
    counted = months.annotate(n=Count("pk")).order_by("month")
    return {f"{row['month']:%Y-%m}": row["n"] for row in counted}


def _days(cases: QuerySet[ErasureRequest]) -> dict[str, float | None]:
    """From receipt to the answer, of those that were answered."""
    began = Coalesce("reopened_at", "received_at")
    pairs = cases.exclude(closed_at=None).values_list(began, "closed_at")
    days = [
        (closed - received).total_seconds() / _DAY
        for received, closed in pairs.iterator()
        if closed
    ]
    if not days:
        return {"median_days": None, "longest_days": None}
    return {"median_days": round(median(days), 1), "longest_days": round(max(days), 1)}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
