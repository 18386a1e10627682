"""Reads the whole catalogue, once per revision, as values that everybody shares and nobody changes.

What was read last is held by the process: whoever asks again pays one statement, which tells
whether it is still true.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock

from lineage import loading, overlay, revision
from lineage.errors import CatalogueError
from lineage.snapshot import Snapshot

# Writers that are faster than a reader, again and again: what was read then is used, and not held.
TRIES = 5


@dataclass(frozen=True, kw_only=True)
class _Held:
    """The catalogue as people wrote it and with what was heard, each with its revision."""

    written_at: str
    written: Snapshot
    heard_at: str = ""
    whole: Snapshot | None = None


_lock = Lock()
_held: _Held | None = None


def written() -> Snapshot:
    """The catalogue as people wrote it, of one moment."""
    return _current(heard=False)


def whole() -> Snapshot:
    """The catalogue, with what lineage events told of everything downstream of people's data."""
    return _current(heard=True)


@dataclass
class _Steady:
    """The revision that was asked for inside :func:`steady`; None before, and once it was read
    anew."""

    at: tuple[str, str] | None = None


_steady: ContextVar[_Steady | None] = ContextVar("steady", default=None)


@contextmanager
def steady() -> Iterator[None]:
    """Whether the catalogue has changed is asked once inside: for one short piece of work, which is
    done with the catalogue as it was when it first looked."""
    if _steady.get() is not None:
        yield
        return
    token = _steady.set(_Steady())
    try:
        yield
    finally:
        _steady.reset(token)


def now() -> tuple[str, str] | None:
    """The catalogue's revision; inside :func:`steady` what it was when it was first asked for."""
    inside = _steady.get()
    if inside is None:
        return revision.current()
    inside.at = inside.at or revision.current()
    return inside.at


def look_again() -> None:
    """What is steady has gone: ask for the revision anew."""
    if inside := _steady.get():
        inside.at = None


def held() -> Snapshot | None:
    """The whole, where this process has read it and it is still true; one statement."""
    return _known(now(), heard=True)


def held_written() -> Snapshot | None:
    """The catalogue as people wrote it, where this process has read it and it is still true."""
    return _known(now(), heard=False)


def _current(*, heard: bool) -> Snapshot:
    known = _known(now(), heard=heard)
    if known is not None:
        return known
    look_again()
    with _lock:  # one thread reads; the others find it
        return _read(heard=heard)


def _known(at: tuple[str, str] | None, *, heard: bool) -> Snapshot | None:
    held = _held
    if at is None or held is None or held.written_at != at[0]:
        return None
    if not heard:
        return held.written
    return held.whole if held.heard_at == at[1] else None


def _read(*, heard: bool) -> Snapshot:
    """Again until nobody wrote meanwhile: only what is of one moment is held."""
    found: Snapshot | None = None
    for _ in range(TRIES):
        at = revision.current()
        known = _known(at, heard=heard)
        if known is not None:
            return known
        try:
            base = _known(at, heard=False) or loading.everything()
            found = overlay.overlaid(base) if heard else base
        except KeyError:
            continue  # a row that refers to one that is not there yet, or any more
        after = revision.current()
        if at == after:
            break
        if at and after and at[0] == after[0]:
            _hold(at, base, None)
    if found is None:
        raise CatalogueError("catalogue", "it is being changed all the time; try again")
    if at == after:
        _hold(at, base, found if heard else None)
    return found


def _hold(at: tuple[str, str] | None, base: Snapshot, found: Snapshot | None) -> None:
    global _held
    if at is not None:
        _held = _Held(written_at=at[0], written=base, heard_at=at[1], whole=found)
