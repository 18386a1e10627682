"""One thread that renews what is held, every so many seconds.

It waits for the first of them to be due even where that ends before, so that one short job after
the other finds it there, and ends when nothing is held by then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from time import monotonic
from typing import Generic, TypeVar

Held = TypeVar("Held")


class Heart(Generic[Held]):
    """``renew`` is called every ``seconds()`` for each that is held, in another thread."""

    def __init__(self, renew: Callable[[Held], None], seconds: Callable[[], float]) -> None:
        self._renew, self._seconds = renew, seconds
        self._begin_anew()
        # A forked process has the thread's memory and not the thread.
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[int, tuple[float, Held]] = {}  # by the identity of what is held
        self._renewing: Held | None = None
        self._thread: threading.Thread | None = None
        self._wakes = 0.0  # when the thread looks again

    @contextmanager
    def beating(self, held: Held) -> Iterator[None]:
        """Renew it meanwhile; afterwards nothing is done about it any more."""
        with self._changed:
            due = monotonic() + self._seconds()
            self._due[id(held)] = (due, held)
            if self._thread is None or not self._thread.is_alive():
                self._wakes = due
                self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
                self._thread.start()
            elif due < self._wakes:
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(id(held), None)
                self._changed.wait_for(lambda: self._renewing is not held)

    def _beat(self) -> None:
        with self._changed:
            while self._due or monotonic() < self._wakes:
                if self._due:
                    self._wakes, held = min(self._due.values(), key=itemgetter(0))
                    if self._wakes <= monotonic():
                        self._renew_now(held)
                        continue
                self._changed.wait(max(0.0, self._wakes - monotonic()))
            self._thread = None

    def _renew_now(self, held: Held) -> None:
        """Others may begin and end meanwhile; whoever holds it waits."""
        self._due[id(held)] = (monotonic() + self._seconds(), held)
        self._renewing = held
        self._changed.release()
        try:
            self._renew(held)
        finally:
            self._changed.acquire()
            self._renewing = None
            self._changed.notify_all()
