"""MariaDB and MySQL: ``information_schema``, in nine statements, and one about the
server.

A store is the database that its url (or its option ``schema``) names. The others of the server
are stores of their own and are not looked at, but for those whose tables refer into this one:
what goes here would change there, so they are read as well, as ``database.table``. What the
product's user may not see is not there for it: it needs SELECT on all tables, more than that on
those it is to be told the rules of their references, and TRIGGER to be told of triggers. MySQL is
read from 8.0.16 on, MariaDB from 10.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from erasure.stores.sql.kinds import mysql
from erasure.stores.sql.schema.found import Found, Index, Reading
from erasure.stores.sql.schema.wording import columns_in
from lineage.schema import Check, Column, ForeignKey, Table

_OUTSIDE = """
SELECT DISTINCT table_schema FROM information_schema.key_column_usage
WHERE referenced_table_schema IN :dbs AND table_schema NOT IN :dbs
"""
# Each begins with the database and the table.
_TABLES = """
SELECT t.table_schema, t.table_name, t.table_type, t.table_rows, t.data_length + t.index_length,
  coalesce(e.transactions, 'NO') = 'YES'
FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine
WHERE t.table_schema IN :dbs ORDER BY t.table_schema, t.table_name
"""
_COLUMNS = """
SELECT table_schema, table_name, column_name, column_type, is_nullable, character_maximum_length,
  collation_name, extra
FROM information_schema.columns WHERE table_schema IN :dbs
ORDER BY table_schema, table_name, ordinal_position
"""
_INDEXES = """
SELECT table_schema, table_name, index_name, non_unique, index_type, column_name
FROM information_schema.statistics WHERE table_schema IN :dbs
ORDER BY table_schema, table_name, index_name, seq_in_index
"""
_KEYS = """
SELECT table_schema, table_name, constraint_name, column_name, referenced_table_schema,
  referenced_table_name, referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema IN :dbs AND referenced_table_name IS NOT NULL
ORDER BY table_schema, table_name, constraint_name, ordinal_position
"""
_RULES = """
SELECT constraint_schema, table_name, constraint_name, delete_rule, update_rule
FROM information_schema.referential_constraints WHERE constraint_schema IN :dbs
"""
_CHECKS = """
SELECT constraint_schema, table_name, constraint_name, check_clause
FROM information_schema.check_constraints WHERE constraint_schema IN :dbs
ORDER BY constraint_schema, table_name, constraint_name
"""
# MySQL's own table of checks does not say whose they are.
_CHECKS_OF_MYSQL = """
SELECT t.table_schema, t.table_name, c.constraint_name, c.check_clause
FROM information_schema.check_constraints c JOIN information_schema.table_constraints t
  ON t.constraint_schema = c.constraint_schema AND t.constraint_name = c.constraint_name
WHERE c.constraint_schema IN :dbs ORDER BY t.table_schema, t.table_name, c.constraint_name
"""
_TRIGGERS = """
SELECT event_object_schema, event_object_table, trigger_name FROM information_schema.triggers
WHERE event_object_schema IN :dbs ORDER BY trigger_name
"""
_LOGS = """
SHOW GLOBAL VARIABLES WHERE value = 'ON'
  AND variable_name IN ('general_log', 'slow_query_log', 'server_audit_logging')
"""
_LOGGED = "{} has it write statements with their values; SET GLOBAL … = OFF"
_KINDS = {"BASE TABLE": "table", "SYSTEM VERSIONED": "versioned"}
# Who may only read a table is not told what its references do.
_UNKNOWN = "UNKNOWN"
_VIEWS = ("VIEW", "SYSTEM VIEW")
_COMPUTED = re.compile(r"(STORED|VIRTUAL|PERSISTENT) GENERATED")
_LIMITED = ("char", "varchar", "binary", "varbinary")
_VALID_JSON = re.compile(r"json_valid\(`((?:[^`]|``)+)`\)")
# Collations under which no two different texts are equal: by code, and blanks count.
_EXACT = re.compile(r".*_nopad_bin|utf8mb4_0900_bin")


@dataclass(frozen=True)
class _Catalogue:
    """The statements' answers, without database and table, by the collection that these name."""

    connection: sa.Connection
    database: str | None
    databases: Sequence[str | None]

    def name(self, database: str, table: str) -> str:
        """The collection name of a table."""
        return table if database == self.database else f"{database}.{table}"

    def by_table(self, statement: str) -> dict[str, list[Any]]:
        """What a statement says of each table."""
        found: dict[str, list[Any]] = {}
        for row in _rows(self.connection, statement, self.databases):
            found.setdefault(self.name(row[0], row[1]), []).append(row[2:])
        return found


