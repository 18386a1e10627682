"""The independent search of a Parquet object: every leaf of every column, the schema and the
key-value metadata, column by column so that one column of one row group is held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from erasure.domain.needles import Matcher
from erasure.stores.base import Hit
from erasure.stores.files import arrow
from erasure.stores.files.arrow import arrow_faults
from erasure.stores.objects import documents
from erasure.stores.objects.documents import Row
from erasure.stores.objects.scanning import Scan

# Position in the row group, leaf, text in it.
Leaf = tuple[int, str, str]


def hits(scan: Scan, file: BinaryIO) -> Iterator[Hit]:
    """Every needle in the object. Raises Fault."""
    with arrow_faults():
        parquet = arrow.opened(file)
        yield from _outside_rows(scan, parquet)
        first = 1
        for group in range(parquet.metadata.num_row_groups):
            yield from _in_group(scan, parquet, group, first)
            pa.default_memory_pool().release_unused()
            first += parquet.metadata.row_group(group).num_rows
        scan.census.rows += parquet.metadata.num_rows


def _outside_rows(scan: Scan, parquet: pq.ParquetFile) -> Iterator[Hit]:
    """Column names and metadata: a pivoted table has people for columns."""
    schema = parquet.schema_arrow
    for name in schema.names:
        yield from scan.text("(schema)", (), name, {})
    for key, value in (schema.metadata or {}).items():
        for raw in (key, value):
            yield from scan.text("(metadata)", (), raw.decode(errors="replace"), {})


def _in_group(scan: Scan, parquet: pq.ParquetFile, group: int, first: int) -> Iterator[Hit]:
    owners: pa.Table | None = None
    told = dict.fromkeys((*scan.census.owners, *scan.census.marks))
    schema = parquet.schema_arrow
    found = (arrow.top_of(schema, n) for n in told if arrow.resolved(schema, n) is not None)
    names = list(dict.fromkeys(found))
    for name in parquet.schema_arrow.names:
        table = parquet.read_row_group(group, columns=[name]).select([name])
        for position, field, text in _suspects(table, name, scan.matcher, scan.census.fields):
            if owners is None:
                owners = parquet.read_row_group(group, columns=names).select(names)
            row = _row(owners, position)
            yield from scan.text(field, (first + position,), text, row)


def _row(owners: pa.Table, position: int) -> Row:
    if not owners.num_columns:
        return {}
    return dict(arrow.plain(owners.slice(position, 1)).to_pylist()[0])


def _suspects(table: pa.Table, name: str, matcher: Matcher, fields: set[str]) -> Iterator[Leaf]:
    column = arrow.undictionaried(table.column(name))
    if pa.types.is_nested(column.type):
        yield from _nested(table, name, matcher, fields)
        return
    fields.add(name)
    if pa.types.is_null(column.type) or pa.types.is_boolean(column.type):
        return
    if pa.types.is_integer(column.type) and not any(n.text.isdigit() for n in matcher.needles):
        return  # only digits are found in digits
    distinct = column.unique()
    texts = {
        i: arrow.searchable(v) for i, v in enumerate(arrow.pythonic(distinct)) if v is not None
    }
    held = [i for i, text in texts.items() if matcher.found_in(text)]
    for index in held:
        mask = pc.equal(column, distinct[index])
        for position in pc.indices_nonzero(mask).to_pylist():
            yield position, name, texts[index]


def _nested(table: pa.Table, name: str, matcher: Matcher, fields: set[str]) -> Iterator[Leaf]:
    start = 0
    for batch in arrow.plain(table).to_batches(max_chunksize=4096):
        for position, value in enumerate(batch.column(0).to_pylist(), start):
            yield from _leaves(position, name, value, matcher, fields)
        start += len(batch)


def _leaves(
    position: int, name: str, value: Any, matcher: Matcher, fields: set[str]
) -> Iterator[Leaf]:
    for field, leaf in documents.leaves(value, name):
        if field != documents.KEY:
            fields.add(field)
        text = arrow.searchable(leaf)
        if matcher.found_in(text):
            yield position, field, text
