"""From identities to rows: the fixpoint search that follows a reach row by row, across stores.

Pure: the search itself is a function argument. Values join across stores by their canonical
text, so int 42 and "42" lead to the same rows. People are searched together and stay apart: a
row knows everybody it was reached for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from erasure.domain.bulk import Block, Bulk, Plain, kind_along
from erasure.domain.errors import StoreError
from erasure.domain.values import Many, Scalar, Value, askable, canonical
from lineage.graph import STRENGTH, Dataset, Edge, Effect

Person = str
# Shared between the rows of the same people: most rows are one person's.
People = frozenset[Person]
NOBODY: People = frozenset()
# Values that lead on from rows which are passed on: so many are asked for together.
AT_ONCE = 10_000
KeyText = tuple[str, ...]
# canonical value → (the value as first met, everybody it stands for)
Wanted = dict[str, tuple[Value, People]]


@dataclass(frozen=True, kw_only=True)
class Seed:
    """An identity field to start from."""

    dataset: str
    field: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """One question to a store: rows of ``dataset`` whose ``fields``, all together, equal one of
    the values."""

    dataset: str
    fields: tuple[str, ...]
    mode: Literal["key", "email"] = "key"


_NO_PARTS: Mapping[str, Many] = {}


class Answer(NamedTuple):
    """A row that a lookup found; ``values`` identify it, ``payload`` is the store's own key.
    ``parts``: of the fields looked up that hold several values, those that were looked for."""

    values: tuple[Scalar, ...]
    matched: tuple[Value, ...]
    carry: Mapping[str, Scalar]
    payload: object
    parts: Mapping[str, Many] = _NO_PARTS


Search = Callable[[Lookup, Sequence[Value]], Iterator[Answer]]
# People by the fields of a reference that leads to them.
By = Mapping[tuple[str, ...], People]
_NONE: By = {}
# Of a field that holds several values: the people whom each of them leads to.
Parts = Mapping[str, Mapping[Scalar, People]]
_WHOLE: Parts = {}


class Row:
    """A row that was reached: how strongly, and for whom.

    ``deep_for``: whose own it is; ``owners``: theirs, or shared by them (refcount);
    ``shallow_by``: a reference's fields → the people it refers to, in a row of somebody else's;
    ``deep_by``: likewise, where that makes it their own; ``parts``: of fields that hold several
    values, those that led here.
    """

    __slots__ = (
        "carry",
        "deep_by",
        "deep_for",
        "owners",
        "parts",
        "payload",
        "shallow_by",
        "via",
    )

    def __init__(self, payload: object, via: Effect, carry: Mapping[str, Scalar]) -> None:
        self.payload, self.via, self.carry = payload, via, carry
        self.deep_for: People = NOBODY
        self.owners: People = NOBODY
        self.shallow_by: By = _NONE
        self.deep_by: By = _NONE
        self.parts: Parts = _WHOLE

    @property
    def people(self) -> People:
        """Everybody it was reached for, however strongly."""
        return self.owners.union(*self.shallow_by.values())


@dataclass
class Findings:
    """Rows by dataset and key text; the strongest effect wins per row."""

    rows: dict[str, dict[KeyText, Row]] = field(default_factory=dict)
    _alone: dict[tuple[tuple[str, ...], People], By] = field(default_factory=dict)

    def add(
        self,
        lookup: Lookup,
        answer: Answer,
        via: Effect,
        people: People,
        parts: Parts = _WHOLE,
    ) -> People:
        """Keep the row; returns the people for whom it is newly reached over deep."""
        table = self.rows.setdefault(lookup.dataset, {})
        text = key_text(answer.values)
        row = table.get(text)
        if row is None:
            row = table[text] = Row(answer.payload, via, answer.carry)
        elif STRENGTH[via] > STRENGTH[row.via]:
            row.via = via
        if parts:
            row.parts = _with_parts(row.parts, parts)
        if via == "shallow":
            row.shallow_by = self._joined(row.shallow_by, lookup.fields, people)
            return NOBODY
        row.owners = row.owners | people if row.owners else people
        if via == "refcount":
            return NOBODY
        row.deep_by = self._joined(row.deep_by, lookup.fields, people)
        if not row.deep_for:
            row.deep_for = people
            return people
        new = people - row.deep_for
        row.deep_for |= new
        return new

    def _joined(self, by: By, fields: tuple[str, ...], people: People) -> By:
        """``by``, and these people by those fields; shared between the many rows that have no
        more than one such entry."""
        if not by:
            alone = self._alone.get((fields, people))
            return alone or self._alone.setdefault((fields, people), {fields: people})
        known = by.get(fields, NOBODY)
        return by if people <= known else {**by, fields: known | people}

    def count(self, dataset: str, via: str) -> int:
        """Rows of a dataset reached with that effect."""
        return sum(1 for row in self.rows.get(dataset, {}).values() if row.via == via)

    def walk(self) -> Iterator[tuple[str, KeyText, Row]]:
        """Every row with its dataset and key text."""
        for dataset, table in self.rows.items():
            for text, row in table.items():
                yield dataset, text, row


def _with_parts(known: Parts, more: Parts) -> Parts:
    found = {name: dict(items) for name, items in known.items()}
    for name, items in more.items():
        mine = found.setdefault(name, {})
        for item, people in items.items():
            mine[item] = mine.get(item, NOBODY) | people
    return found


def key_text(values: Iterable[Scalar]) -> KeyText:
    """A key as comparable text."""
    # Nearly all keys are whole numbers, and there are as many of them as rows.
    return tuple([str(v) if type(v) is int else canonical(v) for v in values])


def mode_of(kind: str | None) -> Literal["key", "email"]:
    """Email identities match without regard to case, all others exactly."""
    return "email" if kind == "email" else "key"


class Resolver:
    """Follows edges from found rows to further rows until nothing new is found."""

    def __init__(
        self,
        edges: Iterable[Edge],
        datasets: Mapping[str, Dataset],
        search: Search,
        bulk: Bulk | None = None,
    ):
        self._search, self._bulk = search, bulk
        self._datasets = datasets
        self._edges: dict[str, list[Edge]] = {}
        for edge in edges:
            self._edges.setdefault(edge.origin, []).append(edge)
        self._asked: dict[Edge, dict[str, People]] = {}
        self.findings = Findings()

    def start(self, seeds: Iterable[Seed], wanted: Mapping[str, Wanted]) -> None:
        """Search the identity fields; ``wanted`` maps an identity kind to its values."""
        pending: dict[Edge, Wanted] = {}
        for seed in seeds:
            values = wanted.get(seed.kind)
            if values:
                lookup = Lookup(dataset=seed.dataset, fields=(seed.field,), mode=mode_of(seed.kind))
                self._look(lookup, "deep", values, pending)
        self._follow(pending)

    def resume(self, carried: Mapping[Edge, Wanted]) -> None:
        """Search on from values written down earlier, whose rows may be gone; as often as there
        are some."""
        self._follow(dict(carried))

    def _follow(self, pending: dict[Edge, Wanted]) -> None:
        while pending:
            grown: dict[Edge, Wanted] = {}
            for edge, values in pending.items():
                fresh = self._unasked(edge, values)
                if fresh:
                    self._look_over(edge, fresh, grown)
            pending = grown

    def _look_over(self, edge: Edge, values: Wanted, grown: dict[Edge, Wanted]) -> None:
        _refuse_lost(edge, values)
        kind, fields = kind_along(edge, self._datasets), edge.destination_fields
        mode = mode_of(kind) if len(fields) == 1 else "key"
        lookup = Lookup(dataset=edge.destination, fields=fields, mode=mode)
        self._look(lookup, edge.effect, values, grown)

    def _unasked(self, edge: Edge, values: Wanted) -> Wanted:
        bulk = self._bulk
        if bulk and edge.origin in bulk.datasets and edge.destination in bulk.datasets:
            return values  # so many are not remembered; a row that is met again is told by its key
        asked = self._asked.setdefault(edge, {})
        fresh: Wanted = {}
        for text, (raw, people) in values.items():
            before = asked.get(text)
            new = people - before if before else people
            if new:
                asked[text] = before | new if before else new
                fresh[text] = (raw, new)
        return fresh

    def _look(
        self,
        lookup: Lookup,
        via: Effect,
        values: Wanted,
        grown: dict[Edge, Wanted],
    ) -> None:
        whose, asked = _by_spelling(values), [raw for raw, _ in values.values()]
        bulk = self._bulk
        if bulk is not None and lookup.dataset in bulk.datasets:
            blocks = bulk.search(Plain(lookup.dataset, lookup.fields[0]), asked)
            if blocks is not None:
                self._pass_on(bulk, lookup.dataset, blocks, whose, grown)
                return
        add, leads_on = self.findings.add, lookup.dataset in self._edges
        for answer in self._search(lookup, asked):
            people = whose[canonical(answer.matched[0])]
            for match in answer.matched[1:]:
                people |= whose[canonical(match)]
            parts = _parts(lookup, answer, whose, people) if answer.parts else _WHOLE
            new = add(lookup, answer, via, people, parts)
            if new and leads_on:
                self._spread(lookup.dataset, answer.carry, new, grown)

    def _pass_on(
        self,
        bulk: Bulk,
        dataset: str,
        blocks: Iterable[Block],
        whose: Mapping[str, People],
        grown: dict[Edge, Wanted],
    ) -> None:
        """What leads from these rows to others that are passed on is asked for at once, and
        forgotten."""
        pending: dict[Edge, Wanted] = {}
        edges = self._edges.get(dataset, ())
        for block in blocks:
            for whom, theirs in _by_people(block, whose):
                for people, new in bulk.keep(dataset, theirs, whom):
                    for edge in edges:
                        into = pending if edge.destination in bulk.datasets else grown
                        wanted = into.setdefault(edge, {})
                        add_all(wanted, bulk.led_on(edge, new), people)
            self._ask(pending, AT_ONCE, grown)
        self._ask(pending, 1, grown)

    def _ask(self, pending: dict[Edge, Wanted], least: int, grown: dict[Edge, Wanted]) -> None:
        for edge in [edge for edge, wanted in pending.items() if len(wanted) >= least]:
            self._look_over(edge, pending.pop(edge), grown)

    def _spread(
        self,
        dataset: str,
        carry: Mapping[str, Scalar],
        people: People,
        grown: dict[Edge, Wanted],
    ) -> None:
        for edge in self._edges.get(dataset, ()):
            add_wanted(grown.setdefault(edge, {}), led_on(edge, carry), people)


def _refuse_lost(edge: Edge, values: Wanted) -> None:
    """Raises StoreError where a text leads on that no store can be asked for: what it leads to
    would stay, unseen."""
    for value, _ in values.values():
        if type(value) is int:
            continue
        parts = value if isinstance(value, tuple) else (value,)
        for name, part in zip(edge.origin_fields, parts, strict=True):
            if isinstance(part, str) and not askable(part):
                raise StoreError(
                    f"{edge.origin}.{name}",
                    "a value that leads on holds NUL or is no UTF-8, and cannot be looked for; "
                    "correct it there and where it is referred to",
                )


def _by_spelling(values: Wanted) -> dict[str, People]:
    """People by the value as it was handed to the store, which answers in the same spelling."""
    people: dict[str, People] = {}
    for raw, owners in values.values():
        text = str(raw) if type(raw) is int else canonical(raw)
        people[text] = people[text] | owners if text in people else owners
    return people


def _by_people(block: Block, whose: Mapping[str, People]) -> Iterable[tuple[People, Block]]:
    """The rows of a block by those whom they were found for."""
    everybody = set(whose.values())
    if len(everybody) == 1:
        return [(everybody.pop(), block)] if block.rows else []
    led = {m: _led(m, whose) for m in set(block.matched)}
    return block.divided(list(map(led.__getitem__, block.matched)))


def _led(matched: Sequence[Value], whose: Mapping[str, People]) -> People:
    """Everybody whom these values were looked for."""
    first, *others = [whose[canonical(value)] for value in matched]
    return first.union(*others) if others else first


def _parts(lookup: Lookup, answer: Answer, whose: Mapping[str, People], people: People) -> Parts:
    """Which of several values leads to whom; all of them, where the store's spelling is another."""
    kind = "email" if lookup.mode == "email" else None
    spelled: dict[str, People] = {}
    for match in answer.matched:
        text = canonical(match, kind)
        spelled[text] = spelled.get(text, NOBODY) | whose[canonical(match)]
    return {
        name: {item: spelled.get(canonical(item, kind), people) for item in many.items}
        for name, many in answer.parts.items()
    }


