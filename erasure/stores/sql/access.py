"""How the database would carry a search out: asked of the database itself, of the very statement
that the search sends, with a placeholder in place of any value. One question per table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import replacement_traverse

from erasure.domain.values import Scalar, Value
from erasure.stores.base import Selector
from erasure.stores.insides import insides_of
from erasure.stores.sql.documents import SOURCE, kind_of
from erasure.stores.sql.find import find
from erasure.stores.sql.kinds import Kind
from erasure.stores.sql.reflect import Schema

_MAILBOX = "placeholder@example.invalid"
# One of them is a value of any column.
_PLACEHOLDERS: Sequence[Scalar] = (
    "placeholder",
    0,
    "2000-01-01",
    "00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "00",
)
_POSTGRESQL_LEADS = """
SELECT c.relname, pg_catalog.pg_get_indexdef(c.oid, 1, false)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('i', 'I') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
# The table's name before a column's; quoted names and values are passed over as a whole.
_POSTGRESQL_PREFIX = re.compile(r"""((?:"[^"]*"|[\w$]+)\.(?=["\w]))|"[^"]*"|'[^']*'""")
_SQLITE_INDEX = re.compile(r"INDEX (.+?)(?: \(|$)|(INTEGER PRIMARY KEY)")


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a search uses. ``indexes`` are names; empty and not ``scans``: a key or constraint
    without a name of its own."""

    scans: bool
    indexes: tuple[str, ...] = ()


class _Caught(Exception):
    """Ends a search before it is sent."""

    def __init__(self, statement: Any) -> None:
        super().__init__()
        self.statement = statement


class _Explain(sa.Executable, sa.ClauseElement):
    """``EXPLAIN`` of a statement, in the form that the dialect's reader below understands."""

    inherit_cache = False

    def __init__(self, statement: sa.SelectBase) -> None:
        self.statement = statement


@compiles(_Explain)
def _explain(element: _Explain, compiler: SQLCompiler, **kw: Any) -> str:
    return _VERBS[compiler.dialect.name] + compiler.process(element.statement, **kw)


Leads = Mapping[str, Set[str]]
Searches = Sequence[tuple[Selector, sa.Select[Any] | None]]


def caught(
    connection: sa.Connection, store: str, schema: Schema, searches: Sequence[Selector]
) -> Searches:
    """Each search with the statement that it sends first, caught before it is sent."""
    return [(search, _statement(connection, store, schema, search)) for search in searches]


def _statement(
    connection: sa.Connection, store: str, schema: Schema, search: Selector
) -> sa.Select[Any] | None:
    def catch(_: sa.Connection, statement: Any, _many: Any, params: Any, _options: Any) -> None:
        raise _Caught(_with_values(statement, params) if params else statement)

    collection = schema.collection(search.dataset.name, search.dataset.schema)
    shape = schema.shapes[collection]
    inside = insides_of(shape.table, search.fields)
    if inside and connection.dialect.name in ("mysql", "mariadb"):
        return None  # no index can serve it, and a part of a statement cannot be told apart
    kinds = {**shape.kinds, **{name: kind_of(shape, one) for name, one in inside.items()}}
    parts = tuple(_placeholder(kinds[name]) for name in search.fields)
    value: Value = _MAILBOX if search.mode == "email" else parts[0]
    value = parts if search.mode == "together" else value
    sa.event.listen(connection, "before_execute", catch)
    try:
        next(find(connection, store, schema, search, [value]), None)
    except _Caught as one:
        # Without the bound of a first, short answer: which index serves is the same.
        return one.statement.limit(None) if isinstance(one.statement, sa.Select) else None
    finally:
        sa.event.remove(connection, "before_execute", catch)
    return None


def _with_values(statement: Any, params: Mapping[str, Any]) -> Any:
    """The statement with its values in it: several are put together as one question."""

    def value(element: Any, **_: Any) -> sa.BindParameter[Any] | None:
        if not isinstance(element, sa.BindParameter) or element.key not in params:
            return None
        return sa.bindparam(None, params[element.key], type_=element.type, unique=True)

    return replacement_traverse(statement, {}, value)


def _placeholder(kind: Kind) -> Scalar:
    if isinstance(kind.native, sa.Integer):
        return 0
    return next((v for v in _PLACEHOLDERS if kind.normal(v) is not None), 0)


def leads_of(connection: sa.Connection) -> Leads:
    """By the name of an index, with what it begins: asked once, where a plan does not say it.

    PostgreSQL's planner scans small tables whatever there is; what it falls back to when it may
    not, until the end of this transaction, shows whether an index can serve.
    """
    if connection.dialect.name != "postgresql":
        return {}
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    leads: dict[str, set[str]] = {}
    for name, lead in connection.exec_driver_sql(_POSTGRESQL_LEADS):
        # An expression stands in brackets of its own there, and in a condition it does not.
        leads.setdefault(name, set()).add(lead[1:-1] if lead.startswith("((") else lead)
    return leads


