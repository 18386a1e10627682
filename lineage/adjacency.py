"""A graph held in memory as a ``neighbours`` function for :func:`lineage.graph.walk`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

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
