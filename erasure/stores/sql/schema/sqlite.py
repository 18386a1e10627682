"""SQLite: the table-valued pragma functions joined to the schema table, and CREATE TABLE itself.

Types, keys and references come from pragmas; what these leave out (checks, names and deferrability
of references, collations) is read from the statements that SQLite keeps.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import NullType, TypeEngine

from erasure.stores.sql.kinds import Kind, loose
from erasure.stores.sql.schema.found import Found, Index, Reading
from erasure.stores.sql.schema.wording import Created, created
from lineage.schema import Column, ForeignKey, Table

_MASTER = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
# Virtual tables are asked one by one (they have no root page): one whose module is not loaded
# would make all fail. hidden: 1 belongs to a module, 2 and 3 are computed.
_COLUMNS = """
SELECT m.name, c.name, c.type, c."notnull", c.pk, c.hidden
FROM sqlite_master m, pragma_table_xinfo(m.name) c
WHERE m.type = 'table' AND m.rootpage <> 0 AND c.hidden <> 1 ORDER BY m.name, c.cid
"""
_COLUMNS_OF_ONE = """
SELECT ?, name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)
WHERE hidden <> 1 ORDER BY cid
"""
_INDEXES = """
SELECT m.name, i.name, i."unique", c.name
FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c
WHERE m.type = 'table' AND m.rootpage <> 0 AND NOT i.partial
ORDER BY m.name, i.name, c.seqno
"""
_KEYS = """
SELECT m.name, k.id, k."table", k."from", k."to", k.on_delete, k.on_update
FROM sqlite_master m, pragma_foreign_key_list(m.name) k
WHERE m.type = 'table' AND m.rootpage <> 0 ORDER BY m.name, k.id, k.seq
"""
# The first number is the table's rows, in every line of it the same or fewer.
_ROWS = "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl"
_TABLE_KINDS = """
SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('virtual', 'shadow')
"""
_UNREAD = "virtual table whose module is not loaded"
_LENGTH = re.compile(r"\w*CHAR\w*(?: \w+)* ?\( ?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class _Master:
    """The schema table, read once."""

    rows: Sequence[Any]

    def of(self, kind: str) -> list[Any]:
        """Its rows of one kind that are not SQLite's own."""
        return [r for r in self.rows if r[0] == kind and not r[1].startswith("sqlite_")]


def version(connection: sa.Connection) -> str:
    """Changes with every change of the schema: a digest of all its statements. Sturdier than
    ``schema_version``, which a restored or replaced file can repeat, and read as fast."""
    rows = connection.exec_driver_sql(_MASTER).all()
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()


def read(connection: sa.Connection) -> Reading:
    """Every table of the main database; attached ones are not looked at."""
    master = _Master(connection.exec_driver_sql(_MASTER).all())
    columns = _by_table(connection.exec_driver_sql(_COLUMNS))
    columns |= _virtual(connection, master)
    spelled = {t.lower(): (t, {r[1].lower(): r[1] for r in rows}) for t, rows in columns.items()}
    keys = {
        table: tuple(r[1] for r in sorted(rows, key=lambda r: int(r[4])) if r[4])
        for table, rows in columns.items()
    }
    indexes = _by_table(connection.exec_driver_sql(_INDEXES))
    references = _by_table(connection.exec_driver_sql(_KEYS))
    estimates = _estimates(connection, master)
    triggers = _by_table(master.of("trigger"), at=2)
    table_kinds = _table_kinds(connection)
    tables = {}
    for _, name, _, sql in master.of("table"):
        if name not in columns:
            continue
        told = created(sql or "", [r[1] for r in columns[name]])
        kinds = {r[1]: _kind(r[2], told.collations.get(r[1].lower())) for r in columns[name]}
        tables[name] = Found(
            table=Table(
                name=name,
                columns=tuple(_column(r) for r in columns[name]),
                foreign_keys=_foreign(references.get(name, ()), spelled, keys, told),
                rows=estimates.get(name),
                triggers=tuple(r[1] for r in triggers.get(name, ())),
                checks=tuple(told.checks),
                kind=table_kinds.get(name, "table"),
            ),
            kinds=kinds,
            primary_key=keys[name],
            indexes=_indexes(indexes.get(name, ())),
        )
    return Reading(
        tables=tables,
        views={
            **{row[1]: "view" for row in master.of("view")},
            **{row[1]: _UNREAD for row in master.of("table") if row[1] not in columns},
        },
        size=_size(connection),
    )


