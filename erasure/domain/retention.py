"""When a retained row may go: the ``until`` of the catalogue. Pure.

``2030-12-31``, ``column + 10y`` or ``end_of_year(column) + 8y``; a number with y, m, w or d.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from erasure.domain.errors import UsageError
from erasure.domain.values import Scalar

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# A day in full, alone or before a time. A longer number is none: seconds since 1970 would be read
# as a day centuries ago.
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ].*)?|(\d{4})(\d{2})(\d{2})", re.DOTALL)
# As web servers write it: 30/Jun/2015:13:55:36 +0000.
_LOGGED = re.compile(r"(\d{2})/(\w{3})/(\d{4}):\d{2}:\d{2}:\d{2}.*")
_PERIOD = re.compile(r"(?P<amount>\d+)(?P<unit>[ymwd])")
_UNITS = {"y": "year", "m": "month", "w": "week", "d": "day"}
_EXPRESSION = re.compile(
    r"\s*(?:(?P<end>end_of_year)\s*\(\s*(?P<ended>[^()]+?)\s*\)|(?P<column>[^()+]+?))"
    r"\s*\+\s*(?P<amount>\d+)\s*(?P<unit>[ymwd])\s*"
)


@dataclass(frozen=True, kw_only=True)
class Retention:
    """A parsed ``until``: a fixed ``day``, or ``column`` (its year's end first) plus a period."""

    day: date | None = None
    column: str = ""
    end_of_year: bool = False
    amount: int = 0
    unit: str = "d"

    @property
    def words(self) -> str:
        """The rule as people say it; a day of its own as 2030-12-31."""
        if self.day:
            return self.day.isoformat()
        start = f"the end of the year of {self.column}" if self.end_of_year else self.column
        return f"{period_words(f'{self.amount}{self.unit}')} after {start}"

    def ends(self, value: Scalar = None) -> date | None:
        """The last day of keeping a row whose column holds ``value``; None where it has no date, or
        one from which no last day follows: infinity, the end of the year 9999."""
        if self.day:
            return self.day
        start = _date(value)
        if start is None:
            return None
        if self.end_of_year:
            start = date(start.year, 12, 31)
        try:
            return _plus(start, self.amount, self.unit)
        except (ValueError, OverflowError):
            return None


def period_words(period: str) -> str:
    """``8y`` as ``8 years``; what is no period as it is."""
    found = _PERIOD.fullmatch(period)
    if not found:
        return period
    amount, noun = int(found["amount"]), _UNITS[found["unit"]]
    return f"{amount} {noun}{'' if amount == 1 else 's'}"


def parse_until(text: str) -> Retention:
    """Read an ``until``. Raises UsageError for what is none."""
    day = _date(text.strip())
    if day:
        return Retention(day=day)
    found = _EXPRESSION.fullmatch(text)
    if not found:
        raise UsageError(
            f"until '{text}': write a date, 'column + 10y' or 'end_of_year(column) + 8y'"
        )
    return Retention(
        column=found["ended"] or found["column"],
        end_of_year=bool(found["end"]),
        amount=int(found["amount"]),
        unit=found["unit"],
    )


def _date(value: Scalar) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    if found := _DAY.fullmatch(text):
        parts = [int(part) for part in found.groups() if part]
    elif (found := _LOGGED.fullmatch(text)) and found[2] in _MONTHS:
        parts = [int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1])]
    else:
        return None
    try:
        return date(*parts)
    except ValueError:
        return None


def _plus(start: date, amount: int, unit: str) -> date:
    if unit in "dw":
        return start + timedelta(days=amount * (7 if unit == "w" else 1))
    months = start.month - 1 + amount * (12 if unit == "y" else 1)
    year, month = start.year + months // 12, months % 12 + 1
    return date(year, month, min(start.day, monthrange(year, month)[1]))
