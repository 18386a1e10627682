"""The bridge between the pure search and the stores: lookups, mentions and needles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal

from erasure.connect import open_store
from erasure.domain.bulk import Block, Bulk, Plain, bulk_of
from erasure.domain.finding import (
    Answer,
    Findings,
    KeyText,
    Lookup,
    People,
    Person,
    Resolver,
    Row,
    Seed,
    Wanted,
    key_text,
)
from erasure.domain.needles import Needle
from erasure.domain.retention import parse_until
from erasure.domain.steps import KEPT, Step
from erasure.domain.values import Many, Value, fold
from erasure.runs.pieces import Pieces
from erasure.stores.base import Found, Key, Selector, Store
from erasure.stores.blocks import FindsBlocks
from lineage.graph import Dataset, Edge


class Stores:
    """Open adapters by name, opened on first use and closed together."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._open: dict[str, Store] = {}

    def __enter__(self) -> Stores:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def get(self, name: str) -> Store:
        """The adapter of that store."""
        if name not in self._open:
            self._open[name] = self._stack.enter_context(open_store(name))
        return self._open[name]


@dataclass(kw_only=True)
class Mention:
    """A row of somebody's text in which needles of these people stand."""

    key: Key
    people: set[Person] = field(default_factory=set)


_NONE: Mapping[str, Many] = {}
Mentions = dict[str, dict[KeyText, Mention]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to search: the plan's datasets, edges and seeds, and the people's identifiers."""

    datasets: Mapping[str, Dataset]
    edges: Sequence[Edge]
    seeds: Sequence[Seed]
    guards: Mapping[str, tuple[str, ...]]
    wanted: Mapping[str, Wanted]

    def carries(self) -> dict[str, tuple[str, ...]]:
        """Fields per dataset whose values lead on, or say until when a row is kept."""
        names: dict[str, list[str]] = {}
        for edge in self.edges:
            names.setdefault(edge.origin, []).extend(edge.origin_fields)
        for address, dataset in self.datasets.items():
            if dataset.until:
                names.setdefault(address, []).append(parse_until(dataset.until).column)
        return {a: tuple(dict.fromkeys(filter(None, found))) for a, found in names.items()}


def find_rows(
    task: Task,
    stores: Stores,
    carried: Iterable[Mapping[Edge, Wanted]] = (),
    pieces: Pieces | None = None,
) -> Findings:
    """Every row of the people, to a fixpoint; ``carried``: values of rows that may be gone, some
    after the other;
    ``pieces`` takes rows that are all dealt with alike, which are not among the findings then."""
    carry = task.carries()

    def asked(dataset: str, fields: tuple[str, ...], mode: Literal["key", "email"]) -> Selector:
        return Selector(
            dataset=task.datasets[dataset],
            mode=mode if len(fields) == 1 else "together",
            fields=fields,
            carry=carry.get(dataset, ()),
            guard=task.guards.get(dataset, ()),
        )

    def search(lookup: Lookup, values: Sequence[Value]) -> Iterator[Answer]:
        selector = asked(lookup.dataset, lookup.fields, lookup.mode)
        several = frozenset(selector.fields).intersection(selector.guard)
        for found in stores.get(selector.dataset.store).find(selector, values):
            key = found.key
            parts = _parts(found, selector) if several else _NONE
            yield Answer(key.values, found.matched, found.carry, key, parts)

    def blocks(plain: Plain, values: Sequence[Value]) -> Iterator[Block] | None:
        selector = asked(plain.dataset, (plain.field,), "key")
        store = stores.get(selector.dataset.store)
        if pieces is None or not isinstance(store, FindsBlocks):
            return None
        return store.find_blocks(selector, values, pieces.also(plain.dataset))

    bulk = _bulk(task, carry, pieces, blocks) if pieces is not None else None
    resolver = Resolver(task.edges, task.datasets, search, bulk)
    resolver.start(task.seeds, task.wanted)
    for some in carried:
        resolver.resume(some)
    return resolver.findings


def _bulk(
    task: Task,
    carry: Mapping[str, tuple[str, ...]],
    pieces: Pieces,
    search: Callable[[Plain, Sequence[Value]], Iterator[Block] | None],
) -> Bulk:
    seeded = {s.dataset for s in task.seeds}
    datasets = bulk_of(task.datasets, task.edges, seeded, _in_blocks(task, pieces, search))
    places = {}
    for address in datasets:
        width = len(task.guards.get(address, ()))
        places[address] = {name: width + n for n, name in enumerate(carry.get(address, ()))}

    def keep(dataset: str, block: Block, people: People) -> Iterable[tuple[People, Block]]:
        again = pieces.resumed or datasets[dataset]
        new = pieces.new(dataset, block, people) if again else [(people, block)]
        for whom, rows in new:
            pieces.keep(dataset, rows, whom)
        return new

    return Bulk(datasets, search, keep, places)


def _in_blocks(
    task: Task, pieces: Pieces, search: Callable[[Plain, Sequence[Value]], Iterator[Block] | None]
) -> set[str]:
    """Those of the datasets to be packed of which a store hands over blocks, by whatever edge a
    row is found: one that was packed could not be told from one that was kept."""
    fields: dict[str, set[str]] = {}
    for edge in task.edges:
        fields.setdefault(edge.destination, set()).add(edge.destination_field)
    return {
        address
        for address in pieces.going
        if all(search(Plain(address, name), ()) is not None for name in fields.get(address, ()))
    }


def _parts(found: Found, selector: Selector) -> Mapping[str, Many]:
    return {
        name: value
        for name, value in zip(selector.guard, found.key.guard, strict=False)  # models have none
        if type(value) is Many and name in selector.fields
    }


def guards_of(steps: Iterable[Step]) -> dict[str, tuple[str, ...]]:
    """Per dataset every field that a step guards by: what a search reads beside the key."""
    guards: dict[str, set[str]] = {}
    for step in steps:
        guards.setdefault(step.dataset.address, set()).update(step.guard)
    return {address: tuple(sorted(names)) for address, names in guards.items() if names}


def gather_needles(
    findings: Findings, datasets: Mapping[str, Dataset], stores: Stores
) -> dict[Person, set[Needle]]:
    """The values in everybody's own rows; rows reached over shallow are somebody else's."""
    gathered: dict[Person, set[Needle]] = {}
    for address, table in findings.rows.items():
        dataset = datasets[address]
        keys = [row.payload for row in table.values() if row.owners]
        owned = [key for key in keys if isinstance(key, Key)]
        if not owned or not any(f.needle for f in dataset.fields):
            continue
        for key, needles in stores.get(dataset.store).gather(dataset, owned):
            for person in table[key_text(key.values)].owners:
                gathered.setdefault(person, set()).update(needles)
    return gathered


def find_mentions(
    steps: Sequence[Step],
    needles: Mapping[Person, set[Needle]],
    findings: Findings,
    stores: Stores,
) -> Mentions:
    """Rows of free text in which a precise needle stands, other than those whose own step deals
    with the text."""
    by_text: dict[str, set[Person]] = {}
    for person, owned in needles.items():
        for needle in owned:
            if not needle.coarse:
                by_text.setdefault(fold(needle.text), set()).add(person)
    actions = {s.dataset.address: s.action for s in steps if s.via == "deep"}
    mentions: Mentions = {}
    for step in steps:
        if by_text and step.via == "mention":
            address = step.dataset.address
            known = _Known(findings.rows.get(address, {}), actions.get(address))
            found = _mentions_in(step, by_text, known, stores)
            if found:
                mentions[address] = found
    return mentions


@dataclass(frozen=True)
class _Known:
    """Rows of a dataset that were reached by key, and what happens to the person's own there."""

    rows: Mapping[KeyText, Row]
    action: str | None

    def dealt_with(self, text: KeyText, people: set[Person]) -> set[Person]:
        """Whose mentions in that row need no step of their own: it goes, it is redacted by its
        own step, or the law keeps it. A shared row may stay, and then with its text."""
        row = self.rows.get(text)
        if row is None:
            return set()
        if row.shallow_by or (row.deep_for and self.action not in KEPT):
            return people
        return people & row.deep_for


def _mentions_in(
    step: Step, by_text: Mapping[str, set[Person]], known: _Known, stores: Stores
) -> dict[KeyText, Mention]:
    selector = Selector(dataset=step.dataset, mode="text", fields=step.redact, guard=step.guard)
    mentions: dict[KeyText, Mention] = {}
    for found in stores.get(step.dataset.store).find(selector, sorted(by_text)):
        text = key_text(found.key.values)
        people = {person for match in found.matched for person in by_text[fold(str(match))]}
        people -= known.dealt_with(text, people)
        if people:
            mentions.setdefault(text, Mention(key=found.key)).people.update(people)
    return mentions