def accesses(connection: sa.Connection, searches: Searches, leads: Leads) -> list[Access | None]:
    """What each search of one table uses, by one question; None where nothing says."""
    reader = _READERS.get(connection.dialect.name)
    asked = {n: statement for n, (_, statement) in enumerate(searches) if statement is not None}
    if reader is None or not asked:
        return [None] * len(searches)
    branches: list[sa.Select[Any]] = [
        statement.with_only_columns(sa.literal_column(str(n)), maintain_column_froms=True)
        for n, statement in asked.items()
    ]
    whole = sa.union_all(*branches) if len(branches) > 1 else branches[0]
    parts: dict[int, list[Access]] = {}
    for n, access in reader(connection, _Explain(whole), list(asked), leads):
        parts.setdefault(n, []).append(access)
    return [_together(parts.get(n, ())) for n in range(len(searches))]


def _together(parts: Sequence[Access]) -> Access | None:
    """A table may be read in parts: its partitions, or one index after the other."""
    if not parts:
        return None
    names = sorted({name for part in parts for name in part.indexes})
    return Access(scans=any(part.scans for part in parts), indexes=tuple(names))


_Told = Iterator[tuple[int, Access]]


def _postgresql(
    connection: sa.Connection, explain: _Explain, numbers: Sequence[int], leads: Leads
) -> _Told:
    """An index that begins with something else is read from end to end, which is no help. Each
    part tells its number in what it puts out."""
    (plan,) = connection.execute(explain).scalar_one()
    waiting = [plan["Plan"]]
    while waiting:
        node = waiting.pop()
        inner = node.get("Plans", [])
        if "Relation Name" not in node:
            waiting += inner
            continue
        used = [n for n in (node, *_nested(inner)) if "Index Cond" in n]
        names = tuple(sorted(n["Index Name"] for n in used))
        scans = not used or not all(_narrows(n, leads) for n in used)
        yield int(node["Output"][0]), Access(scans=scans, indexes=() if scans else names)


def _narrows(node: Mapping[str, Any], leads: Leads) -> bool:
    """Whether the condition is about what the index begins with."""
    condition = _POSTGRESQL_PREFIX.sub(lambda m: "" if m[1] else m[0], node["Index Cond"])
    return any(
        re.search(rf"(?<!\w){re.escape(lead)}(?!\w)", condition)
        for lead in leads.get(node["Index Name"], ())
    )


def _nested(nodes: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        yield node
        yield from _nested(node.get("Plans", ()))


def _sqlite(
    connection: sa.Connection, explain: _Explain, numbers: Sequence[int], _leads: Leads
) -> _Told:
    """Lines in order; a union has a heading before each of its parts."""
    place = 0 if len(numbers) == 1 else -1
    for _, _, _, detail in connection.execute(explain):
        if detail in ("LEFT-MOST SUBQUERY", "UNION ALL"):
            place += 1
        elif detail.startswith(("SCAN", "SEARCH")) and f" {SOURCE} VIRTUAL" not in detail:
            found = _SQLITE_INDEX.search(detail)
            names = (found[1] or found[2],) if found and detail.startswith("SEARCH") else ()
            yield numbers[place], Access(scans=detail.startswith("SCAN"), indexes=names)


def _mysql(
    connection: sa.Connection, explain: _Explain, numbers: Sequence[int], _leads: Leads
) -> _Told:
    """A part per id, from 1. A small table may be scanned although an index could serve; a key
    that was looked up and is not there has no table any more."""
    for row in connection.execute(explain).mappings():
        if row["id"] is None:
            continue
        whole = row["type"] in ("ALL", "index")  # the table, or an index from end to end
        names = row["possible_keys"] if whole else row["key"]
        access = Access(
            scans=whole and not names, indexes=tuple(filter(None, (names or "").split(",")))
        )
        yield numbers[int(row["id"]) - 1], access


_VERBS: Mapping[str, str] = {
    "postgresql": "EXPLAIN (VERBOSE, FORMAT JSON) ",
    "sqlite": "EXPLAIN QUERY PLAN ",
    "mysql": "EXPLAIN ",
    "mariadb": "EXPLAIN ",
}
_Reader = Callable[[sa.Connection, _Explain, Sequence[int], Leads], _Told]
_READERS: Mapping[str, _Reader] = {
    "postgresql": _postgresql,
    "sqlite": _sqlite,
    "mysql": _mysql,
    "mariadb": _mysql,
}
