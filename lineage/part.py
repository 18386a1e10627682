"""What of the catalogue one person's case rests on. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from lineage.graph import Dataset, Neighbours, Reach, walk
from lineage.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Part:
    """For people who are known by these ``kinds`` of identifier, in ``store`` or in all (empty).

    ``known``: those of the kinds that the catalogue has, in any store; ``reach``: every dataset
    their data can be in; ``catalogue``: those, the datasets whose free text may mention anybody,
    the references that touch either, and what is at the other end of them or is acted on first.
    """

    kinds: tuple[str, ...]
    store: str
    known: frozenset[str]
    reach: Reach
    catalogue: Snapshot


def part_of(whole: Snapshot, kinds: Iterable[str], store: str = "") -> Part:
    """Cut it out of a snapshot in which all of that is."""
    wanted = tuple(sorted(set(kinds)))
    there = whole.datasets
    identities = {f.identity for d in there.values() for f in d.fields}
    if store:
        there = {a: d for a, d in there.items() if d.store == store}
    start = start_in(there, wanted)
    reach = walk(start, _within(there, whole.neighbours) if store else whole.neighbours)
    inner = {stop.address for stop in reach.stops}
    inner |= {a for a, d in there.items() if d.free_text and d.action != "ignore"}
    return Part(
        kinds=wanted,
        store=store,
        known=frozenset(kind for kind in wanted if kind in identities),
        reach=reach,
        catalogue=touching(replace(whole, datasets=there), inner),
    )


def touching(whole: Snapshot, inner: Collection[str]) -> Snapshot:
    """The datasets of ``inner``, what touches one and is between datasets that are there, and what
    is at its other end or is acted on first."""
    there = whole.datasets
    references = [
        r
        for r in whole.references
        if (r.holder in inner or r.target in inner) and r.holder in there and r.target in there
    ]
    derivations = [
        d
        for d in whole.derivations
        if (d.upstream in inner or d.downstream in inner)
        and d.upstream in there
        and d.downstream in there
    ]
    known = {address for address in inner if address in there}
    known |= {end for r in references for end in (r.holder, r.target)}
    known |= {end for d in derivations for end in (d.upstream, d.downstream)}
    datasets = {a: there[a] for a in sorted(known | _earlier(known, there))}
    stores = {dataset.store for dataset in datasets.values()}
    return Snapshot(
        stores=[entry for entry in whole.stores if entry.name in stores],
        datasets=datasets,
        references=references,
        derivations=derivations,
    )


def start_in(datasets: Mapping[str, Dataset], kinds: Collection[str]) -> dict[str, list[str]]:
    """By address, the fields that carry one of the identity kinds: where a walk starts."""
    found = {
        address: [field.name for field in dataset.fields if field.identity in kinds]
        for address, dataset in datasets.items()
    }
    return {address: names for address, names in found.items() if names}


def _within(
    datasets: Mapping[str, Dataset], neighbours: Callable[[frozenset[str]], Neighbours]
) -> Callable[[frozenset[str]], Neighbours]:
    """Neighbours that stay inside the datasets asked for (a replay looks at one store)."""

    def inside(frontier: frozenset[str]) -> Neighbours:
        out = neighbours(frontier)
        return Neighbours(
            edges=tuple(e for e in out.edges if e.destination in datasets),
            derivations=tuple(d for d in out.derivations if d.downstream in datasets),
            in_order=out.in_order,
        )

    return inside


def _earlier(addresses: Iterable[str], datasets: Mapping[str, Dataset]) -> set[str]:
    """What is acted on before them, at whatever remove."""
    found: set[str] = set()
    waiting = list(addresses)
    while waiting:
        for name in datasets[waiting.pop()].after:
            if name in datasets and name not in found:
                found.add(name)
                waiting.append(name)
    return found
