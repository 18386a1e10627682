"""A fee is asked for a request that is manifestly unfounded or excessive (Art. 12(5)), and paid."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import WrongState
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import ErasureRequest
from erasure.runs import case, clock, reasoning

EARLY = frozenset(
    {"received", "confirmed", "identity_required", "identified", "planned", "gathering", "reopened"}
)


@deed("charge")
def ask_fee(
    request: ErasureRequest, *, because: str, by: Actor, at: datetime | None = None
) -> ErasureRequest:
    """Record why a fee is asked; the burden of proof is the controller's. The clock waits where
    the law lets it. Raises UsageError without reasons or when one is asked already, and WrongState
    once the plan is approved."""
    if request.state not in EARLY:
        raise WrongState(f"request {request.id}: is {request.state}; no fee can be asked any more")
    case.refuse_begun(request)
    with transaction.atomic():
        reasoning.write_down(request, "fee", because, by=by)
        clock.pause(request, "fee", at=at or timezone.now())
        ledger.record("fee_asked", {"request": str(request.id), "by": by})
    return request


@deed("charge")
def fee_paid(request: ErasureRequest, *, by: Actor, at: datetime | None = None) -> ErasureRequest:
    """The fee is there, or nobody insists on it. Raises WrongState when none is waited for."""
    with transaction.atomic():
        if not request.pauses.filter(why="fee", until=None).exists():
            raise WrongState(f"request {request.id}: no fee is waited for")
        clock.resume(request, "fee", at=at or timezone.now())
        ledger.record("fee_paid", {"request": str(request.id), "by": by})
    return request
