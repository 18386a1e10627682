"""The queries behind views, read in bulk: one or two statements however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from erasure.stores.sql.reflect import Schema
from lineage.schema import Column, View

_POSTGRESQL = """
SELECT n.nspname, c.relname, c.relkind = 'm', pg_get_viewdef(c.oid),
  ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
        AND NOT a.attisdropped ORDER BY a.attnum),
  ARRAY(SELECT upper(format_type(a.atttypid, a.atttypmod)) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname
"""
_MARIADB = """
SELECT table_name, view_definition FROM information_schema.views
WHERE table_schema = :database ORDER BY table_name
"""
_MARIADB_COLUMNS = """
SELECT c.table_name, c.column_name, c.column_type FROM information_schema.columns c
JOIN information_schema.views v ON v.table_schema = c.table_schema AND v.table_name = c.table_name
WHERE c.table_schema = :database ORDER BY c.table_name, c.ordinal_position
"""
_SQLITE = "SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY name"
_SQLITE_COLUMNS = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid"


def read_views(connection: sa.Connection, schema: Schema) -> dict[str, View]:
    """Every view by its collection name; none of an engine that is only known through SQLAlchemy's
    inspector."""
    match connection.dialect.name:
        case "sqlite":
            found = list(_sqlite(connection))
        case "postgresql":
            found = list(_postgresql(connection, schema.default))
        case "mysql" | "mariadb":
            found = list(_mariadb(connection, schema.default))
        case _:
            found = []
    return {schema.collection(view.name, view.schema): view for view in found}


def _columns(pairs: Iterable[Any]) -> tuple[Column, ...]:
    return tuple(Column(name=name, data_type=(kind or "").upper()) for name, kind in pairs)


def _postgresql(connection: sa.Connection, default: str | None) -> Iterable[View]:
    for place, name, copy, definition, names, types in connection.exec_driver_sql(_POSTGRESQL):
        yield View(
            name=name,
            schema=None if place == default else place,
            columns=_columns(zip(names, types, strict=True)),
            kind="materialized view" if copy else "view",
            definition=definition or "",
            dialect="postgresql",
        )


def _mariadb(connection: sa.Connection, database: str | None) -> Iterable[View]:
    place = {"database": database}
    columns: dict[str, list[Any]] = {}
    for table, *column in connection.execute(sa.text(_MARIADB_COLUMNS), place):
        columns.setdefault(table, []).append(column)
    for name, definition in connection.execute(sa.text(_MARIADB), place):
        yield View(
            name=name,
            columns=_columns(columns.get(name, ())),
            definition=definition or "",
            dialect="mysql",
        )


def _sqlite(connection: sa.Connection) -> Iterable[View]:
    for name, sql in connection.exec_driver_sql(_SQLITE).all():
        try:
            columns = _columns(connection.exec_driver_sql(_SQLITE_COLUMNS, (name,)))
        except OperationalError as error:
            # a view of a table that has gone: SQLite keeps it and cannot say what it shows
            if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_ERROR":
                raise
            columns = ()
        yield View(name=name, columns=columns, definition=sql, dialect="sqlite")
