"""An officer decides on data past their date: approves a plan, or such plans beforehand, declines
it, or tries a blocked one again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import StalePlan, UsageError, WrongState
from erasure.domain.roles import SYSTEM, Actor, deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import Expiry, Run, StandingApproval
from erasure.runs import journal
from erasure.transitions import move

_DECLINED_DAYS = 30
_LONGEST = 1000


@deed("approve")
def approve_expired(
    expiry: Expiry,
    *,
    digest: str,
    by: Actor,
    accept: Sequence[str] = (),
    because: str = "",
    four_eyes: bool = True,
) -> Expiry:
    """Approve exactly these rows and steps. Raises StalePlan for another digest, WrongState for a
    plan that does not wait for it, and UsageError for a plan of one's own, or where ``accept`` does
    not name the findings.

    ``four_eyes``: False for the console alone, which is recorded as such.
    """
    if expiry.state != "planned":
        raise WrongState(f"{expiry.dataset}: its plan is {expiry.state}; nothing is to be approved")
    if four_eyes and needs_another(expiry, by=by):
        raise UsageError(
            f"{expiry.dataset}: who made a plan cannot approve it; let another officer approve it"
        )
    if expiry.digest != digest:
        raise StalePlan(f"{expiry.dataset}: the plan has changed; look at it again")
    codes = {finding["code"] for finding in expiry.findings}
    if set(accept) != codes:
        raise UsageError(
            f"accept: to be accepted with this plan, all of it and nothing else: "
            f"{', '.join(sorted(codes)) or 'nothing'}"
        )
    now = timezone.now()
    accepted = [{"code": c, "by": by, "at": now.isoformat()} for c in sorted(codes)]
    also = {"approved_by": by, "approved_at": now, "accepted": accepted}
    with transaction.atomic():
        move(expiry, "approved", by=by, because=because, also=also)
        told = {"expiry": str(expiry.id), "digest": digest, "accepted": sorted(codes)}
        alone = {"four_eyes": "off"} if by == expiry.made_by else {}
        ledger.record("expiry_approved", {**told, **alone, "by": by})
    return expiry


def needs_another(expiry: Expiry, *, by: str) -> bool:
    """Whether the plan waits for somebody else than ``by``, who made it."""
    return bool(settings.LETHE_FOUR_EYES) and by == expiry.made_by


@deed("stand")
def approve_standing(
    expiry: Expiry,
    *,
    digest: str,
    most_rows: int,
    because: str,
    by: Actor,
    accept: Sequence[str] = (),
    four_eyes: bool = True,
) -> StandingApproval:
    """Approve this plan and, beforehand, those of the same dataset, rule, steps and side effects
    with at most ``most_rows`` rows in a day. The reason stands in clear. Raises as the approval
    of one."""
    because = said(because, f"because: say why, in at most {_LONGEST} characters", _LONGEST)
    if not 0 < most_rows <= settings.LETHE_RETENTION_ROWS:
        raise UsageError(f"most_rows: must be between 1 and {settings.LETHE_RETENTION_ROWS}")
    with transaction.atomic():
        if StandingApproval.objects.filter(dataset=expiry.dataset, revoked_at=None).exists():
            raise WrongState(f"{expiry.dataset}: has a standing approval; revoke that one first")
        approve_expired(expiry, digest=digest, by=by, accept=accept, four_eyes=four_eyes)
        standing = StandingApproval.objects.create(
            dataset=expiry.dataset,
            shape=expiry.shape,
            most_rows=most_rows,
            because=because,
            approved_by=by,
            approved_at=timezone.now(),
        )
        told = {"standing": str(standing.id), "dataset": expiry.dataset, "most_rows": most_rows}
        ledger.record("standing_approval", {**told, "by": by})
    return standing


@deed("decline")
def revoke_standing(standing: StandingApproval, *, by: Actor) -> StandingApproval:
    """From now on an officer approves each plan again. Raises WrongState when it was revoked."""
    now = timezone.now()
    with transaction.atomic():
        live = StandingApproval.objects.filter(pk=standing.pk, revoked_at=None)
        if not live.update(revoked_by=by, revoked_at=now):
            raise WrongState(f"{standing.dataset}: its standing approval was revoked before")
        ledger.record("standing_revoked", {"standing": str(standing.pk), "by": by})
    standing.revoked_by, standing.revoked_at = by, now
    return standing


@deed("decline")
def decline_expired(
    expiry: Expiry, *, because: str, by: Actor, not_before: date | None = None
) -> Expiry:
    """Leave these rows; nothing is planned there before that day (a month from now). The reason
    stands in clear. Raises UsageError by field, and WrongState once rows have gone."""
    today = timezone.localdate()
    day = not_before or today + timedelta(days=_DECLINED_DAYS)
    because = said(because, f"because: say why, in at most {_LONGEST} characters", _LONGEST)
    if not today < day <= today + timedelta(days=366):
        raise UsageError("not_before: must be after today, and within a year")
    run = expiry.run
    if run is not None and run.batches.exclude(state="found").exists():
        raise WrongState(f"{expiry.dataset}: has begun; remove the cause and try again")
    also = {"because": because, "not_before": day, "closed_at": timezone.now()}
    with transaction.atomic():
        move(expiry, "declined", by=by, because=because, also=also)
        _abandon(run)
        vault.destroy_key(expiry.id, "deferred")
    return expiry


@deed("retry")
def retry_expired(expiry: Expiry, *, by: Actor) -> Expiry:
    """Go on with a blocked plan. Raises WrongState where it is not blocked."""
    if expiry.state != "blocked":  # what waits for its approval can be moved there, too
        raise WrongState(f"{expiry.dataset}: is {expiry.state}, not blocked; nothing to retry")
    to = "executing" if expiry.run_id else "approved"
    return move(expiry, to, by=by, because="tried again", also={"blocked_because": ""})


def _abandon(run: Run | None) -> None:
    if run is not None and run.state == "acting":
        move(run, "blocked", by=SYSTEM, because="its plan was declined")
        move(run, "abandoned", by=SYSTEM)
        journal.forget_run(run)
