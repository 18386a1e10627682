"""For how long the record of a case can be read: its letters, its reasons, its complaints."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime
from uuid import UUID

from dateutil.relativedelta import relativedelta
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from erasure.domain import clocks
from erasure.domain.states import SETTLED
from erasure.models import (
    Complaint,
    DateDue,
    ErasureRequest,
    HeldPerson,
    Hold,
    Identifier,
    PlanStep,
)
from erasure.runs.reasoning import ENDED
from lineage.prepared import Prepared, Slot

_COMPLAINTS = Prepared(
    lambda: Complaint.objects.filter(request=Slot("request")).values_list("closed_at")
)
_DATES = Prepared(
    lambda: DateDue.objects.filter(request=Slot("request")).values_list("on", "done_at")
)
_KEPT = Prepared(
    lambda: PlanStep.objects.filter(
        plan__request=Slot("request"), plan__state="carried_out", rows__gt=0, until__isnull=False
    ).values_list("until")
)


def kept_until(request: ErasureRequest) -> date | None:
    """The day after which it is emptied: so many months after the last thing that happened, or
    will, as far as is known today. None while the case, or a complaint about it, is open."""
    complaints = [at for (at,) in _COMPLAINTS.all(request=request.pk)]
    if request.closed_at is None or None in complaints:
        return None
    ends = [request.closed_at, *filter(None, complaints), *_dates(request)]
    return timezone.localdate(max(ends) + _months())


def _dates(request: ErasureRequest) -> Iterator[datetime]:
    """When what was kept has gone, or has to."""
    zone = timezone.get_default_timezone()
    for on, done_at in _DATES.all(request=request.pk):
        yield done_at or clocks.last_moment(on, zone)
    for (until,) in _KEPT.all(request=request.pk):
        if until:
            yield clocks.last_moment(until, zone)


def over(now: datetime) -> QuerySet[ErasureRequest]:
    """Cases whose record is still there after its day. What waits for a date, a hold or the answer
    to a complaint keeps its reasons."""
    before = now - _months()
    ended = ErasureRequest.objects.filter(
        record_ended_at=None, closed_at__lt=before, state__in=SETTLED - {"awaiting_rescan"}
    )
    of_case = {"request": OuterRef("pk")}
    held = PlanStep.objects.filter(plan__request=OuterRef("pk"), on_hold=True)
    return ended.exclude(
        Exists(Complaint.objects.filter(_late("closed_at", before), **of_case))
        | Exists(DateDue.objects.filter(_late("done_at", before), **of_case))
        | Exists(held)
    )


def _late(field: str, before: datetime) -> Q:
    return Q(**{field: None}) | Q(**{f"{field}__gte": before})


def complaints_over(now: datetime) -> QuerySet[Complaint]:
    """Complaints whose words are still there after their day."""
    ended = Complaint.objects.filter(closed_at__lt=now - _months())
    return ended.exclude(sealed=b"", sealed_answer=b"")


def holds_over(now: datetime, ending: Collection[UUID] = ()) -> QuerySet[Hold]:
    """Released holds whose words are still there after their day: that of the last case they are
    about (``ending``: cases whose record ends just now), or of their own release."""
    about = Q(cases__in=ending) | Q(
        people__keyed_hash__in=Identifier.objects.filter(request__in=ending).values("keyed_hash")
    )
    released = Hold.objects.exclude(released_at=None).exclude(because=ENDED)
    readable = ErasureRequest.objects.filter(record_ended_at=None)
    linked = Hold.cases.through.objects.filter(hold=OuterRef("pk"), erasurerequest__in=readable)
    known = Identifier.objects.filter(request__in=readable).values("keyed_hash")
    named = HeldPerson.objects.filter(hold=OuterRef("pk"), keyed_hash__in=known)
    over = released.filter(Q(released_at__lt=now - _months()) | about)
    return over.exclude(Exists(linked) | Exists(named)).distinct()


def _months() -> relativedelta:
    return relativedelta(months=settings.LETHE_RECORD_MONTHS)
