"""Searching the registry's files by value: manifests, notes, and what lies inside artifacts."""

from __future__ import annotations

import ast
import codecs
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from erasure.domain.needles import Matcher

_CHUNK = 1 << 20
_OVERLAP = 1 << 12  # longer than any name or address
_NPY = b"\x93NUMPY"
_MAX_HEADER = 1 << 16


def needles_in(path: Path, needles: Matcher) -> set[int]:
    """Indexes of the needles in a file; in an archive, in its members and their names."""
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            return _in_stream(file, needles)
        hits: set[int] = set()
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                hits |= needles.found_in(name)
                with archive.open(name) as member:
                    hits |= _in_stream(member, needles)
        return hits


def _in_stream(file: IO[bytes], needles: Matcher) -> set[int]:
    head = file.read(len(_NPY))
    if head == _NPY:
        return {hit for text in _npy_texts(file) for hit in needles.found_in(text)}
    hits: set[int] = set()
    for text, first, last in _pieces(file, head):
        hits |= _inside(text, needles, first=first, last=last)
    return hits


def _pieces(file: IO[bytes], head: bytes) -> Iterator[tuple[str, bool, bool]]:
    """The content as text in overlapping pieces; whether each is the first and the last."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text, first = decoder.decode(head), True
    while chunk := file.read(_CHUNK):
        text += decoder.decode(chunk)
        yield text, first, False
        first = first and len(text) <= _OVERLAP
        text = text[-_OVERLAP:]
    yield text + decoder.decode(b"", final=True), first, True


def _inside(text: str, needles: Matcher, *, first: bool, last: bool) -> set[int]:
    """Needles that do not touch a cut: there the next letter is not known, and the neighbouring
    piece has them whole."""
    if not needles.found_in(text):
        return set()
    return {
        m.needle
        for m in needles.matches(text)
        if (first or m.start > 0) and (last or m.end < len(text))
    }


def _npy_texts(file: IO[bytes]) -> Iterator[str]:
    """The items of a NumPy array of strings; numbers hold no text.

    The header is that of numpy.lib.format: two version bytes, its length, a Python literal.
    """
    version = file.read(2)
    length = int.from_bytes(file.read(2 if version[:1] == b"\x01" else 4), "little")
    header = _literal(file.read(min(length, _MAX_HEADER)))
    kind, encoding, width = _string_type(str(header.get("descr", "")))
    if kind:
        for item in iter(lambda: file.read(width), b""):
            yield item.decode(encoding, errors="replace").rstrip("\0")


def _literal(text: bytes) -> dict[str, Any]:
    try:
        found = ast.literal_eval(text.decode("latin-1").strip())
    except (ValueError, SyntaxError):
        return {}
    return found if isinstance(found, dict) else {}


def _string_type(descr: str) -> tuple[str, str, int]:
    """Kind, encoding and bytes per item of ``<U26`` or ``|S26``; ("", "", 0) for other types."""
    order, kind, size = descr[:1], descr[1:2], descr[2:]
    if not size.isdecimal() or size == "0":
        return "", "", 0
    if kind == "U":
        return kind, "utf-32-be" if order == ">" else "utf-32-le", int(size) * 4
    return (kind, "utf-8", int(size)) if kind == "S" else ("", "", 0)
