"""Requests from a CSV file: read a line at a time, and checked whole before any is recorded.

The first line names the columns: identity kinds of the catalogue, and if wanted ``law``,
``channel``, ``received`` (a day, YYYY-MM-DD), ``asked_by`` and ``child`` (yes or no). Faults name
the line and the column, never what stands there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from erasure.domain import clocks
from erasure.domain.clocks import LAWS
from erasure.domain.errors import UsageError
from erasure.domain.identity import ASKERS, Asker
from erasure.runs import clock
from erasure.runs import given as pairs
from lineage import selectors

CHANNELS = ("phone", "post", "person", "email")
_CHOICES = {"law": LAWS, "channel": CHANNELS, "asked_by": ASKERS, "child": ("yes", "no")}
_OTHERS = (*_CHOICES, "received")
FAULTS = 50  # so many are told of


@dataclass(frozen=True, kw_only=True)
class Line:
    """One person's request, as it stands in the file."""

    number: int
    identifiers: Sequence[tuple[str, str]]
    law: str = "gdpr"
    channel: str = "email"
    received: datetime | None = None
    asked_by: Asker = "self"
    child: bool = False


@dataclass(frozen=True)
class Fault:
    """Why a line cannot be taken."""

    number: int
    why: str


def lines(path: Path, encoding: str) -> Iterator[Line | Fault]:
    """Every line after the first, or what is wrong with it. Raises UsageError for a file that
    cannot be read, and for a first line that names no identity or something unknown."""
    _refuse_encoding(encoding)
    try:
        with path.open("rb") as file:
            texts = _decoded(file, encoding)
            rows = csv.reader(texts, strict=True)
            first = _next(rows)
            if isinstance(first, Fault):
                raise UsageError(f"line 1: {first.why}")
            header = _header(first or [])
            while (read := _next(rows)) is not None:
                number = texts.number
                if isinstance(read, Fault):
                    yield read
                    return  # after a broken quote no line can be told from the next
                if texts.bad:
                    yield Fault(number, f"is not {encoding}; save the file in one encoding")
                    texts.bad = False
                elif any(cell.strip() for cell in read):
                    yield _line(number, header, read)
    except OSError as error:
        raise UsageError(f"{path.name}: cannot be read ({error.strerror})") from None


def _refuse_encoding(name: str) -> None:
    """Lines end with the byte of a newline: an encoding in which that is something else, as in
    UTF-16, cannot be read by them. Raises UsageError."""
    try:
        ends = "\n".encode(name)
    except (LookupError, UnicodeError):
        raise UsageError(f"--encoding: '{name}' is not known; try utf-8 or cp1252") from None
    if ends != b"\n":
        raise UsageError("--encoding: is not read by lines; save the file as utf-8")


class _decoded:  # noqa: N801 - an iterator, used like a generator that can be asked
    """Lines as text. One that is not in the encoding is told of and its bytes are replaced."""

    def __init__(self, file: Any, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self.number, self.bad = 0, False

    def __iter__(self) -> _decoded:
        return self

    def __next__(self) -> str:
        raw = next(self._file)
        self.number += 1
        try:
            text = str(raw.decode(self._encoding))
        except UnicodeDecodeError:
            self.bad = True
            text = str(raw.decode(self._encoding, errors="replace"))
        return text.removeprefix("\ufeff") if self.number == 1 else text


def _next(rows: Any) -> list[str] | Fault | None:
    try:
        return next(rows, None)
    except csv.Error:
        return Fault(
            rows.line_num, "is no CSV: a quote is not closed, a cell is too long, or it holds NUL"
        )


def _header(names: Sequence[str]) -> list[str]:
    header, kinds = [name.strip() for name in names], selectors.identity_kinds()
    unknown = [n for n in header if n not in kinds and n not in _OTHERS]
    if unknown or len(set(header)) < len(header):
        known = ", ".join((*kinds, *_OTHERS))
        raise UsageError(f"line 1: names an unknown column, or one twice; known are: {known}")
    if not set(header) & set(kinds):
        raise UsageError(f"line 1: names no identity; known are: {', '.join(kinds) or 'none'}")
    return header


def _line(number: int, header: Sequence[str], cells: Sequence[str]) -> Line | Fault:
    if len(cells) != len(header):
        return Fault(number, f"has {len(cells)} cells, not {len(header)}")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    for name, allowed in _CHOICES.items():
        if row.get(name, allowed[0]) not in allowed:
            return Fault(number, f"{name}: must be one of {', '.join(allowed)}")
    try:
        received = _day(row.get("received", ""))
        given = pairs.tidied([(n, v) for n, v in row.items() if n not in _OTHERS])
    except UsageError as error:
        return Fault(number, str(error))
    asked_by: Any = row.get("asked_by", "self")
    return Line(
        number=number,
        identifiers=given,
        law=row.get("law", "gdpr"),
        channel=row.get("channel", "email"),
        received=received,
        asked_by=asked_by,
        child=row.get("child") == "yes",
    )


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError("received: must be a day like 2026-11-20") from None
    begins = clock.start_of(day)
    if begins:
        clocks.refuse_receipt(begins, timezone.now())
    return begins
