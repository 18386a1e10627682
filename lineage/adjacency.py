"""A graph held in memory as a ``neighbours`` function for :func:`lineage.graph.walk`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from lineage.graph import (
    Dataset,
    Derivation,
    Edge,
    Neighbours,
    Reference,
    edges_of,
    edges_of_derivation,
)


def neighbours_in(
    references: Iterable[Reference],
    derivations: Iterable[Derivation],
    datasets: Mapping[str, Dataset],
) -> Callable[[frozenset[str]], Neighbours]:
    """A ``neighbours`` function over a graph held in memory."""
    by_origin: dict[str, list[Edge]] = {}
    for reference in references:
        for edge in edges_of(reference, datasets[reference.holder], datasets[reference.target]):
            by_origin.setdefault(edge.origin, []).append(edge)
    by_upstream: dict[str, list[Derivation]] = {}
    for derivation in derivations:
        by_upstream.setdefault(derivation.upstream, []).append(derivation)
        for edge in edges_of_derivation(derivation, datasets[derivation.upstream]):
            by_origin.setdefault(edge.origin, []).append(edge)

    def neighbours(frontier: frozenset[str]) -> Neighbours:
        return Neighbours(
            edges=tuple(e for a in sorted(frontier) for e in by_origin.get(a, ())),
            derivations=tuple(d for a in sorted(frontier) for d in by_upstream.get(a, ())),
        )

    return neighbours


def led_back(derivations: Iterable[Derivation], passed: Collection[str]) -> list[Derivation]:
    """What is made from a dataset that nothing is done to (``passed``: a view) is made from what
    that was made from: those derivations, with the columns that came all the way. The ones given
    are not among them."""
    given = list(derivations)
    into: dict[str, list[Derivation]] = {}
    for one in given:
        if one.downstream in passed and one.kind == "derived":
            into.setdefault(one.downstream, []).append(one)
    found: dict[tuple[str, str, str], Derivation] = {}
    waiting = [one for one in given if one.upstream in passed]
    while waiting:
        later = waiting.pop()
        for earlier in into.get(later.upstream, ()):
            key = (earlier.upstream, later.downstream, later.kind)
            columns = {
                m: earlier.columns[t] for m, t in later.columns.items() if t in earlier.columns
            }
            known = found.get(key)
            merged = {**columns, **(known.columns if known else {})}
            if key[0] == key[1] or (known and merged == known.columns):
                continue
            found[key] = replace(later, upstream=earlier.upstream, columns=merged)
            if earlier.upstream in passed:
                waiting.append(found[key])
    own = {(one.upstream, one.downstream, one.kind) for one in given}
    return [one for key, one in sorted(found.items()) if key not in own]