def _rows(connection: sa.Connection, statement: str, databases: Sequence[str | None]) -> list[Any]:
    text = sa.text(statement).bindparams(sa.bindparam("dbs", expanding=True))
    return list(connection.execute(text, {"dbs": databases}))


def _with_referring(connection: sa.Connection, database: str | None) -> list[str | None]:
    found = [database]
    while more := [row[0] for row in _rows(connection, _OUTSIDE, found)]:
        found += more
    return found


def read(connection: sa.Connection, default: str | None) -> Reading:
    """Every table of one database, and of those that refer into it."""
    database = default or connection.dialect.default_schema_name
    catalogue = _Catalogue(connection, database, _with_referring(connection, database))
    mariadb = getattr(connection.dialect, "is_mariadb", False)
    columns, indexes = catalogue.by_table(_COLUMNS), catalogue.by_table(_INDEXES)
    keys, rules = catalogue.by_table(_KEYS), catalogue.by_table(_RULES)
    checks = catalogue.by_table(_CHECKS if mariadb else _CHECKS_OF_MYSQL)
    triggers = catalogue.by_table(_TRIGGERS)
    tables, views, size = {}, {}, 0
    listed = _rows(connection, _TABLES, catalogue.databases)
    for schema, table, kind, estimate, bytes_, transactional in listed:
        name = catalogue.name(schema, table)
        size += int(bytes_ or 0)
        if kind in _VIEWS:
            views[name] = "view"
        if kind not in _KINDS:
            continue
        mine = columns.get(name, ())
        said = tuple(_check(row, [c[0] for c in mine]) for row in checks.get(name, ()))
        documents = {c for check in said for c in _documents(check)}
        found = _indexes(indexes.get(name, ()))
        tables[name] = Found(
            table=Table(
                name=table,
                schema=None if schema == database else schema,
                columns=tuple(_column(row, documents) for row in mine),
                foreign_keys=_foreign(keys.get(name, ()), rules.get(name, ()), catalogue),
                rows=estimate,
                triggers=tuple(row[0] for row in triggers.get(name, ())),
                checks=said,
                kind=_KINDS[kind],
                transactional=bool(transactional),
            ),
            kinds={row[0]: mysql(row[1], folds=not _EXACT.fullmatch(row[4] or "")) for row in mine},
            primary_key=found.pop("PRIMARY", Index(columns=())).columns,
            indexes=tuple(found.values()),
        )
    logs = [name for name, _ in connection.exec_driver_sql(_LOGS)]
    logged = _LOGGED.format(", ".join(logs)) if logs else ""
    return Reading(tables=tables, views=views, size=size, default=database, logged=logged)


def _column(row: Any, documents: Iterable[str]) -> Column:
    name, declared, nullable, length, _, extra = row
    limited = re.split(r"[( ]", declared, maxsplit=1)[0] in _LIMITED
    return Column(
        name=name,
        data_type="JSON" if name in documents else _in_capitals(declared),
        nullable=nullable == "YES",
        length=int(length) if limited else None,
        generated=bool(_COMPUTED.search(extra)),
    )


def _in_capitals(declared: str) -> str:
    """The type's words, but not the labels of an enumeration."""
    word, bracket, rest = declared.partition("(")
    labels = word in ("enum", "set")
    return word.upper() + bracket + (rest if labels else rest.upper())


def _check(row: Any, columns: Sequence[str]) -> Check:
    name, expression = row
    return Check(name=name, expression=expression, columns=columns_in(expression, columns))


def _documents(check: Check) -> Iterable[str]:
    """MariaDB keeps JSON as a text that is tested for being a document."""
    match = _VALID_JSON.fullmatch(check.expression)
    return [match[1].replace("``", "`")] if match else []


def _indexes(rows: Iterable[Any]) -> dict[str, Index]:
    """A unique index over the beginning of a text is as good as one over all of it."""
    found = {}
    for name, group in groupby(rows, key=lambda r: r[0]):
        listed = list(group)
        if listed[0][2] in ("BTREE", "HASH"):
            found[name] = Index.over([row[3] for row in listed], unique=not int(listed[0][1]))
    return found


def _foreign(
    rows: Iterable[Any], rules: Iterable[Any], catalogue: _Catalogue
) -> tuple[ForeignKey, ...]:
    actions = {name: (deletes, updates) for name, deletes, updates in rules}
    found = []
    for name, group in groupby(rows, key=lambda r: r[0]):
        listed = list(group)
        deletes, updates = actions.get(name, (_UNKNOWN, _UNKNOWN))
        found.append(
            ForeignKey(
                name=name,
                columns=tuple(row[1] for row in listed),
                target=catalogue.name(listed[0][2], listed[0][3]),
                target_columns=tuple(row[4] for row in listed),
                on_delete=deletes,
                on_update=updates,
            )
        )
    return tuple(found)
