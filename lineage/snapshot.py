"""The whole catalogue as one value: what a plan is made on, and what the gate looks at. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lineage.adjacency import neighbours_in
from lineage.graph import Dataset, Derivation, Neighbours, Reference, StoreEntry


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Stores, datasets by address, references and derivations, all of one moment.

    What lineage events add beside them, and what the version does not cover: ``influences``: what
    personal data only decided the rows of; ``suggestions``: (holder, its field, target, its field)
    where a key or an identity flowed in transformed; ``unknown``: (address, field) where one
    flowed into a field that the catalogue does not know.
    """

    stores: Sequence[StoreEntry]
    datasets: Mapping[str, Dataset]
    references: Sequence[Reference] = ()
    derivations: Sequence[Derivation] = ()
    influences: Sequence[Derivation] = ()
    suggestions: Sequence[tuple[str, str, str, str]] = ()
    unknown: Sequence[tuple[str, str]] = ()

    def kind(self, dataset: Dataset) -> str:
        """The kind of a dataset's store."""
        return next(s.kind for s in self.stores if s.name == dataset.store)

    @cached_property
    def neighbours(self) -> Callable[[frozenset[str]], Neighbours]:
        """What leads out of some addresses, for :func:`lineage.graph.walk`."""
        return neighbours_in(self.references, self.derivations, self.datasets)

    @cached_property
    def version(self) -> str:
        """Hex SHA-256 over the canonical JSON of everything: equal means unchanged."""
        whole = {
            "stores": _canonical(vars(entry) for entry in self.stores),
            "datasets": _canonical(entry.to_json() for entry in self.datasets.values()),
            "references": _canonical(vars(entry) for entry in self.references),
            "derivations": _canonical(vars(entry) for entry in self.derivations),
        }
        return hashlib.sha256(_json(whole).encode()).hexdigest()


def _canonical(entries: Iterable[dict[str, Any]]) -> list[str]:
    # Sorted here: databases do not agree on the order of texts.
    return sorted(_json(entry) for entry in entries)


def _json(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
