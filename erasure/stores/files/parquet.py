"""Parquet: column statistics, then one column of a row group, then the rows that matched.

A rewrite keeps the schema with its metadata, the row groups, their order and that of their rows,
sort order, compression and dictionaries by column, and format version; a row group that loses all
rows goes. At most one row group is held decoded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from erasure.stores.files import arrow
from erasure.stores.files.arrow import arrow_faults
from erasure.stores.objects import swap
from erasure.stores.objects.documents import Row
from erasure.stores.objects.edits import Edits
from erasure.stores.objects.engine import Opened
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.matching import LINE, Query, Sight, Wanted
from lineage.schema import Column

_AT_ONCE = 4096  # rows of a pass over everything
_NOT_ASCII = "\x80"
_TEXT = ("BYTE_ARRAY", "STRING")
_INTEGERS = frozenset((p, k) for p in ("INT32", "INT64") for k in ("NONE", "INT"))


class ParquetEngine:
    """Search and rewrite Parquet objects. ``compression``: a codec for what is rewritten."""

    name = "parquet"
    schemaless = False
    textual = False

    def __init__(self, compression: str | None = None) -> None:
        self._compression = compression

    def columns(self, source: Opened) -> list[Column]:
        """Every leaf of the schema; members of structs by dotted path."""
        with arrow_faults():
            return list(_columns(arrow.opened(source.file).schema_arrow))

    def rows(self, source: Opened) -> int | None:
        """From the footer."""
        with arrow_faults():
            return arrow.opened(source.file).metadata.num_rows

    def empty(self, source: Opened) -> bool:
        """True without rows."""
        return self.rows(source) == 0

    def search(self, source: Opened, query: Query) -> Iterator[tuple[Row, list[Sight]]]:
        """Matching rows with the reasons."""
        with arrow_faults():
            file = _Groups(source, query)
            for group in range(file.count):
                for _, row in file.rows(group):
                    sights = query.sights(row)
                    if sights:
                        yield row, sights

    def read(self, source: Opened, field: str, also: Sequence[str]) -> Iterator[Row | None]:
        """Every row, with those fields alone."""
        query = Query(equal={field: Wanted((), fold_case=False)}, also=tuple(also))
        with arrow_faults():
            yield from _Groups(source, query).every()

    def unsettled(self, source: Opened, edits: Edits) -> int:
        """How many rows the steps would still change; lets each step look at its rows."""
        edits.begin()
        count = 0
        with arrow_faults():
            file = _Groups(source, edits.query)
            for group in range(file.count):
                for _, row in file.rows(group):
                    count += edits.apply(row) is not row
        return count

    def rewrite(self, source: Opened, edits: Edits, *, preserve_times: bool) -> None:
        """Put the object's next version in its place."""
        seen = os.fstat(source.file.fileno())
        edits.begin()
        with arrow_faults(), swap.draft(source.path, source.file) as draft:
            file = _Groups(source, edits.query)
            kept = self._write(file, draft.sink, edits, source)
            draft.verify()
            _compare(file.parquet, draft, kept)
            if not draft.commit(preserve_times=preserve_times, seen=seen):
                raise Fault("changed while it was rewritten; run again", permanent=False)

    def _write(self, file: _Groups, sink: swap.Sink, edits: Edits, source: Opened) -> int:
        kept = 0
        options = writer_options(file.parquet, self._compression)
        with pq.ParquetWriter(
            cast(IO[bytes], sink), file.parquet.schema_arrow, **options
        ) as writer:
            for group in range(file.count):
                kept += _copy_group(file, group, writer, edits, source)
                # The pool keeps what was freed; a file of many groups would make it grow.
                pa.default_memory_pool().release_unused()
        return kept