def led_on(edge: Edge, carry: Mapping[str, Scalar]) -> Value:
    """What leads on from a row over ``edge``; NULL where any part of it is NULL (SQL's MATCH
    SIMPLE: such a reference refers to nothing)."""
    if not edge.reference.also:
        return carry.get(edge.origin_field)
    parts = tuple([carry.get(name) for name in edge.origin_fields])
    return None if None in parts else parts


def add_wanted(wanted: Wanted, value: Value, people: People, kind: str | None = None) -> None:
    """Note that ``people`` are looked for by ``value``, or by each of several. NULL leads nowhere,
    nor does a blank text: whoever has not said a number has no more of it than others. 0 does."""
    if isinstance(value, Many):
        for item in value.items:
            add_wanted(wanted, item, people, kind)
        return
    if value is None or (isinstance(value, str) and not value.strip()):
        return
    text = canonical(value, kind)
    known = wanted.get(text)
    wanted[text] = (known[0], known[1] | people) if known else (value, people)


def add_all(wanted: Wanted, values: Iterable[Value], people: People) -> None:
    """The same of many values."""
    for value in values:
        # Nearly always it is a row's own number, which leads on once.
        if type(value) is int and (text := str(value)) not in wanted:
            wanted[text] = (value, people)
        else:
            add_wanted(wanted, value, people)
