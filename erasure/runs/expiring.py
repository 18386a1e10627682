"""What should have gone by now although nobody has asked: data whose retention has run out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from erasure.connect import open_store
from erasure.domain.errors import StoreError, UsageError
from erasure.domain.retention import Retention, parse_until
from erasure.domain.values import Scalar
from erasure.runs import holding
from erasure.stores.base import Restorable, Store
from erasure.stores.dating import Dated
from lineage import selectors
from lineage.graph import Dataset
from lineage.starts import in_words


@dataclass(frozen=True, kw_only=True)
class Expired:
    """One dataset. ``rule``: its retention as the catalogue has it; ``rows``: how many of
    ``looked_at`` have run out, the first on ``since``; ``undated``: rows without their date;
    ``held``: what keeps them; ``why_not``: why it could not be told, then the rest is zero;
    ``by_hand``: because its retention starts with a day that no column holds."""

    dataset: str
    store: str
    rule: str
    basis: str
    rows: int = 0
    looked_at: int = 0
    undated: int = 0
    since: date | None = None
    held: str = ""
    why_not: str = ""
    by_hand: bool = False


def expired(today: date) -> Iterator[Expired]:
    """Every dataset with personal data and a retention of its own, counted where it lives; rows
    stream past, and none is kept. Nothing is deleted."""
    for address, dataset in sorted(selectors.datasets().items()):
        if dataset.retention and dataset.has_personal_fields and dataset.action != "ignore":
            yield _expired(address, dataset, today)


def _expired(address: str, dataset: Dataset, today: date) -> Expired:
    rule = dataset.retention
    period, starts = str(rule.get("period", "")), str(rule.get("starts", ""))
    told: dict[str, Any] = {
        "dataset": address,
        "store": dataset.store,
        "rule": f"{period} after {starts}" if starts else period,
        "basis": str(rule.get("basis", "")),
        "held": _held(address),
    }
    if why := in_words(dataset):
        return Expired(**told, why_not=f"{why}; look by hand", by_hand=True)
    try:
        return _counted(dataset, starts, parse_until(f"{starts} + {period}"), today, told)
    except (StoreError, UsageError) as error:
        return Expired(**told, why_not=str(error))


def _counted(
    dataset: Dataset, starts: str, rule: Retention, today: date, told: dict[str, Any]
) -> Expired:
    rows = looked_at = undated = 0
    since: date | None = None
    with open_store(dataset.store) as store:
        for value in _dates(store, dataset, starts):
            looked_at += 1
            last = rule.ends(value)
            if last is None:
                undated += 1
            elif last < today:
                rows += 1
                since = min(since or last, last)
    return Expired(**told, rows=rows, looked_at=looked_at, undated=undated, since=since)


def _dates(store: Store, dataset: Dataset, starts: str) -> Iterator[Scalar]:
    """What every row holds there; None for one without, and for several. Raises StoreError."""
    if isinstance(store, Dated):
        for one in store.dated(dataset, starts, ()):
            for record in one.records:
                held = record[starts] if record else ()
                yield held[0] if len(held) == 1 else None
        return
    if not isinstance(store, Restorable):
        raise StoreError(dataset.store, f"a {store.kind} store cannot be counted by date")
    names = list(dict.fromkeys([*dataset.key, starts]))
    place = names.index(starts)
    for row in store.read(dataset, names):
        yield row[place]


def _held(address: str) -> str:
    """Which holds are about everybody's rows there; those on people are asked for row by row."""
    holds = [h for h in holding.active() if not h.datasets or address in h.datasets]
    words = {f"on hold ({h.code})" + (" for certain people" * h.of_people) for h in holds}
    return ", ".join(sorted(words))
