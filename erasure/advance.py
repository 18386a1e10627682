"""What is next for a request: one flow function per call. Knows no Celery: the same jobs are
carried out inline by a command, by the embedded worker, or by workers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal
from uuid import UUID

from django.utils import timezone

from erasure.domain.errors import Fenced, LetheError, StoreError, WrongState
from erasure.domain.identity import HANDLED
from erasure.domain.roles import SYSTEM
from erasure.domain.states import WAITING
from erasure.evidence import ledger
from erasure.flow import (
    attest,
    decide,
    end_records,
    execute,
    expire,
    export,
    letters,
    models,
    planning,
    token,
    training,
    undo,
    verify,
    watch,
    webhook,
)
from erasure.models import ErasureRequest, ModelJob, Run, StoreRun
from erasure.runs import (
    case,
    exporting,
    holding,
    journal,
    modelling,
    rescanning,
    tokens,
    webhooks,
    windows,
)
from erasure.runs.lease import Fence, lease, lock
from erasure.runs.once import looked_up_once
from erasure.transitions import move
from lineage.errors import LineageError

ATTEMPTS = 4
_BY = SYSTEM
# A request in one of these has something due that nobody needs to decide.
DUE = ("identified", "approved", "executing", "verifying")
_CARRIED = ("executing", "verifying")
_ENDED = ("blocked", "finished", "abandoned")


@dataclass(frozen=True)
class Job:
    """``advance`` a request, ``act`` on one store of a run, ``train`` a model's job, ``send`` a
    letter, ``gather`` an export, ``tell`` a recipient, ``look`` for data past their date, or let
    them ``expire``. Ids only: the broker sees no more.

    ``kind`` is the store's kind, which names the queue.
    """

    name: Literal["advance", "act", "train", "send", "gather", "tell", "look", "expire"]
    id: UUID
    store: str = ""
    kind: str = ""


def perform(job: Job) -> list[Job]:
    """Do one job and say what follows. A passing fault raises StoreError (``permanent`` False);
    everything else that fails is BLOCKED where a person sees it."""
    try:
        if job.name == "act":
            execute.act_on_store(job.id, job.store)
            return follow_up(job)
        if job.name == "train":
            training.train(job.id)
            return follow_up(job)
        if job.name in _ALONE:
            _ALONE[job.name](job.id)
            return []
        return _advance(case.of(job.id))
    except Fenced:
        return []  # somebody else is at it, and will say what follows
    except WrongState:
        return []  # somebody else was faster; the sweep looks again


def _noting(does: Callable[[UUID], object], name: str, job_id: UUID) -> None:
    """A job of no run. A passing fault is raised; any other is noted where a person sees it."""
    try:
        does(job_id)
    except (LetheError, LineageError) as error:
        passing = isinstance(error, StoreError) and not error.permanent
        if passing or isinstance(error, Fenced | WrongState):
            raise
        _GIVEN_UP[name](job_id, str(error))


# Nothing follows these.
_ALONE: dict[str, Callable[[UUID], None]] = {
    "send": letters.send_again,
    "gather": partial(_noting, export.gather, "gather"),
    "tell": webhook.send,
    "look": partial(_noting, expire.look, "look"),
    "expire": partial(_noting, expire.carry_out, "expire"),
}


_GIVEN_UP: dict[str, Callable[[UUID, str], object]] = {
    "train": training.give_up,
    "gather": export.block,
    "look": expire.note_trouble,
    "expire": expire.block,
}


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
    if job.name in _GIVEN_UP:
        _GIVEN_UP[job.name](job.id, why)
        return
    run = Run.objects.get(pk=job.id)
    execute.block_store(run.stores.get(store=job.store), why)


def follow_up(job: Job) -> list[Job]:
    """After a store was acted on, a model trained, or either given up, the runs themselves still
    have to be moved on."""
    if job.name == "train":
        done = ModelJob.objects.get(pk=job.id)
        going_on = done.state in modelling.OPEN
        return [] if going_on else [Job("advance", pk) for pk in training.members_of(done)]
    if job.name != "act":
        return []
    members = ErasureRequest.objects.filter(run_id=job.id, state__in=DUE).order_by()
    return [Job("advance", pk) for pk in members.values_list("pk", flat=True)[:1]]


def _block(request: ErasureRequest, why: str) -> None:
    request.refresh_from_db()
    run = request.run
    if request.state in ("undoing", "awaiting_window"):
        undo.note_trouble(request, why)
    elif request.state in watch.WATCHED:
        watch.note_trouble(request, why)
    elif request.state != "awaiting_rescan" and run is not None and run.state not in _ENDED:
        execute.block_run(run, why)
    elif request.state in (*DUE, "awaiting_rescan"):
        move(request, "blocked", by=_BY, because=why, also={"blocked_because": why})


def _plan(request: ErasureRequest) -> list[Job]:
    if request.right not in HANDLED:
        return []  # somebody answers it
    planning.make_plan(request, by=_BY)
    return _gather(request)


def _gather(request: ErasureRequest) -> list[Job]:
    """What was ordered; and where a copy is all that is asked for, that is ordered, once."""
    if exporting.unordered().filter(pk=request.pk).exists():
        export.order_export(request, by=_BY)
    wanted = request.exports.filter(state="ordered")
    return [Job("gather", pk) for pk in wanted.values_list("id", flat=True)]


def _start(request: ErasureRequest) -> list[Job]:
    if exporting.waits(request):
        return []  # the sweep looks again
    run = execute.start_run(request)
    if run is not None and exporting.left_of(run):
        export.clear(timezone.now())  # whoever is about to be erased has no archive here
    request.refresh_from_db(fields=("state", "run"))
    if run is None and request.state == "approved":
        return []  # on hold; the sweep looks again
    if run is not None and request.run_id == run.id:
        return _act_jobs(run) or [Job("advance", request.id)]
    others = case.members(run)[:1] if run is not None else []
    return [Job("advance", member.id) for member in (request, *others)]  # to be planned anew


@looked_up_once()
def _execute(request: ErasureRequest) -> list[Job]:
    run = request.run
    assert run is not None  # noqa: S101 - an executing request has a run
    again = [Job("advance", request.id)]
    if run.state == "acting":
        due = _act_jobs(run)
        if due:
            return due
        execute.settle_run(run)
        return again
    if run.state == "settling":
        execute.resume_settling(run)
        return again
    if run.state == "models":
        pending = models.advance_models(run)
        trainings = [Job("train", job) for job in pending.jobs]
        return trainings or _store_jobs(run, pending.stores) or ([] if pending.waits else again)
    return []


def _act_jobs(run: Run) -> list[Job]:
    return [Job("act", run.id, part.store, part.kind) for part in execute.due_stores(run)]


def _store_jobs(run: Run, stores: list[str]) -> list[Job]:
    kinds = dict(run.stores.values_list("store", "kind"))
    return [Job("act", run.id, store, kinds[store]) for store in stores]


@looked_up_once()
def _verify(request: ErasureRequest) -> list[Job]:
    run = request.run
    assert run is not None  # noqa: S101 - a verifying request has a run
    with lease(run.id) as fence:
        run.refresh_from_db()
        if run.state == "verifying":
            verify.rescan_run(run, fence)
            attest.attest_run(run, fence)
            _close(run, fence)
    left = run.requests.filter(state="verifying").first() if run.state == "verifying" else None
    told = [Job("tell", call) for call in webhooks.due(timezone.now())]
    return [*([Job("advance", left.id)] if left else []), *told]


def _close(run: Run, fence: Fence) -> None:
    """Everybody in the run was judged. It stays open for whoever was tried again meanwhile, and
    for whoever comes back to it if their undo puts nothing back."""
    with ledger.together():
        fence.free()
        lock(run)
        states = set(run.requests.order_by().values_list("state", flat=True).distinct())
        if states & set(_CARRIED):
            return
        back = run.undo_windows.filter(request__state="undoing", back_to="blocked")
        if "blocked" in states or ("undoing" in states and back.exists()):
            move(run, "blocked", by=_BY, because="something was seen again")
        else:
            execute.finish_run(run)


def _undo(request: ErasureRequest) -> list[Job]:
    undo.carry_out(request)
    return []


def _watch(request: ErasureRequest) -> list[Job]:
    watch.act_on_dates(request, now=timezone.now())
    if request.state not in WAITING:
        attest.destroy_keys(request)
    return []


def _rescan(request: ErasureRequest) -> list[Job]:
    """One pass for everybody who waits, once the first of them is due."""
    waiting = rescanning.waiting(timezone.now())
    if request not in waiting:
        return []
    assert waiting[0].run is not None  # noqa: S101 - a run has erased them
    with lease(waiting[0].run.id) as fence:
        verify.rescan_waiting(waiting, fence)
        for member in waiting:
            with suppress(WrongState):  # somebody else has moved it meanwhile
                attest.conclude_rescan(member, fence)
    return []


def _close_window(request: ErasureRequest) -> list[Job]:
    if not windows.is_open(request, timezone.now()):
        _close_over(request)
    return []


_NEXT: dict[str, Callable[[ErasureRequest], list[Job]]] = {
    "identified": _plan,
    "approved": _start,
    "gathering": _gather,
    "executing": _execute,
    "verifying": _verify,
    "undoing": _undo,
    "awaiting_window": _close_window,
    "awaiting_rescan": _rescan,
    "partly_granted": _watch,
    "awaiting_copies": _watch,
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
    undoing = ErasureRequest.objects.filter(state="undoing").iterator()
    first = rescanning.waiting(timezone.now())[:1]  # one message is enough for everybody
    for request in chain(undoing, first, exporting.unordered(), watch.dates_over(timezone.now())):
        yield Job("advance", request.id)
    for job in training.due_jobs(timezone.now()):
        yield Job("train", job)
    yield from map(partial(Job, "send"), letters.due(timezone.now()))
    yield from map(partial(Job, "gather"), exporting.due())
    yield from map(partial(Job, "tell"), webhooks.due(timezone.now()))
    yield from map(partial(Job, "look"), expire.looks_due(timezone.localdate()))
    yield from map(partial(Job, "expire"), expire.due())


def close_windows() -> None:
    """Close every undo window whose deadline has passed: its key is destroyed, and the case comes
    to its outcome."""
    for request in watch.windows_over(timezone.now()):
        try:
            _close_over(request)
        except WrongState:
            continue  # somebody else was faster
        except LetheError as error:
            undo.note_trouble(request, str(error))


def _close_over(request: ErasureRequest) -> None:
    if request.state == "undone":
        undo.finish(request)
    windows.close(request)
    if request.state == "awaiting_window":
        attest.conclude(request)


def finish_keys() -> int:
    """Do what a crash left undone when a case or a run had ended, or what a date has come for:
    destroy keys. Returns how many ended cases still had some."""
    close_windows()
    export.clear(timezone.now())
    webhook.clear(timezone.now())
    expire.clear()
    _release()
    left = attest.destroy_left_keys()
    for run in Run.objects.filter(state="verifying").exclude(requests__state__in=_CARRIED):
        _close_left(run)
    tokens.forget_expired(timezone.now())
    token.forget_calls(timezone.now())
    end_records.end_records(timezone.now())
    return left


def _release() -> None:
    """What a hold has stopped in a run goes on once it is released."""
    stopped = StoreRun.objects.filter(state="blocked", error__contains=holding.ON_HOLD)
    for part in stopped.filter(run__state="blocked").select_related("run"):
        member = part.run.requests.filter(state="blocked").first()
        try:
            holding.refuse_held(part.run, part.store, journal.run_steps(part.run))
            if member is not None:
                decide.retry_blocked(member, by=SYSTEM)
        except (StoreError, WrongState):
            continue  # still on hold, or somebody was faster


def _close_left(run: Run) -> None:
    try:
        with lease(run.id) as fence:
            run.refresh_from_db()
            if run.state == "verifying":
                _close(run, fence)
    except Fenced:
        return  # it is being closed just now
