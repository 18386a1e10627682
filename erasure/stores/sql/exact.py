"""Rows read and written exactly, whatever the types of their columns.

PostgreSQL: the text that a type's own output function gives, which its input function reads back
(what a dump relies on). SQLite: the value as stored, its storage class told apart, bytes that are
no text included. Elsewhere: the driver's value, or a text where the driver rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import NullType

from erasure.domain.values import Scalar
from erasure.stores.sql.address import Address, KeyValues, shape_of
from erasure.stores.sql.mutate import keyed_for
from erasure.stores.sql.reflect import Schema, Shape

CHUNK = 100
# A name that no column can have: how a column is to be read, then its own name.
_NUL = "\0"
_VALUE, _CLASS = f"value{_NUL}", f"class{_NUL}"
Row = dict[str, Scalar]
# How SQLite keeps its texts, and what takes bytes that are none.
_ENCODINGS = {
    "UTF-8": ("utf-8", "surrogateescape"),
    "UTF-16le": ("utf-16-le", "surrogatepass"),
    "UTF-16be": ("utf-16-be", "surrogatepass"),
}
_BY_TEXT = (sa.Numeric, sa.Date, sa.DateTime, sa.Time, sa.Interval, sa.JSON)
_PG_SESSION = sa.text(
    "SELECT set_config('DateStyle', 'ISO', true), set_config('IntervalStyle', 'postgres', true), "
    "set_config('extra_float_digits', '3', true), set_config('bytea_output', 'hex', true)"
)
_PG_TYPES = sa.text(
    "SELECT a.attname, pg_catalog.format_type(a.atttypid, -1) "
    "FROM pg_catalog.pg_attribute a WHERE a.attrelid = CAST(:name AS pg_catalog.regclass) "
    "AND a.attnum > 0 AND NOT a.attisdropped"
)


@dataclass(frozen=True, kw_only=True)
class Imaged(Address):
    """A table whose columns can be asked for exactly, by their prefixed names."""

    dialect: str

    def column(self, name: str) -> sa.ColumnElement[Any]:
        """A column as it is compared, or as it is read exactly."""
        how, nul, plain = name.partition(_NUL)
        if not nul:
            return super().column(name)
        column = self.shape.clause.c[plain]
        if how + nul == _CLASS:
            return sa.func.typeof(column)
        return _READING.get(self.dialect, _other)(self.shape, plain, column)


def _postgresql(_: Shape, __: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    # concat() calls the output function, where a cast would trim char(n); a row of NULLs is not
    # NULL to num_nulls().
    told = sa.func.concat(column, type_=sa.Text())
    return sa.case((sa.func.num_nulls(column) == 0, told), else_=sa.null())


def _sqlite(_: Shape, __: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    octets = sa.cast(column, sa.LargeBinary())
    is_text = sa.func.typeof(column) == sa.literal_column("'text'")
    return sa.type_coerce(sa.case((is_text, octets), else_=column), NullType())


def _other(shape: Shape, name: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    native = shape.kinds[name].native
    if isinstance(native, sa.Float):
        return sa.type_coerce(sa.cast(column, sa.Double()), NullType())
    if type(native).__name__ == "BIT":
        return column + sa.literal_column("0")
    if isinstance(native, _BY_TEXT):
        return sa.type_coerce(sa.cast(column, sa.CHAR()), NullType())
    return column


_READING = {"postgresql": _postgresql, "sqlite": _sqlite}


class Exact:
    """Exact reading and writing on one connection, inside its transaction."""

    def __init__(self, connection: sa.Connection, store: str, schema: Schema) -> None:
        self._connection, self._store, self._schema = connection, store, schema
        self._keyed = keyed_for(connection)
        self._types: dict[str, dict[str, str]] = {}
        self.dialect = connection.dialect.name
        if self.dialect == "postgresql":
            connection.execute(_PG_SESSION)
        self._encoding = _ENCODINGS["UTF-8"]
        if self.dialect == "sqlite":
            told = connection.exec_driver_sql("PRAGMA encoding").scalar_one()
            self._encoding = _ENCODINGS[told]

    def address(self, collection: str, key: tuple[str, ...]) -> Imaged:
        """Where the rows of a collection are. Raises StoreError."""
        place = f"{self._store}.{collection}"
        shape = shape_of(place, self._schema, collection)
        return Imaged(place=place, shape=shape, key=key, dialect=self.dialect)

    def rows(
        self,
        address: Imaged,
        keys: Sequence[KeyValues],
        names: Sequence[str] = (),
        *,
        lock: bool = False,
    ) -> Iterator[tuple[KeyValues, Row, Row]]:
        """The rows that are there, some at a time: key, all columns exactly, and ``names`` as
        they are compared. Locked rows come in key order."""
        columns = [f"{_VALUE}{n}" for n in address.shape.kinds]
        if self.dialect == "sqlite":
            columns += [f"{_CLASS}{n}" for n in address.shape.kinds]
        # A key comes once, or two chunks would each find its row.
        ordered = _ordered(dict.fromkeys(keys))
        for start in range(0, len(ordered), CHUNK):
            part = ordered[start : start + CHUNK]
            for key, row in self._keyed.rows(address, part, [*columns, *names], lock=lock):
                yield key, self._values(address, row), {n: row[n] for n in names}

    def _values(self, address: Imaged, row: Row) -> Row:
        values = {}
        for name in address.shape.kinds:
            value = row[f"{_VALUE}{name}"]
            if isinstance(value, bytes) and row.get(f"{_CLASS}{name}") == "text":
                value = value.decode(*self._encoding)
            values[name] = value
        return values

    def bound(self, address: Imaged, name: str, value: Scalar) -> tuple[str, Any]:
        """The placeholder and the parameter that write a value as it was read."""
        if self.dialect == "postgresql":
            return f"CAST(%s AS {self._type(address, name)})", value
        if self.dialect != "sqlite":
            return "%s", value
        if isinstance(value, str) and not _plain(value):
            return "CAST(? AS TEXT)", value.encode(*self._encoding)
        return "?", value

    def _type(self, address: Imaged, name: str) -> str:
        """The column's type without its length, which a cast would cut to."""
        collection = address.shape.collection
        if collection not in self._types:
            clause = address.shape.clause
            parts = [str(p).replace('"', '""') for p in (clause.schema, clause.name) if p]
            quoted = ".".join(f'"{part}"' for part in parts)
            found = self._connection.execute(_PG_TYPES, {"name": quoted})
            self._types[collection] = {n: t.replace("%", "%%") for n, t in found}
        return self._types[collection][name]

    def quoted(self, name: str) -> str:
        """A name as the driver takes it."""
        preparer: Any = self._connection.dialect.identifier_preparer
        return str(preparer.quote_identifier(name))

    def table(self, address: Imaged) -> str:
        """The table's name as the driver takes it."""
        preparer: Any = self._connection.dialect.identifier_preparer
        return str(preparer.format_table(address.shape.clause))


def _ordered(keys: dict[KeyValues, None]) -> list[KeyValues]:
    try:
        return sorted(keys)
    except TypeError:
        return sorted(keys, key=repr)


def _plain(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
