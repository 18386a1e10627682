"""Processes that tests start, and what happens to them at the end."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

_PR_SET_PDEATHSIG = 1
_library = ctypes.CDLL(None) if sys.platform == "linux" else None
_Kept = TypeVar("_Kept")
_ending = ExitStack()
_owner = os.getpid()


@atexit.register
def _end() -> None:
    # Not in a forked child that ends: the test process still uses them.
    if os.getpid() == _owner:
        _ending.close()


def until_the_end(what: AbstractContextManager[_Kept]) -> _Kept:
    """Enter it, and leave it when the test process ends."""
    return _ending.enter_context(what)


def ends_with_us() -> None:
    """In a child before it becomes a server: it is killed when the thread that started it ends,
    however that comes; so let the main thread start it. Where the system has no such thing, only
    an orderly end stops the server."""
    if _library is not None:
        _library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
