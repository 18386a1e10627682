"""A closed case is taken up again: identity and plan are made anew, the time counts anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.reopening import WHYS, checked_why, refuse_reopening
from erasure.domain.roles import Actor, deed
from erasure.domain.states import CLOSED
from erasure.evidence import ledger
from erasure.models import ErasureRequest, PlanStep
from erasure.runs import case, clock, given, reasoning, windows
from erasure.transitions import move

_AFRESH = {
    "closed_at": None, "extended_at": None, "acknowledged_at": None, "record_ended_at": None,
    "reasons_emptied": False,
    "run": None, "refused_for": "", "blocked_because": "", "identity_check": "", "mandate": "",
    "undoable": False,
}  # fmt: skip


@deed("reopen")
def reopen_case(
    request: ErasureRequest,
    *,
    identifiers: Sequence[tuple[str, str]],
    why: str,
    because: str,
    by: Actor,
    at: datetime | None = None,
) -> ErasureRequest:
    """Take a closed case up again. What the person gave then was destroyed: ``identifiers`` are
    what they give now, and one of them must be known to the case as a keyed pseudonym. Nothing is
    searched before identity was checked anew; the time to answer counts from now, and there is no
    undo window. Where rows or copies of it still go on their dates, the case goes on with those
    alone, and what was reopened is another case, which follows it and is returned. ``why``: one
    of WHYS; ``because`` is sealed with the record.

    Raises UsageError by field, and WrongState for a case that cannot be reopened. Nothing was
    changed then.
    """
    cleaned = given.checked(identifiers)
    checked_why(why, request.complaints.values_list("verdict", flat=True))
    pairs = given.keyed(cleaned)
    if not pairs & given.known_to(request):
        raise UsageError("identifiers: this case knows nobody by them; record a new request")
    now = at or timezone.now()
    with transaction.atomic():
        fresh = ErasureRequest.objects.select_for_update().get(pk=request.pk)
        _refuse_other_open(request, {keyed for _, keyed in pairs})
        refuse_reopening(f"request {request.id}", fresh.state)
        if windows.is_unfinished(fresh):
            raise WrongState(
                f"request {request.id}: its undo is just being finished; try again in a minute"
            )
        if _waits(fresh):
            # Only that case leads to what goes by a date of its own: it goes on with that.
            fresh = _following(fresh, why, now, by, sorted(keyed for _, keyed in pairs))
        else:
            case.forget_identifiers(fresh)  # if whoever closed it was killed before that
            _reopen(fresh, why, now, by)
        given.seal(fresh, cleaned, vault.make_key(fresh.id, "identifiers"))
        reasoning.write_down(fresh, "reopening", because, by=by, verdict=why)
        clock.wind(fresh)
        kinds = sorted({kind for kind, _ in cleaned})
        told = {"request": str(fresh.id), "why": why, "by": by, "identifier_kinds": kinds}
        follows = {"follows": str(fresh.follows)} if fresh.follows else {}
        ledger.record("reopened", {**told, **follows})
    if fresh.pk != request.pk:
        return fresh
    request.refresh_from_db()
    return request


def _following(
    old: ErasureRequest, why: str, now: datetime, by: str, hashes: Sequence[str]
) -> ErasureRequest:
    """Another case of the same person, in which the reopened one goes on."""
    made = ErasureRequest.objects.create(
        law=old.law,
        right=old.right,
        channel=old.channel,
        opened_by=by,
        subject=vault.keyed_hash("|".join(hashes)),
        received_at=now,
        asked_by=old.asked_by,
        child=old.child,
        ground=old.ground,
        undoable=False,
        follows=old.pk,
        reopened_at=now,
        reopened_by=by,
        reopened_for=why,
    )
    vault.make_key(made.id, "deferred")
    return made


def _reopen(request: ErasureRequest, why: str, now: datetime, by: str) -> None:
    for plan in request.plans.filter(state__in=("draft", "approved")):
        move(plan, "stale", by=by, because="the case was reopened")
    also = {**_AFRESH, "reopened_at": now, "reopened_for": why, "reopened_by": by}
    move(request, "reopened", by=by, because=WHYS[why], also=also)
    request.pauses.filter(until=None).update(until=now)
    request.identifiers.update(sealed=b"", proved_by="")
    for purpose in ("identifiers", "deferred", "record"):
        vault.renew_key(request.id, purpose)


def _waits(request: ErasureRequest) -> bool:
    """Whether something of the case goes by a date, or stands still for a hold."""
    steps = PlanStep.objects.filter(plan__request=request, plan__state="carried_out", rows__gt=0)
    kept = steps.filter(residue="retained_until") | steps.filter(on_hold=True)
    copies = steps.filter(action="expire").exclude(residue="clean")
    dates = request.dates.filter(done_at=None)
    return request.state != "undone" and (kept.exists() or copies.exists() or dates.exists())


def _refuse_other_open(request: ErasureRequest, hashes: set[str]) -> None:
    others = ErasureRequest.objects.filter(identifiers__keyed_hash__in=hashes, right=request.right)
    other = others.exclude(state__in=CLOSED).exclude(pk=request.pk).first()
    if other is not None:
        raise UsageError(f"identifiers: the person has an open case already, {other.pk}")
