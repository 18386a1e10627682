"""Files that are whole or not there: written aside, forced to the disk, then moved into place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write ``path`` (mode 0600, folders 0700), replacing what stood there, as one step."""
    with _aside(path, data) as written:
        os.replace(written, path)
        _force_folder(path.parent)


def create_once(path: Path, data: bytes) -> bool:
    """Write ``path`` unless it is there. True when this call made it; of two that race, one."""
    if path.exists():
        return False
    with _aside(path, data) as written:
        try:
            os.link(written, path)
        except FileExistsError:
            return False
        _force_folder(path.parent)
    return True


@contextmanager
def _aside(path: Path, data: bytes) -> Iterator[str]:
    """A finished temporary file beside ``path``; removed if it is still there afterwards."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


def _force_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
