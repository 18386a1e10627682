"""An officer approves the plan's digest, refuses, withdraws, or tries a blocked case again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import StalePlan, WrongState
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, Run
from erasure.transitions import move


def approve_plan(request: ErasureRequest, *, digest: str, by: str, because: str = "") -> Plan:
    """Approve exactly the plan that was looked at. Raises StalePlan for another digest."""
    with transaction.atomic():
        plan = request.plans.filter(state="draft").first()
        if plan is None or plan.digest != digest:
            raise StalePlan(f"request {request.id}: the plan has changed; look at it again")
        move(plan, "approved", by=by, also={"approved_by": by, "approved_at": timezone.now()})
        move(request, "approved", by=by, because=because)
        ledger.append("approved", {"request": str(request.id), "digest": digest, "by": by})
    return plan


def refuse_request(request: ErasureRequest, *, by: str, because: str) -> ErasureRequest:
    """Refuse a request that was not approved yet; the reason is kept."""
    if not because.strip():
        raise WrongState(f"request {request.id}: a refusal needs a reason")
    return move(request, "refused", by=by, because=because)


def withdraw_request(request: ErasureRequest, *, by: str, because: str = "") -> ErasureRequest:
    """The person no longer wants it; possible until the run has begun."""
    return move(request, "withdrawn", by=by, because=because)


def retry_blocked(request: ErasureRequest, *, by: str) -> ErasureRequest:
    """Go on where a blocked case stopped, after somebody removed the cause."""
    with transaction.atomic():
        run = request.run
        if run is None or run.state == "abandoned":
            return move(request, "identified", by=by, because="tried again")
        run = Run.objects.get(pk=run.pk)
        if run.state == "blocked":
            for store_run in run.stores.filter(state="blocked"):
                move(store_run, "pending", by=by)
            for job in run.model_jobs.filter(state="blocked"):
                move(job, "queued", by=by)
            run = move(run, "acting", by=by, because="tried again")
        to = "verifying" if run.state in ("verifying", "finished") else "executing"
        return move(request, to, by=by, because="tried again", also={"blocked_because": ""})
