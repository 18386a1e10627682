"""A version that is out of service does not load by its URI either: what it consists of lies
beside the folders that MLflow looks into, and can be laid back.

Only folders on this machine can be moved. The manifest stays, since it says who is in the version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from erasure.domain.errors import StoreError
from erasure.stores.model_registry.mlflow.client import Opened
from erasure.stores.model_registry.mlflow.versions import Place, beneath, local, siblings
from erasure.unlearning.logged import FOLDER

_SUFFIX = ".out-of-service"


def beside(folder: Path) -> Path:
    """Where the content of a folder, or that one file, lies while it is out of service."""
    return folder.with_name(folder.name + _SUFFIX)


def take(at: Opened, place: Place) -> str:
    """Lay a version's artifacts aside; each of them is moved at once or not at all, and a second
    call goes on. Returns why it still loads by its URI, empty where it does not."""
    if others := siblings(at, place):
        return f"still loads by its URI: its run also made {', '.join(others)}"
    if others := beneath(at, place):
        return f"still loads by its URI: it lies in one folder with {', '.join(others)}"
    if [uri for uri in place.folders if local(uri) is None]:
        told = "still loads by its URI: its artifacts are not on this machine; close access there"
    else:
        told = ""
    for folder in _outermost(place):
        _move(folder, beside(folder))
    return told


def lay_back(place: Place) -> None:
    """Undo :func:`take`."""
    for folder in _outermost(place):
        _move(beside(folder), folder)
        if beside(folder).is_dir():
            beside(folder).rmdir()


def _move(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    for path in sorted(source.iterdir()):
        if path.name == FOLDER:
            continue
        target.mkdir(mode=0o700, exist_ok=True)
        if (target / path.name).exists():
            raise StoreError(str(target), "holds one of that name already; look at both first")
        path.rename(target / path.name)


def _outermost(place: Place) -> Iterator[Path]:
    """Folders on this machine; what lies in another one of them moves with it."""
    found = [f for uri in place.folders if (f := local(uri)) is not None]
    yield from (f for f in found if not any(f != o and f.is_relative_to(o) for o in found))
