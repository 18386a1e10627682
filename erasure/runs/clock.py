"""A case's clock: what the rules of its law say about its receipt, its pauses and its extension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time

from dateutil.relativedelta import relativedelta
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from erasure.domain import clocks
from erasure.domain.errors import UsageError, WrongState
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Pause
from lineage.prepared import update

_COUNTED = ("law", "received_at", "reopened_at", "extended_at")


def clock_of(request: ErasureRequest) -> clocks.Clock:
    """Count anew from what is recorded."""
    began = request.reopened_at or request.received_at
    pauses = [
        clocks.Pause(why="fee" if p.why == "fee" else "identity", since=p.since, until=p.until)
        # Asked anew: what was read along with the case is from before its last pause ended.
        for p in request.pauses.order_by("since")
        if not request.reopened_at or p.since >= began
    ]
    return _clock(request, began, pauses)


def _clock(
    request: ErasureRequest, began: datetime, pauses: Sequence[clocks.Pause]
) -> clocks.Clock:
    return clocks.clock(
        _rules(request.law),
        began,
        pauses,
        zone=timezone.get_default_timezone(),
        is_holiday=clocks.holidays_of(settings.LETHE_ESTABLISHMENT),
        extended=request.extended_at is not None,
    )


def start(request: ErasureRequest) -> None:
    """By when the answer to a request that is not stored yet is due."""
    _set(request, _clock(request, request.received_at, ()))


def wind(request: ErasureRequest) -> None:
    """Write down by when the answer is due, after something has changed on which that depends;
    joins the caller's transaction. It counts from what is recorded, not from what the caller has
    read before: somebody may have extended it since."""
    recorded = ErasureRequest.objects.select_for_update().filter(pk=request.pk)
    request.refresh_from_db(fields=_COUNTED, from_queryset=recorded)
    _set(request, clock_of(request))
    request.save(update_fields=["due_at", "acknowledge_by"])


def came_earlier(request: ErasureRequest, at: datetime, *, by: str) -> None:
    """The same was asked before, as by a letter that was opened later: time is counted from then.
    Joins the caller's transaction; a case that was reopened counts from that day."""
    later = ErasureRequest.objects.filter(pk=request.pk, reopened_at=None, received_at__gt=at)
    if later.update(received_at=at):
        wind(request)
        ledger.record("received_before", {"request": str(request.id), "by": by})


def _set(request: ErasureRequest, found: clocks.Clock) -> None:
    zone = timezone.get_default_timezone()
    request.due_at = found.answer_by and clocks.last_moment(found.answer_by, zone)
    request.acknowledge_by = found.acknowledge_by and clocks.last_moment(found.acknowledge_by, zone)


def pause(request: ErasureRequest, why: str, *, at: datetime) -> None:
    """The controller begins to wait for the person; joins the caller's transaction."""
    if request.pauses.filter(why=why, until=None).exists():
        raise UsageError(f"request {request.id}: {why} is being waited for already")
    request.pauses.create(why=why, since=at)
    wind(request)


def resume(request: ErasureRequest, why: str, *, at: datetime) -> None:
    """What was waited for is there; nothing happens where nothing was waited for."""
    if update(Pause, {"request": request, "why": why, "until": None}, {"until": at}):
        wind(request)


def acknowledge(request: ErasureRequest, *, by: str, at: datetime) -> None:
    """The person was told that the request has come in; once. Raises WrongState. The caller's
    object is updated."""
    with transaction.atomic():
        fresh = ErasureRequest.objects.filter(pk=request.pk, acknowledged_at=None)
        if at < request.received_at or not fresh.update(acknowledged_at=at):
            raise WrongState(
                f"request {request.id}: its receipt was confirmed before, or not yet due"
            )
        ledger.record("acknowledged", {"request": str(request.id), "by": by})
    request.acknowledged_at = at


def start_of(day: date | None) -> datetime | None:
    """The first moment of a day of receipt; None for today or no day, which mean now."""
    if day is None or day == timezone.localdate():
        return None
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone())


def _rules(law: str) -> clocks.Rules:
    rules = clocks.RULES[law]
    if law == "lgpd":
        return replace(rules, period=relativedelta(days=settings.LETHE_LGPD_DAYS))
    return rules
