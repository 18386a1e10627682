"""From flows of columns to a person: the catalogue together with what lineage events told. Pure.

A key or an identity that flows unchanged into another dataset makes its rows reachable by that
column; changed, it is a suggestion. What people wrote wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lineage.adjacency import neighbours_in
from lineage.graph import (
    Dataset,
    Derivation,
    Field,
    Reference,
    StoreEntry,
    copied,
    landings,
    walk,
)
from lineage.snapshot import Snapshot

# Where datasets are that only events know. Nothing can be opened there: a person is told.
HEARD_STORE = StoreEntry(name="lineage events", kind="manual")
# Ways in which a value stays about the same person.
_ABOUT = frozenset(["IDENTITY", "TRANSFORMATION"])
Place = tuple[str, str]
# A dataset, and fields of it that count only together.
Places = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What events told of what is downstream of the catalogue: datasets that only they know, by
    address, and flows of data and of influence between those and the catalogue's."""

    datasets: Mapping[str, Dataset]
    derivations: Sequence[Derivation]
    influences: Sequence[Derivation] = ()


def with_heard(catalogue: Snapshot, heard: Heard) -> Snapshot:
    """The catalogue and what was heard as one."""
    said = {(d.upstream, d.downstream) for d in catalogue.derivations}
    added = [d for d in heard.derivations if (d.upstream, d.downstream) not in said]
    only_heard = {a: d for a, d in heard.datasets.items() if a not in catalogue.datasets}
    datasets = {**catalogue.datasets, **only_heard}
    spread = _Spread(catalogue, datasets, heard.derivations)
    spread.run()
    datasets = _inherited(datasets, heard.derivations)
    stores = [s for s in catalogue.stores if s.name != HEARD_STORE.name]
    return replace(
        catalogue,
        stores=[*stores, HEARD_STORE] if only_heard else catalogue.stores,
        datasets=dict(sorted(datasets.items())),
        references=[*catalogue.references, *spread.references],
        derivations=[*catalogue.derivations, *added],
        influences=tuple(heard.influences),
        suggestions=tuple(sorted(spread.suggestions)),
        unknown=tuple(sorted(spread.unknown)),
    )


