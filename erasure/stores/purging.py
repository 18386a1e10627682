"""Physical removal after steps, also from where rows have gone along with theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, runtime_checkable

from erasure.domain.steps import Step
from erasure.stores.base import Purged, Store
from lineage.graph import Dataset


@runtime_checkable
class PurgesAlong(Protocol):
    """A store in which rows go along with others."""

    def purge_along(self, datasets: Sequence[Dataset], codes: Collection[str]) -> Purged:
        """As ``purge``, and where these cascades may have left something."""


def purge_after(store: Store, steps: Iterable[Step]) -> Purged:
    """Purge what the steps have deleted there. What was accepted to go along counts whether or not
    any was met: who was killed between a deletion and its receipt has not counted it."""
    listed = list(steps)
    datasets = [step.dataset for step in listed]
    codes = {code for step in listed for code in step.along}
    if codes and isinstance(store, PurgesAlong):
        return store.purge_along(datasets, codes)
    return store.purge(datasets)
