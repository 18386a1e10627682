"""Trying to get a removed version back: by name, by path, by its bytes anywhere in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    copies = _copies(folder, {d for d in retired.values() if d not in live})
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


def _copies(folder: ModelFolder, digests: Iterable[str]) -> list[str]:
    """Files anywhere under the root, or where a pipeline delivers, that are, byte for byte, a
    removed artifact."""
    wanted = frozenset(digests)
    if not wanted:
        return []
    found = [p.relative_to(folder.root) for p in _alike(folder.place, folder.root, wanted)]
    if (shared := folder.elsewhere) is not None:
        alike = _alike(folder.place, shared, wanted)
        found += [p.relative_to(shared.parent) for p in alike]
    return [p.as_posix() for p in found]


def _alike(place: str, root: Path, wanted: frozenset[str]) -> Iterator[Path]:
    """Raises StoreError for a file that cannot be read: it may be one."""
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        try:
            if artifact.sha256(path) in wanted:
                yield path
        except FileNotFoundError:
            continue  # somebody else's, that went while we looked
        except OSError as error:
            told = f"{path.name} cannot be read while copies are looked for: {error.strerror}"
            raise StoreError(place, f"{told}; let the trainer read it") from None