def _by_table(rows: Iterable[Any], at: int = 0) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row[at], []).append(row)
    return found


def _virtual(connection: sa.Connection, master: _Master) -> dict[str, list[Any]]:
    """Columns of the virtual tables that can be read; what the others hold is in shadow tables,
    which can be."""
    found = {}
    for _, name, _, sql in master.of("table"):
        if (sql or "").upper().startswith("CREATE VIRTUAL"):
            try:
                found[name] = list(connection.exec_driver_sql(_COLUMNS_OF_ONE, (name, name)))
            except OperationalError as error:
                if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_ERROR":
                    raise
    return found


def _size(connection: sa.Connection) -> int:
    pages, size = (
        int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())
        for pragma in ("page_count", "page_size")
    )
    return pages * size


def _estimates(connection: sa.Connection, master: _Master) -> dict[str, int]:
    """As of the last ANALYZE; nothing without one."""
    if not any(row[1] == "sqlite_stat1" for row in master.rows):
        return {}
    return {table: int(rows) for table, rows in connection.exec_driver_sql(_ROWS)}


def _table_kinds(connection: sa.Connection) -> dict[str, str]:
    """Of what is no plain table; SQLite before 3.37 does not say which tables are shadows."""
    if sqlite3.sqlite_version_info < (3, 37):
        return {}
    return {row[0]: row[1] for row in connection.exec_driver_sql(_TABLE_KINDS)}


def _column(row: Any) -> Column:
    _, name, data_type, not_null, _, hidden = row
    length = _LENGTH.match(data_type)
    return Column(
        name=name,
        data_type=data_type.upper(),
        nullable=not not_null,
        length=int(length[1]) if length else None,
        generated=hidden in (2, 3),
    )


def _kind(data_type: str, collation: str | None) -> Kind:
    native = _native(data_type.upper())
    folds = collation is not None and collation != "BINARY"
    return loose(native, both=not isinstance(native, sa.String), folds=folds)


def _native(declared: str) -> TypeEngine[Any]:
    """By SQLite's own rules of affinity, in their order."""
    if "INT" in declared:
        return sa.Integer()
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return sa.String()
    if "BLOB" in declared:
        return sa.LargeBinary()
    if not declared:
        return NullType()
    return sa.Numeric()


def _indexes(rows: Iterable[Any]) -> tuple[Index, ...]:
    found = []
    for _, group in groupby(rows, key=lambda r: r[1]):
        listed = list(group)
        found.append(Index.over([row[3] for row in listed], unique=bool(listed[0][2])))
    return tuple(found)


def _foreign(
    rows: Iterable[Any],
    spelled: Mapping[str, tuple[str, Mapping[str, str]]],
    keys: Mapping[str, tuple[str, ...]],
    told: Created,
) -> tuple[ForeignKey, ...]:
    """Names are written in any case; without columns the target's key is meant."""
    found = []
    for _, group in groupby(rows, key=lambda r: r[1]):
        listed = list(group)
        target, in_target = spelled.get(listed[0][2].lower(), (listed[0][2], {}))
        columns = tuple(row[3] for row in listed)
        said = told.reference(columns)
        found.append(
            ForeignKey(
                name=(said.name if said else "") or f"{listed[0][0]}({', '.join(columns)})",
                columns=columns,
                target=target,
                target_columns=keys.get(target, ())
                if listed[0][4] is None
                else tuple(in_target.get(row[4].lower(), row[4]) for row in listed),
                on_delete=listed[0][5],
                on_update=listed[0][6],
                deferrable=said is not None and said.deferrable,
            )
        )
    return tuple(found)
