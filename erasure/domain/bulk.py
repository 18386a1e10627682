"""Rows that simply go: of some datasets every row that is found is deleted, is reached in one way
only, and is never looked at again. They are passed on as they are found, and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from erasure.domain.values import Scalar, Value
from lineage.graph import Dataset, Edge

Packed = tuple[Scalar, ...]


class Block(NamedTuple):
    """Rows that one lookup found together. Of each the values of its key (``width`` of them), of
    its guard and those that lead on, one after the other; the searched values, as given, that led
    to it; and what else of it was asked for, if anything was."""

    width: int
    rows: Sequence[Packed]
    matched: Sequence[tuple[Value, ...]]
    also: Sequence[Packed] = ()

    def some(self, places: Sequence[int]) -> Block:
        """The rows at those places."""
        rows, matched = [self.rows[i] for i in places], [self.matched[i] for i in places]
        return Block(self.width, rows, matched, [self.also[i] for i in places if self.also])


class Plain(NamedTuple):
    """A question whose rows may be passed on: by one field, whole and exact."""

    dataset: str
    field: str


class Bulk(NamedTuple):
    """What a search passes on. ``search``: blocks, None where that store cannot; ``keep``: takes
    rows of a dataset, all of them for those people; ``places``: where a dataset's fields that
    lead on stand in its rows, counted from the end of the key."""

    datasets: frozenset[str]
    search: Callable[[Plain, Sequence[Value]], Iterator[Block] | None]
    keep: Callable[[str, Block, frozenset[str]], None]
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
) -> frozenset[str]:
    """Those of the datasets ``going``, whose rows are only ever deleted, that one edge leads to.

    A row of them is then found once: it refers to one value, and a value is asked for once. Where
    the value comes from another such dataset, whose rows are forgotten, it has to be that one's
    key, so that no two rows lead on by the same.
    """
    incoming: dict[str, list[Edge]] = {}
    for edge in edges:
        incoming.setdefault(edge.destination, []).append(edge)
    once = {
        address: found[0]
        for address, found in incoming.items()
        if address in going and address not in seeded and len(found) == 1
    }
    passed = {address for address, edge in once.items() if _is_plain(edge, datasets)}
    while odd := {a for a in passed if once[a].origin in passed and not _by_key(once[a], datasets)}:
        passed -= odd
    return frozenset(passed)


def _is_plain(edge: Edge, datasets: Mapping[str, Dataset]) -> bool:
    field = datasets[edge.destination].get(edge.destination_field)
    return (
        edge.effect == "deep"
        and edge.origin != edge.destination
        and len(edge.destination_fields) == 1
        and (field is None or field.identity != "email")
    )


def _by_key(edge: Edge, datasets: Mapping[str, Dataset]) -> bool:
    return edge.origin_fields == datasets[edge.origin].key
