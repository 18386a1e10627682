"""What was met already, in bounded memory: keyed digests, many of them in a file without a name.

Keys are personal. What is written is a digest of each under a key that this process alone has, so
that nothing can be read from what is left on a disk; the file has no name, and is gone with the
process, however that ends.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b

from erasure.domain.errors import StoreError

FEW = 50_000  # so many are kept in memory, and written together
_SIZE = 16  # bytes: of a thousand million no two are alike
_CACHE = 4_096  # kB
_MADE = "CREATE TABLE met (digest BLOB PRIMARY KEY, what INTEGER NOT NULL) WITHOUT ROWID"
_GET = "SELECT digest, what FROM met WHERE digest IN ({})"
_ASKED = 500  # at once
_PUT = "INSERT INTO met VALUES (?, ?) ON CONFLICT DO UPDATE SET what = excluded.what"


class Met:
    """Numbers by what they are about, which is told as some texts. Raises StoreError where the
    disk is full."""

    def __init__(self) -> None:
        self._hashed = blake2b(digest_size=_SIZE, key=os.urandom(32))
        self._few: dict[bytes, int] = {}
        self._file: sqlite3.Connection | None = None

    def digest(self, *about: str) -> bytes:
        """What stands for some texts."""
        hashed = self._hashed.copy()
        hashed.update(repr(about).encode())  # in which no two are written alike
        return hashed.digest()

    def numbers(self, digests: Sequence[bytes]) -> list[int | None]:
        """Each one's number; None for what was never met."""
        few = self._few
        if self._file is None:
            return [few.get(one) for one in digests]
        # In order: what is near each other in the file is read together.
        missing = sorted({one for one in digests if one not in few})
        found = dict(_read(self._file, missing))
        return [few[one] if one in few else found.get(one) for one in digests]

    def put(self, pairs: Iterable[tuple[bytes, int]]) -> None:
        """Note them; the latest of each counts."""
        self._few.update(pairs)
        if len(self._few) >= FEW:
            self._write()

    def first(self, digests: Sequence[bytes]) -> list[bool]:
        """Which of them were never met; from now on they were."""
        numbers = self.numbers(digests)
        new: dict[bytes, int] = {}
        for place, (one, number) in enumerate(zip(digests, numbers, strict=True)):
            if number is None:
                new.setdefault(one, place)
        self.put(dict.fromkeys(new, 0).items())
        return [new.get(one) == place for place, one in enumerate(digests)]

    def _write(self) -> None:
        if self._file is None:
            self._file = _unnamed()
            weakref.finalize(self, self._file.close)
        with _told(), self._file:
            self._file.executemany(_PUT, sorted(self._few.items()))
        self._few = {}


def _unnamed() -> sqlite3.Connection:
    """A database that SQLite keeps in a file without a name."""
    file = sqlite3.connect("")
    for said in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE}"):
        file.execute(f"PRAGMA {said}")
    file.execute(_MADE)
    return file


def _read(file: sqlite3.Connection, digests: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    with _told():
        for at in range(0, len(digests), _ASKED):
            some = digests[at : at + _ASKED]
            yield from file.execute(_GET.format(", ".join("?" * len(some))), some)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        raise StoreError(
            "temporary files",
            "cannot be written; make room where TMPDIR says, then try again",
            permanent=False,
        ) from None
