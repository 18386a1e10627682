"""What reflection leaves out: triggers, partitions, estimated rows and the size on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

_PG_TABLES = """
SELECT n.nspname, c.relname, c.relispartition, c.reltuples
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
# A length is kept as the type's modifier, four more than it.
_PG_DOMAINS = """
SELECT t.typname, t.typtypmod - 4
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
WHERE t.typtype = 'd' AND t.typtypmod > 4 AND b.typname IN ('varchar', 'bpchar')
"""
_PG_TRIGGERS = """
SELECT n.nspname, c.relname, t.tgname
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal ORDER BY t.tgname
"""
# SQLAlchemy reads unique constraints from the statement's text and misses some; this asks.
_SQLITE_UNIQUES = """
SELECT m.name, i.name, c.name
FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c
WHERE m.type = 'table' AND i."unique" AND NOT i.partial
"""
# Likewise what a foreign key does on delete, where it stands beside its column.
_SQLITE_ACTIONS = """
SELECT m.name, k.id, k."from", k.on_delete
FROM sqlite_master m, pragma_foreign_key_list(m.name) k
WHERE m.type = 'table' ORDER BY m.name, k.id, k.seq
"""
_SQLITE_TRIGGERS = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"


@dataclass(frozen=True, kw_only=True)
class Extras:
    """By collection name; ``actions``: by collection and columns of a foreign key; ``domains``:
    lengths of text domains, by their name; ``size`` in bytes, None where the dialect does not
    say."""

    triggers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partitions: frozenset[str] = frozenset()
    rows: Mapping[str, int] = field(default_factory=dict)
    uniques: Mapping[str, frozenset[frozenset[str]]] = field(default_factory=dict)
    actions: Mapping[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    domains: Mapping[str, int] = field(default_factory=dict)
    size: int | None = None


def read_extras(connection: sa.Connection, default: str | None) -> Extras:
    """A handful of queries, whatever the number of tables."""
    if connection.dialect.name == "sqlite":
        return _sqlite(connection)
    if connection.dialect.name == "postgresql":
        return _postgresql(connection, default)
    return Extras()


def _sqlite(connection: sa.Connection) -> Extras:
    triggers: dict[str, tuple[str, ...]] = {}
    for table, name in connection.exec_driver_sql(_SQLITE_TRIGGERS):
        triggers[table] = (*triggers.get(table, ()), name)
    pages, size = (
        connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
        for pragma in ("page_count", "page_size")
    )
    return Extras(
        triggers=triggers,
        uniques=_sqlite_uniques(connection),
        actions=_sqlite_actions(connection),
        size=pages * size,
    )


def _sqlite_actions(connection: sa.Connection) -> dict[tuple[str, tuple[str, ...]], str]:
    keys: dict[tuple[str, int], tuple[tuple[str, ...], str]] = {}
    for table, number, column, action in connection.exec_driver_sql(_SQLITE_ACTIONS):
        columns, _ = keys.get((table, number), ((), ""))
        keys[table, number] = ((*columns, column), action)
    return {(table, columns): action for (table, _), (columns, action) in keys.items()}


def _sqlite_uniques(connection: sa.Connection) -> dict[str, frozenset[frozenset[str]]]:
    indexes: dict[tuple[str, str], set[str | None]] = {}
    for table, index, column in connection.exec_driver_sql(_SQLITE_UNIQUES):
        indexes.setdefault((table, index), set()).add(column)
    found: dict[str, frozenset[frozenset[str]]] = {}
    for (table, _), columns in indexes.items():
        named = frozenset(c for c in columns if c is not None)
        if len(named) == len(columns):  # an expression has no name, and proves nothing
            found[table] = found.get(table, frozenset()) | {named}
    return found


def _postgresql(connection: sa.Connection, default: str | None) -> Extras:
    def collection(schema: str, name: str) -> str:
        return name if schema == default else f"{schema}.{name}"

    partitions, rows = set(), {}
    for schema, name, is_partition, estimate in connection.exec_driver_sql(_PG_TABLES):
        if is_partition:
            partitions.add(collection(schema, name))
        if estimate >= 0:  # -1 until the table was analysed once
            rows[collection(schema, name)] = int(estimate)
    triggers: dict[str, tuple[str, ...]] = {}
    for schema, table, name in connection.exec_driver_sql(_PG_TRIGGERS):
        known = triggers.get(collection(schema, table), ())
        triggers[collection(schema, table)] = (*known, name)
    size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    return Extras(
        triggers=triggers,
        partitions=frozenset(partitions),
        rows=rows,
        domains={name: int(n) for name, n in connection.exec_driver_sql(_PG_DOMAINS)},
        size=int(size),
    )
