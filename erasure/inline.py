"""Whole cases without a worker: what the commands ``erase`` and ``replay_erasures`` do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from erasure.advance import ATTEMPTS, Job, finish_keys, follow_up, give_up, perform
from erasure.domain.errors import StoreError, UsageError
from erasure.flow import decide, identify, intake, planning, restore
from erasure.models import ErasureRequest
from lineage.errors import LineageError

Tell = Callable[[Job], None]


def silent(job: Job) -> None:
    """Tell nobody."""


def open_case(
    identifiers: Sequence[tuple[str, str]], *, by: str, method: str, law: str = "gdpr"
) -> ErasureRequest:
    """Open a case and take it to its plan, or go on with the open case of the same person.

    What cannot be planned as asked is withdrawn, its identifiers destroyed, and the error raised.
    """
    finish_keys()
    request = intake.open_request(identifiers, by=by, law=law)
    if request.state == "received":
        identify.confirm_identity(request, by=by, method=method)
    elif request.state == "blocked":
        decide.retry_blocked(request, by=by)
    if request.state == "identified":
        _plan(request, by=by)
    return request


def _plan(request: ErasureRequest, *, by: str) -> None:
    try:
        planning.make_plan(request, by=by)
    except (UsageError, LineageError):
        discard(request, by=by, because="cannot be planned as asked")
        raise


def discard(request: ErasureRequest, *, by: str, because: str) -> None:
    """A case that ends before anything was done leaves no identifier behind."""
    decide.withdraw_request(request, by=by, because=because)
    intake.forget_identifiers(request)


def approve(request: ErasureRequest, *, by: str, because: str) -> None:
    """Approve the plan that stands, by its digest."""
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=by, because=because)


def run_inline(request: ErasureRequest, tell: Tell = silent) -> ErasureRequest:
    """Carry a request as far as it goes. ``tell`` hears of every job."""
    waiting = deque([Job("advance", request.id)])
    while waiting:
        job = waiting.popleft()
        tell(job)
        waiting.extend(_persistently(job))
    request.refresh_from_db()
    return request


def _persistently(job: Job) -> list[Job]:
    last = ""
    for attempt in range(ATTEMPTS):
        try:
            return perform(job)
        except StoreError as error:
            last = str(error)
            time.sleep(0.1 * 4**attempt)
    give_up(job, f"{last} (tried {ATTEMPTS} times)")
    return follow_up(job)


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A person whom a restore brought back, and what became of them."""

    original: UUID
    request: ErasureRequest


def replay(store: str, *, taken_at: datetime, by: str, tell: Tell = silent) -> list[Replayed]:
    """The restore gate: forget everybody again whom a backup taken then has brought back.

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
        if request.state == "identified":
            _plan(request, by=by)
        if request.state == "planned":
            approve(request, by=by, because=f"restore gate: erased before as {returned.request}")
        done.append(Replayed(original=returned.request, request=run_inline(request, tell)))
    return done
