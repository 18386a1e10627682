"""The independent look: every table and column is read afresh and searched by value.

Nothing here asks what ``find`` asks. Rows come in chunks; a chunk's values are joined and tested
in one pass, and only a chunk with a hit is taken apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from typing import Any

import sqlalchemy as sa

from erasure.domain.needles import Matcher
from erasure.domain.values import Scalar
from erasure.stores.base import Declared, Hit, Searched
from erasure.stores.sql.address import compared
from erasure.stores.sql.errors import translated
from erasure.stores.sql.reflect import Schema, Shape

CHUNK = 500
_SEPARATOR = "\x1f"


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A table being read: its columns in order, and which of them say whose row it is."""

    shape: Shape
    names: tuple[str, ...]
    key: tuple[str, ...]
    owners: tuple[str, ...]

    def some(self, names: Sequence[str], row: Sequence[Any]) -> dict[str, Scalar]:
        values = dict(zip(self.names, row, strict=True))
        return {name: values[name] for name in names}


def scan(
    connection: sa.Connection,
    store: str,
    schema: Schema,
    declared: Sequence[Declared],
    needles: Matcher,
) -> Iterator[Hit | Searched]:
    """Hits of every table, then what was read of it."""
    by_collection = {schema.collection(d.dataset.name, d.dataset.schema): d for d in declared}
    for collection, shape in sorted(schema.shapes.items()):
        reading = _reading(shape, by_collection.get(collection))
        with translated(f"{store}.{collection}"):
            yield from _table(connection, reading, needles)


def _reading(shape: Shape, declared: Declared | None) -> _Reading:
    names = tuple(shape.kinds)
    key = shape.table.primary_key
    owners: tuple[str, ...] = ()
    if declared is not None:
        key = tuple(n for n in declared.dataset.key if n in shape.kinds) or key
        owners = tuple(n for n in declared.owners if n in shape.kinds)
    return _Reading(shape=shape, names=names, key=key, owners=owners)


def _table(
    connection: sa.Connection, reading: _Reading, needles: Matcher
) -> Iterator[Hit | Searched]:
    columns: list[sa.Label[Any]] = [
        _legible(connection, reading, n).label(f"c{i}") for i, n in enumerate(reading.names)
    ]
    streaming = connection.execution_options(stream_results=True, max_row_buffer=CHUNK * 4)
    count = 0
    # A table without columns is legal, and holds nothing.
    with streaming.execute(
        sa.select(*(columns or [sa.literal(1).label("c0")])).select_from(reading.shape.clause)
    ) as result:
        rows = iter(result)
        while chunk := [tuple(row) for row in islice(rows, CHUNK)]:
            count += len(chunk)
            texts = [v if type(v) is str else text_of(v) for row in chunk for v in row]
            if needles.found_in(_SEPARATOR.join(texts)):
                for row in chunk:
                    yield from _hits(reading, row, needles)
    yield Searched(collection=reading.shape.collection, fields=len(reading.names), rows=count)


def _legible(connection: sa.Connection, reading: _Reading, name: str) -> sa.ColumnElement[Any]:
    """PostgreSQL has dates that Python has not (``infinity``): they are read as text, but where
    a value is compared with those that were written down."""
    column = compared(reading.shape, name)
    moment = isinstance(column.type, (sa.Date, sa.DateTime))
    odd = moment and connection.dialect.name == "postgresql"
    told = name in (*reading.key, *reading.owners)
    return sa.cast(column, sa.Text()) if odd and not told else column


def _hits(reading: _Reading, row: Sequence[Any], needles: Matcher) -> Iterator[Hit]:
    if not needles.found_in(_SEPARATOR.join(text_of(v) for v in row)):
        return
    key = tuple(reading.some(reading.key, row).values())
    owner: Mapping[str, Scalar] = reading.some(reading.owners, row)
    for name, value in zip(reading.names, row, strict=True):
        text = text_of(value)
        found = needles.found_in(text)
        whole = needles.equals(text) if found else set()
        for needle in sorted(found):
            yield Hit(
                collection=reading.shape.collection,
                field=name,
                key=key,
                needle=needle,
                whole=needle in whole,
                owner=owner,
            )


def text_of(value: Any) -> str:
    """Any value as text, the way a person would read it there."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
