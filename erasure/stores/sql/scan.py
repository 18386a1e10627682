"""The independent look: every table and column is read afresh and searched by value.

Nothing here asks what ``find`` asks. Rows come in chunks; a chunk's values are joined and tested
in one pass, and only a chunk with a hit is taken apart. On PostgreSQL a table in which nothing
stands is not even read row by row (see ``copying``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from typing import Any

import sqlalchemy as sa

from erasure.domain.needles import Matcher
from erasure.domain.values import Scalar
from erasure.stores.base import Declared, Hit, Searched
from erasure.stores.documents import Sighting, legible, sightings
from erasure.stores.insides import insides_of, values_of
from erasure.stores.sql.address import compared
from erasure.stores.sql.copying import rows_without
from erasure.stores.sql.errors import translated
from erasure.stores.sql.octets import readings, readings_of_hex
from erasure.stores.sql.reflect import Schema, Shape
from lineage.schema import Inside

CHUNK = 500
_SEPARATOR = "\x1f"


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A table being read: its columns in order, which of them say whose row it is, and what the
    catalogue declares inside them."""

    shape: Shape
    names: tuple[str, ...]
    key: tuple[str, ...]
    owners: tuple[str, ...]
    insides: Mapping[str, Inside] = field(default_factory=dict)

    def some(self, names: Sequence[str], row: Sequence[Any]) -> dict[str, Scalar]:
        values = dict(zip(self.names, row, strict=True))
        return dict(zip(names, values_of(names, self.insides, values), strict=True))

    def inside(self, column: str) -> list[Inside]:
        return [one for one in self.insides.values() if one.column == column]


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
    insides: Mapping[str, Inside] = {}
    if declared is not None:
        key = tuple(n for n in declared.dataset.key if n in shape.kinds) or key
        insides = insides_of(shape.table, (f.name for f in declared.dataset.fields))
        owners = tuple(n for n in declared.owners if n in shape.kinds or n in insides)
    return _Reading(shape=shape, names=names, key=key, owners=owners, insides=insides)


def _table(
    connection: sa.Connection, reading: _Reading, needles: Matcher
) -> Iterator[Hit | Searched]:
    columns: list[sa.Label[Any]] = [
        _legible(connection, reading, n).label(f"c{i}") for i, n in enumerate(reading.names)
    ]
    clean = rows_without(connection, reading.shape.clause, columns, needles)
    if clean is not None:
        fields = len(reading.names)
        yield Searched(collection=reading.shape.collection, fields=fields, rows=clean)
        return
    streaming = connection.execution_options(stream_results=True, max_row_buffer=CHUNK * 4)
    count = 0
    # A table without columns is legal, and holds nothing.
    with streaming.execute(
        sa.select(*(columns or [sa.literal(1).label("c0")])).select_from(reading.shape.clause)
    ) as result:
        rows = iter(result)
        while chunk := [tuple(row) for row in islice(rows, CHUNK)]:
            count += len(chunk)
            texts = [_said(v) for row in chunk for v in row]
            if needles.found_in(_joined(texts)):
                for row in chunk:
                    yield from _hits(reading, row, needles)
    yield Searched(collection=reading.shape.collection, fields=len(reading.names), rows=count)


def _said(value: Any) -> str:
    return value if type(value) is str and "\\" not in value else text_of(value)


def _joined(texts: Sequence[str]) -> str:
    joined = _SEPARATOR.join(texts)
    return _SEPARATOR.join(map(legible, texts)) if "\\" in joined else joined


def _legible(connection: sa.Connection, reading: _Reading, name: str) -> sa.ColumnElement[Any]:
    """PostgreSQL has dates that Python has not (``infinity``): they are read as text, but where
    a value is compared with those that were written down."""
    column = compared(reading.shape, name)
    moment = isinstance(column.type, (sa.Date, sa.DateTime))
    odd = moment and connection.dialect.name == "postgresql"
    told = name in (*reading.key, *reading.owners)
    return sa.cast(column, sa.Text()) if odd and not told else column


def _hits(reading: _Reading, row: Sequence[Any], needles: Matcher) -> Iterator[Hit]:
    if not needles.found_in(_joined([text_of(v) for v in row])):
        return
    key = tuple(reading.some(reading.key, row).values())
    owner: Mapping[str, Scalar] = reading.some(reading.owners, row)
    for name, value in zip(reading.names, row, strict=True):
        for seen in _sightings(value, name, reading.inside(name), needles):
            yield Hit(
                collection=reading.shape.collection,
                field=seen.field,
                key=key,
                needle=seen.needle,
                whole=seen.whole,
                owner=owner,
            )


def _sightings(
    value: Any, name: str, insides: Sequence[Inside], needles: Matcher
) -> Iterator[Sighting]:
    """What stands in the value, each once, whichever of its readings shows it."""
    found: dict[tuple[str, int], Sighting] = {}
    for text in _texts(value):
        for seen in sightings(text, name, insides, needles):
            found.setdefault((seen.field, seen.needle), seen)
    yield from found.values()


def text_of(value: Any) -> str:
    """All that a value may say, as one text."""
    return _SEPARATOR.join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    """Any value as text, the way a person would read it there; bytes may say several things."""
    if isinstance(value, bytes | memoryview):
        yield from readings(bytes(value))
        return
    text = _plain(value)
    yield text
    if "\\x" in text:
        yield from readings_of_hex(text)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
