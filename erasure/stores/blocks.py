"""What a store of rows may offer so that many of them are found, and dealt with, at less cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from erasure.domain.bulk import Block
from erasure.domain.values import Value
from erasure.stores.base import Selector, Step


@runtime_checkable
class FindsBlocks(Protocol):
    """A store of rows that can hand them over in blocks."""

    def find_blocks(
        self, selector: Selector, values: Sequence[Value], also: Sequence[str] = ()
    ) -> Iterator[Block] | None:
        """The rows that ``find`` finds, each once, with the values of the fields ``also``; None
        where it cannot for these fields."""


@runtime_checkable
class ForeseesInParts(Protocol):
    """A store that need not see all rows together to tell what it would refuse."""

    def foresees_in_parts(self, steps: Sequence[Step]) -> bool:
        """Whether ``foresee`` refuses the same of these steps, however their keys are divided."""


@runtime_checkable
class TellsWhatItReads(Protocol):
    """A store that can say whether it needs the needles, which are everybody's to be opened."""

    def reads_needles(self, steps: Sequence[Step]) -> bool:
        """Whether it looks for any of them when it carries out these steps."""
