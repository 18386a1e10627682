"""The engine for formats of lines: search, rewrite and look at everything, one line in memory.

Lines that no step changes are copied as the bytes they are.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, Protocol

from erasure.stores.objects import streams, swap
from erasure.stores.objects.documents import Row
from erasure.stores.objects.edits import Edits
from erasure.stores.objects.engine import Opened
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.matching import LINE, Anchor, Query, Sight, Wanted
from erasure.stores.objects.streams import Lines
from lineage.schema import Column

_ATTEMPTS = 5


@dataclass(slots=True)
class Record:
    """One row as it stands in the file, or many that were passed over at once. ``row`` is None
    where it was passed over or, with
    ``broken``, could not be read; ``data`` is False for a header."""

    raw: bytes
    row: Row | None = None
    broken: bool = False
    data: bool = True


class Reader(Protocol):
    """Reads one file of a format; knows its header once it has read it."""

    def records(self, lines: Lines, maybe: Callable[[bytes], bool]) -> Iterator[Record]:
        """Every record in order. Raises Fault for what makes the whole file unreadable."""

    def render(self, record: Record, row: Row, scrub: Callable[[str], str]) -> bytes:
        """The record with another row in it; ``scrub`` redacts text that is in no field."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A line format. ``escapes``, ``quotes`` and ``anchor`` are those of ``Prefilter``; ``columns``
    describes the rows of a file from its beginning; ``fixed``: a field that is not there is an
    error, because every row has the same fields."""

    name: str
    reader: Callable[[], Reader]
    columns: Callable[[BinaryIO], list[Column]]
    escapes: bytes = b""
    quotes: str = ""
    anchor: Anchor | None = None
    fixed: bool = False
    textual: bool = False
    schemaless: bool = False


class LineEngine:
    """Search and rewrite objects of one line format."""

    def __init__(self, format_: Format) -> None:
        self.format = format_
        self.name = format_.name
        self.schemaless = format_.schemaless
        self.textual = format_.textual

    def columns(self, source: Opened) -> list[Column]:
        """The fields of an object, from its header or its first lines."""
        streams.refuse_wide(streams.head_of(source.file))
        return self.format.columns(streams.reader(source.file))

    def rows(self, source: Opened) -> int | None:
        """Unknown without reading everything."""
        return None

    def search(self, source: Opened, query: Query) -> Iterator[tuple[Row, list[Sight]]]:
        """Matching rows with the reasons; an unreadable line comes as an empty row."""
        for record in self._candidates(source, query):
            if record.row is None:
                sights = _in_broken(record, query)
            else:
                record.row = source.whole(record.row)
                sights = query.sights(record.row)
            if sights:
                yield record.row or {}, sights

    def read(self, source: Opened, field: str, also: Sequence[str]) -> Iterator[Row | None]:
        """Every row; None for a line that its format cannot read."""
        self._require(source, Query(equal={field: Wanted((), fold_case=False)}))
        for record in self.format.reader().records(_lines(source.file), lambda _: True):
            if record.row is not None:
                yield source.whole(record.row)
            elif record.broken:
                yield None

    def _candidates(self, source: Opened, query: Query) -> Iterator[Record]:
        self._require(source, query)
        return self.format.reader().records(_lines(source.file), self._prefilter(source, query))

    def _prefilter(self, source: Opened, query: Query) -> Callable[[bytes], bool]:
        if source.all_match(query):
            return lambda _: True
        return query.prefilter(
            escapes=self.format.escapes, quotes=self.format.quotes, anchor=self.format.anchor
        )

    def _require(self, source: Opened, query: Query) -> None:
        """A column that every row should have and none has would hide every match."""
        if self.format.fixed:
            names = {c.name for c in self.columns(source)}
            missing = [f for f in query.searched if f not in {*names, *source.virtual, LINE}]
            if names and missing:
                raise Fault(f"has no column {missing[0]}; correct the catalogue or the glob")

    def unsettled(self, source: Opened, edits: Edits) -> int:
        """How many rows the steps would still change; lets each step look at its rows."""
        edits.begin()
        reader = self.format.reader()
        self._require(source, edits.query)
        maybe = self._prefilter(source, edits.query)
        count = 0
        for record in reader.records(_lines(source.file), maybe):
            count += _after(record, reader, edits, source) != record.raw
        return count

    def empty(self, source: Opened) -> bool:
        """True when no record is a row."""
        records = self.format.reader().records(_lines(source.file), lambda _: False)
        return not any(r.data and not r.raw.isspace() for r in records)

    def rewrite(self, source: Opened, edits: Edits, *, preserve_times: bool) -> None:
        """Put the object's next version in its place.

        Raises a passing Fault when the object changes faster than it can be rewritten.
        """
        maybe = self._prefilter(source, edits.query)
        with swap.draft(source.path, source.file) as draft:
            for _ in range(_ATTEMPTS):
                draft.restart()
                copy = _Copy(self.format.reader(), source, edits, maybe)
                if copy.all(draft) and copy.swapped(draft, preserve_times=preserve_times):
                    copy.late()
                    return
        raise Fault("changes faster than it is rewritten; rotate it and run again", permanent=False)


class _Copy:
    """One attempt at the next version, which follows a plain file that grows.

    A pass reads no further than the file reached when it began, so that a busy writer cannot keep
    it for ever. Whole lines that were appended follow before the swap and, from the version that
    was replaced, after it. A file that shrank, changed in place, or went on with a half-written
    line is begun anew.
    """

    def __init__(
        self, reader: Reader, source: Opened, edits: Edits, maybe: Callable[[bytes], bool]
    ) -> None:
        self._reader = reader
        self._whole = source
        self._source = source.file
        self._edits = edits
        self._maybe = maybe
        self._plain = streams.codec_of(streams.head_of(source.file)) == "none"
        self._last = b"\n"
        self._seen = os.fstat(source.file.fileno())
        edits.begin()

    def all(self, draft: swap.Draft) -> bool:
        """Everything, and what was appended meanwhile; False when it must be begun anew."""
        with streams.writer(draft.sink, self._source) as out:
            self._write(out, _lines(self._source, self._end if self._plain else None))
        draft.verify()
        for _ in range(_ATTEMPTS):
            before, self._seen = self._seen, os.fstat(self._source.fileno())
            if swap.state_of(before) == swap.state_of(self._seen):
                return True
            if not self._follows(before):
                return False
            with streams.plain_writer(draft.sink) as out:
                self._write(out, Lines(self._source, end=self._end))
            draft.flush()
        return True

    def _follows(self, before: os.stat_result) -> bool:
        """True when the file is plain and only whole lines can have been added."""
        return self._grows and self._seen.st_size > before.st_size

    @property
    def _grows(self) -> bool:
        return self._plain and self._last.endswith(b"\n")

    @property
    def _end(self) -> int:
        """Bytes from here to where the file ended when it was last looked at."""
        return self._seen.st_size - self._source.tell()

    def swapped(self, draft: swap.Draft, *, preserve_times: bool) -> bool:
        """Put the draft in the object's place; False when the object changed but for growing."""
        return draft.commit(preserve_times=preserve_times, seen=self._seen, may_grow=self._grows)

    def late(self) -> None:
        """Lines that went to the replaced version in the instant of the swap follow."""
        if self._plain:
            for extra in swap.late(self._source):
                made = io.BytesIO()
                self._write(made, Lines(io.BytesIO(extra)))
                swap.append(self._whole.path, made.getvalue())

    def _write(self, out: IO[bytes], lines: Lines) -> None:
        for record in self._reader.records(lines, self._maybe):
            self._last = record.raw
            after = _after(record, self._reader, self._edits, self._whole)
            if after is not None:
                out.write(after)


def _lines(source: BinaryIO, end: int | None = None) -> Lines:
    streams.refuse_wide(streams.head_of(source))
    return Lines(streams.reader(source), end=end)


def _in_broken(record: Record, query: Query) -> list[Sight]:
    return query.line_sights(streams.decoded(record.raw)[0]) if record.broken else []


def _after(record: Record, reader: Reader, edits: Edits, source: Opened) -> bytes | None:
    """The record's bytes afterwards; None where it goes."""
    if record.row is not None:
        before = source.whole(record.row)
        row = edits.apply(before)
        if row is None or row is before:
            return None if row is None else record.raw
        return reader.render(record, source.own(row, before), edits.apply_to_text)
    if not record.broken:
        return record.raw
    text, encoding = streams.decoded(record.raw)
    new = edits.apply_to_text(text)
    return record.raw if new == text else new.encode(encoding)
