"""Lineage events from files: one JSON object, an array of them, or one on every line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lineage import hearing, intake
from lineage.errors import CatalogueError

_PART = 500


def hear(paths: Iterable[str]) -> int:
    """Store the events of these files and learn from them; returns how many there were. Raises
    CatalogueError at the first that cannot be read; those before it are stored, and giving the
    files again does no harm."""
    total = 0
    for path in paths:
        for part in _parts(_events(path)):
            taken = intake.take([plain for _, plain in part])
            if taken.refused:
                index, reason = taken.refused[0]
                raise CatalogueError(part[index][0], reason)
            total += len(part)
    hearing.learn()
    return total


def _events(path: str) -> Iterator[tuple[str, Any]]:
    """Events with their places."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogueError(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise CatalogueError(path, "is not written in UTF-8") from None
    whole = _json(text)
    if isinstance(whole, list):
        yield from ((f"{path}[{n}]", one) for n, one in enumerate(whole))
    elif whole is not None:
        yield path, whole
    else:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield f"{path}:{number}", _line(line, f"{path}:{number}")


def _line(line: str, place: str) -> Any:
    plain = _json(line)
    if plain is None:
        raise CatalogueError(place, "is no JSON; an event is one object")
    return plain


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parts(events: Iterator[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    part: list[tuple[str, Any]] = []
    for one in events:
        part.append(one)
        if len(part) == _PART:
            yield part
            part = []
    if part:
        yield part
