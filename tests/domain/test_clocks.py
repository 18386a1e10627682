"""By when a request must be answered: every vector of the four laws, holidays, zones, pauses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasure.domain.clocks import LAWS, RULES, Pause, clock, holidays_of, last_moment

BERLIN = ZoneInfo("Europe/Berlin")
GERMANY = holidays_of("DE")
NONE = holidays_of("")
moments = st.integers(0, 10**6).map(
    lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=5 * minutes)
)


def noon(day: str) -> datetime:
    """Noon in Berlin."""
    return datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=BERLIN)


@pytest.mark.parametrize("law", ["gdpr", "uk"])
@pytest.mark.parametrize(
    ("received", "first", "extended"),
    [
        ("2026-01-31", "2026-03-02", "2026-04-30"),
        ("2026-02-28", "2026-03-30", "2026-05-28"),
        ("2026-03-05", "2026-04-07", "2026-06-05"),
        ("2026-04-01", "2026-05-04", "2026-07-01"),
        ("2026-08-31", "2026-09-30", "2026-11-30"),
        ("2026-11-25", "2026-12-28", "2027-02-25"),
        ("2026-12-31", "2027-02-01", "2027-03-31"),
        ("2024-01-31", "2024-02-29", "2024-04-30"),
    ],
)
def test_a_month_ends_on_the_same_date_or_the_next_working_day(
    law: str, received: str, first: str, extended: str
) -> None:
    found = clock(RULES[law], noon(received), zone=BERLIN, is_holiday=GERMANY)
    assert found.answer_by == found.first == date.fromisoformat(first)
    later = clock(RULES[law], noon(received), zone=BERLIN, is_holiday=GERMANY, extended=True)
    assert later.answer_by == date.fromisoformat(extended)
    assert later.first == date.fromisoformat(first)


def test_a_substitute_holiday_in_england_moves_the_end() -> None:
    london = ZoneInfo("Europe/London")
    received = datetime(2026, 11, 25, 12, tzinfo=london)
    found = clock(RULES["uk"], received, zone=london, is_holiday=holidays_of("GB-ENG"))
    assert found.answer_by == date(2026, 12, 29)


def test_the_day_of_receipt_is_the_controllers_own() -> None:
    received = datetime(2026, 8, 30, 23, 30, tzinfo=UTC)  # the 31st in Berlin
    berlin = clock(RULES["gdpr"], received, zone=BERLIN, is_holiday=NONE)
    utc = clock(RULES["gdpr"], received, zone=ZoneInfo("UTC"), is_holiday=NONE)
    assert (berlin.starts, utc.starts) == (date(2026, 8, 31), date(2026, 8, 30))
    assert last_moment(date(2026, 9, 30), BERLIN).astimezone(UTC).hour == 21


def test_the_unions_clock_stands_still_while_identity_is_unproved() -> None:
    asked = Pause(why="identity", since=noon("2026-02-03"))
    waiting = clock(RULES["gdpr"], noon("2026-02-02"), [asked], zone=BERLIN, is_holiday=GERMANY)
    assert waiting.answer_by is None
    proved = Pause(why="identity", since=asked.since, until=noon("2026-02-13"))
    found = clock(RULES["gdpr"], noon("2026-02-02"), [proved], zone=BERLIN, is_holiday=GERMANY)
    assert found.answer_by == date(2026, 3, 12)  # 2 March and ten days
    extended = clock(
        RULES["gdpr"], noon("2026-02-02"), [proved], zone=BERLIN, is_holiday=GERMANY, extended=True
    )
    assert extended.answer_by == date(2026, 5, 12)  # 2 May and ten days, before it is rolled


@pytest.mark.parametrize(("law", "why"), [("gdpr", "identity"), ("uk", "identity"), ("uk", "fee")])
def test_what_is_asked_after_the_last_day_stops_no_clock(
    law: str, why: Literal["identity"]
) -> None:
    def last_day(*pauses: Pause) -> date | None:
        found = clock(RULES[law], noon("2026-02-02"), pauses, zone=BERLIN, is_holiday=NONE)
        return found.answer_by

    late = noon("2026-03-03")
    assert last_day() == date(2026, 3, 2)
    assert last_day(Pause(why=why, since=late)) == date(2026, 3, 2)
    assert last_day(Pause(why=why, since=late, until=noon("2026-04-01"))) == date(2026, 3, 2)
    assert last_day(Pause(why=why, since=noon("2026-03-02"))) is None
    first = Pause(why=why, since=noon("2026-02-12"), until=noon("2026-03-10"))
    assert last_day(first, Pause(why=why, since=late)) is None  # the first has moved the end


def test_days_that_two_pauses_share_count_once() -> None:
    pauses = [
        Pause(why="identity", since=noon("2026-02-03"), until=noon("2026-02-10")),
        Pause(why="identity", since=noon("2026-02-05"), until=noon("2026-02-12")),
    ]
    found = clock(RULES["gdpr"], noon("2026-02-02"), pauses, zone=BERLIN, is_holiday=NONE)
    assert found.answer_by == date(2026, 3, 11)  # nine days


def test_a_fee_does_not_stop_the_unions_clock() -> None:
    fee = Pause(why="fee", since=noon("2026-02-03"))
    found = clock(RULES["gdpr"], noon("2026-02-02"), [fee], zone=BERLIN, is_holiday=NONE)
    assert found.answer_by == date(2026, 3, 2)


def test_the_british_clock_starts_with_the_last_thing_that_was_waited_for() -> None:
    identity = Pause(why="identity", since=noon("2026-03-02"), until=noon("2026-03-05"))
    unpaid = Pause(why="fee", since=noon("2026-03-02"))
    waiting = clock(
        RULES["uk"], noon("2026-03-01"), [identity, unpaid], zone=BERLIN, is_holiday=GERMANY
    )
    assert waiting.answer_by is None
    paid = Pause(why="fee", since=unpaid.since, until=noon("2026-03-03"))
    found = clock(
        RULES["uk"], noon("2026-03-01"), [identity, paid], zone=BERLIN, is_holiday=GERMANY
    )
    assert found.starts == date(2026, 3, 5)
    assert found.answer_by == date(2026, 4, 7)


def test_california_counts_days_confirms_receipt_and_never_waits() -> None:
    waiting = Pause(why="identity", since=noon("2026-07-02"))
    at = ZoneInfo("America/Los_Angeles")
    received = datetime(2026, 7, 1, 12, tzinfo=at)
    found = clock(RULES["ccpa"], received, [waiting], zone=at, is_holiday=holidays_of("US-CA"))
    assert found.answer_by == date(2026, 8, 15)  # a Saturday: calendar days are not rolled
    assert found.acknowledge_by == date(2026, 7, 16)  # Independence Day is observed on the 3rd
    longer = clock(
        RULES["ccpa"], received, [waiting], zone=at, is_holiday=holidays_of("US-CA"), extended=True
    )
    assert longer.answer_by == date(2026, 9, 29)


def test_brazil_has_fifteen_days_and_no_more() -> None:
    found = clock(RULES["lgpd"], noon("2026-03-02"), zone=BERLIN, is_holiday=NONE, extended=True)
    assert found.answer_by == date(2026, 3, 17)
    assert not found.can_be_extended


@given(law=st.sampled_from(LAWS), received=moments, days=st.integers(0, 60))
def test_a_later_receipt_a_pause_or_an_extension_never_shortens(
    law: str, received: datetime, days: int
) -> None:
    def end(at: datetime, *pauses: Pause, extended: bool = False) -> date:
        found = clock(RULES[law], at, pauses, zone=BERLIN, is_holiday=GERMANY, extended=extended)
        assert found.answer_by is not None
        return found.answer_by

    plain = end(received)
    paused = Pause(why="identity", since=received, until=received + timedelta(days=days))
    assert plain <= end(received + timedelta(days=days))
    assert plain <= end(received, paused) <= end(received, paused, extended=True)
    if law in ("gdpr", "uk"):
        assert plain.weekday() < 5
        assert not GERMANY(plain)


@pytest.mark.parametrize("place", ["XX", "DE-ZZ", "de-by "])
def test_a_place_without_a_calendar_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="no calendar of holidays is known"):
        holidays_of(place)
