"""When a row or a record of a dataset is over: its retention, as the catalogue has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from erasure.domain.errors import UsageError
from erasure.domain.masking import masked_fields
from erasure.domain.retention import Retention, parse_until
from erasure.domain.values import Scalar
from lineage.graph import Dataset
from lineage.starts import in_words

# A timestamp may be of another zone than the controller's: nothing goes on the very day.
GRACE = timedelta(days=1)
_ACTIONS = ("delete", "retain", "anonymize")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a row of a dataset is over: ``starts`` plus a period, and not before its ``until``."""

    starts: str
    period: Retention
    until: Retention | None

    @property
    def fields(self) -> tuple[str, ...]:
        """What it reads of a row."""
        found = (self.starts, self.until.column if self.until else "")
        return tuple(dict.fromkeys(filter(None, found)))

    def last_day(self, row: Mapping[str, Scalar]) -> date | None:
        """The last day of keeping that row; None where it lacks a date, or holds none that can be
        read."""
        days = [self.period.ends(row.get(self.starts))]
        if self.until:
            days.append(self.until.ends(row.get(self.until.column)))
        known = [day for day in days if day]
        return max(known) if len(known) == len(days) else None

    def over_since(self, row: Mapping[str, Scalar], today: date) -> date | None:
        """The last day of keeping that row, where it has passed; None for one that stays."""
        last = self.last_day(row)
        return last if last and last + GRACE < today else None

    @property
    def untold(self) -> str:
        """Of rows without a date."""
        return f"no date in {' or '.join(self.fields)}, or none that can be read: left alone"


def rule_of(dataset: Dataset, *, keyed: bool = True) -> Rule:
    """The rule of a dataset; ``keyed``: whether its rows have keys of their own. Raises UsageError,
    with the remedy, where nothing can go by it."""
    period, starts = (str(dataset.retention.get(n, "")) for n in ("period", "starts"))
    if why := in_words(dataset):
        raise UsageError(
            f"{dataset.address}: {why}; look by hand, or name one (retention: {{starts: COLUMN}})"
        )
    if dataset.action not in _ACTIONS:
        raise UsageError(
            f"{dataset.address}: '{dataset.action or 'no action'}' does not say what becomes of a "
            "row that is over; let it be deleted, anonymized or retained"
        )
    if not keyed and dataset.action == "anonymize":
        raise UsageError(
            f"{dataset.address}: a record in a file that is anonymized cannot be told from one "
            "that is not; let its records be deleted"
        )
    if keyed and not dataset.key:
        raise UsageError(f"{dataset.address}: declare its primary key")
    masked = {f.name for f in masked_fields(dataset)} if dataset.action == "anonymize" else set()
    if masked & {*dataset.key, starts}:
        raise UsageError(
            f"{dataset.address}: its key or its date is anonymized with the row, which could not "
            "be told from others then; let its rows be deleted, or keep that field (method: keep)"
        )
    until = parse_until(dataset.until) if dataset.until else None
    return Rule(starts=starts, period=parse_until(f"{starts} + {period}"), until=until)
