"""Processes that tests start."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_library = ctypes.CDLL(None) if sys.platform == "linux" else None


def ends_with_us() -> None:
    """In a child before it becomes a server: it is killed when the thread that started it ends,
    however that comes; so let the main thread start it. Where the system has no such thing, only
    an orderly end stops the server."""
    if _library is not None:
        _library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
