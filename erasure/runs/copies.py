"""Copies of a store in backups, which no retirement reaches: each with the day on which it goes."""

from __future__ import annotations

from typing import Any

from erasure.connect import open_store
from erasure.domain.errors import StoreError
from erasure.stores.backups import BackupsStore
from lineage import selectors
from lineage.graph import Dataset


def backups_of(dataset: Dataset) -> list[dict[str, str]]:
    """Of the store that a dataset lies in: every copy that is there now, the first to go first. A
    vault that cannot be asked is named as such; it is one of those that ``cover`` the store, or
    whose set lineage derives from the dataset."""
    known = selectors.datasets()
    derived = {
        known[d.downstream].store
        for d in selectors.derivations()
        if d.kind == "backed_up" and d.upstream == dataset.address and d.downstream in known
    }
    found: list[dict[str, str]] = []
    for entry in selectors.stores():
        if entry.kind != BackupsStore.kind:
            continue
        covers: Any = entry.options.get("covers") or ()
        named = [covers] if isinstance(covers, str) else covers
        if dataset.store in named or entry.name in derived:
            found += _copies(entry.name)
    return sorted(found, key=lambda c: (c.get("expires_on", ""), c["store"]))


def _copies(store: str) -> list[dict[str, str]]:
    try:
        with open_store(store) as vault:
            assert isinstance(vault, BackupsStore)  # noqa: S101 - its kind says so
            return [
                {
                    "store": store,
                    "set": copy.set,
                    "taken_at": copy.taken_at.isoformat(),
                    "expires_on": copy.last_day.isoformat(),
                }
                for copy in vault.copies()
            ]
    except StoreError as error:
        return [{"store": store, "not_known": str(error)}]
