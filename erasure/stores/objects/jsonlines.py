"""JSON lines: one JSON object per line.

A line that is no JSON object, or names a field twice (a parser keeps only the last, so the first
would be hidden), or is not UTF-8, is unreadable: it stays byte for byte unless a needle stands in
it, and then the needle is redacted as in plain text.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from erasure.stores.objects import streams
from erasure.stores.objects.documents import Row
from erasure.stores.objects.lines import Format, Record
from erasure.stores.objects.streams import Lines
from lineage.schema import Column

_SAMPLE = 200  # lines that inspection looks at
_BOM = b"\xef\xbb\xbf"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field is named twice")
    return made


def parse(raw: bytes) -> dict[str, Any] | None:
    """The object in a line; None where the line is unreadable."""
    try:
        made = json.loads(raw.removeprefix(_BOM).decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return made if isinstance(made, dict) else None


class JsonReader:
    """Parses only the lines that the prefilter lets through."""

    def records(self, lines: Lines, maybe: Callable[[bytes], bool]) -> Iterator[Record]:
        """One record per line that may match, and one for many that cannot."""
        for block in lines.blocks():
            if not maybe(block):
                yield Record(block)
                continue
            for raw in lines.lines():
                if not maybe(raw) or raw.isspace():
                    yield Record(raw)
                else:
                    row = parse(raw)
                    yield Record(raw, row, broken=row is None)

    def render(self, record: Record, row: Row, scrub: Callable[[str], str]) -> bytes:
        """The row in the manner of the line it replaces: spacing, escapes and line end."""
        body = record.raw.removeprefix(_BOM)
        spaced = b'": ' in body
        separators = (", ", ": ") if spaced else (",", ":")
        escaped = body.isascii() or b"\\ud" in body.lower()  # half a surrogate has no UTF-8
        text = json.dumps(row, ensure_ascii=escaped, separators=separators, default=str)
        mark = _BOM if record.raw.startswith(_BOM) else b""
        return mark + text.encode() + streams.ending(record.raw)


def _columns(stream: BinaryIO) -> list[Column]:
    """Fields of the first lines, nested ones by dotted path; the first type seen counts."""
    found: dict[str, str] = {}
    for raw in itertools.islice(Lines(stream), _SAMPLE):
        for name, kind in _fields(parse(raw) or {}):
            if found.get(name, "null") == "null":
                found[name] = kind
    return [Column(name=name, data_type=kind) for name, kind in found.items()]


def _fields(row: Any, path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in row.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            yield from _fields(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
            for item in value:
                yield from _fields(item if isinstance(item, dict) else {}, f"{name}.")
        else:
            yield name, _TYPES.get(type(value), "null")


def _anchor(fields: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    """A field's name, and one of the values right after it; a list may hold it further on."""
    names = b"|".join(name.rpartition(b".")[2] for name in fields)
    found = rb'"(?:%s)"\s*:\s*(?:"(?:\s|\\[nrtf])*)?(?:\[|-?(?:%s)(?![0-9]))'
    return found % (names, b"|".join(values))


JSONL = Format(
    name="jsonl",
    reader=JsonReader,
    columns=_columns,
    escapes=b"\\u",
    quotes='"\\/',
    anchor=_anchor,
    schemaless=True,
)
