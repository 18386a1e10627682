"""What tests of undoing share: an erasure that can be undone, and what is kept of it."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from erasure.advance import close_windows
from erasure.inline import undo_case
from erasure.models import (
    Capture,
    Certificate,
    DataKey,
    ErasureRequest,
    Event,
    ImageChunk,
    LedgerLeaf,
    SuppressionEntry,
    UndoWindow,
)
from tests.flow.cast import OFFICER
from tests.flow.deeds import approved, work_off

WHY = "the wrong customer was looked up"


def erased(*emails: str) -> list[ErasureRequest]:
    """Cases that were carried out and verified, each person by one email."""
    requests = [approved(email) for email in emails]
    work_off(*requests)
    for request in requests:
        assert request.state == "awaiting_window", request.blocked_because
    return requests


def window(request: ErasureRequest) -> UndoWindow:
    return UndoWindow.objects.get(request=request)


def let_pass(request: ErasureRequest) -> None:
    """The deadline has passed, and nobody has noticed yet."""
    past = timezone.now() - timedelta(seconds=1)
    UndoWindow.objects.filter(request=request).update(closes_at=past)


def sweep(request: ErasureRequest) -> None:
    """What beat does once the deadline has passed."""
    let_pass(request)
    close_windows()
    request.refresh_from_db()


def live_keys(request: ErasureRequest) -> set[str]:
    """Purposes of the case's keys that are there."""
    left = DataKey.objects.filter(owner=request.id, destroyed_at=None)
    return set(left.values_list("purpose", flat=True))


def kept(request: ErasureRequest) -> int:
    """Sealed chunks of images."""
    return ImageChunk.objects.filter(capture__request=request).count()


def everything_written() -> tuple[object, ...]:
    """What a denied deed may not have changed."""
    return (
        list(ErasureRequest.objects.order_by("pk").values()),
        list(UndoWindow.objects.order_by("pk").values()),
        list(Capture.objects.order_by("pk").values()),
        list(DataKey.objects.order_by("pk").values()),
        list(SuppressionEntry.objects.order_by("pk").values()),
        Certificate.objects.count(),
        ImageChunk.objects.count(),
        Event.objects.count(),
        LedgerLeaf.objects.count(),
    )


def undone(request: ErasureRequest, *, together: bool = False) -> None:
    """An officer undoes the case, and that comes to its end."""
    undo_case(request, by=OFFICER, because=WHY, together=together)
    assert request.state == "undone", window(request).error


def report(request: ErasureRequest) -> dict[str, dict[str, int]]:
    """What became of the rows, by table."""
    found: dict[str, dict[str, int]] = window(request).report
    return found
