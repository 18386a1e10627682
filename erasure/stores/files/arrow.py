"""Arrow values: finding, picking and replacing them without turning whole columns into Python.

Types are the column's: an integer column is asked for integers, a text column for texts, anything
else for the texts of its distinct values. NULL never matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from erasure.domain.needles import Matcher
from erasure.stores.objects import documents
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.matching import Wanted, forms

Chunks = Any  # pyarrow.ChunkedArray; its stubs want a type parameter that is only known at run time
_INTEGER = re.compile(r"-?[0-9]{1,20}")


@contextmanager
def arrow_faults() -> Iterator[None]:
    """Arrow's errors print values and paths: only that there was one is told."""
    try:
        yield
    except pa.ArrowException:
        raise Fault("cannot be read as Parquet; restore it or correct the format") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise Fault("is damaged Parquet; restore it from its source") from None


def opened(file: Any) -> pq.ParquetFile:
    """Raises Fault for a summary of other files (``_metadata``), which keeps the least and the
    greatest value of each of their columns, and would no longer fit them."""
    parquet = pq.ParquetFile(file, pre_buffer=False)
    about = parquet.metadata
    if about.num_row_groups and about.num_columns and about.row_group(0).column(0).file_path:
        raise Fault(
            "is a summary of other Parquet files, with values out of them; remove it, readers "
            "manage without, or write it anew after each erasure outside of this directory"
        )
    return parquet


def resolved(schema: Any, field: str) -> Any:
    """The type at a dotted path, lists entered; None where there is no such column."""
    if field in schema.names:
        return schema.field(field).type
    first, dot, rest = field.partition(".")
    if not dot or first not in schema.names:
        return None
    return _inside(schema.field(first).type, rest)


def _inside(kind: Any, field: str) -> Any:
    while _is_list(kind):
        kind = kind.value_type
    if not pa.types.is_struct(kind):
        return None
    return resolved(pa.schema(list(kind)), field)


def _is_list(kind: Any) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def top_of(schema: Any, field: str) -> str:
    """The top-level column that holds a field."""
    return field if field in schema.names else field.partition(".")[0]


def values_at(table: pa.Table, field: str) -> Chunks | None:
    """The column at a dotted path through structs; None where a list or map is on the way."""
    if field in table.column_names:
        column: Chunks = table.column(field)
        return None if pa.types.is_nested(column.type) else column
    first, *rest = field.split(".")
    column = table.column(first)
    for part in rest:
        if not pa.types.is_struct(column.type) or column.type.get_field_index(part) < 0:
            return None
        column = pc.struct_field(column, part)
    return None if pa.types.is_nested(column.type) else column


def equal_mask(table: pa.Table, field: str, wanted: Wanted) -> Chunks:
    """True where the field equals a wanted value."""
    column = values_at(table, field)
    if column is None:
        rows = plain(table.select([top_of(table.schema, field)])).to_pylist()
        hits = [any(wanted.match(v) for v in documents.values(r, field)) for r in rows]
        return pa.chunked_array([pa.array(hits, pa.bool_())])
    column = undictionaried(column)
    if pa.types.is_integer(column.type):
        return pc.is_in(column, value_set=_integers(wanted, column.type))
    if _is_text(column.type):
        return _text_mask(column, wanted)
    return _distinct_mask(column, lambda value: wanted.match(value) is not None)


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _integers(wanted: Wanted, kind: Any) -> Any:
    numbers = (int(t) for t in wanted.given if _INTEGER.fullmatch(t))
    low = 0 if pa.types.is_unsigned_integer(kind) else -(1 << kind.bit_width - 1)
    high = (1 << kind.bit_width) + low
    return pa.array([n for n in numbers if low <= n < high], kind)


def _text_mask(column: Chunks, wanted: Wanted) -> Chunks:
    trimmed = pc.utf8_trim_whitespace(column)
    # Half a surrogate is no text that a column could hold.
    encodable = (t for t in wanted.given if not any("\ud800" <= c <= "\udfff" for c in t))
    texts = pa.array(list(encodable), column.type)
    if not wanted.fold_case:
        return pc.is_in(trimmed, value_set=texts)
    lower = pc.utf8_lower(trimmed)
    mask = pc.is_in(lower, value_set=texts)
    beyond = pc.if_else(pc.string_is_ascii(column), None, column)  # folding is more than lower
    if beyond.null_count == len(beyond):
        return mask
    return pc.or_(mask, _distinct_mask(beyond, lambda value: wanted.match(value) is not None))


def text_mask(table: pa.Table, field: str, matcher: Matcher) -> Chunks:
    """True where a needle stands in the field."""
    column = values_at(table, field)
    if column is None:
        rows = plain(table.select([top_of(table.schema, field)])).to_pylist()
        hits = [any(_standing(v, matcher) for _, v in documents.slots(r, field)) for r in rows]
        return pa.chunked_array([pa.array(hits, pa.bool_())])
    return _distinct_mask(undictionaried(column), lambda value: _standing(value, matcher))


def _standing(value: Any, matcher: Matcher) -> bool:
    return any(matcher.found_in(str(text)) for text in documents.texts(value))


def _distinct_mask(column: Chunks, wanted: Any) -> Chunks:
    distinct = column.unique()
    values = pythonic(distinct)
    hits = [i for i, value in enumerate(values) if value is not None and wanted(value)]
    return pc.is_in(column, value_set=distinct.take(pa.array(hits, pa.int64())))


def undictionaried(column: Chunks) -> Chunks:
    """The values of a dictionary column as they are."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def pythonic(values: Any) -> list[Any]:
    """Python values; nanoseconds, which Python has not, as microseconds."""
    kind = _coarser(values.type)
    return (values if kind == values.type else values.cast(kind, safe=False)).to_pylist()  # type: ignore[no-any-return]


def plain(table: pa.Table) -> pa.Table:
    """The table with nanoseconds, also inside nested columns, as microseconds."""
    fields = [f.with_type(_coarser(f.type)) for f in table.schema]
    return table.cast(pa.schema(fields), safe=False)


def _coarser(kind: Any) -> Any:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(_coarser(f.type)) for f in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_coarser(kind.value_type)))
    return kind


def replaced(column: Chunks, values: Mapping[int, Any]) -> Chunks:
    """The column with other values at some positions. Raises Fault where one does not fit."""
    inner = undictionaried(column)
    try:
        new = pa.array(list(values.values()), inner.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError):
        raise Fault("an anonymised value does not fit its column; choose another method") from None
    order = list(range(len(inner)))
    for number, position in enumerate(values):
        order[position] = len(inner) + number
    made = pa.chunked_array([*inner.chunks, new]).take(pa.array(order, pa.int64()))
    if pa.types.is_dictionary(column.type):
        return made.dictionary_encode().cast(column.type)
    return made


def without(table: pa.Table, positions: Sequence[int]) -> pa.Table:
    """The table without some rows, in its order."""
    keep = [True] * len(table)
    for position in positions:
        keep[position] = False
    return table.filter(pa.array(keep, pa.bool_()))


def searchable(value: Any) -> str:
    """A leaf as text in which a needle is sought."""
    if isinstance(value, bytes):
        return list(forms(value))[-1]  # the text that they encode, where they do
    return next(forms(value)) if isinstance(value, float) else str(value)
