"""Keys of rows that simply go, packed as they are found: a million of them take some megabytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from erasure.domain.bulk import Block
from erasure.domain.finding import People, Person
from erasure.domain.needles import Needle, needles_of_row
from erasure.domain.steps import Step
from erasure.domain.values import rows_to_json
from erasure.runs import segments
from lineage.graph import Dataset


class Placed(Protocol):
    """A step with its place in the order."""

    @property
    def ordinal(self) -> int:
        """The place."""

    @property
    def step(self) -> Step:
        """The step."""


class Piece(NamedTuple):
    """Some entries of one step and of the same people, as they are written down."""

    ordinal: int
    people: People
    rows: int
    text: bytes


class Pieces:
    """What a search has passed on of the datasets in ``going``, by their only step; ``needles``:
    the values of everybody in those rows, read with them."""

    def __init__(self, going: Mapping[str, Placed], carry: Mapping[str, Sequence[str]]) -> None:
        self.going, self._carry = going, carry
        self._found: list[Piece] = []
        self.counts: Counter[tuple[Person, int]] = Counter()
        self.needles: dict[Person, set[Needle]] = {}

    def also(self, dataset: str) -> tuple[str, ...]:
        """Fields to be read beside the key: those that may hold a needle."""
        return tuple(f.name for f in self.going[dataset].step.dataset.fields if f.needle)

    def keep(self, dataset: str, block: Block, people: People) -> None:
        """Take rows of some people."""
        placed, names = self.going[dataset], self._carry.get(dataset, ())
        guard, rows = len(placed.step.guard), rows_to_json(block.rows)
        text = segments.group_text([placed.ordinal, block.width, guard, names, rows, None])
        self._found.append(Piece(placed.ordinal, people, len(rows), text))
        needles = set(self._needles_in(placed.step.dataset, block)) if block.also else set()
        for person in people:
            self.counts[person, placed.ordinal] += len(rows)
            if needles:
                self.needles.setdefault(person, set()).update(needles)

    def _needles_in(self, dataset: Dataset, block: Block) -> Iterator[Needle]:
        names = self.also(dataset.address)
        for row in block.also:
            yield from needles_of_row(dataset, dict(zip(names, row, strict=True)))

    @property
    def people(self) -> set[Person]:
        """Everybody who has some."""
        return {person for person, _ in self.counts}

    def of(self, ordinal: int) -> Iterator[Piece]:
        """Those of a step, in the order in which they were found."""
        return (piece for piece in self._found if piece.ordinal == ordinal)


def going_of(
    steps: Sequence[Placed], guards: Mapping[str, Sequence[str]], stores: Collection[str]
) -> dict[str, Placed]:
    """Datasets in some stores whose rows are only ever deleted, with the one step that does it."""
    listed: dict[str, list[Placed]] = {}
    for placed in steps:
        listed.setdefault(placed.step.dataset.address, []).append(placed)
    return {
        address: found[0]
        for address, found in listed.items()
        if len(found) == 1
        and found[0].step.dataset.store in stores
        and _only_deletes(found[0].step, guards.get(address, ()))
    }


def _only_deletes(step: Step, read: Sequence[str]) -> bool:
    return (
        step.action == "delete"
        and step.via == "deep"
        and not step.kept
        and tuple(step.guard) == tuple(read)
    )
