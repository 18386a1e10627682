"""Finding many rows together: what a search that only counts and writes down needs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from erasure.domain.bulk import Block
from erasure.domain.values import Value
from erasure.stores.base import Selector


@runtime_checkable
class FindsBlocks(Protocol):
    """A store of rows that can hand them over in blocks."""

    def find_blocks(
        self, selector: Selector, values: Sequence[Value], also: Sequence[str] = ()
    ) -> Iterator[Block] | None:
        """The rows that ``find`` finds, each once, with the values of the fields ``also``; None
        where it cannot for these fields."""
