"""An officer approves the plan's digest, refuses, withdraws, or tries a blocked case again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from erasure.domain.errors import StalePlan, UsageError, WrongState
from erasure.domain.roles import Actor, deed
from erasure.domain.saying import LONGEST, said
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Pause, Plan, Run
from erasure.runs import case, modelling
from erasure.transitions import move
from lineage.prepared import Prepared, Slot

REFUSALS = ("exempt", "ground_not_met", "unfounded", "excessive", "fee_unpaid")
_FEES = Prepared(
    lambda: Pause.objects.filter(request=Slot("request"), why="fee", until=None).values_list("pk")
)
_DRAFT = Prepared(lambda: Plan.objects.filter(request=Slot("request"), state="draft"))
_UNBLOCKED = {"blocked_because": ""}


@deed("approve")
def approve_plan(
    request: ErasureRequest,
    *,
    digest: str,
    by: Actor,
    because: str = "",
    four_eyes: bool = True,
    accept: Sequence[str] = (),
) -> Plan:
    """Approve exactly the plan that was looked at. Raises StalePlan for another digest, WrongState
    for one that is approved already, and UsageError when ``by`` opened the request and the setting
    LETHE_FOUR_EYES asks for another, or when ``accept`` does not name the plan's findings: all that
    are :func:`to_accept`, no other, or when ``because``, which stands in clear, repeats what the
    person is known by.

    ``four_eyes``: False for the console alone, which is recorded as such.
    """
    if four_eyes and needs_another(request, by=by):
        raise UsageError(
            f"request {request.id}: who opened a request cannot approve its plan; "
            "let another officer approve it"
        )
    if because:
        _refuse_repeated(request, because)
    with ledger.together():
        if _FEES.all(request=request.pk):
            raise WrongState(f"request {request.id}: waits for a fee; record that it was paid")
        plan = _DRAFT.first(request=request.pk)
        if plan is None and request.plans.filter(digest=digest, state="approved").exists():
            raise WrongState(f"request {request.id}: this plan is approved already")
        if plan is None or plan.digest != digest:
            raise StalePlan(f"request {request.id}: the plan has changed; look at it again")
        accepted = _accepted(plan, accept, by)
        approved = {"approved_by": by, "approved_at": timezone.now(), "accepted": accepted}
        move(plan, "approved", by=by, also=approved)
        move(request, "approved", by=by, because=because)
        codes = [entry["code"] for entry in accepted]
        told = {"request": str(request.id), "digest": digest, "by": by, "accepted": codes}
        alone = by in (request.opened_by, request.reopened_by)
        ledger.record("approved", {**told, **({"four_eyes": "off"} if alone else {})})
    return plan


def _accepted(plan: Plan, accept: Sequence[str], by: str) -> list[dict[str, str]]:
    """What is accepted with a plan, by whom and when. Raises UsageError."""
    place, given = f"request {plan.request_id}", set(accept)
    codes = [finding["code"] for finding in plan.findings]
    if not given <= set(codes):  # not repeated: whatever was given may stand there
        raise UsageError(
            f"{place}: accepts what is not in the plan; "
            f"to be accepted there is: {', '.join(codes) or 'nothing'}"
        )
    missing = {finding["code"] for finding in to_accept(plan)} - given
    if missing:
        raise UsageError(
            f"{place}: must be accepted with the plan: {', '.join(sorted(missing))}; read what "
            "each means, then accept it (a tick at the desk, --accept CODE on the console)"
        )
    now = {"by": by, "at": timezone.now().isoformat()}
    entries = remembered(plan) | {code: {"code": code, **now} for code in given}
    return [entry for _, entry in sorted(entries.items())]


def to_accept(plan: Plan) -> list[dict[str, Any]]:
    """The findings of a plan that whoever approves it has to accept."""
    known = remembered(plan)
    return [finding for finding in plan.findings if finding["code"] not in known]


def remembered(plan: Plan) -> dict[str, dict[str, str]]:
    """What was accepted before and need not be again, by code: a trigger for a plan of the same
    shape, and everything for the case that a replay repeats, as long as it is the same."""
    marks = {finding["code"]: finding["mark"] for finding in plan.findings}
    if not marks:
        return {}
    original = plan.request.replay_of
    earlier = Plan.objects.filter(Q(shape=plan.shape) | Q(request_id=original))
    found: dict[str, dict[str, str]] = {}
    for one in earlier.exclude(pk=plan.pk).exclude(approved_at=None).order_by("approved_at"):
        same = {f["code"]: f["kind"] for f in one.findings if marks.get(f["code"]) == f["mark"]}
        for entry in one.accepted:
            kind = same.get(entry["code"])
            if kind == "trigger" or (kind and one.request_id == original):
                found.setdefault(entry["code"], entry)
    return found


@deed("plan")
def plan_again(request: ErasureRequest, *, by: Actor) -> ErasureRequest:
    """A plan that nobody approved yet is made anew, as the catalogue and the stores are now.
    Raises WrongState where there is none: nobody comes past the check of identity like this."""
    if request.state not in ("planned", "gathering"):
        raise WrongState(f"request {request.id}: is {request.state}; no plan waits to be made anew")
    return move(request, "identified", by=by, because="to be planned again")


def needs_another(request: ErasureRequest, *, by: str) -> bool:
    """Whether the plan waits for somebody else than ``by``, who opened or reopened the request."""
    return bool(settings.LETHE_FOUR_EYES) and by in (request.opened_by, request.reopened_by)


@deed("refuse")
def refuse_request(
    request: ErasureRequest, *, by: Actor, because: str, code: str = ""
) -> ErasureRequest:
    """Refuse a request that was not approved yet; the reason is kept, the identifiers are not.

    The reason stands in clear: it may not repeat an identifier. Raises UsageError then, and
    WrongState without a reason. ``code``: one of REFUSALS, if it is one of those; some need their
    record first.
    """
    if not because.strip():
        raise WrongState(f"request {request.id}: a refusal needs a reason")
    case.refuse_begun(request)
    _refuse_repeated(request, because)
    _refuse_unfounded(request, code)
    closing = {"closed_at": timezone.now(), "refused_for": code, **_UNBLOCKED}
    move(request, "refused", by=by, because=because, also=closing)
    case.forget_identifiers(request)
    return request


def _refuse_repeated(request: ErasureRequest, because: str) -> None:
    """A reason that stands in clear names nobody, and can be kept. Raises UsageError."""
    if because:
        said(because, f"because: say it in words, in at most {LONGEST} characters")
    if case.repeats_identifier(request, because):
        raise UsageError(
            f"request {request.id}: the reason repeats what the person is known by; leave that out"
        )


def _refuse_unfounded(request: ErasureRequest, code: str) -> None:
    """What has to be on record before a request is refused for that. Raises UsageError."""
    if code not in ("", *REFUSALS):
        raise UsageError(f"code: must be one of {', '.join(REFUSALS)}")
    if code == "ground_not_met" and not request.ground:
        raise UsageError("code: state on which ground the person asks, and look at what it meets")
    weighed = request.reasoning.filter(about="balancing").order_by("at")
    newest = dict(weighed.values_list("place", "verdict"))
    if code == "ground_not_met" and request.ground == "objection" and not newest:
        raise UsageError("code: an objection is refused only after the interests were balanced")
    if code == "ground_not_met" and "person" in newest.values():
        raise UsageError("code: where interests were balanced, they were the person's; erase there")
    if code == "fee_unpaid" and not request.pauses.filter(why="fee", until=None).exists():
        raise UsageError("code: no fee is waited for")


@deed("withdraw")
def withdraw_request(request: ErasureRequest, *, by: Actor, because: str = "") -> ErasureRequest:
    """The person no longer wants it; possible until the run has begun. The reason stands in clear:
    raises UsageError when it repeats an identifier; nothing was done then."""
    case.refuse_begun(request)
    _refuse_repeated(request, because)
    closing = {"closed_at": timezone.now(), **_UNBLOCKED}
    move(request, "withdrawn", by=by, because=because, also=closing)
    case.forget_identifiers(request)
    return request


@deed("retry")
def retry_blocked(request: ErasureRequest, *, by: Actor) -> ErasureRequest:
    """Go on where a blocked case stopped, after somebody removed the cause.

    A run goes on for everybody whom it was blocked with. Raises WrongState where nothing is
    blocked.
    """
    if request.state != "blocked":
        raise WrongState(f"request {request.id}: is {request.state}, not blocked; nothing to retry")
    with ledger.together():
        run = request.run
        if run is None or run.state == "abandoned":
            return move(request, "identified", by=by, because="tried again", also=_UNBLOCKED)
        run = Run.objects.select_for_update().get(pk=run.pk)  # it may be closed just now
        if run.state == "finished":
            return _look_again(request, run, by)
        if run.state == "blocked":
            for store_run in run.stores.filter(state="blocked"):
                move(store_run, "pending", by=by)
            for job in run.model_jobs.filter(state__in=modelling.STOPPED):
                modelling.requeue(job, by=by, because="tried again")
            run = move(run, "acting", by=by, because="tried again", also={"rounds": 0})
        to = "verifying" if run.state == "verifying" else "executing"
        move(request, to, by=by, because="tried again", also=_UNBLOCKED)
        for other in run.requests.filter(state="blocked"):
            move(other, to, by=by, because="tried again", also=_UNBLOCKED)
    return request


def _look_again(request: ErasureRequest, run: Run, by: Actor) -> ErasureRequest:
    """Its run has ended: what the deep re-scan saw of the person is erased by another; where the
    re-scan could not be made, it is made again."""
    seen = run.scan_results.filter(request=request, verdict="residue").exists()
    to = "identified" if seen else "awaiting_rescan"
    return move(request, to, by=by, because="tried again", also=_UNBLOCKED)
