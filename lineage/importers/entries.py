"""What an importer hands to the catalogue: plain values, each with the place it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from lineage.graph import Dataset, Derivation, Reference, StoreEntry

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Placed(Generic[T]):
    """A value and where it stands, as ``file:line``."""

    value: T
    place: str


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything some files say. Names that may stand in another file (stores, targets, upstreams,
    ``after``) are as written: the catalogue resolves them when it is written."""

    stores: tuple[Placed[StoreEntry], ...] = ()
    datasets: tuple[Placed[Dataset], ...] = ()
    references: tuple[Placed[Reference], ...] = ()
    derivations: tuple[Placed[Derivation], ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: Catalogue) -> Catalogue:
        """Both, in order."""
        return Catalogue(
            stores=self.stores + other.stores,
            datasets=self.datasets + other.datasets,
            references=self.references + other.references,
            derivations=self.derivations + other.derivations,
            warnings=self.warnings + other.warnings,
        )
