"""One worker per run and store at a time: a lease with an epoch that every write tests.

Acks-late, sweep and resume can start one run twice. Whoever takes over raises the epoch; the
former holder finds out at its next write and stops. A holder whose process has died on this
machine is replaced at once, one elsewhere when its lease runs out.

Who only reads at first may take the lease with the first write: that is refused if anybody has
taken it since, so that what was read until then is still true.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from erasure.domain.errors import Fenced
from erasure.models import Lease, Run
from erasure.runs.heart import Heart
from lineage.prepared import Prepared, Slot, insert, update

_FREE: dict[str, Any] = {"holder": "", "until": None}
_OF_STORE = Prepared(lambda: Lease.objects.filter(run=Slot("run"), store=Slot("store")))
_LOCKED = Prepared(lambda: Run.objects.select_for_update().filter(pk=Slot("run")).values_list("pk"))


@dataclass
class Fence:
    """The epoch under which this worker may write."""

    lease_id: int
    epoch: int
    until: datetime | None
    taken: bool = True
    freed: bool = False

    def check(self) -> None:
        """Renew the lease, or take it where that was left for later; raises Fenced when somebody
        else has taken over. Call it inside the transaction whose writes it protects."""
        until = _end()
        told = {"until": until} if self.taken else {"until": until, **self._mine()}
        if not self._write(told):
            raise Fenced(f"lease {self.lease_id}: taken over by another worker")
        if not self.taken:
            # Where this is rolled back, whatever follows is refused.
            self.epoch, self.taken = self.epoch + 1, True
        transaction.on_commit(partial(self._renewed, until))

    def _mine(self) -> dict[str, Any]:
        return {"epoch": self.epoch + 1, "holder": _me()}

    def test(self) -> None:
        """As :meth:`check`, for what is not written here: nobody takes over before the lease runs
        out, so that until then there is nothing to ask."""
        if self.until is None or timezone.now() >= self.until:
            self.check()

    def free(self) -> None:
        """Instead of :meth:`check`, with the last writes: the lease ends with their transaction."""
        if not self._write(_FREE):
            raise Fenced(f"lease {self.lease_id}: taken over by another worker")
        transaction.on_commit(self._freed)

    def end(self) -> None:
        """Free it, where that has not been done."""
        if self.taken and not self.freed:
            self._write(_FREE)

    def _write(self, values: Mapping[str, Any]) -> int:
        return update(Lease, {"pk": self.lease_id, "epoch": self.epoch}, values)

    def _renewed(self, until: datetime) -> None:
        self.until = until

    def _freed(self) -> None:
        self.freed = True


def make_free(run: Run, stores: Iterable[str]) -> None:
    """The leases of a new run and of its stores; joins the caller's transaction."""
    insert([Lease(run=run, store=store) for store in ("", *stores)])


def lock(run: Run) -> None:
    """Until the caller's transaction ends nobody else adds batches to the run, or closes it. On
    SQLite the transaction itself is the only writer."""
    if connection.features.has_select_for_update:
        _LOCKED.first(run=run.pk)


@contextmanager
def lease(run_id: UUID, store: str = "", *, later: bool = False) -> Iterator[Fence]:
    """Hold the lease of a run's store. Raises Fenced while somebody else alive holds it. ``later``:
    it is taken by the first :meth:`Fence.check`, and until then nothing may be written."""
    record, new = _OF_STORE.first(run=run_id, store=store), False
    if record is None:
        mine = _held_by_me()
        record, new = Lease.objects.get_or_create(run_id=run_id, store=store, defaults=mine)
    with _taken(record, new, store or "run", later=later) as fence:
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
def _taken(record: Lease, new: bool, what: str, *, later: bool = False) -> Iterator[Fence]:
    fence = Fence(record.pk, record.epoch, record.until if new else None, taken=new)
    if not new and _held(record):
        raise Fenced(f"{what}: another worker is at it")
    if not (new or later):
        fence.check()
    try:
        with _HEART.beating(fence):
            yield fence
    finally:
        fence.end()


def _held_by_me() -> dict[str, Any]:
    return {"holder": _me(), "until": _end()}


def _renew(fence: Fence) -> None:
    if not fence.taken:
        return
    try:
        # Silence is enough: the work itself learns at its next check who took over.
        with suppress(DatabaseError, Fenced):
            fence.check()
    finally:
        connection.close()


# Beside the work: one statement on a large store can outlast its lease.
_HEART = Heart(_renew, lambda: settings.LETHE_LEASE_SECONDS / 3)


def _end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.LETHE_LEASE_SECONDS)


def _held(record: Lease) -> bool:
    if not record.holder or record.until is None or record.until < timezone.now():
        return False
    return not _died_here(record.holder)


def _me() -> str:
    return f"{_process(os.getpid())}|{threading.get_ident()}"


@lru_cache(maxsize=1)
def _process(pid: int) -> str:
    return f"{socket.gethostname()}|{pid}|{_birth(pid)}"


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
