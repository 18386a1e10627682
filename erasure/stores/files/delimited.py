"""CSV: rows as the ``csv`` module reads them, kept rows as the bytes they were.

The first row is the header. The delimiter is the one of comma, semicolon, tab and bar that stands
most often in it. A row may span lines inside quotes. An empty cell is NULL. A cell such as
``42.0``, which tools write for an integer column with gaps, is also 42, unless the catalogue says
that the field is a string. The file must be UTF-8 where it is looked into.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, BinaryIO

from erasure.stores.objects import streams
from erasure.stores.objects.documents import Row
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.lines import Format, Record
from erasure.stores.objects.scanning import Clean, Look
from erasure.stores.objects.streams import Lines
from lineage.schema import Column

_DELIMITERS = ",;\t|"
_BOM = "\ufeff"
_WHOLE_FLOAT = re.compile(r"-?\d{1,20}\.0+")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Fault("is not UTF-8; convert it") from None


def delimiter_of(header: str) -> str:
    """The likeliest delimiter of a header line; a comma where there is none."""
    return max(_DELIMITERS, key=header.count)


def _cell(text: str) -> Any:
    if text == "":
        return None
    return Decimal(text) if _WHOLE_FLOAT.fullmatch(text) else text


class CsvReader:
    """Knows the header once it has read the first row."""

    def __init__(self) -> None:
        self.header: list[str] | None = None
        self._delimiter = ","

    def records(self, lines: Lines, maybe: Callable[[bytes], bool]) -> Iterator[Record]:
        """One record per row, which may be several lines, and one for many that cannot match;
        blank lines are no rows."""
        for block in lines.blocks():
            if self.header is not None and b'"' not in block and not maybe(block):
                yield Record(block, data=not block.isspace())
                continue
            for raw in lines.lines():
                yield self._record(raw, lines, maybe)

    def _record(self, raw: bytes, lines: Lines, maybe: Callable[[bytes], bool]) -> Record:
        if self.header is None:
            return Record(raw, data=False) if raw.isspace() else self._begin(raw, lines)
        if b'"' not in raw and not maybe(raw):
            return Record(raw, data=not raw.isspace())
        whole, cells = self._row(raw, lines)
        return Record(whole, self._named(cells) if cells else None, data=bool(cells))

    def _begin(self, raw: bytes, stream: Iterator[bytes]) -> Record:
        self._delimiter = delimiter_of(_text(raw))
        whole, cells = self._row(raw, stream)
        self.header = [c.removeprefix(_BOM) for c in cells]
        if len(set(self.header)) != len(self.header):
            raise Fault("names a column twice; rename one")
        return Record(whole, data=False)

    def _row(self, raw: bytes, stream: Iterator[bytes]) -> tuple[bytes, list[str]]:
        """The bytes and cells of the row that begins with this line."""
        taken: list[bytes] = []

        def texts() -> Iterator[str]:
            for line in itertools.chain([raw], stream):
                taken.append(line)
                yield _text(line)

        try:
            cells = next(csv.reader(texts(), delimiter=self._delimiter), [])
        except csv.Error:
            raise Fault("is not CSV as its header has it; check the quotes") from None
        return b"".join(taken), cells

    def _named(self, cells: list[str]) -> Row:
        # A row that is too long keeps its further cells under names that nobody can declare.
        names = itertools.chain(self.header or (), (f"(cell {n})" for n in itertools.count(1)))
        return {name: _cell(cell) for name, cell in zip(names, cells, strict=False)}

    def render(self, record: Record, row: Row, scrub: Callable[[str], str]) -> bytes:
        """The row with its quotes and line end in the manner of the one it replaces."""
        first, *rest = io.BytesIO(record.raw)
        whole, cells = self._row(first, iter(rest))
        before = self._named(cells)
        after = [
            old if row[name] is before[name] or row[name] == before[name] else _written(row[name])
            for name, old in zip(before, cells, strict=True)
        ]
        every = whole.count(b'"') >= 2 * len(cells)
        made = io.StringIO()
        csv.writer(
            made,
            delimiter=self._delimiter,
            lineterminator="",
            quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL,
        ).writerow(after)
        return made.getvalue().encode() + streams.ending(record.raw)


def _written(value: Any) -> str:
    return "" if value is None else str(value)


def _columns(stream: BinaryIO) -> list[Column]:
    reader = CsvReader()
    for _ in itertools.islice(reader.records(Lines(stream), lambda _: True), 1):
        break
    return [Column(name=name, data_type="string") for name in reader.header or ()]


def _anchor(fields: Sequence[bytes], values: Sequence[bytes]) -> bytes:
    """One of the values alone in a cell."""
    found = rb'(?:^|[,;|"\s])(?:%s)(?:\.0+)?(?=[,;|"\s]|$)'
    return found % b"|".join(values)


CSV = Format(
    name="csv", reader=CsvReader, columns=_columns, quotes='"\n\r', anchor=_anchor, fixed=True
)


def looks(stream: BinaryIO, clean: Clean) -> Iterator[Look]:
    """Every row for a scan, header included. What is no CSV is searched line by line."""
    header: list[str] = []
    delimiter = ","
    lines = Lines(stream)
    for block in lines.blocks():
        if header and b'"' not in block and clean(streams.decoded(block)[0]):
            yield Look("", lambda: None, rows=block.count(b"\n"))
            continue
        for raw in lines.lines():
            text = streams.decoded(raw)[0]
            delimiter = delimiter if header else delimiter_of(text)
            cells = _cells(text, lines, delimiter)
            if header:
                yield Look("\x1f".join(cells), partial(_paired, header, cells))
            else:
                header = cells
                yield Look("\x1f".join(cells), lambda: None, rows=0)


def _cells(text: str, rest: Iterator[bytes], delimiter: str) -> list[str]:
    taken = [text]

    def texts() -> Iterator[str]:
        yield text
        for raw in rest:
            taken.append(streams.decoded(raw)[0])
            yield taken[-1]

    try:
        return next(csv.reader(texts(), delimiter=delimiter), [])
    except csv.Error:
        return ["".join(taken)]


def _paired(header: list[str], cells: list[str]) -> Row:
    names = itertools.chain(header, (f"(cell {n})" for n in itertools.count(1)))
    return {name: cell or None for name, cell in zip(names, cells, strict=False)}
