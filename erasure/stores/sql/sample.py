"""Looking into tables for a draft: a few rows of each, always the same ones, never a full scan.

One short transaction and one statement per table. A large table of PostgreSQL is sampled by page
(``TABLESAMPLE SYSTEM`` with a fixed seed): a few pages from all over it, read without the rest.
Elsewhere, and where no page was hit, it is the first rows. A table that may not be read, or not
in time, is left out and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.types import TypeEngine

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.stores.sql.address import compared
from erasure.stores.sql.errors import translated
from erasure.stores.sql.kinds import Kind
from erasure.stores.sql.membership import member_of
from erasure.stores.sql.reflect import Schema, Shape
from lineage.schema import Sample

# Enough of a text to judge it, and of a document to parse it.
TEXT = 10_000
SEED = 1
# So many pages are hit on average, or as many as hold the rows where a page holds few.
_PAGES, _ROWS_PER_PAGE = 16, 8
_PAGE_BYTES = 8192


def sample(
    connection: sa.Connection, store: str, schema: Schema, collections: Sequence[str], rows: int
) -> Iterator[Sample]:
    """At most ``rows`` rows of each collection. Raises StoreUnreachable."""
    for collection in collections:
        shape = schema.shapes[collection]
        names = [n for n, kind in shape.kinds.items() if not _illegible(kind.native)]
        try:
            found = _rows(connection, f"{store}.{collection}", shape, names, rows)
        except StoreUnreachable:
            raise
        except StoreError as error:
            yield Sample(collection=collection, unread=_why(error))
        else:
            columns = [tuple(row[i] for row in found) for i in range(len(names))]
            yield Sample(collection=collection, values=dict(zip(names, columns, strict=True)))


def present(
    connection: sa.Connection, store: str, shape: Shape, name: str, values: Sequence[Any]
) -> int | None:
    """How many of the different ``values`` the column holds; None where that was refused."""
    probes = dict.fromkeys(p for value in values for p in shape.kinds[name].probes(value))
    if not probes:
        return 0
    counted = sa.select(sa.func.count(sa.distinct(compared(shape, name)))).where(
        member_of(connection, shape, name, list(probes))
    )
    try:
        with translated(f"{store}.{shape.collection}"), connection.begin():
            return int(connection.execute(counted).scalar_one())
    except StoreUnreachable:
        raise
    except StoreError:
        return None


def _why(error: StoreError) -> str:
    return str(error).removeprefix(f"{error.place}: ")


def _illegible(native: TypeEngine[Any]) -> bool:
    """Pictures and other bytes are not read."""
    return isinstance(native, sa.LargeBinary)


def _rows(
    connection: sa.Connection, place: str, shape: Shape, names: Sequence[str], rows: int
) -> Sequence[sa.Row[Any]]:
    if not names:
        return []
    if connection.dialect.name == "postgresql":
        # not every kind of table can be sampled by page, and the pages hit may be empty
        with suppress(StoreError):
            found = _read(connection, place, shape, _paged(connection, shape, rows), names, rows)
            if found:
                return found
    return _read(connection, place, shape, shape.clause, names, rows)


def _read(
    connection: sa.Connection,
    place: str,
    shape: Shape,
    source: sa.FromClause,
    names: Sequence[str],
    rows: int,
) -> Sequence[sa.Row[Any]]:
    columns = [
        _short(source.c[name], shape.kinds[name], connection).label(f"c{i}")
        for i, name in enumerate(names)
    ]
    with translated(place), connection.begin():
        return connection.execute(sa.select(*columns).select_from(source).limit(rows)).all()


def _paged(connection: sa.Connection, shape: Shape, rows: int) -> sa.FromClause:
    """The table by pages; all of them where it has no more than are wanted."""
    name = connection.dialect.identifier_preparer.format_table(shape.clause)
    size = sa.func.pg_relation_size(sa.cast(sa.literal(name), REGCLASS))
    pages = max(_PAGES, math.ceil(rows / _ROWS_PER_PAGE))
    share = 100.0 * pages * _PAGE_BYTES / sa.func.greatest(size, 1)
    percent = sa.func.least(100, sa.cast(share, sa.Float()))
    return sa.tablesample(shape.clause, sa.func.system(percent), seed=sa.literal(SEED))


def _short(
    column: sa.ColumnElement[Any], kind: Kind, connection: sa.Connection
) -> sa.ColumnElement[Any]:
    """The column as it is judged. PostgreSQL knows dates that Python does not (infinity), so
    there they are read as text."""
    dated = isinstance(kind.native, sa.Date | sa.DateTime)
    if kind.as_text or (dated and connection.dialect.name == "postgresql"):
        column = sa.cast(column, sa.Text())
    if kind.as_text or isinstance(kind.native, sa.String | sa.JSON):
        return sa.func.substr(column, 1, TEXT)
    return column
