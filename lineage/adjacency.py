"""A graph held in memory as a ``neighbours`` function for :func:`lineage.graph.walk`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from itertools import chain

from lineage.graph import (
    Dataset,
    Derivation,
    Edge,
    Neighbours,
    Reference,
    edges_of,
    edges_of_derivation,
    in_walking_order,
)


def neighbours_in(
    references: Iterable[Reference],
    derivations: Iterable[Derivation],
    datasets: Mapping[str, Dataset],
) -> Callable[[frozenset[str]], Neighbours]:
    """A ``neighbours`` function over a graph held in memory. Edges are made of what is asked for,
    once: a walk touches little of a large graph."""
    touching = _touching(references)
    by_upstream: dict[str, list[Derivation]] = {}
    for derivation in derivations:
        by_upstream.setdefault(derivation.upstream, []).append(derivation)
    out: dict[str, tuple[Edge, ...]] = {}

    def edges(origin: str) -> tuple[Edge, ...]:
        known = out.get(origin)
        if known is None:
            found = [
                edge
                for r in touching.get(origin, ())
                for edge in edges_of(r, datasets[r.holder], datasets[r.target])
                if edge.origin == origin
            ]
            for derivation in by_upstream.get(origin, ()):
                found += edges_of_derivation(derivation, datasets[origin])
            known = out[origin] = in_walking_order(found)
        return known

    def neighbours(frontier: frozenset[str]) -> Neighbours:
        ordered = sorted(frontier)
        return Neighbours(
            edges=tuple(chain.from_iterable(edges(a) for a in ordered)),
            derivations=tuple(chain.from_iterable(by_upstream.get(a, ()) for a in ordered)),
            in_order=True,
        )

    return neighbours


def _touching(references: Iterable[Reference]) -> Mapping[str, list[Reference]]:
    """By the address that an edge of theirs can lead from."""
    found: dict[str, list[Reference]] = {}
    for reference in references:
        if reference.direction != "to":
            found.setdefault(reference.target, []).append(reference)
        twice = reference.direction is None and reference.holder == reference.target
        if reference.direction != "from" and not twice:
            found.setdefault(reference.holder, []).append(reference)
    return found


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
