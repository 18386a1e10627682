"""Records without a key of their own, told by their date and by whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from erasure.domain.values import Scalar
from lineage.graph import Dataset

# The values of every field that was asked for; None for a line that its format cannot read.
Record = Mapping[str, tuple[Scalar, ...]] | None


@dataclass(frozen=True, kw_only=True)
class Object:
    """One object of a dataset. ``records`` stream past once; ``version``: its checksum, to be asked
    while they do or right after."""

    name: str
    version: Callable[[], str]
    records: Iterator[Record]


@runtime_checkable
class Dated(Protocol):
    """A store of objects whose records can be read by a field of theirs, or of their path."""

    def dated(
        self,
        dataset: Dataset,
        starts: str,
        fields: Sequence[str],
        texts: Sequence[str] | None = None,
    ) -> Iterator[Object]:
        """Every object of the dataset, one open at a time; with ``texts`` the records alone whose
        field ``starts`` equals one of them. Raises StoreError where one cannot be read, and where
        its records should have that field and have not."""
