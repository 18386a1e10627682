"""Until when a case can be undone: a date and a key of its own, and what happens at the date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.finding import Person
from erasure.domain.plan import Draft
from erasure.models import Capture, ErasureRequest, Plan, Run, UndoWindow
from erasure.runs import case
from erasure.runs.searching import Stores
from erasure.stores.base import Captures

# Nothing is done to the data there, or not by the run.
_UNTOUCHED = frozenset({"retain", "restrict", "expire", "notify", "manual"})


def offered(request: ErasureRequest) -> int:
    """For how many seconds after its run began the case could be undone. What the restore gate
    forgets again was final before."""
    if not request.undoable or request.replay_of is not None:
        return 0
    return int(settings.LETHE_UNDO_WINDOW.total_seconds())


def cannot_undo(drafts: Sequence[Draft], counts: Sequence[int], stores: Stores) -> list[str]:
    """Warnings for an officer who counts on the window: what it does not cover."""
    touched = {
        d.store.name: d.store.kind
        for d, count in zip(drafts, counts, strict=True)
        if count and d.step.action not in _UNTOUCHED
    }
    along = {code for d in drafts for code in d.step.along}
    return [
        f"{name}: what is done here cannot be undone, a store of kind '{kind}' keeps no images"
        for name, kind in sorted(touched.items())
        if not isinstance(stores.get(name), Captures)
    ] + [
        f"{name}.{table}: rows that go along here cannot be undone, the table has no primary key"
        for name in sorted(touched)
        for table, shape in sorted(stores.get(name).inspect().tables.items())
        if not shape.primary_key and any(f":{name}.{table}." in code for code in along)
    ]


def open_windows(run: Run, requests: Iterable[ErasureRequest], plan: Plan) -> None:
    """Give everybody in a new run their window; joins the caller's transaction.

    Never beyond the day the answer is due, nor beyond what the setting allows by now.
    """
    seconds = min(plan.undo_seconds, int(settings.LETHE_UNDO_WINDOW.total_seconds()))
    for request in requests if seconds else ():
        closes_at = run.started_at + timedelta(seconds=seconds)
        closes_at = min(closes_at, request.due_at or closes_at)
        if closes_at > timezone.now():
            vault.make_key(request.id, "undo")  # so that sealing an image later cannot fail
            UndoWindow.objects.create(request=request, run=run, closes_at=closes_at)


def open_for(run: Run, people: Collection[str], now: datetime) -> dict[str, UndoWindow]:
    """The open windows of a run's people, by person."""
    owners = [UUID(person) for person in people]
    windows = run.undo_windows.filter(request__in=owners, closed_at=None, closes_at__gt=now)
    return {str(window.request_id): window for window in windows}


def window_of(request: ErasureRequest) -> UndoWindow | None:
    """The case's window, open or closed; None where it never had one."""
    return UndoWindow.objects.filter(request=request).first()


def close_over(run: Run, now: datetime) -> set[Person]:
    """Close what is left of a run's windows once their deadline has passed; returns whose window
    is open."""
    left = list(run.undo_windows.filter(closed_at=None))
    for window in left:
        if window.closes_at <= now:
            close(window.request)
    return {str(window.request_id) for window in left if window.closes_at > now}


def is_open(request: ErasureRequest, now: datetime) -> bool:
    """Whether the case can still be undone."""
    window = window_of(request)
    return window is not None and window.closed_at is None and window.closes_at > now


def is_unfinished(request: ErasureRequest) -> bool:
    """Whether the case's images are still to be destroyed; the sweep does that."""
    window = window_of(request)
    return window is not None and window.closed_at is None


def close(request: ErasureRequest) -> None:
    """Destroy the key, then the images it opened; repeatable, and harmless without a window. An
    undo that has begun is finished first: then nothing happens here."""
    with transaction.atomic():
        # Locked, so that who seals an image, or decides to undo, finds out before they write.
        window = UndoWindow.objects.select_for_update().filter(request=request).first()
        if window is None or window.closed_at is not None:
            return
        if ErasureRequest.objects.filter(pk=request.pk, state="undoing").exists():
            return
        case.destroy_keys(request, ["undo"])
        Capture.objects.filter(request=request).delete()
        UndoWindow.objects.filter(pk=window.pk).update(closed_at=timezone.now(), error="")
    _purge()


def _purge() -> None:
    """SQLite zeroes what is deleted (secure_delete); its journal still has it until written in."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
