"""PostgreSQL: its own catalogue, by object id, for all schemas that are not the system's; only
types are left to SQLAlchemy, which reads the columns of a schema in one statement.

A partition is a part of its root and is read there. A table that inherits is a table of its own:
the rows that readers of its parents see too are counted and acted on here alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import NullType, TypeEngine

from erasure.stores.sql.kinds import Kind, Named, strict, type_name
from erasure.stores.sql.schema.found import Found, Index, Reading
from lineage.schema import Check, Column, ForeignKey, Table

# Objects that come with the server have a lower id. Without that bound tables of its catalogue are
# read from end to end, at each question whether anything has changed.
_FIRST = 16384
_OURS = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
_RELATIONS = f"""
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.reltuples,
  coalesce(pg_partition_root(c.oid), c.oid)::oid,
  ARRAY(SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid AND NOT c.relispartition)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relpersistence <> 't' AND {_OURS}
ORDER BY n.nspname, c.relname
"""  # noqa: S608 - a constant
_INDEXES = """
SELECT i.indrelid, i.indisprimary, i.indisunique, m.amname IN ('btree', 'hash'),
  ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.n <= i.indnkeyatts ORDER BY k.n)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
WHERE i.indisvalid AND i.indpred IS NULL AND i.indrelid >= 16384 ORDER BY c.relname
"""
_COLUMNS_OF = """
ARRAY(SELECT a.attname::text FROM unnest({numbers}) WITH ORDINALITY u(attnum, n)
      JOIN pg_attribute a ON a.attrelid = {relation} AND a.attnum = u.attnum ORDER BY u.n)
"""
# A reference of a partitioned table has copies for its partitions; those have a parent. It is
# carried out by triggers on both tables: those on the one referred to are asked about.
_KEYS = f"""
SELECT k.conrelid, k.conname, k.confrelid, k.confdeltype::text, k.confupdtype::text,
  k.condeferrable, {_COLUMNS_OF.format(numbers="k.conkey", relation="k.conrelid")},
  {_COLUMNS_OF.format(numbers="k.confkey", relation="k.confrelid")},
  coalesce(to_jsonb(k) ->> 'conenforced' = 'false', false) OR EXISTS (
    SELECT 1 FROM pg_constraint c JOIN pg_trigger t ON t.tgconstraint = c.oid
    WHERE k.oid IN (c.oid, c.conparentid) AND t.tgrelid = c.confrelid
      AND t.tgenabled IN ('D', 'R'))
FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conname
"""  # noqa: S608 - a constant
# A domain's conditions hold for each column of it, and of a domain of the domain.
_CHECKS = f"""
SELECT k.conrelid, k.conname, pg_get_expr(k.conbin, k.conrelid),
  {_COLUMNS_OF.format(numbers="k.conkey", relation="k.conrelid")}
FROM pg_constraint k WHERE k.contype = 'c' AND k.conrelid <> 0
UNION ALL (
WITH RECURSIVE made(domain, base) AS (
  SELECT oid, oid FROM pg_type WHERE typtype = 'd'
  UNION ALL SELECT m.domain, t.typbasetype FROM made m JOIN pg_type t ON t.oid = m.base
  WHERE t.typtype = 'd')
SELECT a.attrelid, k.conname, pg_get_expr(k.conbin, 0), ARRAY[a.attname::text]
FROM pg_constraint k JOIN made m ON m.base = k.contypid
JOIN pg_attribute a ON a.atttypid = m.domain
WHERE k.contype = 'c' AND NOT a.attisdropped) ORDER BY 2
"""  # noqa: S608 - a constant
_TYPES = """
SELECT attrelid, attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = ANY(%s) AND attnum > 0 AND NOT attisdropped
"""
# What removes large objects is known by the functions that do; on UPDATE (16) and DELETE (8).
_TRIGGERS = """
SELECT t.tgrelid, t.tgname, CASE WHEN t.tgtype & 24 = 24 AND p.prosrc ~ 'lo_(manage|unlink)'
  THEN pg_get_triggerdef(t.oid) || p.prosrc ELSE '' END
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY t.tgname
"""
# A domain keeps the length of its text as a modifier, four more than it.
_ODD_COLUMNS = """
SELECT a.attrelid, a.attname,
  CASE WHEN t.typtypmod > 4 AND b.typname IN ('varchar', 'bpchar') THEN t.typtypmod - 4 END,
  NOT coalesce(l.collisdeterministic, true)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND (t.typtype = 'd' OR NOT l.collisdeterministic)
