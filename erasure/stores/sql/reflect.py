"""The live schema: read in bulk, kept as plain values for the product and typed for SQL."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import quoted_name

from erasure.stores.rules import Rules
from erasure.stores.sql.connection import Options
from erasure.stores.sql.kinds import Kind
from erasure.stores.sql.rules import read_rules
from erasure.stores.sql.schema import mariadb, others, postgresql, sqlite
from erasure.stores.sql.schema.found import Found, Reading
from lineage.schema import ForeignKey, Inspection, Table, fingerprint, relied_on

# What one streamed pass reads in about a minute.
SMALL_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A table as SQL sees it: its clause, how its columns compare, and what is unique in it.
    ``statements``: those on this table alone that were made before, by what they were made of."""

    collection: str
    table: Table
    clause: sa.TableClause
    kinds: Mapping[str, Kind]
    unique: frozenset[frozenset[str]] = frozenset()
    statements: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Child:
    """A table that refers to another, and the foreign key by which it does."""

    collection: str
    key: ForeignKey


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Everything the store knows about its tables. ``children`` by the table referred to;
    ``rules``: their constraints."""

    inspection: Inspection
    shapes: Mapping[str, Shape]
    children: Mapping[str, tuple[Child, ...]]
    default: str | None = None
    rules: Rules = field(default_factory=dict)

    @property
    def databases(self) -> frozenset[str | None]:
        """Schemas that it has tables in."""
        return frozenset(shape.table.schema or self.default for shape in self.shapes.values())

    def collection(self, name: str, schema: str | None) -> str:
        """The collection name of a table."""
        return name if schema in (None, self.default) else f"{schema}.{name}"


class Alone(sa.TableClause):
    """A table without the rows of those that inherit from it: they are rows of their own."""

    inherit_cache = True


@compiles(Alone, "postgresql")
def _alone(element: Alone, compiler: Any, **words: Any) -> str:
    only = "ONLY " if words.get("asfrom") and not words.get("ashint") else ""
    return f"{only}{compiler.visit_table(element, **words)}"


class History(sa.TableClause):
    """A versioned table with the rows that were deleted or changed in it."""

    inherit_cache = True


@compiles(History, "mysql", "mariadb")
def _history(element: History, compiler: Any, **words: Any) -> str:
    past = " FOR SYSTEM_TIME ALL" if words.get("asfrom") else ""
    return f"{compiler.visit_table(element, **words)}{past}"


def read_schema(connection: sa.Connection, options: Options, *, copies: bool = False) -> Schema:
    """Read every base table, without a query per table where the engine is known.

    ``copies``: what else holds rows too, so that a search sees it: materialised views, and the
    history of versioned tables.
    """
    reading = _read(connection, options.schema, copies=copies)
    found = sorted(reading.tables.items())
    parents = {parent for _, one in found for parent in one.table.inherits}
    shapes = {
        name: _shape(name, one, reading, copies=copies, inherited=name in parents)
        for name, one in found
    }
    tables = {name: shape.table for name, shape in shapes.items()}
    small = reading.size is None or reading.size <= SMALL_BYTES
    parts = relied_on(tables)
    inspection = Inspection(
        tables=tables,
        fingerprint=fingerprint(parts),
        parts=parts,
        small=small if options.rescan is None else options.rescan == "inline",
        views=dict(reading.views),
        published=dict(reading.published),
        logged=reading.logged,
    )
    return Schema(
        inspection=inspection,
        shapes=shapes,
        children=_children(tables),
        default=reading.default,
        rules={} if copies else read_rules(connection, tables, reading.default),
    )


def _read(connection: sa.Connection, default: str | None, *, copies: bool) -> Reading:
    match connection.dialect.name:
        case "sqlite":
            return sqlite.read(connection)
        case "postgresql":
            return postgresql.read(connection, default, copies=copies)
        case "mysql" | "mariadb":
            return mariadb.read(connection, default)
    return others.read(connection, default)


def _shape(name: str, found: Found, reading: Reading, *, copies: bool, inherited: bool) -> Shape:
    """Names are always quoted: mixed case, spaces and reserved words are legal."""
    table = found.whole()
    schema = table.schema or reading.default
    columns = [sa.column(quoted_name(c, True), k.column or k.bind) for c, k in found.kinds.items()]
    make = Alone if inherited else History if copies and table.kind == "versioned" else sa.table
    clause = make(
        quoted_name(table.name, True),
        *columns,
        schema=quoted_name(schema, True) if schema else None,
    )
    return Shape(
        collection=name, table=table, clause=clause, kinds=found.kinds, unique=found.unique()
    )


def _children(tables: Mapping[str, Table]) -> dict[str, tuple[Child, ...]]:
    found: dict[str, list[Child]] = {}
    for name, table in tables.items():
        for key in table.foreign_keys:
            found.setdefault(key.target, []).append(Child(collection=name, key=key))
    return {target: tuple(children) for target, children in found.items()}
