"""Taking versions out for good, for whatever reason: the record is kept, everything else goes, and
it is tried to get them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from erasure.domain.errors import StoreError
from erasure.stores.model_registry import replacing
from erasure.stores.model_registry.folder import EXEMPT, QUARANTINE, ModelFolder
from erasure.stores.model_registry.manifest import Manifest
from erasure.stores.model_registry.recovery import still_there


def record(found: Manifest) -> dict[str, Any]:
    """What is kept of a version: figures, digests and counts, never a row and nobody's hash."""
    return {
        "version": found.version,
        "trained_at": found.trained_at,
        "recipe": found.recipe,
        "seed": found.seed,
        "family": found.family,
        "people": len(found.people),
        "people_root": found.people_root,
        "data": found.data,
        "artifact": found.artifact,
        "metrics": {name: f"{value:.6f}" for name, value in found.metrics.items()},
    }


def retire(folder: ModelFolder, versions: Collection[str]) -> dict[str, Any]:
    """1. the record is taken, 2. nothing is served any more that goes, 3. the versions go, 4. it
    is tried to load each by its name and to find a copy of its bytes, 5. the folder is listed.

    Returns what was done, for the ledger. Raises StoreError for a version that is not there, and
    where one comes back. May be run again after a crash: what has gone stays gone.
    """
    with folder.locked():
        folder.sweep()
        present = folder.manifests()
        if missing := set(versions) - present.keys() - folder.retired().keys():
            raise StoreError(folder.place, f"there is no version {', '.join(sorted(missing))}")
        gone = {v: m for v, m in present.items() if v in versions}
        kept = [record(found) for found in gone.values()]
        if folder.current() in gone:
            folder.point(None)
        folder.remove(gone)
        for name, lines in ((QUARANTINE, folder.quarantined()), (EXEMPT, folder.exempt())):
            folder.note(name, replacing.without(lines, gone))
        attempts = _attempts(folder, versions)
    return {"record": kept, "recovery": attempts, "left": folder.versions()}


def _attempts(folder: ModelFolder, versions: Collection[str]) -> Mapping[str, str]:
    """Every way back, and that it leads nowhere. Raises StoreError for one that does not."""
    if back := still_there(folder, frozenset()):
        raise StoreError(folder.place, back[0])
    told = {}
    for version in sorted(versions):
        try:
            folder.load(version)
        except StoreError:
            told[version] = "not by name, not by path, no copy of its bytes in the store"
        else:
            raise StoreError(folder.place, f"version {version} can still be loaded")
    return told