"""
_PUBLISHED = """
SELECT c.oid, p.pubname FROM pg_publication_tables p
JOIN pg_namespace n ON n.nspname = p.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename ORDER BY p.pubname
"""
# Parameters of a statement are in the log with it, unless that is said not to be; extensions have
# settings of their own, where they are loaded.
_SERVER = """
SELECT pg_database_size(current_database()), ARRAY(
  SELECT name FROM (VALUES
    ('log_parameter_max_length', current_setting('log_parameter_max_length') <> '0'
      AND (current_setting('log_statement') IN ('all', 'mod')
        OR current_setting('log_min_duration_statement') <> '-1'
        OR current_setting('log_min_duration_sample') <> '-1'
        OR current_setting('log_transaction_sample_rate') <> '0')),
    ('log_parameter_max_length_on_error',
      current_setting('log_parameter_max_length_on_error') <> '0'),
    ('auto_explain.log_parameter_max_length',
      current_setting('auto_explain.log_min_duration', true) <> '-1'
      AND current_setting('auto_explain.log_parameter_max_length', true) <> '0'),
    ('pgaudit.log_parameter', current_setting('pgaudit.log', true) ~ 'read|write|all'
      AND current_setting('pgaudit.log_parameter', true) = 'on')) AS told(name, on_)
  WHERE on_)
"""
_LOGGED = "its settings have it write statements with their values; ALTER ROLE … SET "
_ACTIONS = {
    "a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"
}  # fmt: skip
_KINDS = {"r": "table", "p": "partitioned", "f": "foreign", "m": "materialized view", "v": "view"}
# Changes with every change of the schema, and not with rows, statistics or VACUUM.
# What a plan relies on, row by row of the catalogue: the id and the transaction that wrote it.
# Of relations not that, since a rewrite or statistics would change it, but what is read of them.
VERSION = f"""
WITH relation AS (
  SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relispartition, n.nspname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid >= {_FIRST} AND c.relpersistence <> 't' AND {_OURS}),
part(what) AS (
  SELECT concat_ws(' ', 'c', oid, relkind, relispartition, nspname, relname) FROM relation
  UNION ALL SELECT concat_ws(' ', 'a', attrelid, attnum, a.xmin)
    FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
    WHERE attrelid >= {_FIRST} AND attnum > 0
  UNION ALL SELECT concat_ws(' ', 'i', indexrelid, i.xmin)
    FROM pg_index i JOIN relation r ON r.oid = i.indrelid
    WHERE indexrelid >= {_FIRST}
  UNION ALL SELECT concat_ws(' ', 'k', oid, xmin) FROM pg_constraint WHERE oid >= {_FIRST}
  UNION ALL SELECT concat_ws(' ', 't', t.oid, t.xmin)
    FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid
  UNION ALL SELECT concat_ws(' ', 'y', oid, xmin) FROM pg_type
    WHERE oid >= {_FIRST} AND typtype IN ('d', 'e')
  UNION ALL SELECT concat_ws(' ', 'e', oid, xmin) FROM pg_enum WHERE oid >= {_FIRST}
  UNION ALL SELECT concat_ws(' ', 'l', oid, xmin) FROM pg_collation WHERE oid >= {_FIRST})
