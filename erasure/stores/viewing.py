"""Stores that keep queries: a part of the protocol beside ``base``."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lineage.schema import View


@runtime_checkable
class Views(Protocol):
    """What its views show is derived from its collections."""

    def views(self) -> dict[str, View]:
        """Every view by its collection name, read in bulk. Raises StoreError."""
