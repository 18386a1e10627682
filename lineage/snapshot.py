"""The whole catalogue as one value: what a plan is made on, and what the gate looks at. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, TypeVar

from lineage.adjacency import neighbours_in
from lineage.graph import Dataset, Derivation, Neighbours, Reference, StoreEntry, plain

E = TypeVar("E")


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

    @cached_property
    def neighbours(self) -> Callable[[frozenset[str]], Neighbours]:
        """What leads out of some addresses, for :func:`lineage.graph.walk`."""
        return neighbours_in(self.references, self.derivations, self.datasets)

    @cached_property
    def identity_kinds(self) -> Sequence[str]:
        """The names under which a person can be asked for, sorted."""
        fields = chain.from_iterable(dataset.fields for dataset in self.datasets.values())
        return sorted({field.identity for field in fields if field.identity})

    @cached_property
    def version(self) -> str:
        """Hex SHA-256 over all entries, in their order, one after the other: equal means
        unchanged."""
        said = hashlib.sha256()
        for entry in sorted(self.stores, key=lambda s: s.name):
            said.update(_json(plain(entry)))
        # Sorted here: databases do not agree on the order of texts.
        for address in sorted(self.datasets):
            said.update(_json(self.datasets[address].to_json()))
        for one in chain(_sorted(self.references, _REFERENCE), _sorted(self.derivations, _MADE)):
            said.update(_json(plain(one)))
        return said.hexdigest()


_REFERENCE = attrgetter("holder", "holder_field", "target", "target_field")
_MADE = attrgetter("upstream", "downstream", "kind")


def _sorted(entries: Iterable[E], key: Callable[[E], Any]) -> Iterable[E]:
    """By what names an entry, then by the rest of it."""
    for _, same in groupby(sorted(entries, key=key), key=key):
        alike = list(same)
        yield from alike if len(alike) == 1 else sorted(alike, key=lambda one: _json(plain(one)))


def _json(entry: Any) -> bytes:
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"
