"""What the training log comes to: the newest entry of somebody and a topic counts."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet

from erasure.models import StaffTraining


def current() -> QuerySet[StaffTraining]:
    """The newest entry of everybody and every topic."""
    later = StaffTraining.objects.filter(
        who=OuterRef("who"), topic=OuterRef("topic"), on__gt=OuterRef("on")
    )
    return StaffTraining.objects.exclude(Exists(later))


def overdue(today: date) -> QuerySet[StaffTraining]:
    """What should have been repeated by now, the oldest first."""
    return current().filter(next_due__lt=today).order_by("next_due", "who")


def figures(today: date) -> dict[str, Any]:
    """``people``, ``entries``, ``overdue`` and ``by_topic`` (people trained)."""
    topics = (
        StaffTraining.objects.order_by()
        .values("topic")
        .annotate(people=Count("who", distinct=True))
        .order_by("topic")
    )
    return {
        "people": StaffTraining.objects.order_by().values("who").distinct().count(),
        "entries": StaffTraining.objects.count(),
        "overdue": overdue(today).count(),
        "by_topic": {row["topic"]: row["people"] for row in topics},
    }
