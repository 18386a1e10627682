"""The constraints of every table as rules: checks, foreign keys, and uniqueness, also of
expressions and of a part of the rows. What no expression can be judged by (triggers, exclusions,
generated columns) is left to the database, which refuses the change itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from erasure.domain.expressions import group, parts_of, renamed
from erasure.stores.rules import Rule, Rules
from erasure.stores.sql.schema.wording import columns_in
from lineage.schema import Table

# NULLS NOT DISTINCT is known from version 15 on; a collation counts where it holds different
# texts equal.
_PG_UNIQUES = """
SELECT n.nspname, c.relname, x.relname,
  ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, true) || coalesce(
          ' COLLATE ' || quote_ident(s.nspname) || '.' || quote_ident(l.collname), '')
        FROM generate_series(1, i.indnkeyatts) k
        LEFT JOIN pg_catalog.pg_collation l
          ON l.oid = i.indcollation[k - 1] AND NOT l.collisdeterministic
        LEFT JOIN pg_catalog.pg_namespace s ON s.oid = l.collnamespace
        ORDER BY k),
  pg_catalog.pg_get_expr(i.indpred, i.indrelid),
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
  i.indexprs IS NULL
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'
"""
_SQLITE_UNIQUES = """
SELECT m.name, i.name, c.name, c.coll, s.sql
FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) c
LEFT JOIN sqlite_master s ON s.type = 'index' AND s.name = i.name
WHERE m.type = 'table' AND i."unique" AND c.key ORDER BY m.name, i.name, c.seqno
"""
_MYSQL_UNIQUES = """
SELECT table_schema, table_name, index_name, column_name, sub_part
FROM information_schema.statistics
WHERE NOT non_unique AND table_schema NOT IN ('mysql', 'sys', 'performance_schema')
ORDER BY table_schema, table_name, index_name, seq_in_index
"""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What reading needs: the connection, the tables by collection, and how one is named."""

    connection: sa.Connection
    tables: Mapping[str, Table]
    default: str | None

    def collection(self, name: str, schema: str | None) -> str:
        """The collection name of a table."""
        return name if schema in (None, self.default) else f"{schema}.{name}"

    def quoted(self, name: str) -> str:
        """A column's name as the dialect has it in an expression."""
        return str(self.connection.dialect.identifier_preparer.quote_identifier(name))

    def rule(self, rule: Rule, table: Table) -> Rule | None:
        """A rule with the columns that it speaks of; None where it cannot be judged."""
        text = " , ".join((*rule.expressions, rule.predicate))
        columns = frozenset(columns_in(text, [c.name for c in table.columns]))
        generated = {c.name for c in table.columns if c.generated}
        if not columns or columns & generated:
            return None
        return replace(rule, columns=columns)


def read_rules(
    connection: sa.Connection, tables: Mapping[str, Table], default: str | None
) -> Rules:
    """Every constraint by collection; one query, whatever the number of tables."""
    reading = Reading(connection=connection, tables=tables, default=default)
    found = {name: [*_checks(reading, table), *_foreign(table)] for name, table in tables.items()}
    reader = _READERS.get(connection.dialect.name)
    for name, rule in reader(reading) if reader else ():
        known = reading.rule(rule, tables[name]) if name in tables else None
        if known is not None:
            found[name].append(known)
    return {name: tuple(dict.fromkeys(rules)) for name, rules in found.items()}


def _checks(reading: Reading, table: Table) -> Iterator[Rule]:
    generated = {c.name for c in table.columns if c.generated}
    for check in table.checks:
        text = check.expression
        if len(check.columns) == 1 and table.get("VALUE") is None:  # a domain's word for a column
            text = renamed(text, {"VALUE": reading.quoted(check.columns[0])})
        columns = frozenset(check.columns)
        if columns and not columns & generated:
            yield Rule(kind="check", name=check.name, columns=columns, expressions=(text,))


def _foreign(table: Table) -> Iterator[Rule]:
    for key in table.foreign_keys:
        columns = frozenset(key.columns)
        yield Rule(kind="foreign key", name=key.name, columns=columns, foreign=key)


def _postgresql(reading: Reading) -> Iterator[tuple[str, Rule]]:
    rows = reading.connection.exec_driver_sql(_PG_UNIQUES)
    for schema, table, name, parts, predicate, nulls, plain in rows:
        yield (
            reading.collection(table, schema),
            _unique(name, parts, predicate=predicate or "", nulls=nulls, plain=plain),
        )


def _sqlite(reading: Reading) -> Iterator[tuple[str, Rule]]:
    indexes: dict[tuple[str, str, str], list[tuple[str | None, str]]] = {}
    rows = reading.connection.exec_driver_sql(_SQLITE_UNIQUES)
    for table, name, column, collation, definition in rows:
        indexes.setdefault((table, name, definition or ""), []).append((column, collation))
    for (table, name, definition), parts in indexes.items():
        yield table, _sqlite_index(reading, name, definition, parts)
    for table, shape in reading.tables.items():
        if shape.primary_key:  # a row's own number has no index
            yield table, _unique("primary key", map(reading.quoted, shape.primary_key))


def _sqlite_index(
    reading: Reading, name: str, definition: str, parts: list[tuple[str | None, str]]
) -> Rule:
    texts, predicate = [reading.quoted(column or "") for column, _ in parts], ""
    start = definition.find("(")
    inside = group(definition, start) if start >= 0 else None
    if inside is not None:
        predicate = definition[start + len(inside) + 2 :].strip()
        written = [re.sub(r"\s+(ASC|DESC)$", "", part, flags=re.I) for part in parts_of(inside)]
        texts = [
            text if column is not None else own
            for text, own, (column, _) in zip(texts, written, parts, strict=True)
        ]
    named = [
        text if collation.upper() == "BINARY" else f"{text} COLLATE {collation}"
        for text, (_, collation) in zip(texts, parts, strict=True)
    ]
    return _unique(
        "" if name.startswith("sqlite_autoindex") else name,
        named,
        predicate=predicate[len("WHERE") :] if predicate.upper().startswith("WHERE") else "",
        plain=all(column is not None for column, _ in parts),
    )


def _mysql(reading: Reading) -> Iterator[tuple[str, Rule]]:
    indexes: dict[tuple[str, str], list[str]] = {}
    rows = reading.connection.exec_driver_sql(_MYSQL_UNIQUES)
    for schema, table, name, column, prefix in rows:
        text = reading.quoted(column or "")
        text = f"LEFT({text}, {prefix})" if prefix else text
        indexes.setdefault((reading.collection(table, schema), name), []).append(text)
    for (collection, name), parts in indexes.items():
        plain = not any(part.startswith("LEFT(") for part in parts)
        yield collection, _unique(name, parts, plain=plain)


def _unique(
    name: str,
    parts: Iterable[str],
    *,
    predicate: str = "",
    nulls: bool = False,
    plain: bool = True,
) -> Rule:
    return Rule(
        kind="unique",
        name=name,
        columns=frozenset(),
        expressions=tuple(parts),
        predicate=predicate,
        nulls=nulls,
        plain=plain,
    )


_READERS: Mapping[str, Callable[[Reading], Iterator[tuple[str, Rule]]]] = {
    "postgresql": _postgresql,
    "sqlite": _sqlite,
    "mysql": _mysql,
    "mariadb": _mysql,
}
