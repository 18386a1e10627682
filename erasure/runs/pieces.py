"""Keys of rows that are dealt with alike, packed as they are found: a million of them take some
megabytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from erasure.domain.bulk import Block, Packed
from erasure.domain.finding import NOBODY, People, Person, key_text
from erasure.domain.needles import Needle, needles_of_row
from erasure.domain.steps import KEPT, Step, partial
from erasure.domain.values import Scalar, rows_to_json
from erasure.runs import segments
from erasure.runs.met import Met
from erasure.stores.base import Key
from lineage.graph import Dataset


class Placed(Protocol):
    """A step with its place in the order."""

    @property
    def ordinal(self) -> int:
        """The place."""

    @property
    def step(self) -> Step:
        """The step."""


# So many rows of one step and of the same people are packed together at most; so many of all wait
# for more.
TOGETHER, WAITING = 5_000, 60_000
_ALIKE = frozenset({"delete", "anonymize", *KEPT})


class Piece(NamedTuple):
    """Some entries of one step and of the same people, as they are written down."""

    ordinal: int
    people: People
    rows: int
    held: bytes  # the group that they are in a segment

    @property
    def text(self) -> bytes:
        """That group."""
        return segments.unpacked(self.held)

    def keys(self) -> list[Key]:
        """Their keys, read back."""
        return self._group().keys()

    def carried(self) -> list[dict[str, Scalar]]:
        """The different values that led on from them, read back."""
        return self._group().carried()

    def _group(self) -> segments.Group:
        (group,) = segments.from_text(b"[" + self.text + b"]")
        return group


class Pieces:
    """What a search has passed on of the datasets in ``going``, by their only step; ``needles``:
    the values of everybody in those rows, read with them. ``resumed``: the search goes on from
    what was written down, too, and may come upon any row again."""

    resumed = False

    def __init__(self, going: Mapping[str, Placed], carry: Mapping[str, Sequence[str]]) -> None:
        self.going, self._carry = going, carry
        self._found: list[Piece] = []
        self._waiting: defaultdict[tuple[str, int, People], list[Packed]] = defaultdict(list)
        self._rows = 0
        self.counts: Counter[tuple[Person, int]] = Counter()
        self.needles: dict[Person, set[Needle]] = {}
        self._met = Met()

    def also(self, dataset: str) -> tuple[str, ...]:
        """Fields to be read beside the key: those that may hold a needle."""
        return tuple(f.name for f in self.going[dataset].step.dataset.fields if f.needle)

    def keep(self, dataset: str, block: Block, people: People) -> None:
        """Take rows of some people."""
        self._take(dataset, block, people)
        self._gather(dataset, block.also, people)

    def _take(self, dataset: str, block: Block, people: People) -> None:
        waiting = self._waiting[dataset, block.width, people]
        waiting += block.rows
        self._rows += len(block.rows)
        if len(waiting) >= TOGETHER:
            self._pack(dataset, block.width, people)
        if self._rows >= WAITING:
            self.pack()

    def _gather(self, dataset: str, read: Sequence[Packed], people: People) -> None:
        if read:
            needles = set(self._needles_in(self.going[dataset].step.dataset, read))
            for person in people:
                self.needles.setdefault(person, set()).update(needles)

    def new(self, dataset: str, block: Block, people: People) -> list[tuple[People, Block]]:
        """Those of the rows that were not asked about before, and for whom."""
        met = self._met
        texts = [key_text(row[: block.width]) for row in block.rows]
        owners = [NOBODY] * len(texts)
        for person in people:
            alone = frozenset({person})
            first = met.first([met.digest(dataset, person, *text) for text in texts])
            owners = [o | alone if new else o for o, new in zip(owners, first, strict=True)]
        return [(whom, rows) for whom, rows in block.divided(owners) if whom]

    def pack(self) -> None:
        """Pack what waits for more; to be called at the end of the search."""
        for dataset, width, people in list(self._waiting):
            self._pack(dataset, width, people)

    def _pack(self, dataset: str, width: int, people: People) -> None:
        found = self._waiting.pop((dataset, width, people))
        self._rows -= len(found)
        placed, names = self.going[dataset], self._carry.get(dataset, ())
        guard = len(placed.step.guard)
        for at in range(0, len(found), TOGETHER):
            some = found[at : at + TOGETHER]
            rows = rows_to_json(some)
            text = segments.group_text([placed.ordinal, width, guard, names, rows, None])
            self._found.append(Piece(placed.ordinal, people, len(some), segments.packed(text)))
        for person in people:
            self.counts[person, placed.ordinal] += len(found)

    def _needles_in(self, dataset: Dataset, read: Sequence[Packed]) -> Iterator[Needle]:
        names = self.also(dataset.address)
        for row in read:
            yield from needles_of_row(dataset, dict(zip(names, row, strict=True)))

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._rows + sum(piece.rows for piece in self._found)

    @property
    def ordinals(self) -> set[int]:
        """The steps that have some."""
        return {ordinal for _, ordinal in self.counts}

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
    """Datasets in some stores whose rows are all dealt with alike, with the one step that does it:
    whatever else is found of such a row, nothing else is done to it."""
    listed: dict[str, list[Placed]] = {}
    for placed in steps:
        listed.setdefault(placed.step.dataset.address, []).append(placed)
    return {
        address: found[0]
        for address, found in listed.items()
        if len(found) == 1
        and found[0].step.dataset.store in stores
        and _is_all(found[0].step, guards.get(address, ()))
    }


def _is_all(step: Step, read: Sequence[str]) -> bool:
    return (
        step.action in _ALIKE
        and step.via == "deep"
        and partial(step) is None
        and tuple(step.guard) == tuple(read)
    )
