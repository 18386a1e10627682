"""What is next for a request: one flow function per call. Knows no Celery: the same jobs are
carried out inline by a command, by the embedded worker, or by workers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from erasure.domain.errors import Fenced, LetheError, StoreError, WrongState
from erasure.flow import attest, execute, models, planning, verify
from erasure.models import DataKey, ErasureRequest, Run
from erasure.transitions import move
from lineage.errors import LineageError

ATTEMPTS = 4
_BY = "run"
# A request in one of these has something due that nobody needs to decide.
DUE = ("identified", "approved", "executing", "verifying")


@dataclass(frozen=True)
class Job:
    """``advance`` a request, or ``act`` on one store of a run. Ids only: the broker sees no more.

    ``kind`` is the store's kind, which names the queue.
    """

    name: Literal["advance", "act"]
    id: UUID
    store: str = ""
    kind: str = ""


def perform(job: Job) -> list[Job]:
    """Do one job and say what follows. A passing fault raises StoreError (``permanent`` False);
    everything else that fails is BLOCKED where a person sees it."""
    try:
        if job.name == "act":
            execute.act_on_store(job.id, job.store)
            member = ErasureRequest.objects.filter(run_id=job.id).first()
            return [Job("advance", member.id)] if member else []
        return _advance(ErasureRequest.objects.get(pk=job.id))
    except Fenced:
        return []  # somebody else is at it, and will say what follows
    except WrongState:
        return []  # somebody else was faster; the sweep looks again


def _advance(request: ErasureRequest) -> list[Job]:
    step = _NEXT.get(request.state)
    if step is None:
        return []
    try:
        return step(request)
    except StoreError as error:
        if not error.permanent:
            raise
        _block(request, str(error))
    except (Fenced, WrongState):
        raise
    except (LetheError, LineageError) as error:
        _block(request, str(error))
    return []


def give_up(job: Job, why: str) -> None:
    """A passing fault did not pass: BLOCKED, with its reason, until somebody tries again."""
    if job.name == "advance":
        _block(ErasureRequest.objects.get(pk=job.id), why)
        return
    run = Run.objects.get(pk=job.id)
    execute.block_store(run.stores.get(store=job.store), why)


def follow_up(job: Job) -> list[Job]:
    """After giving up on a store, the run itself still has to be moved on."""
    member = ErasureRequest.objects.filter(run_id=job.id).first() if job.name == "act" else None
    return [Job("advance", member.id)] if member else []


def _block(request: ErasureRequest, why: str) -> None:
    request.refresh_from_db()
    run = request.run
    if run is not None and run.state not in ("blocked", "finished", "abandoned"):
        execute.block_run(run, why)
    elif request.state in ("identified", "approved", "executing", "verifying"):
        move(request, "blocked", by=_BY, because=why, also={"blocked_because": why})


def _plan(request: ErasureRequest) -> list[Job]:
    planning.make_plan(request, by=_BY)
    return []  # an officer decides


def _start(request: ErasureRequest) -> list[Job]:
    run = execute.start_run(request)
    return [Job("advance", request.id)] if run else []


def _execute(request: ErasureRequest) -> list[Job]:
    run = request.run
    assert run is not None  # noqa: S101 - an executing request has a run
    again = [Job("advance", request.id)]
    if run.state == "acting":
        due = _store_jobs(run, execute.due_stores(run))
        if due:
            return due
        execute.settle_run(run)
        return again
    if run.state == "settling":
        execute.resume_settling(run)
        return again
    if run.state == "models":
        return _store_jobs(run, models.advance_models(run)) or again
    return []


def _store_jobs(run: Run, stores: list[str]) -> list[Job]:
    kinds = dict(run.stores.values_list("store", "kind"))
    return [Job("act", run.id, store, kinds[store]) for store in stores]


def _verify(request: ErasureRequest) -> list[Job]:
    run = request.run
    assert run is not None  # noqa: S101 - a verifying request has a run
    verify.rescan_run(run)
    for member in run.requests.filter(state="verifying"):
        attest.attest_request(member)
        if member.state != "blocked":
            attest.destroy_keys(member)
    run.refresh_from_db()
    if run.state == "verifying":
        if run.requests.filter(state="blocked").exists():
            move(run, "blocked", by=_BY, because="something was seen again")
        else:
            execute.finish_run(run)
    return []


_NEXT: dict[str, Callable[[ErasureRequest], list[Job]]] = {
    "identified": _plan,
    "approved": _start,
    "executing": _execute,
    "verifying": _verify,
}


def due_jobs() -> Iterator[Job]:
    """Everything that could go on now: what the sweep enqueues when a message was lost."""
    seen: set[UUID] = set()
    for request in ErasureRequest.objects.filter(state__in=DUE).order_by("due_at").iterator():
        if request.run_id in seen:
            continue  # one message moves a whole run
        if request.run_id:
            seen.add(request.run_id)
        yield Job("advance", request.id)


def finish_keys() -> int:
    """Destroy identifiers keys that a crash left behind after their certificate was sealed."""
    settled = ErasureRequest.objects.filter(
        state__in=("completed", "partly_granted", "awaiting_copies")
    )
    left = DataKey.objects.filter(
        owner__in=settled.values("id"), purpose="identifiers", destroyed_at=None
    )
    owners = list(left.values_list("owner", flat=True))
    for request in ErasureRequest.objects.filter(id__in=owners):
        attest.destroy_keys(request)
    return len(owners)
