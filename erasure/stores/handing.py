"""Handing out rows whole: what a person is given of their data (GDPR Art. 15(3), 20)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from erasure.stores.base import Key
from lineage.graph import Dataset


@runtime_checkable
class HandsOut(Protocol):
    """A store that can read the rows behind keys whole."""

    def hand_out(
        self, dataset: Dataset, keys: Sequence[Key], fields: Sequence[str], guard: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        """The values of ``fields`` in those rows, a row at a time and each row once. A row that
        has gone since, or whose ``guard`` fields are not as they were found, is left out: its key
        is somebody else's now. Values are scalars, and lists and mappings inside documents."""


@runtime_checkable
class CountsUnread(Protocol):
    """A store of which some rows cannot be handed out, or whose keys may overlap."""

    def counted(self, dataset: Dataset, keys: Sequence[Key]) -> tuple[int, int]:
        """How many rows ``hand_out`` gives for those keys at least, where none has gone, and how
        many at most it cannot give because their format explains nothing in them."""
