"""Rows that are passed on: of some datasets every row that is found is dealt with alike, however it
was reached, and is never looked at again. They are passed on as they are found, and not kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from erasure.domain.values import Scalar, Value
from lineage.graph import Dataset, Edge

Packed = tuple[Scalar, ...]
Owner = TypeVar("Owner", bound=Hashable)


class Block(NamedTuple):
    """Rows that one lookup found together. Of each the values of its key (``width`` of them), of
    its guard and those that lead on, one after the other; the searched values, as given, that led
    to it; and what else of it was asked for, if anything was."""

    width: int
    rows: Sequence[Packed]
    matched: Sequence[tuple[Value, ...]]
    also: Sequence[Packed] = ()

    def divided(self, owners: Sequence[Owner]) -> Iterator[tuple[Owner, Block]]:
        """The rows by whose they are, ``owners`` in the same order; of these it is not told again
        what led to them."""
        rows = _grouped(owners, self.rows)
        also = _grouped(owners, self.also) if self.also else {}
        for owner, theirs in rows.items():
            yield owner, Block(self.width, theirs, (), also.get(owner, ()))


def _grouped(owners: Sequence[Owner], rows: Sequence[Packed]) -> dict[Owner, list[Packed]]:
    grouped: defaultdict[Owner, list[Packed]] = defaultdict(list)
    for owner, row in zip(owners, rows, strict=True):
        grouped[owner].append(row)
    return grouped


class Plain(NamedTuple):
    """A question whose rows may be passed on: by one field, whole and exact."""

    dataset: str
    field: str


class Bulk(NamedTuple):
    """What a search passes on. ``search``: blocks, None where that store cannot; ``keep``: takes
    rows of a dataset, all of them for those people, and tells those that it had not, and for whom;
    ``places``: where a dataset's fields that lead on stand in its rows, counted from the end of
    the key."""

    datasets: Collection[str]
    search: Callable[[Plain, Sequence[Value]], Iterator[Block] | None]
    keep: Callable[[str, Block, frozenset[str]], Iterable[tuple[frozenset[str], Block]]]
    places: Mapping[str, Mapping[str, int]]

    def led_on(self, edge: Edge, block: Block) -> list[Value]:
        """What leads on from rows over ``edge``; nothing where any part of it is NULL."""
        rows, places = (
            block.rows,
            [block.width + self.places[edge.origin][name] for name in edge.origin_fields],
        )
        if len(places) == 1:
            (only,) = places
            return [row[only] for row in rows]
        parts = [tuple([row[i] for i in places]) for row in rows]
        return [one for one in parts if None not in one]


def bulk_of(
    datasets: Mapping[str, Dataset],
    edges: Iterable[Edge],
    seeded: Collection[str],
    going: Collection[str],
) -> dict[str, bool]:
    """Those of the datasets ``going``, whose rows are all dealt with alike, that can be passed on;
    each with whether one person's search may come upon a row of it again.

    It cannot where a single edge leads there: a row refers to one value, and a value is asked for
    once. Where the value comes from another such dataset, whose rows are forgotten, it has to be
    that one's key, so that no two rows lead on by the same.
    """
    incoming: dict[str, list[Edge]] = {}
    for edge in edges:
        incoming.setdefault(edge.destination, []).append(edge)
    passed = {
        address
        for address, found in incoming.items()
        if address in going
        and address not in seeded
        and all(_is_plain(edge, datasets) for edge in found)
    }
    passed -= _going_round(passed, incoming)
    return {
        address: len(found) > 1 or (found[0].origin in passed and not _by_key(found[0], datasets))
        for address, found in incoming.items()
        if address in passed
    }


def _going_round(passed: Collection[str], incoming: Mapping[str, Sequence[Edge]]) -> set[str]:
    """Those that lead back to themselves, and those between: each would be looked through inside
    of the look through the one before."""
    left = set(passed)
    while True:
        led = {a for a in left if any(edge.origin in left for edge in incoming[a])}
        leading = {edge.origin for a in left for edge in incoming[a]}
        if left == led & leading:
            return left
        left = led & leading


def kind_along(edge: Edge, datasets: Mapping[str, Dataset]) -> str | None:
    """The identity kind by which values are compared where the edge leads: the field's own; else,
    where it refers to a mailbox, that of a mailbox, in whatever case it is written."""
    found = datasets[edge.destination].get(edge.destination_field)
    if found and found.identity:
        return found.identity
    origin = None if edge.forward else datasets.get(edge.origin)
    referred = origin.get(edge.origin_field) if origin else None
    return "email" if referred and referred.identity == "email" else None


def _is_plain(edge: Edge, datasets: Mapping[str, Dataset]) -> bool:
    return (
        edge.effect == "deep"
        and edge.origin != edge.destination
        and len(edge.destination_fields) == 1
        and kind_along(edge, datasets) != "email"
    )


def _by_key(edge: Edge, datasets: Mapping[str, Dataset]) -> bool:
    return edge.origin_fields == datasets[edge.origin].key
