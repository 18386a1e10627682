"""Lines for people: plain text, logfmt, and the combined format of web servers.

Rows of these formats have, beside their fields, one field ``(line)`` with the whole line. Text is
redacted in the whole line, timestamps excepted; a changed field takes the place of the old one in
the line and nothing else of it moves. A line of another shape has only ``(line)``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from erasure.stores.objects import streams
from erasure.stores.objects.documents import Row
from erasure.stores.objects.lines import Format, Record
from erasure.stores.objects.matching import LINE
from erasure.stores.objects.streams import Lines
from lineage.schema import Column

Span = tuple[int, int]
# Field → its values with their places in the line; several where a field is named again.
Fields = list[tuple[str, str, Span]]
_SAMPLE = 200  # lines that inspection looks at

_STAMP = re.compile(
    r"\[\d{2}/\w{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}\]"
    r"|\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?"
)
_PAIR = re.compile(r'([^\s="]+)=("(?:\\.|[^"\\])*"|[^\s"]*)')
_COMBINED = re.compile(
    r"(?P<host>\S+) (?P<ident>\S+) (?P<user>.*?) \[(?P<time>[^\]]*)\] "
    r'"(?:(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<protocol>[^"\s]+))?'
    r'|(?P<request>(?:\\.|[^"\\])*))" '
    r"(?P<status>\d{3}|-) (?P<size>\d+|-)"
    r'(?: "(?P<referer>(?:\\.|[^"\\])*)" "(?P<agent>(?:\\.|[^"\\])*)")?'
)


def no_fields(text: str) -> Fields:
    """Plain text has none."""
    return []


def logfmt_fields(text: str) -> Fields:
    """``key=value`` pairs; a quoted value stands without its quotes and escapes."""
    found: Fields = []
    for match in _PAIR.finditer(text):
        value = match[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.append((match[1], value, match.span(2)))
    return found


def combined_fields(text: str) -> Fields:
    """Host, user, request and the rest of a common or combined access log line."""
    match = _COMBINED.match(text)
    if match is None:
        return []
    return [
        (name, value, match.span(name))
        for name, value in match.groupdict().items()
        if value is not None
    ]


def row_of(text: str, fields: Fields) -> dict[str, Any]:
    """The row of a line. ``-`` and nothing are NULL; a field named again holds a list."""
    row: dict[str, Any] = {}
    for name, value, _ in fields:
        plain = None if value in ("", "-") else value
        if name in row:
            row[name] = [*(row[name] if isinstance(row[name], list) else [row[name]]), plain]
        else:
            row[name] = plain
    row[LINE] = text
    return row


def scrubbed(text: str, scrub: Callable[[str], str]) -> str:
    """The text redacted everywhere but in its timestamps."""
    pieces, last = [], 0
    for match in _STAMP.finditer(text):
        pieces += [scrub(text[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*pieces, scrub(text[last:])])


class TextReader:
    """One line, one row; the line's own fields come from ``fields``."""

    def __init__(self, fields: Callable[[str], Fields], quoted: bool) -> None:
        self._fields = fields
        self._quoted = quoted

    def records(self, lines: Lines, maybe: Callable[[bytes], bool]) -> Iterator[Record]:
        """One record per line that may match, and one for many that cannot."""
        for block in lines.blocks():
            if not maybe(block):
                yield Record(block)
                continue
            for raw in lines.lines():
                yield Record(raw) if raw.isspace() or not maybe(raw) else self._record(raw)

    def _record(self, raw: bytes) -> Record:
        text, _ = _split(raw)
        fields = self._fields(text)
        shapeless = not fields and self._fields is not no_fields
        return Record(raw, None if shapeless else row_of(text, fields), broken=shapeless)

    def render(self, record: Record, row: Row, scrub: Callable[[str], str]) -> bytes:
        """The line with changed fields in their places, then redacted if its text changed."""
        text, encoding = _split(record.raw)
        fields = self._fields(text)
        before = row_of(text, fields)
        seen: dict[str, int] = {}
        made, last = [], 0
        for name, _, (start, end) in sorted(fields, key=lambda f: f[2]):
            index = seen[name] = seen.get(name, -1) + 1
            old, new = _item(before[name], index), _item(row.get(name), index)
            if new != old:
                made += [text[last:start], self._written(new, text[start:end])]
                last = end
        whole = "".join([*made, text[last:]])
        if row.get(LINE) != before[LINE]:
            whole = scrubbed(whole, scrub)
        return whole.encode(encoding) + streams.ending(record.raw)

    def _written(self, value: Any, old: str) -> str:
        text = "-" if value is None else str(value)
        if not self._quoted or not (old.startswith('"') or re.search(r'[\s"=]', text)):
            return text
        return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _item(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) else value


def _split(raw: bytes) -> tuple[str, str]:
    """The text without its line end, and its encoding."""
    return streams.decoded(raw[: len(raw) - len(streams.ending(raw))])


def _format(name: str, fields: Callable[[str], Fields], *, quoted: bool = False) -> Format:
    def columns(stream: BinaryIO) -> list[Column]:
        found: dict[str, None] = {}
        for raw in itertools.islice(Lines(stream), _SAMPLE):
            found.update(dict.fromkeys(f for f, _, _ in fields(_split(raw)[0])))
        return [Column(name=f, data_type="string") for f in found or ("line",)]

    return Format(
        name=name,
        reader=lambda: TextReader(fields, quoted),
        columns=columns,
        # A backslash can stand before any character of a quoted value.
        escapes=b"\\",
        textual=True,
        schemaless=True,
    )


FORMATS: Mapping[str, tuple[Format, Callable[[str], Fields]]] = {
    "text": (_format("text", no_fields), no_fields),
    "logfmt": (_format("logfmt", logfmt_fields, quoted=True), logfmt_fields),
    "combined": (_format("combined", combined_fields), combined_fields),
}
