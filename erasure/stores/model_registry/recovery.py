"""Trying to get a removed version back: by name, by path, by its bytes anywhere in the store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from erasure.domain.errors import StoreError
from erasure.stores.model_registry import artifact
from erasure.stores.model_registry.folder import ARTIFACT, ModelFolder
from erasure.stores.model_registry.replacing import holders


def still_there(folder: ModelFolder, people: frozenset[str]) -> list[str]:
    """Why the people are not out of the model, in words without values; empty when they are."""
    found = [f"version {v} still has them in its training" for v in holders(folder, people)]
    if folder.leftovers():
        found.append("half-removed versions lie in the folder; run the step again")
    current = folder.current()
    if current is not None and current not in folder.versions():
        found.append("the pointer names a version that is not there")
    retired = folder.retired()
    found += [f"version {v} can still be loaded" for v in retired if _loads(folder, v)]
    live = {m.artifact for m in folder.manifests().values()}
    copies = _copies(folder.root, {d for d in retired.values() if d not in live})
    found += [f"a copy of a removed version lies at {path}" for path in copies]
    return found


def _loads(folder: ModelFolder, version: str) -> bool:
    path = folder.path / version
    if path.exists() or (path / ARTIFACT).exists():
        return True
    try:
        folder.load(version)
    except StoreError:
        return False
    return True


def _copies(root: Path, digests: Iterable[str]) -> list[str]:
    """Files anywhere under ``root`` that are, byte for byte, a removed artifact."""
    wanted = frozenset(digests)
    if not wanted:
        return []
    files = (p for p in sorted(root.rglob("*")) if p.is_file())
    return [p.relative_to(root).as_posix() for p in files if artifact.sha256(p) in wanted]
