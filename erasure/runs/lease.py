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
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from erasure.domain.errors import Fenced
from erasure.models import Lease


@dataclass(frozen=True)
class Fence:
    """The epoch under which this worker may write."""

    lease_id: int
    epoch: int

    def check(self) -> None:
        """Renew the lease, or raise Fenced when somebody else has taken over. Call it inside the
        transaction whose writes it protects."""
        renewed = Lease.objects.filter(pk=self.lease_id, epoch=self.epoch).update(until=_end())
        if not renewed:
            raise Fenced(f"lease {self.lease_id}: taken over by another worker")


@contextmanager
def lease(run_id: UUID, store: str = "") -> Iterator[Fence]:
    """Hold the lease of a run's store. Raises Fenced while somebody else alive holds it."""
    record, _ = Lease.objects.get_or_create(run_id=run_id, store=store)
    with _taken(record, store or "run") as fence:
        yield fence


@contextmanager
def job_lease(job_id: UUID) -> Iterator[Fence]:
    """Hold the lease of a model's job. Raises Fenced while somebody else alive holds it."""
    record, _ = Lease.objects.get_or_create(job_id=job_id)
    with _taken(record, "model job") as fence:
        yield fence


@contextmanager
def export_lease(export_id: UUID) -> Iterator[Fence]:
    """Hold the lease of an export. Raises Fenced while somebody else alive holds it."""
    record, _ = Lease.objects.get_or_create(export_id=export_id)
    with _taken(record, "export") as fence:
        yield fence


def job_is_held(job_id: UUID) -> bool:
    """Whether somebody alive is at a model's job."""
    record = Lease.objects.filter(job_id=job_id).first()
    return record is not None and _held(record)


@contextmanager
def _taken(record: Lease, what: str) -> Iterator[Fence]:
    if _held(record):
        raise Fenced(f"{what}: another worker is at it")
    taken = Lease.objects.filter(pk=record.pk, epoch=record.epoch).update(
        epoch=record.epoch + 1, holder=_me(), until=_end()
    )
    if not taken:
        raise Fenced(f"{what}: another worker was faster")
    fence = Fence(record.pk, record.epoch + 1)
    try:
        with _beating(fence):
            yield fence
    finally:
        Lease.objects.filter(pk=fence.lease_id, epoch=fence.epoch).update(holder="", until=None)


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
