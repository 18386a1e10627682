"""Complaints: by when their receipt is confirmed, and what an answer can come to. Pure.

UK: Data Protection Act 2018, s. 164A: confirmed within 30 days. EU: GDPR Art. 77 and 57(1)(f): they
come by way of an authority, which sets its own date and gives them its reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from erasure.domain.errors import UsageError

VERDICTS = ("upheld", "partly_upheld", "not_upheld")
# The day of receipt is not counted; not rolled to a working day, which is on the safe side.
CONFIRMED_IN: Mapping[str, timedelta] = {"uk": timedelta(days=30)}
_LINE = 100


def acknowledge_by(law: str, received: date) -> date | None:
    """The last day to confirm the receipt; None where the law sets none."""
    period = CONFIRMED_IN.get(law)
    return received + period if period else None


def checked_authority(authority: str, reference: str) -> tuple[str, str]:
    """Both without surplus space. Raises UsageError by field: a reference belongs to an authority,
    and an authority's letter has one."""
    authority, reference = authority.strip(), reference.strip()
    for field, text in (("authority", authority), ("reference", reference)):
        if len(text) > _LINE or not text.isprintable():
            raise UsageError(f"{field}: say it in one line of at most {_LINE} characters")
    if authority and not reference:
        raise UsageError("reference: give the number that the authority gave it")
    if reference and not authority:
        raise UsageError("authority: say whose reference it is")
    return authority, reference


def checked_verdict(verdict: str) -> str:
    """Raises UsageError for what is none."""
    if verdict not in VERDICTS:
        raise UsageError(f"verdict: must be one of {', '.join(VERDICTS)}")
    return verdict
