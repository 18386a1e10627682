"""Whole cases without a worker: what the commands ``erase`` and ``replay_erasures`` do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from erasure.advance import ATTEMPTS, DUE, Job, finish_keys, follow_up, give_up, perform
from erasure.domain.errors import LetheError, StalePlan, StoreError, UsageError, WrongState
from erasure.domain.roles import Actor
from erasure.domain.states import SETTLED
from erasure.flow import decide, identify, intake, planning, restore, undo
from erasure.models import ErasureRequest
from erasure.runs import holding
from lineage.errors import LineageError

Tell = Callable[[Job], None]


def silent(job: Job) -> None:
    """Tell nobody."""


def open_case(
    identifiers: Sequence[tuple[str, str]],
    *,
    by: Actor,
    method: str,
    law: str = "gdpr",
    undoable: bool = True,
    keep: bool = True,
) -> ErasureRequest:
    """Open a case and take it to its plan, or go on with the open case of the same person.

    What cannot be planned as asked is withdrawn, its identifiers destroyed, and the error raised.
    ``undoable``: False for good, whatever the installation's undo window. ``keep``: False for a
    look: a new case that cannot be planned now is withdrawn as well.
    """
    finish_keys()
    request = intake.open_request(identifiers, by=by, law=law)
    keep = keep or request.state != "received"
    if request.state == "received":
        identify.confirm_identity(request, by=by, method=method)
    elif request.state == "blocked":
        decide.retry_blocked(request, by=by)
    if not undoable and request.undoable and request.state in ("identified", "planned"):
        undo.waive_window(request, by=by)
    if request.state == "identified":
        _plan(request, by=by, keep=keep)
    return request


def _plan(request: ErasureRequest, *, by: Actor, keep: bool) -> None:
    try:
        planning.make_plan(request, by=by)
    except (UsageError, LineageError):
        discard(request, by=by, because="cannot be planned as asked")
        raise
    except (LetheError, KeyboardInterrupt):
        if not keep:
            discard(request, by=by, because="looked at only")
        raise


def discard(request: ErasureRequest, *, by: Actor, because: str) -> None:
    """A case that ends before anything was done leaves no identifier behind."""
    decide.withdraw_request(request, by=by, because=because)


def approve(
    request: ErasureRequest, *, by: Actor, because: str, accept: Sequence[str] = ()
) -> None:
    """Approve the plan that stands, by its digest, with the findings that it names.

    No second pair of eyes is asked for: whoever has the console has the keys too, and the ledger
    records that the console approved.
    """
    plan = request.plans.get(state="draft")
    decide.approve_plan(
        request, digest=plan.digest, by=by, because=because, four_eyes=False, accept=accept
    )


def run_inline(request: ErasureRequest, tell: Tell = silent) -> ErasureRequest:
    """Carry a request to an outcome, or until it is blocked. ``tell`` hears of every job.

    Raises StalePlan when the world has moved since the approval and the plan is another one now,
    and WrongState when another worker holds the run.
    """
    _work_off(request, tell)
    if request.state in ("identified", "planned"):
        raise StalePlan(
            f"request {request.id}: what was approved is no longer what would be done; "
            "look at the new plan and approve it"
        )
    run = request.run
    if run is not None and run.state == "models":
        if (kept := run.model_jobs.filter(state__in=("proposed", "window")).first()) is not None:
            what = "its owner's answer" if kept.state == "proposed" else "its rollback window"
            raise WrongState(
                f"request {request.id}: waits for {kept.dataset}, {what}; a worker goes on then"
            )
        if (away := run.model_jobs.exclude(pipeline={}).first()) is not None:
            raise WrongState(
                f"request {request.id}: waits for {away.dataset}, whose pipeline is at work; "
                "a worker goes on then"
            )
        job = run.model_jobs.filter(state="queued").order_by("due_at").first()
        if job is not None and job.due_at is not None:
            raise WrongState(
                f"request {request.id}: waits for {job.dataset}, to be trained without the person "
                f"at {job.due_at:%Y-%m-%d %H:%M} ({job.due_why}); a worker goes on then"
            )
    if request.state == "approved" and (why := holding.waits(request)):
        raise WrongState(f"request {request.id}: {why}; it starts by itself once released")
    if request.state in DUE:
        raise WrongState(f"request {request.id}: another worker is at it; look again later")
    return request


def _work_off(request: ErasureRequest, tell: Tell) -> None:
    waiting = deque([Job("advance", request.id)])
    while waiting:
        job = waiting.popleft()
        tell(job)
        waiting.extend(_persistently(job))
    request.refresh_from_db()


def _persistently(job: Job) -> list[Job]:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(0.1 * 4 ** (attempt - 1))
        try:
            return perform(job)
        except StoreError as error:
            last = str(error)
    give_up(job, f"{last} (tried {ATTEMPTS} times)")
    return follow_up(job)


def undo_case(
    request: ErasureRequest, *, by: Actor, because: str, together: bool = False, tell: Tell = silent
) -> list[ErasureRequest]:
    """Undo a case while its window is open, and carry that as far as it goes; returns everybody
    who is undone with it. Raises UsageError and WrongState; then nothing has happened."""
    finish_keys()
    requests = undo.begin_undo(request, by=by, because=because, together=together)
    for member in requests:
        _work_off(member, tell)
    return requests


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A person whom a restore brought back, and what became of them."""

    original: UUID
    request: ErasureRequest


def replay(
    store: str,
    *,
    taken_at: datetime,
    by: Actor,
    tell: Tell = silent,
    accept: Collection[str] = (),
) -> list[Replayed]:
    """The restore gate: forget everybody again whom a backup taken then has brought back.

    ``accept``: findings that may happen beside what was accepted when they were first erased.

    Walks afresh from the identities that are in the store now; old row keys are never used. Runs
    until nobody is recognised any more, or somebody's case is blocked.
    """
    done: list[Replayed] = []
    for returned in restore.find_returned(store, taken_at=taken_at, by=by):
        request = intake.open_request(
            returned.identifiers,
            by=by,
            law=returned.law,
            channel="replay",
            only_store=store,
            replay_of=returned.request,
        )
        if request.state == "received":
            identify.confirm_identity(request, by=by, method="recognised by suppression entry")
        elif request.state == "blocked":
            decide.retry_blocked(request, by=by)
        elif request.state == "planned":
            decide.plan_again(request, by=by)
        again = _forget_again(request, by, tell, accept)
        done.append(Replayed(original=returned.request, request=again))
    return done


def _forget_again(
    request: ErasureRequest, by: Actor, tell: Tell, accept: Collection[str]
) -> ErasureRequest:
    """Plan, approve and carry out; anew while the restored store still moves. Whatever stands in
    the way of one person blocks their case, and the gate goes on with the others."""
    for _ in range(ATTEMPTS):
        if request.state == "identified":
            _work_off(request, tell)
        if request.state == "planned":
            findings = decide.to_accept(request.plans.get(state="draft"))
            codes = [f["code"] for f in findings if f["code"] in accept]
            because = f"restore gate: erased before as {request.replay_of}"
            approve(request, by=by, because=because, accept=codes)
        if request.state in SETTLED | {"blocked"}:
            return request
        with suppress(StalePlan):
            return run_inline(request, tell)
    raise StalePlan(f"request {request.id}: the store keeps changing; close it to use, and retry")
