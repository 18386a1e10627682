"""The bridge between the pure search and the stores: lookups, mentions and needles."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from erasure.connect import open_store
from erasure.domain.finding import (
    Answer,
    Findings,
    KeyText,
    Lookup,
    Person,
    Resolver,
    Seed,
    Wanted,
    key_text,
)
from erasure.domain.needles import Matcher, Needle
from erasure.domain.retention import parse_until
from erasure.domain.steps import Step
from erasure.domain.values import Scalar, fold
from erasure.stores.base import Found, Key, Selector, Store
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
            names.setdefault(edge.origin, []).append(edge.origin_field)
        for address, dataset in self.datasets.items():
            if dataset.until:
                names.setdefault(address, []).append(parse_until(dataset.until).column)
        return {a: tuple(dict.fromkeys(filter(None, found))) for a, found in names.items()}


def find_rows(task: Task, stores: Stores, carried: Mapping[Edge, Wanted] | None = None) -> Findings:
    """Every row of the people, to a fixpoint; ``carried``: values of rows that may be gone."""
    carry = task.carries()

    def search(lookup: Lookup, values: Sequence[Scalar]) -> Iterator[Answer]:
        dataset = task.datasets[lookup.dataset]
        selector = Selector(
            dataset=dataset,
            mode=lookup.mode,
            fields=(lookup.field,),
            carry=carry.get(lookup.dataset, ()),
            guard=task.guards.get(lookup.dataset, ()),
        )
        for found in stores.get(dataset.store).find(selector, values):
            yield _answer(found)

    resolver = Resolver(task.edges, task.datasets, search)
    resolver.start(task.seeds, task.wanted)
    if carried:
        resolver.resume(carried)
    return resolver.findings


def _answer(found: Found) -> Answer:
    return Answer(
        values=found.key.values, matched=found.matched, carry=found.carry, payload=found.key
    )


def gather_needles(
    findings: Findings, datasets: Mapping[str, Dataset], stores: Stores
) -> dict[Person, set[Needle]]:
    """The values in everybody's own rows; rows reached over shallow are somebody else's."""
    gathered: dict[Person, set[Needle]] = {}
    for address, table in findings.rows.items():
        dataset = datasets[address]
        keys = [row.payload for row in table.values() if row.via != "shallow"]
        owned = [key for key in keys if isinstance(key, Key)]
        if not owned or not any(f.needle for f in dataset.fields):
            continue
        for key, needles in stores.get(dataset.store).gather(dataset, owned):
            for person in table[key_text(key.values)].people:
                gathered.setdefault(person, set()).update(needles)
    return gathered


def find_mentions(
    steps: Iterable[Step],
    needles: Mapping[Person, set[Needle]],
    findings: Findings,
    stores: Stores,
) -> Mentions:
    """Rows of free text in which a precise needle stands, other than those already reached."""
    by_text: dict[str, set[Person]] = {}
    for person, owned in needles.items():
        for needle in Matcher(owned).precise().needles:
            by_text.setdefault(fold(needle.text), set()).add(person)
    mentions: Mentions = {}
    for step in steps:
        if by_text and step.via == "mention":
            known = findings.rows.get(step.dataset.address, {})
            found = _mentions_in(step, by_text, known, stores)
            if found:
                mentions[step.dataset.address] = found
    return mentions


def _mentions_in(
    step: Step, by_text: Mapping[str, set[Person]], known: Container[KeyText], stores: Stores
) -> dict[KeyText, Mention]:
    selector = Selector(dataset=step.dataset, mode="text", fields=step.redact, guard=step.guard)
    mentions: dict[KeyText, Mention] = {}
    for found in stores.get(step.dataset.store).find(selector, sorted(by_text)):
        text = key_text(found.key.values)
        if text in known:
            continue  # the row's own step redacts it
        mention = mentions.setdefault(text, Mention(key=found.key))
        for match in found.matched:
            mention.people |= by_text[fold(str(match))]
    return mentions
