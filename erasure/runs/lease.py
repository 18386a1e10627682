"""One worker per run and store at a time: a lease with an epoch that every write tests.

Acks-late, sweep and resume can start one run twice. Whoever takes over raises the epoch; the
former holder finds out at its next write and stops. A holder whose process has died on this
machine is replaced at once, one elsewhere when its lease runs out.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from erasure.domain.errors import Fenced
from erasure.models import Lease

_FREE: dict[str, Any] = {"holder": "", "until": None}


@dataclass
class Fence:
    """The epoch under which this worker may write."""

    lease_id: int
    epoch: int
    freed: bool = False

    def check(self) -> None:
        """Renew the lease, or raise Fenced when somebody else has taken over. Call it inside the
        transaction whose writes it protects."""
        if not self._mine().update(until=_end()):
            raise Fenced(f"lease {self.lease_id}: taken over by another worker")

    def free(self) -> None:
        """Instead of :meth:`check`, with the last writes: the lease ends with their transaction."""
        if not self._mine().update(**_FREE):
            raise Fenced(f"lease {self.lease_id}: taken over by another worker")
        transaction.on_commit(self._freed)

    def end(self) -> None:
        """Free it, where that has not been done."""
        if not self.freed:
            self._mine().update(**_FREE)

    def _mine(self) -> QuerySet[Lease]:
        return Lease.objects.filter(pk=self.lease_id, epoch=self.epoch)

    def _freed(self) -> None:
        self.freed = True


@contextmanager
def lease(run_id: UUID, store: str = "") -> Iterator[Fence]:
    """Hold the lease of a run's store. Raises Fenced while somebody else alive holds it."""
    record, new = Lease.objects.get_or_create(run_id=run_id, store=store, defaults=_held_by_me())
    with _taken(record, new, store or "run") as fence:
        yield fence


@contextmanager
def job_lease(job_id: UUID) -> Iterator[Fence]:
    """Hold the lease of a model's job. Raises Fenced while somebody else alive holds it."""
    record, new = Lease.objects.get_or_create(job_id=job_id, defaults=_held_by_me())
    with _taken(record, new, "model job") as fence:
        yield fence


@contextmanager
def export_lease(export_id: UUID) -> Iterator[Fence]:
    """Hold the lease of an export. Raises Fenced while somebody else alive holds it."""
    record, new = Lease.objects.get_or_create(export_id=export_id, defaults=_held_by_me())
    with _taken(record, new, "export") as fence:
        yield fence


def job_is_held(job_id: UUID) -> bool:
    """Whether somebody alive is at a model's job."""
    record = Lease.objects.filter(job_id=job_id).first()
    return record is not None and _held(record)


@contextmanager
def _taken(record: Lease, new: bool, what: str) -> Iterator[Fence]:
    fence = Fence(record.pk, record.epoch if new else _take(record, what))
    try:
        with _beating(fence):
            yield fence
    finally:
        fence.end()


def _take(record: Lease, what: str) -> int:
    """The next epoch of a lease that nobody alive holds."""
    if _held(record):
        raise Fenced(f"{what}: another worker is at it")
    epoch = record.epoch + 1
    free = Lease.objects.filter(pk=record.pk, epoch=record.epoch)
    if not free.update(epoch=epoch, **_held_by_me()):
        raise Fenced(f"{what}: another worker was faster")
    return epoch


def _held_by_me() -> dict[str, Any]:
    return {"holder": _me(), "until": _end()}


@contextmanager
def _beating(fence: Fence) -> Iterator[None]:
    """Renew the lease beside the work: one statement on a large store can outlast it."""
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(fence, stop), name="lease", daemon=True)
    heart.start()
    try:
        yield
    finally:
        stop.set()
        heart.join()


def _beat(fence: Fence, stop: threading.Event) -> None:
    try:
        while not stop.wait(settings.LETHE_LEASE_SECONDS / 3):
            # Silence is enough: the work itself learns at its next check who took over.
            with suppress(DatabaseError, Fenced):
                fence.check()
    finally:
        connection.close()


def _end() -> object:
    return timezone.now() + timedelta(seconds=settings.LETHE_LEASE_SECONDS)


def _held(record: Lease) -> bool:
    if not record.holder or record.until is None or record.until < timezone.now():
        return False
    return not _died_here(record.holder)


def _me() -> str:
    pid = os.getpid()
    return f"{socket.gethostname()}|{pid}|{_birth(pid)}|{threading.get_ident()}"


def _died_here(holder: str) -> bool:
    host, pid, birth, _ = holder.split("|")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return birth != _birth(int(pid))


def _birth(pid: int) -> str:
    """Start time of a process where the system tells it: process ids are reused."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
