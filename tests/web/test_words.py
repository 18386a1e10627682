"""Words and days as the desk says them: one way for all."""

from __future__ import annotations

import pytest

from erasure.admin import words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kept until 2027-06-30 (legal_claims: x)", "kept until 30 Jun 2027 (legal claims: x)"),
        ("2027-06-30", "30 Jun 2027"),
        ("from 2026-01-02 to 2026-02-03.", "from 02 Jan 2026 to 03 Feb 2026."),
        ("2026-11-22T20:15:00+00:00", "22 Nov 2026, 20:15 UTC"),
        ("2026-11-22 20:15:00.5Z", "22 Nov 2026, 20:15 UTC"),
        ("until 2026-11-22 20:15", "until 22 Nov 2026"),
        # Not days: in a name, in a number, in a version, and one that no calendar has.
        ("lake/dt=2026-11-20.parquet", "lake/dt=2026-11-20.parquet"),
        ("access-2026-11-20.log", "access-2026-11-20.log"),
        ("logs/2026-11-20/part", "logs/2026-11-20/part"),
        ("2026-11-20.log is closed", "2026-11-20.log is closed"),
        ("12026-11-20", "12026-11-20"),
        ("2026-13-20", "2026-13-20"),
        ("shop.legal_claims_of", "shop.legal_claims_of"),
    ],
)  # fmt: skip
def test_days_and_codes_in_a_sentence_stand_as_everywhere_at_the_desk(text: str, said: str) -> None:
    assert words.plainly(text) == said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("2027-06-30", "30 Jun 2027"),
        ("end_of_year(issued_on) + 8y", "8 years after the end of the year of issued_on"),
        ("bought_on + 1y", "1 year after bought_on"),
        ("whenever", "whenever"),
        ("", ""),
        (None, ""),
    ],
)
def test_an_until_is_said_in_words(rule: str | None, said: str) -> None:
    assert words.until(rule) == said


def test_a_retention_is_said_in_words() -> None:
    assert words.retention("8y after issued_on") == "8 years after issued_on"
    assert words.retention("1d after the mailing") == "1 day after the mailing"
    assert words.retention("") == ""
