"""What acts by itself when rows change - triggers, rules, references - as one digest: cheap enough
to be asked at the end of every transaction, so that nothing added meanwhile goes unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa

from erasure.stores.sql.schema import postgresql, sqlite

# A reference is kept by triggers of its own here, on both of its tables.
_POSTGRESQL = """
WITH part(what) AS (
  SELECT concat_ws(' ', 't', t.oid, t.xmin, p.oid, p.xmin)
  FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid WHERE c.relpersistence <> 't'
  UNION ALL SELECT concat_ws(' ', 'r', w.oid, w.xmin)
  FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_class c ON c.oid = w.ev_class
  WHERE w.oid >= 16384 AND c.relkind IN ('r', 'p'))
SELECT concat_ws(' ', count(*), sum(hashtextextended(what, 0))) FROM part
"""
_MYSQL = """
SELECT event_object_schema, event_object_table, trigger_name, event_manipulation, action_statement
FROM information_schema.triggers WHERE event_object_schema IN :databases
UNION ALL
SELECT constraint_schema, table_name, constraint_name, referenced_table_name,
  concat(delete_rule, ' ', update_rule)
FROM information_schema.referential_constraints WHERE constraint_schema IN :databases
"""


def automatic(connection: sa.Connection, schemas: Iterable[str | None]) -> str:
    """Changes whenever something that acts by itself does; empty where the engine is not known.
    ``schemas``: the databases whose tables are acted on; MariaDB and MySQL tell nothing of none."""
    reader = _READERS.get(connection.dialect.name)
    return reader(connection, schemas) if reader else ""


def automatic_and_version(
    connection: sa.Connection, schemas: Iterable[str | None]
) -> tuple[str, str | None]:
    """:func:`automatic`, and the engine's version of the schema in the same statement; None where
    reading that costs as much as reading the schema (MariaDB) or where nothing is known."""
    if connection.dialect.name == "sqlite":
        version = sqlite.version(connection)
        return version, version
    if connection.dialect.name == "postgresql":
        both = f"SELECT ({_POSTGRESQL}), ({postgresql.VERSION})"
        told, version = connection.exec_driver_sql(both).one()
        return told, version
    return automatic(connection, schemas), None


def _postgresql(connection: sa.Connection, _: Iterable[str | None]) -> str:
    return str(connection.exec_driver_sql(_POSTGRESQL).scalar_one())


def _mysql(connection: sa.Connection, schemas: Iterable[str | None]) -> str:
    if not (names := sorted(filter(None, schemas))):
        return ""
    text = sa.text(_MYSQL).bindparams(sa.bindparam("databases", expanding=True))
    rows = connection.execute(text, {"databases": names}).all()
    return hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()


_READERS: Mapping[str, Callable[[sa.Connection, Iterable[str | None]], str]] = {
    "postgresql": _postgresql,
    "sqlite": lambda connection, _: sqlite.version(connection),
    "mysql": _mysql,
    "mariadb": _mysql,
}
