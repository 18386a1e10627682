"""What every certificate of a run says alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from erasure.models import Run, StoreRun, StoreScan, UndoWindow
from lineage import selectors
from lineage.graph import StoreEntry
from lineage.prepared import Prepared, Slot

_STORES = Prepared(lambda: StoreRun.objects.filter(run=Slot("run")))
_SCANS = Prepared(lambda: StoreScan.objects.filter(run=Slot("run")).order_by("store"))
_WINDOWS = Prepared(lambda: UndoWindow.objects.filter(run=Slot("run")).exclude(closed_at=None))


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What every certificate of a run says alike, read once however many people are in it."""

    run: Run
    stores: Mapping[str, StoreRun]
    scans: Mapping[str, StoreScan]
    scope: Mapping[str, Any]
    entries: Sequence[StoreEntry]
    windows: Mapping[UUID, datetime]


def facts_of(run: Run) -> RunFacts:
    """Read the facts of a run that has been verified."""
    return RunFacts(
        run=run,
        stores={s.store: s for s in _STORES.all(run=run.pk)},
        scans={s.store: s for s in _SCANS.all(run=run.pk)},
        entries=selectors.stores(),
        scope={**selectors.size(), "models": run.model_jobs.count()},
        windows={
            window.request_id: window.closed_at
            for window in _WINDOWS.all(run=run.pk)
            if window.closed_at
        },
    )
