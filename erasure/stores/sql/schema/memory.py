"""Schemas remembered within a process, so that one that has not changed is not read again.

An entry holds while the engine's own version of the schema is the same, and for no longer than
``AGE``: what is beside the schema (estimated rows, the size) grows old too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

SIZE = 64
AGE = 300.0
T = TypeVar("T")


@dataclass(frozen=True)
class _Entry(Generic[T]):
    version: str
    read_at: float
    value: T


class Remembered(Generic[T]):
    """At most ``size`` values, each for one version; safe between threads."""

    def __init__(
        self, size: int = SIZE, age: float = AGE, clock: Callable[[], float] = monotonic
    ) -> None:
        self._size, self._age, self._clock = size, age, clock
        self._entries: dict[Hashable, _Entry[T]] = {}
        self._lock = Lock()

    def get(self, key: Hashable, version: str | None, read: Callable[[], T]) -> T:
        """The value of that version, read where it is not known. ``version`` is taken before
        reading, so that a change between the two is seen the next time; None: nobody knows."""
        if version is None:
            return read()
        with self._lock:
            entry = self._entries.get(key)
        now = self._clock()
        if entry is not None and entry.version == version and now - entry.read_at < self._age:
            return entry.value
        value = read()
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(version, now, value)
            while len(self._entries) > self._size:
                del self._entries[next(iter(self._entries))]
        return value


def address_key(url: str) -> str:
    """A url as a key that does not keep its password."""
    return hashlib.sha256(url.encode()).hexdigest()