def _copy_group(
    file: _Groups, group: int, writer: pq.ParquetWriter, edits: Edits, source: Opened
) -> int:
    """One row group of the next version; returns its rows."""
    changes = _changes(file.rows(group), edits, source)
    table = _edited(file.parquet.read_row_group(group, use_threads=False), changes)
    if len(table):
        writer.write_table(table, row_group_size=len(table))
    return len(table)


class _Groups:
    """The row groups of a file, with the rows that may match a query."""

    def __init__(self, source: Opened, query: Query) -> None:
        self._source = source
        self._query = query
        self.parquet = arrow.opened(source.file)
        self.count = self.parquet.metadata.num_row_groups
        schema = self.parquet.schema_arrow
        outside = {*source.virtual, LINE} - set(schema.names)
        self._equal = {f: w for f, w in query.equal.items() if f not in outside}
        texts = query.text_fields if query.matcher else ()
        self._texts = [f for f in texts if f not in outside]
        self._tops = _tops(schema, [*self._equal, *self._texts], strict=True)
        self._all_tops = _tops(schema, [f for f in query.fields if f not in outside], strict=False)
        self._leaves = _leaves(self.parquet)

    def rows(self, group: int) -> list[tuple[int, Row]]:
        """Positions and rows that may match, in order, with the fields the query names."""
        positions = self._positions(group)
        if not positions:
            return []
        table = self.parquet.read_row_group(group, columns=self._all_tops)
        picked = table.select(self._all_tops).take(pa.array(positions, pa.int64()))
        rows = arrow.plain(picked).to_pylist() if self._all_tops else [{} for _ in positions]
        return [(p, self._source.whole(r)) for p, r in zip(positions, rows, strict=True)]

    def every(self) -> Iterator[Row]:
        """All rows, with the fields the query names; a small part of them in memory."""
        if not self._all_tops:
            for _ in range(self.parquet.metadata.num_rows):
                yield self._source.whole({})
            return
        for part in self.parquet.iter_batches(_AT_ONCE, columns=self._all_tops, use_threads=False):
            for row in arrow.plain(pa.Table.from_batches([part])).to_pylist():
                yield self._source.whole(row)

    def _positions(self, group: int) -> Sequence[int]:
        metadata = self.parquet.metadata.row_group(group)
        if self._source.all_match(self._query):
            return range(metadata.num_rows)
        if not self._tops or not (self._texts or self._may_hold(metadata)):
            return []
        table = self.parquet.read_row_group(group, columns=self._tops)
        masks = [arrow.equal_mask(table, f, w) for f, w in self._equal.items()]
        masks += [arrow.text_mask(table, f, self._query.matcher) for f in self._texts]
        found: set[int] = set()
        for mask in masks:
            found.update(pc.indices_nonzero(mask).to_pylist())
        return sorted(found)

    def _may_hold(self, metadata: Any) -> bool:
        """False when the statistics of every field exclude every wanted value."""
        return any(
            f not in self._leaves or may_hold(metadata.column(self._leaves[f]).statistics, wanted)
            for f, wanted in self._equal.items()
        )


def _tops(schema: Any, fields: Sequence[str], *, strict: bool) -> list[str]:
    """The top-level columns of the fields. Raises Fault for a missing one where ``strict``: every
    match would be hidden."""
    missing = [f for f in fields if arrow.resolved(schema, f) is None]
    if missing and strict:
        raise Fault(f"has no column {missing[0]}; correct the catalogue or the glob")
    tops = (arrow.top_of(schema, f) for f in fields if f not in missing)
    return list(dict.fromkeys(tops))


def _leaves(file: pq.ParquetFile) -> dict[str, int]:
    """Column index by path, for columns that no list multiplies."""
    schema = file.schema
    columns = ((i, schema.column(i)) for i in range(len(schema)))
    return {c.path: i for i, c in columns if c.max_repetition_level == 0}


