"""An officer approves the plan's digest, refuses, withdraws, or tries a blocked case again."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import StalePlan, UsageError, WrongState
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, Run
from erasure.runs import case
from erasure.transitions import move

_UNBLOCKED = {"blocked_because": ""}


def approve_plan(
    request: ErasureRequest, *, digest: str, by: str, because: str = "", four_eyes: bool = True
) -> Plan:
    """Approve exactly the plan that was looked at. Raises StalePlan for another digest, and
    UsageError when ``by`` opened the request and the setting LETHE_FOUR_EYES asks for another.

    ``four_eyes``: False for the console alone, which is recorded as such.
    """
    if four_eyes and needs_another(request, by=by):
        raise UsageError(
            f"request {request.id}: who opened a request cannot approve its plan; "
            "let another officer approve it"
        )
    with transaction.atomic():
        plan = request.plans.filter(state="draft").first()
        if plan is None or plan.digest != digest:
            raise StalePlan(f"request {request.id}: the plan has changed; look at it again")
        move(plan, "approved", by=by, also={"approved_by": by, "approved_at": timezone.now()})
        move(request, "approved", by=by, because=because)
        ledger.append("approved", {"request": str(request.id), "digest": digest, "by": by})
    return plan


def needs_another(request: ErasureRequest, *, by: str) -> bool:
    """Whether the plan waits for somebody else than ``by``, who opened the request."""
    return bool(settings.LETHE_FOUR_EYES) and request.opened_by == by


def refuse_request(request: ErasureRequest, *, by: str, because: str) -> ErasureRequest:
    """Refuse a request that was not approved yet; the reason is kept, the identifiers are not.

    The reason stands in clear: it may not repeat an identifier. Raises UsageError then, and
    WrongState without a reason.
    """
    if not because.strip():
        raise WrongState(f"request {request.id}: a refusal needs a reason")
    if case.repeats_identifier(request, because):
        raise UsageError(
            f"request {request.id}: the reason repeats what the person is known by; leave that out"
        )
    move(request, "refused", by=by, because=because)
    case.forget_identifiers(request)
    return request


def withdraw_request(request: ErasureRequest, *, by: str, because: str = "") -> ErasureRequest:
    """The person no longer wants it; possible until the run has begun."""
    move(request, "withdrawn", by=by, because=because)
    case.forget_identifiers(request)
    return request


def retry_blocked(request: ErasureRequest, *, by: str) -> ErasureRequest:
    """Go on where a blocked case stopped, after somebody removed the cause.

    A run goes on for everybody whom it was blocked with.
    """
    with transaction.atomic():
        run = request.run
        if run is None or run.state == "abandoned":
            return move(request, "identified", by=by, because="tried again", also=_UNBLOCKED)
        run = Run.objects.get(pk=run.pk)
        if run.state == "blocked":
            for store_run in run.stores.filter(state="blocked"):
                move(store_run, "pending", by=by)
            for job in run.model_jobs.filter(state="blocked"):
                move(job, "queued", by=by)
            run = move(run, "acting", by=by, because="tried again", also={"rounds": 0})
        to = "verifying" if run.state in ("verifying", "finished") else "executing"
        move(request, to, by=by, because="tried again", also=_UNBLOCKED)
        for other in run.requests.filter(state="blocked"):
            move(other, to, by=by, because="tried again", also=_UNBLOCKED)
    return request
