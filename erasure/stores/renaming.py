"""What a store of rows may offer where anonymising gives a row another key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from erasure.domain.values import Scalar
from erasure.stores.base import Key, Secrets, Step

# A row's key as it was written down, and the key's values of a row that is there now.
Moved = tuple[Key, tuple[Scalar, ...]]


@runtime_checkable
class KnowsRenamed(Protocol):
    """A store that knows rows again whose key a step has rewritten."""

    def renamed(self, step: Step, moved: Sequence[Moved], secrets: Secrets) -> list[bool]:
        """Of each, whether the step may have given the row that was at the one key the other:
        the values are made of the seed, and of the key."""