def may_hold(statistics: Any, wanted: Wanted) -> bool:
    """False only where minimum and maximum prove that no wanted value is there.

    Text is compared without its outer blanks, so a bound that begins with one proves nothing;
    nor does one beyond ASCII, whose blanks sort high, or any where case does not matter.
    """
    if statistics is None or not statistics.has_min_max:
        return True
    kind = (statistics.physical_type, statistics.logical_type.type)
    if kind in _INTEGERS:
        low, high = statistics.min, statistics.max
        return any(low <= int(t) <= high for t in wanted.given if re.fullmatch(r"-?[0-9]{1,20}", t))
    if kind == _TEXT and not wanted.fold_case:
        low, high = statistics.min, statistics.max
        if low[:1] <= " " or high[:1] >= _NOT_ASCII:
            return True
        return any(low.rstrip() <= t <= high for t in wanted.given)
    return True


def _columns(schema: Any, path: str = "") -> Iterator[Column]:
    for field in schema:
        name, kind = f"{path}{field.name}", field.type
        if pa.types.is_struct(kind):
            yield from _columns(kind, f"{name}.")
            continue
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        yield Column(name=name, data_type=str(kind), nullable=field.nullable)


def _changes(
    rows: Sequence[tuple[int, Row]], edits: Edits, source: Opened
) -> dict[int, tuple[Row, Row] | None]:
    """Position → the row before and after, or None where it goes; unchanged rows are not in."""
    changes: dict[int, tuple[Row, Row] | None] = {}
    for position, row in rows:
        after = edits.apply(row)
        if after is None:
            changes[position] = None
        elif after is not row:
            changes[position] = (row, source.own(after, row))
    return changes


def _edited(table: pa.Table, changes: Mapping[int, tuple[Row, Row] | None]) -> pa.Table:
    pairs = [(p, pair) for p, pair in changes.items() if pair is not None]
    for index, name in enumerate(table.column_names):
        values = {
            position: after[name]
            for position, (before, after) in pairs
            if name in after and after[name] is not before[name]
        }
        if values:
            field = table.schema.field(index)
            table = table.set_column(index, field, arrow.replaced(table.column(index), values))
    gone = [position for position, pair in changes.items() if pair is None]
    return arrow.without(table, gone) if gone else table


def writer_options(file: pq.ParquetFile, compression: str | None) -> dict[str, Any]:
    """How to write so that the next version is like this one, as far as a footer tells."""
    metadata = file.metadata
    options: dict[str, Any] = {
        "version": metadata.format_version,
        "store_schema": b"ARROW:schema" in (metadata.metadata or {}),
    }
    if compression:
        options["compression"] = compression
    if not metadata.num_row_groups:
        return options
    group = metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    if not compression:
        options["compression"] = {c.path_in_schema: _codec(c.compression) for c in columns}
    options["use_dictionary"] = [c.path_in_schema for c in columns if c.has_dictionary_page]
    options["write_statistics"] = [c.path_in_schema for c in columns if c.is_stats_set]
    options["write_page_index"] = any(c.has_offset_index for c in columns)
    options["use_compliant_nested_type"] = not any(
        c.path_in_schema.endswith(".list.item") for c in columns
    )
    if any(c.physical_type == "INT96" for c in columns):
        options["use_deprecated_int96_timestamps"] = True
    if group.sorting_columns:
        options["sorting_columns"] = group.sorting_columns
    return options


def _codec(name: str) -> str:
    return {"UNCOMPRESSED": "NONE", "LZO": "SNAPPY"}.get(name, name)


def _compare(before: pq.ParquetFile, draft: swap.Draft, kept: int) -> None:
    """The next version, opened anew, has the rows and the schema that it should have."""
    with pq.ParquetFile(draft.path) as after:
        old, new = before.schema_arrow, after.schema_arrow
        if after.metadata.num_rows != kept:
            raise Fault("its next version lacks rows; report this")
        if not new.equals(old) or new.metadata != old.metadata:
            raise Fault("its schema cannot be written as it is; rewrite it with a current writer")