SELECT concat_ws(' ', current_schema(), count(*), sum(hashtextextended(what, 0))) FROM part
"""  # noqa: S608 - a constant


@dataclass(frozen=True)
class _Relation:
    oid: int
    schema: str
    name: str
    kind: str
    rows: float
    root: int
    parents: Sequence[int]


def read(connection: sa.Connection, default: str | None, *, copies: bool) -> Reading:
    """Every table of every schema but the system's. ``copies``: materialised views as well."""
    default = default or connection.dialect.default_schema_name
    relations = [_Relation(*row) for row in _all(connection, _RELATIONS)]
    catalogue = _Catalogue(connection, relations, default)
    tables = {}
    for relation in relations:
        kept = relation.kind in ("r", "p", "f") or (copies and relation.kind == "m")
        if kept and relation.root == relation.oid:
            tables[catalogue.names[relation.oid]] = catalogue.found(relation)
    views = {
        catalogue.names[r.oid]: _KINDS[r.kind]
        for r in relations
        if r.kind in ("v", "m") and catalogue.names[r.oid] not in tables
    }
    size, logged = connection.exec_driver_sql(_SERVER).one()
    return Reading(
        tables=tables,
        views=views,
        size=int(size),
        default=default,
        published=catalogue.published,
        logged=_LOGGED + ", ".join(f"{name} = 0" for name in logged) if logged else "",
    )


def _all(connection: sa.Connection, statement: str) -> list[Any]:
    return list(connection.exec_driver_sql(statement))


