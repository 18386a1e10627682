"""From the matching rows of one object to keys, and from keys to needles. No I/O of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

from erasure.domain.needles import Needle, needles_of_row
from erasure.domain.values import Scalar, canonical, fold
from erasure.stores.base import Found, Key, Selector
from erasure.stores.objects import documents
from erasure.stores.objects.documents import Row
from erasure.stores.objects.matching import Sight, forms
from lineage.graph import Dataset

Matches = Iterable[tuple[Row, list[Sight]]]
Values = tuple[Scalar, ...]


def as_scalar(value: Any) -> Scalar:
    """A value that may stand in a key; anything else as text."""
    return value if value is None or isinstance(value, Scalar) else str(value)


@dataclass
class _Group:
    """Rows of one object under one field and value, by guard and carried values."""

    given: dict[Scalar, None] = default(default_factory=dict)
    rows: dict[tuple[Values, Values], int] = default(default_factory=dict)


def found_in(
    name: str, checksum: Callable[[], str], matches: Matches, selector: Selector
) -> Iterator[Found]:
    """The keys of one object, each with its count of rows.

    Bounded by the person's distinct carried values, never by the object.
    """
    groups: dict[tuple[str, str], _Group] = {}
    for row, sights in matches:
        guard = tuple(as_scalar(documents.first(row, f)) for f in selector.guard)
        carried = _carried(row, selector.carry)
        for sight in sights:
            group = groups.setdefault((sight.field, sight.text), _Group())
            group.given.update(dict.fromkeys(sight.given))
            for extra, values in enumerate(carried):
                place = (guard, values)
                group.rows[place] = group.rows.get(place, 0) + (extra == 0)
    version = checksum() if groups else ""
    for (field, text), group in sorted(groups.items()):
        for (guard, values), count in group.rows.items():
            told_apart = tuple(map(_text, (*guard, *values))) if len(group.rows) > 1 else ()
            yield Found(
                key=Key(
                    values=(name, field, text, *told_apart),
                    guard=guard,
                    count=count,
                    version=version,
                ),
                matched=tuple(group.given),
                carry=dict(zip(selector.carry, values, strict=True)),
            )


def _carried(row: Row, fields: Sequence[str]) -> list[Values]:
    """What the row leads on to: one tuple, or several where a field holds several values."""
    columns = [list(documents.values(row, f)) for f in fields]
    tuples = itertools.zip_longest(*columns)
    return list(dict.fromkeys(tuple(map(as_scalar, t)) for t in tuples)) or [(None,) * len(fields)]


def _text(value: Scalar) -> str:
    return "" if value is None else canonical(value)


class Gathering:
    """The person's needles by key, from the rows behind each key."""

    def __init__(self, dataset: Dataset, keys: Sequence[Key]) -> None:
        self._dataset = dataset
        self._needles: dict[Key, set[Needle]] = {key: set() for key in keys}
        self._by_place: dict[tuple[str, str], list[Key]] = {}
        for key in keys:
            self._by_place.setdefault(place_of(key), []).append(key)

    def add(self, matches: Matches) -> None:
        """Read the matching rows of an object."""
        for row, sights in matches:
            needles = [
                n for r in _flat(row, self._dataset) for n in needles_of_row(self._dataset, r)
            ]
            for sight in sights:
                for key in self._by_place.get((sight.field, sight.text), ()):
                    if _holds(row, key.guard):
                        self._needles[key].update(needles)

    def result(self) -> Iterator[tuple[Key, list[Needle]]]:
        """Every key with its needles, sorted."""
        for key, needles in self._needles.items():
            yield key, sorted(needles)


class Sought:
    """Which rows of an object are behind some keys."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._by_place: dict[tuple[str, str], list[Key]] = {}
        for key in keys:
            self._by_place.setdefault(place_of(key), []).append(key)

    def is_theirs(self, row: Row, sights: Iterable[Sight]) -> bool:
        """True where a key leads to the row and its guard still holds."""
        return any(
            _holds(row, key.guard)
            for sight in sights
            for key in self._by_place.get((sight.field, sight.text), ())
        )


def _flat(row: Row, dataset: Dataset) -> Iterator[dict[str, Scalar]]:
    """The declared fields as plain rows: several where the row holds lists."""
    columns = {f.name: list(documents.values(row, f.name)) for f in dataset.fields}
    for values in itertools.zip_longest(*columns.values()):
        yield dict(zip(columns, map(as_scalar, values), strict=True))


def _holds(row: Row, guard: Values) -> bool:
    """True when the row has every guard value somewhere: whose rows share a value is told by it."""
    wanted = {fold(canonical(v)) for v in guard if v is not None}
    if not wanted:
        return True
    held = {fold(form) for _, leaf in documents.leaves(row) for form in forms(leaf)}
    return wanted <= held


def counted(keys: Iterable[Key], unread: Collection[str]) -> tuple[int, int]:
    """How many rows there are at least behind keys of fields, and at most behind those of
    ``unread``: two fields, or two texts, may lead to one row."""
    fields: dict[str, dict[str, int]] = {}
    lines = 0
    for key in keys:
        field, _ = place_of(key)
        if field in unread:
            lines += key.count
        else:
            totals = fields.setdefault(str(key.values[0]), {})
            totals[field] = totals.get(field, 0) + key.count
    return sum(max(totals.values()) for totals in fields.values()), lines


def place_of(key: Key) -> tuple[str, str]:
    """The field and text of a key."""
    return str(key.values[1]), str(key.values[2])


def by_object(keys: Iterable[Key]) -> Mapping[str, list[Key]]:
    """Keys by the object they are in."""
    groups: dict[str, list[Key]] = {}
    for key in keys:
        groups.setdefault(str(key.values[0]), []).append(key)
    return groups
