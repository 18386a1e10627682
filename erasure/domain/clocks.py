"""By when a request must be answered: the rule sets of four laws, holidays, pauses, extensions.

Periods are counted as Regulation (EEC, Euratom) No 1182/71 has it, which UK law kept: the day of
receipt is not counted; a period of months ends with the last hour of the same date, or of the last
day of a shorter month; one that would end on a Saturday, a Sunday or a public holiday ends with
the next working day. Days are those of the controller's own time zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Literal

from dateutil.relativedelta import relativedelta
from holidays import country_holidays

from erasure.domain.errors import UsageError

Why = Literal["identity", "fee"]
IsHoliday = Callable[[date], bool]
_SATURDAY = 5
_EARLIEST = 1971
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Pause:
    """The controller waits for the person: for what proves who they are, or for a fee."""

    why: Why
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How one law counts.

    ``extended``: the whole period from the start once it was extended, None where the law knows no
    extension. ``adds``: pauses whose days are added to the period. ``begins``: pauses before whose
    end the period does not begin. ``rolls``: whether it may not end on a day off.
    ``acknowledged_in``: working days to confirm the receipt.
    """

    period: relativedelta
    extended: relativedelta | None = None
    adds: frozenset[Why] = frozenset()
    begins: frozenset[Why] = frozenset()
    rolls: bool = False
    acknowledged_in: int | None = None


# GDPR Art. 12(3) and EDPB Guidelines 01/2022; UK GDPR Art. 12A; 11 CCR 7021; LGPD Art. 19.
RULES: Mapping[str, Rules] = {
    "gdpr": Rules(
        period=relativedelta(months=1),
        extended=relativedelta(months=3),
        adds=frozenset({"identity"}),
        rolls=True,
    ),
    "uk": Rules(
        period=relativedelta(months=1),
        extended=relativedelta(months=3),
        begins=frozenset({"identity", "fee"}),
        rolls=True,
    ),
    "ccpa": Rules(
        period=relativedelta(days=45), extended=relativedelta(days=90), acknowledged_in=10
    ),
    "lgpd": Rules(period=relativedelta(days=15)),
}
LAWS = tuple(RULES)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Where a request stands; every day ends with its last hour.

    ``starts``: the day from which is counted. ``first``: the last day of the period as it is
    without an extension. ``answer_by``: the last day to answer, None while the clock stands still;
    then ``first`` is None too. ``acknowledge_by``: the last day to confirm the receipt.
    """

    starts: date
    first: date | None
    answer_by: date | None
    acknowledge_by: date | None = None
    can_be_extended: bool = False


def clock(
    rules: Rules,
    received: datetime,
    pauses: Sequence[Pause] = (),
    *,
    zone: tzinfo,
    is_holiday: IsHoliday,
    extended: bool = False,
) -> Clock:
    """Count for one request, by :data:`RULES`. ``received`` and the pauses are aware moments. What
    begins after the last day stops nothing: whatever is to be asked is asked in time."""
    counted: list[Pause] = []
    for pause in sorted(pauses, key=lambda p: p.since):
        found = _counted(rules, received, counted, zone, is_holiday, extended)
        if found.answer_by is None or _day(pause.since, zone) <= found.answer_by:
            counted.append(pause)
    return _counted(rules, received, counted, zone, is_holiday, extended)


def _counted(
    rules: Rules,
    received: datetime,
    pauses: Sequence[Pause],
    zone: tzinfo,
    is_holiday: IsHoliday,
    extended: bool,
) -> Clock:
    received_on = _day(received, zone)
    acknowledge_by = (
        _working_days_after(received_on, rules.acknowledged_in, is_holiday)
        if rules.acknowledged_in
        else None
    )
    starts = max([received_on, *_ends(pauses, rules.begins, zone)])
    if any(p.until is None for p in pauses if p.why in rules.begins | rules.adds):
        return Clock(starts=starts, first=None, answer_by=None, acknowledge_by=acknowledge_by)
    paused = _paused_days([p for p in pauses if p.why in rules.adds], zone)

    def end(period: relativedelta) -> date:
        last: date = starts + period + timedelta(days=paused)
        return _next_working_day(last, is_holiday) if rules.rolls else last

    first = end(rules.period)
    return Clock(
        starts=starts,
        first=first,
        answer_by=end(rules.extended) if extended and rules.extended else first,
        acknowledge_by=acknowledge_by,
        can_be_extended=rules.extended is not None and not extended,
    )


def last_moment(day: date, zone: tzinfo) -> datetime:
    """The end of the last hour of a day in a time zone; the second one, where it comes twice."""
    return datetime.combine(day, time(23, 59, 59, fold=1), tzinfo=zone)


def refuse_receipt(at: datetime, now: datetime) -> None:
    """Raises UsageError for a moment at which nothing can have come in: every zone has all days
    from then until now, so that they can be counted."""
    if at > now or at.year < _EARLIEST:
        raise UsageError("received: the day of receipt lies in the future, or too long ago")


@lru_cache(maxsize=32)
def holidays_of(establishment: str) -> IsHoliday:
    """Public holidays of where the controller is: a country as in ISO 3166-1 (``DE``), or a part of
    it as in ISO 3166-2 (``DE-BY``, ``GB-ENG``); empty: none is known. Raises ValueError."""
    if not establishment:
        return lambda day: False
    country, _, part = establishment.partition("-")
    try:
        calendar = country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        raise ValueError(f"no calendar of holidays is known for '{establishment}'") from None
    return lambda day: day in calendar


def _day(moment: datetime, zone: tzinfo) -> date:
    return moment.astimezone(zone).date()


def _ends(pauses: Iterable[Pause], kinds: frozenset[Why], zone: tzinfo) -> list[date]:
    return [_day(p.until, zone) for p in pauses if p.until is not None and p.why in kinds]


def _paused_days(pauses: Iterable[Pause], zone: tzinfo) -> int:
    """Days of all pauses together; those that overlap count once."""
    days: set[date] = set()
    for pause in pauses:
        if pause.until is not None:
            since, until = _day(pause.since, zone), _day(pause.until, zone)
            days.update(since + n * _DAY for n in range((until - since).days))
    return len(days)


def _works(day: date, is_holiday: IsHoliday) -> bool:
    return day.weekday() < _SATURDAY and not is_holiday(day)


def _next_working_day(day: date, is_holiday: IsHoliday) -> date:
    while not _works(day, is_holiday):
        day += _DAY
    return day


def _working_days_after(day: date, count: int, is_holiday: IsHoliday) -> date:
    for _ in range(count):
        day = _next_working_day(day + _DAY, is_holiday)
    return day