class _Spread:
    """How far keys and identities of people flow. ``references``: what that makes reachable."""

    def __init__(
        self,
        catalogue: Snapshot,
        datasets: Mapping[str, Dataset],
        derivations: Iterable[Derivation],
    ) -> None:
        self._catalogue = catalogue
        self._datasets = datasets
        self._said = {(r.holder, name) for r in catalogue.references for name in r.holder_fields}
        self._said |= {(d.downstream, mine) for d in catalogue.derivations for mine in d.columns}
        self._flows: dict[Place, list[tuple[Place, str]]] = {}
        for derivation in derivations:
            for flow in derivation.flows:
                if flow.how in _ABOUT and flow.mine and flow.theirs:
                    into = ((derivation.downstream, flow.mine), flow.how)
                    self._flows.setdefault((derivation.upstream, flow.theirs), []).append(into)
        self._done: set[Places] = set()
        self.references: list[Reference] = []
        self.suggestions: set[tuple[str, str, str, str]] = set()
        self.unknown: set[Place] = set()

    def run(self) -> None:
        """Until nothing more is reached: what was reached may hold keys of its own."""
        while True:
            fresh = [root for root in dict.fromkeys(self._roots()) if root not in self._done]
            self._done.update(fresh)
            before = len(self.references)
            for root in fresh:
                self._from(root)
            if len(self.references) == before:
                return

    def _roots(self) -> Iterator[Places]:
        """Fields of the catalogue by which rows of one person are found: keys, identities, and
        references by which they are reached; of a key of several fields all together."""
        datasets = self._datasets
        references = [*self._catalogue.references, *self.references]
        neighbours = neighbours_in(references, self._catalogue.derivations, datasets)
        start = {
            address: [f.name for f in dataset.identities]
            for address, dataset in self._catalogue.datasets.items()
            if dataset.identities
        }
        reach = walk(start, neighbours)
        for stop in reach.stops:
            dataset = datasets[stop.address]
            if stop.effect == "deep" and not dataset.heard:
                yield from ((stop.address, (field.name,)) for field in dataset.identities)
                if dataset.key:
                    yield stop.address, tuple(sorted(dataset.key))
        for edge in reach.edges:
            if edge.effect == "deep" and not datasets[edge.destination].heard:
                yield edge.destination, tuple(sorted(edge.destination_fields))

    def _from(self, root: Places) -> None:
        seen, waiting = {root}, [root]
        while waiting:
            for places, how in self._next(waiting.pop()):
                if places in seen or places[0] == root[0] or places[0] not in self._datasets:
                    continue
                seen.add(places)
                if how == "IDENTITY":
                    if self._lands(places, root):
                        waiting.append(places)
                elif (places[0], places[1][0]) not in self._said:
                    self.suggestions.add((places[0], places[1][0], root[0], root[1][0]))

    def _next(self, places: Places) -> Iterator[tuple[Places, str]]:
        """Where these fields flow to: one however it was changed, several all of them unchanged
        into the same dataset."""
        address, names = places
        if len(names) == 1:
            for (target, mine), how in self._flows.get((address, names[0]), ()):
                yield (target, (mine,)), how
            return
        into: dict[str, list[list[str]]] = {}
        for number, name in enumerate(names):
            for (target, mine), how in self._flows.get((address, name), ()):
                if how == "IDENTITY":
                    into.setdefault(target, [[] for _ in names])[number].append(mine)
        for target, choices in into.items():
            for mines in landings(choices):
                yield (target, mines), "IDENTITY"

    def _lands(self, places: Places, root: Places) -> bool:
        """A key of ``root`` stands in ``places``; True when it is to be followed from there on."""
        address, names = places
        dataset = self._datasets[address]
        said = all((address, name) in self._said for name in names)
        if said or (dataset.action == "ignore" and not dataset.heard):
            return True
        missing = {(address, name) for name in names if dataset.get(name) is None}
        if missing and not dataset.heard:
            self.unknown |= missing
            return True
        self.references.append(copied(address, names, *root, on_erase="deep"))
        # From a store that can be read it goes on by that store's own rows.
        return dataset.heard


def _inherited(
    datasets: Mapping[str, Dataset], derivations: Iterable[Derivation]
) -> dict[str, Dataset]:
    """Fields that only events know hold what flowed into them, masked or not."""
    into: dict[Place, list[Place]] = {}
    for derivation in derivations:
        for flow in derivation.flows:
            if flow.how in _ABOUT and flow.mine and flow.theirs:
                place = (derivation.upstream, flow.theirs)
                into.setdefault(place, []).append((derivation.downstream, flow.mine))
    holds: dict[Place, set[str]] = {
        (address, field.name): set(field.categories) | ({"user"} if field.identity else set())
        for address, dataset in datasets.items()
        for field in dataset.fields
        if field.personal
    }
    waiting = list(holds)
    while waiting:
        place = waiting.pop()
        for target in into.get(place, ()):
            held = holds.setdefault(target, set())
            dataset = datasets.get(target[0])
            if dataset is not None and dataset.heard and not holds[place] <= held:
                held |= holds[place]
                waiting.append(target)
    return {a: _holding(d, holds) if d.heard else d for a, d in datasets.items()}


def _holding(dataset: Dataset, holds: Mapping[Place, set[str]]) -> Dataset:
    known = {f.name: f for f in dataset.fields}
    for (address, name), categories in holds.items():
        if address == dataset.address and categories:
            field = known.get(name) or Field(name=name)
            known[name] = replace(field, categories=tuple(sorted(categories)))
    return replace(dataset, fields=tuple(known.values()))
