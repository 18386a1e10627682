"""The time to answer is extended: by reasoned notice, and only while the first period runs."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import WrongState
from erasure.domain.roles import Actor, deed
from erasure.domain.states import CLOSED
from erasure.evidence import ledger
from erasure.models import ErasureRequest
from erasure.runs import clock, reasoning


@deed("extend")
def extend_deadline(
    request: ErasureRequest, *, by: Actor, because: str, at: datetime | None = None
) -> ErasureRequest:
    """Extend once, as the request's law allows, with the reasons that the person is told.

    Raises WrongState when the law knows no extension, it was extended before, the case is decided,
    or the first period is over; UsageError without a reason. Nothing was changed then.
    """
    now = at or timezone.now()
    with transaction.atomic():
        request = ErasureRequest.objects.select_for_update().get(pk=request.pk)
        _refuse(request, now)
        reasoning.write_down(request, "extension", because, by=by)
        request.extended_at = now
        request.save(update_fields=["extended_at"])
        clock.wind(request)
        due = request.due_at.isoformat() if request.due_at else None
        ledger.record("extended", {"request": str(request.id), "by": by, "answer_by": due})
    return request


def _refuse(request: ErasureRequest, now: datetime) -> None:
    found, place = clock.clock_of(request), f"request {request.id}"
    if request.state in CLOSED:
        raise WrongState(f"{place}: is {request.state}; there is nothing left to extend")
    if request.extended_at:
        raise WrongState(f"{place}: was extended before; the law knows no second time")
    if not found.can_be_extended:
        raise WrongState(f"{place}: this law knows no extension; answer by the date it has")
    if now < request.received_at:
        raise WrongState(f"{place}: cannot be extended before it was received")
    today = timezone.localtime(now, timezone.get_default_timezone()).date()
    if found.first is not None and today > found.first:
        raise WrongState(
            f"{place}: the time to extend ended on {found.first}; answer it, it is overdue"
        )
