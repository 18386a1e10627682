"""What a planner remembers of a table: its statistics hold whole values. PostgreSQL's are read by
whoever may read the column, and ANALYZE replaces them, but not everywhere; MariaDB's stay until
somebody has them made anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from erasure.stores.sql.errors import diagnose
from erasure.stores.sql.reflect import Shape

# Partitions have statistics of their own, indices over expressions too; those of a parent are also
# over the rows of its children.
# ``:names``: quoted, with their schemas. A JSON array of arrays, see :func:`remembered`.
REMEMBERED = """
SELECT jsonb_agg(jsonb_build_array(nspname, relname, inherited, unlooked, filled)) FROM (
  WITH asked AS (
    SELECT CAST(CAST(name AS regclass) AS oid) AS oid FROM unnest(CAST(:names AS text[])) name),
  tree AS (
    SELECT oid FROM asked
    UNION SELECT CAST(p.relid AS oid)
    FROM asked, pg_partition_tree(CAST(asked.oid AS regclass)) p)
  SELECT n.nspname, r.relname, s.inherited,
    coalesce(bool_or(a.attstattarget = 0), false) AS unlooked,
    NOT s.inherited AND bool_and(r.reltuples > 0) AS filled
  FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  JOIN pg_class r ON r.oid = coalesce(i.indrelid, c.oid)
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
  WHERE num_nonnulls(s.most_common_vals, s.histogram_bounds, s.most_common_elems) > 0
    AND r.oid IN (SELECT oid FROM tree)
  GROUP BY n.nspname, r.relname, s.inherited ORDER BY n.nspname, r.relname) told
"""

_WHY = (
    "ANALYZE leaves those of a table without rows, of a column with STATISTICS 0, and of a table "
    "that is not its user's; DELETE FROM pg_statistic WHERE starelid = '…'::regclass, as superuser"
)

# Not granted, or not there (MySQL).
_UNREAD = ("1044", "1142", "1143", "1146")
_SAMPLED = sa.text("""
SELECT DISTINCT table_name FROM mysql.column_stats WHERE min_value IS NOT NULL
  AND db_name = coalesce(:schema, database()) AND table_name = :name
""")


# A table's schema and name; whether these are of its children too; whether a column is not looked
# at; whether ANALYZE has seen rows of its own there.
Told = tuple[str, str, bool, bool, bool]


def remembered(connection: sa.Connection, told: Iterable[Told]) -> list[str]:
    """After ANALYZE: tables, by their names, of which it has left what was known: it finds no row
    there, or does not look at one of the columns."""
    found: dict[str, None] = {}
    for schema, name, inherited, unlooked, filled in told:
        unlooked = unlooked or (
            not filled and _is_empty(connection, (schema, name), alone=not inherited)
        )
        if unlooked:
            found[name] = None
    return list(found)


def words_of(names: Iterable[str]) -> str:
    """What is said of them."""
    named = f"the planner's statistics of {', '.join(names)} keep values"
    return f"{named} ({_WHY})"


def _is_empty(connection: sa.Connection, names: Sequence[str], *, alone: bool) -> bool:
    quote = connection.dialect.identifier_preparer.quote_identifier
    table = ".".join(map(quote, names))
    only = "ONLY " if alone else ""
    one = f"SELECT NOT EXISTS (SELECT 1 FROM {only}{table})"  # noqa: S608 - a quoted name
    return bool(connection.exec_driver_sql(one.replace("%", "%%")).scalar_one())


def sampled(connection: sa.Connection, shapes: Iterable[Shape]) -> list[str]:
    """Tables of MariaDB of whose columns ANALYZE TABLE … PERSISTENT has kept values; none where
    there is no such statistic, or its user may not read it."""
    found: list[str] = []
    for shape in shapes:
        place = {"schema": shape.table.schema, "name": shape.table.name}
        try:
            found += connection.execute(_SAMPLED, place).scalars()
        except DBAPIError as error:
            if diagnose(error).code not in _UNREAD:
                raise
            return []
    return found


def words_of_samples(names: Iterable[str]) -> str:
    """What is said of them."""
    named = f"the statistics of columns of {', '.join(names)} keep values"
    return f"{named}; ANALYZE TABLE … PERSISTENT FOR ALL there"
