"""When a retained row may go."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from erasure.domain.errors import UsageError
from erasure.domain.retention import parse_until, period_words


@pytest.mark.parametrize(
    ("until", "value", "ends"),
    [
        ("2030-12-31", None, date(2030, 12, 31)),
        ("issued + 10y", date(2026, 2, 3), date(2036, 2, 3)),
        ("issued + 6m", "2026-08-31", date(2027, 2, 28)),
        ("issued + 2w", datetime(2026, 12, 24, 18, 0, tzinfo=UTC), date(2027, 1, 7)),
        ("issued + 30d", "2026-01-31 09:00:00", date(2026, 3, 2)),
        ("end_of_year(issued) + 8y", "2026-01-01", date(2034, 12, 31)),
        ("issued + 4y", "2024-02-29", date(2028, 2, 29)),
        ("issued + 1y", "2024-02-29", date(2025, 2, 28)),
        ("issued + 1y", None, None),
        ("issued + 1y", "infinity", None),
        ("end_of_year(issued) + 1d", date(9999, 12, 31), None),
        ("issued + 10y", date(9999, 12, 31), None),
        ("issued + 1y", 20150630, date(2016, 6, 30)),
        ("issued + 1y", "2015-06-30T10:00:00.123Z", date(2016, 6, 30)),
        ("issued + 1y", "30/Jun/2015:13:55:36 +0000", date(2016, 6, 30)),
        # Seconds since 1970 are no day of the year 1500, nor is a week, nor what begins like one.
        ("issued + 1y", 1500112233, None),
        ("issued + 1y", "2015-W01-1", None),
        ("issued + 1y", "2015-06-301", None),
        ("issued + 1y", "2015-02-30", None),
        ("issued + 1y", "30/Foo/2015:13:55:36 +0000", None),
    ],
)
def test_the_last_day_of_keeping(until: str, value: object, ends: date | None) -> None:
    assert parse_until(until).ends(value) == ends  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ("2030-12-31", "2030-12-31"),
        ("issued + 1y", "1 year after issued"),
        ("end_of_year(issued) + 8y", "8 years after the end of the year of issued"),
        ("issued + 14d", "14 days after issued"),
    ],
)
def test_a_rule_is_said_as_people_say_it(until: str, words: str) -> None:
    assert parse_until(until).words == words


def test_a_period_is_said_as_people_say_it_and_what_is_none_as_it_is() -> None:
    assert [period_words(p) for p in ("1w", "6m", "a while")] == ["1 week", "6 months", "a while"]


@pytest.mark.parametrize("until", ["", "later", "issued + y", "issued + 3h", "3y"])
def test_what_is_no_until_is_refused(until: str) -> None:
    with pytest.raises(UsageError, match="write a date"):
        parse_until(until)
