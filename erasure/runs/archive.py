"""An export on our disk: a file in LETHE_HOME/exports, sealed in pieces under the case's key.

Nothing readable is ever written, not for a moment. A piece is bound to its place, and the last one
says that it is, so that a file that was cut or put together anew does not open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.conf import settings

from erasure import vault
from erasure.domain.errors import KeyDestroyed
from erasure.models import Export
from erasure.runs.lease import Fence

PIECE = 2**20
_LENGTH = 4
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[0-9]+")


def folder() -> Path:
    """Where exports lie."""
    return Path(settings.LETHE_HOME) / "exports"


class Sealing:
    """What a ZIP is written into: takes bytes, seals every full piece, cannot go back."""

    def __init__(self, export: Export, name: str, key: bytes, fence: Fence) -> None:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file = os.fdopen(os.open(folder() / name, flags, 0o600), "wb")
        self._label, self._key, self._fence = f"export:{export.id}:{name}", key, fence
        self._pending, self._pieces, self.size = bytearray(), 0, 0

    def write(self, data: bytes) -> int:
        """Take some bytes. Raises Fenced when somebody else has taken over."""
        self._pending += data
        self.size += len(data)
        while len(self._pending) > PIECE:
            self._seal(bytes(self._pending[:PIECE]), last=False)
            del self._pending[:PIECE]
        return len(data)

    def flush(self) -> None:
        """Nothing is half-written: a piece is sealed when it is full."""

    def finish(self) -> None:
        """Seal what is left; durable when this returns."""
        self._seal(bytes(self._pending), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._file.close()

    def _seal(self, piece: bytes, *, last: bool) -> None:
        self._fence.check()
        sealed = vault.seal(self._key, piece, label=_label(self._label, self._pieces, last))
        self._file.write((len(sealed) << 1 | last).to_bytes(_LENGTH, "big") + sealed)
        self._pieces += 1


def _label(label: str, piece: int, last: bool) -> str:
    return f"{label}:{piece}{':last' if last else ''}"


@contextmanager
def writing(export: Export, name: str, key: bytes, fence: Fence) -> Iterator[Sealing]:
    """A new file, whole when the block ends; what broke off is gone."""
    sealing = Sealing(export, name, key, fence)
    try:
        yield sealing
        sealing.finish()
    except BaseException:
        sealing.close()
        (folder() / name).unlink(missing_ok=True)
        raise


def reading(export: Export, key: bytes) -> Iterator[bytes]:
    """The archive, piece by piece. Raises KeyDestroyed for one that is gone, or not whole."""
    label, number, last = f"export:{export.id}:{export.file}", 0, False
    try:
        with (folder() / export.file).open("rb") as file:
            while not last:
                head = int.from_bytes(file.read(_LENGTH), "big")
                last = bool(head & 1)
                sealed = file.read(head >> 1)
                yield vault.unseal(key, sealed, label=_label(label, number, last))
                number += 1
    except (FileNotFoundError, ValueError):
        raise KeyDestroyed(f"export {export.id}: its file is gone; order another") from None


def remove(export_id: UUID) -> None:
    """Every file of an export, those of attempts that died too."""
    for path in folder().glob(f"{export_id}.*"):
        path.unlink(missing_ok=True)


def files() -> set[UUID]:
    """The exports of which there are files."""
    names = (_NAME.fullmatch(path.name) for path in folder().glob("*"))
    return {UUID(name[1]) for name in names if name}