class _Catalogue:
    """What the catalogue says, by the id of a relation; a partition's part is its root's."""

    def __init__(
        self, connection: sa.Connection, relations: Iterable[_Relation], default: str | None
    ) -> None:
        relations = list(relations)
        self.default, self.dialect = default, connection.dialect
        plain = {r.name for r in relations if r.schema == default}
        self.names = {
            r.oid: r.name if r.schema == default else _qualified(r, plain) for r in relations
        }
        self.roots = {r.oid: r.root for r in relations}
        self.estimates: dict[int, float] = {}
        for relation in relations:  # -1 until the table was analysed once; a root counts none
            if relation.rows >= 0 and relation.kind != "p":
                known = self.estimates.get(relation.root, 0)
                self.estimates[relation.root] = known + relation.rows
        self.columns = self._columns(connection, {r.schema for r in relations})
        self.types = self._named(connection, relations)
        self.indexes = self._grouped(_all(connection, _INDEXES), parts=False)
        self.keys = self._grouped(_all(connection, _KEYS))
        self.checks = self._grouped(_all(connection, _CHECKS), parts=False)
        self.triggers = self._grouped(_all(connection, _TRIGGERS))
        published = self._grouped(_all(connection, _PUBLISHED))
        self.published = {
            self.names[oid]: tuple(dict.fromkeys(row[1] for row in rows))
            for oid, rows in published.items()
            if oid in self.names
        }
        self.odd = {(r[0], r[1]): (r[2], bool(r[3])) for r in _all(connection, _ODD_COLUMNS)}

    @staticmethod
    def _columns(
        connection: sa.Connection, schemas: Iterable[str]
    ) -> dict[tuple[str, str], list[ReflectedColumn]]:
        found = {}
        inspector = sa.inspect(connection)
        with warnings.catch_warnings():
            # An unknown type is read and compared as text; nothing to warn of.
            warnings.simplefilter("ignore", SAWarning)
            for schema in sorted(schemas):
                kind = ObjectKind.TABLE | ObjectKind.MATERIALIZED_VIEW
                answer = inspector.get_multi_columns(schema=schema, kind=kind)
                found.update({(schema, name): cs for (_, name), cs in answer.items()})
        return found

    def _named(
        self, connection: sa.Connection, relations: Iterable[_Relation]
    ) -> dict[tuple[int, str], str]:
        """What the database calls the types that SQLAlchemy does not know."""
        asked = [
            r.oid
            for r in relations
            if any(
                isinstance(c["type"], NullType) for c in self.columns.get((r.schema, r.name), ())
            )
        ]
        rows = connection.exec_driver_sql(_TYPES, (asked,)) if asked else ()
        return {(oid, name): called for oid, name, called in rows}

    def _type(self, oid: int, reflected: ReflectedColumn) -> TypeEngine[Any]:
        native = reflected["type"]
        known = not isinstance(native, NullType)
        return native if known else Named(self.types[oid, reflected["name"]])

    def _grouped(self, rows: Iterable[Any], *, parts: bool = True) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        for row in rows:
            oid = self.roots.get(row[0], row[0]) if parts else row[0]
            found.setdefault(oid, []).append(row)
        return found

    def found(self, relation: _Relation) -> Found:
        """A table with all that belongs to it."""
        oid = relation.oid
        reflected = self.columns.get((relation.schema, relation.name), [])
        indexes = self.indexes.get(oid, [])
        rows = self.estimates.get(oid)
        columns = tuple(self._column(oid, c) for c in reflected)
        triggers = self.triggers.get(oid, [])
        return Found(
            table=Table(
                name=relation.name,
                schema=None if relation.schema == self.default else relation.schema,
                columns=columns,
                foreign_keys=self._foreign(oid),
                rows=None if rows is None else int(rows),
                triggers=tuple(dict.fromkeys(row[1] for row in triggers)),
                checks=tuple(_check(row) for row in self.checks.get(oid, ())),
                kind=_KINDS[relation.kind],
                inherits=tuple(self.names[p] for p in relation.parents if p in self.names),
                large_objects=_large_objects(columns, [row[2] for row in triggers]),
            ),
            kinds={c["name"]: self._kind(oid, c) for c in reflected},
            primary_key=next((tuple(row[4]) for row in indexes if row[1]), ()),
            indexes=tuple(Index.over(row[4], unique=row[2]) for row in indexes if row[3]),
        )

    def _kind(self, oid: int, reflected: ReflectedColumn) -> Kind:
        _, folds = self.odd.get((oid, reflected["name"]), (None, False))
        return strict(self._type(oid, reflected), folds=folds)

    def _column(self, oid: int, reflected: ReflectedColumn) -> Column:
        native = self._type(oid, reflected)
        nullable = bool(reflected["nullable"])
        length = None if isinstance(native, sa.Enum) else getattr(native, "length", None)
        if isinstance(native, DOMAIN):
            length, _ = self.odd.get((oid, reflected["name"]), (None, False))
        while isinstance(native, DOMAIN):
            nullable = nullable and not native.not_null
            native = native.data_type
        identity: Mapping[str, Any] = reflected.get("identity") or {}
        return Column(
            name=reflected["name"],
            data_type=type_name(native, self.dialect),
            nullable=nullable,
            length=length if isinstance(length, int) else None,
            generated=bool(reflected.get("computed")),
            assigned=bool(identity.get("always")),
        )

    def _foreign(self, oid: int) -> tuple[ForeignKey, ...]:
        found = {}
        rows = self.keys.get(oid, ())
        for _, name, target, deletes, updates, deferrable, columns, targets, asleep in rows:
            root = self.roots.get(target, target)
            key = ForeignKey(
                name=name,
                columns=tuple(columns),
                target=self.names.get(root, ""),
                target_columns=tuple(targets),
                on_delete=_ACTIONS[deletes],
                on_update=_ACTIONS[updates],
                deferrable=deferrable,
                asleep=asleep,
            )
            # The same reference of several partitions is one of their root.
            found[key.columns, key.target, key.target_columns] = key
        return tuple(found.values())


def _qualified(relation: _Relation, plain: Collection[str]) -> str:
    """A name with a dot in the default schema may look the same; neither table may hide."""
    name = f"{relation.schema}.{relation.name}"
    return f'"{relation.schema}"."{relation.name}"' if name in plain else name


def _large_objects(columns: Iterable[Column], removers: Sequence[str]) -> tuple[str, ...]:
    """Columns of type ``oid`` that no trigger names which removes large objects."""
    numbers = [c.name for c in columns if c.data_type == "OID"]
    return tuple(n for n in numbers if not any(n in text for text in removers))


def _check(row: Any) -> Check:
    return Check(name=row[1], expression=row[2], columns=tuple(row[3]))
