"""What has to be done by when: the lists that officers live by."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from erasure.domain.identity import HANDLED
from erasure.domain.states import CLOSED, SETTLED
from erasure.models import Complaint, ErasureRequest, Letter

SOON = timedelta(days=7)
# An officer has to say who asks; while proof was asked for, the person has to act.
UNIDENTIFIED = ("received", "confirmed", "reopened")
Requests = QuerySet[ErasureRequest]


def unanswered(requests: Requests) -> Requests:
    """Those that still wait for their answer."""
    return requests.exclude(state__in=SETTLED)


def overdue(requests: Requests, now: datetime) -> Requests:
    """Those that should have been answered by now."""
    return unanswered(requests).filter(due_at__lt=now)


def due_soon(requests: Requests, now: datetime) -> Requests:
    """Those to answer within a week; the overdue are not among them."""
    return unanswered(requests).filter(due_at__gte=now, due_at__lt=now + SOON)


def standing_still(requests: Requests) -> Requests:
    """Those whose clock waits for the person."""
    return unanswered(requests).filter(due_at=None)


def to_identify(requests: Requests) -> Requests:
    """Those of which nobody has recorded yet who asks."""
    return requests.filter(state__in=UNIDENTIFIED)


def to_hand_over(requests: Requests) -> Requests:
    """Those whose person waits for a copy of their data that is there."""
    return requests.filter(exports__state="ready").distinct()


def to_hand_on(requests: Requests) -> Requests:
    """Those that ask for what nothing here carries out: somebody answers them elsewhere."""
    return requests.filter(state="identified").exclude(right__in=HANDLED)


def unacknowledged(requests: Requests, now: datetime) -> Requests:
    """Those whose receipt the law wants confirmed within a week, or wanted already."""
    waiting = unanswered(requests).filter(acknowledged_at=None)
    return waiting.filter(acknowledge_by__lt=now + SOON)


def to_tell_extended(requests: Requests) -> Requests:
    """Those whose time was extended, of which the person was not told yet (Art. 12(3): within the
    first period, with the reasons)."""
    told = Letter.objects.filter(
        request=OuterRef("pk"),
        code="extension",
        state__in=("sent", "by_hand"),
        made_at__gte=OuterRef("extended_at"),
    )
    extended = unanswered(requests).exclude(extended_at=None)
    return extended.exclude(Exists(told))


def alike(case: ErasureRequest) -> Requests:
    """Open cases about the same right, in the same stores, that share an identifier with it."""
    hashes = case.identifiers.values("keyed_hash")
    same = ErasureRequest.objects.filter(
        identifiers__keyed_hash__in=hashes, right=case.right, only_store=case.only_store
    )
    return same.exclude(pk=case.pk).exclude(state__in=CLOSED).distinct()


def open_complaints() -> QuerySet[Complaint]:
    """Those that wait for their answer, what is due first above."""
    return Complaint.objects.filter(closed_at=None).order_by("acknowledge_by", "answer_by")


def complaints_due(now: datetime) -> QuerySet[Complaint]:
    """Those to confirm or to answer within a week, or overdue already."""
    confirm = Q(state="received", acknowledge_by__lt=now + SOON)
    return open_complaints().filter(confirm | Q(answer_by__lt=now + SOON))


def complaints_overdue(now: datetime) -> QuerySet[Complaint]:
    """Those that should have been confirmed or answered by now."""
    confirm = Q(state="received", acknowledge_by__lt=now)
    return open_complaints().filter(confirm | Q(answer_by__lt=now))
