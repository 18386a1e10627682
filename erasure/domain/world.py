"""What planning knows, looked up by what is asked for: catalogues have a million edges. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from lineage.graph import Dataset, Edge, Reach, Reference, StoreEntry
from lineage.schema import Inspection, Table

E = TypeVar("E")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class World:
    """What planning knows: the catalogue, and the live schemas by store name."""

    datasets: Mapping[str, Dataset]
    stores: Mapping[str, StoreEntry]
    references: Sequence[Reference]
    inspections: Mapping[str, Inspection]

    def table(self, dataset: Dataset) -> Table | None:
        """The live table of a dataset, where its store lists tables."""
        inspection = self.inspections.get(dataset.store)
        if inspection is None:
            return None
        qualified = f"{dataset.schema}.{dataset.name}" if dataset.schema else dataset.name
        return inspection.tables.get(qualified) or inspection.tables.get(dataset.name)

    @cached_property
    def held(self) -> Mapping[str, Sequence[Reference]]:
        """References by the dataset that holds them."""
        return _grouped(self.references, lambda reference: reference.holder)

    @cached_property
    def aimed(self) -> Mapping[str, Sequence[Reference]]:
        """References by the dataset that they lead to."""
        return _grouped(self.references, lambda reference: reference.target)


class Ways:
    """The edges of a reach, by where they lead to and where they come from."""

    def __init__(self, reach: Reach) -> None:
        self._into = _grouped(reach.edges, lambda edge: edge.destination)
        self._out = _grouped(reach.edges, lambda edge: edge.origin)

    def into(self, address: str) -> Sequence[Edge]:
        """Those that lead to that dataset."""
        return self._into.get(address, ())

    def out_of(self, address: str) -> Sequence[Edge]:
        """Those that lead on from it."""
        return self._out.get(address, ())


def _grouped(items: Iterable[E], key: Callable[[E], K]) -> Mapping[K, Sequence[E]]:
    found: dict[K, list[E]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
