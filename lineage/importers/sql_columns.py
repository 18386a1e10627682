"""Column lineage of a SELECT, worked out with sqlglot. Pure: no database is asked.

Whatever cannot be read gives a reason, never an exception; no reason repeats the statement, whose
literals may be somebody's data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from lineage.columns import ColumnLineage, Flow, Relations
from lineage.importers.sql_outputs import Outputs, Strength
from lineage.importers.sql_reader import Reader, TooLarge

LONGEST = 500_000  # characters
MOST_FLOWS = 100_000
# Its warnings quote the statement.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement that makes or fills a relation out of a query. ``target``: its name as written,
    outermost first; ``columns``: those it names itself."""

    target: tuple[str, ...]
    what: str
    query: exp.Query
    columns: tuple[str, ...] = ()


def read_query(
    sql: str,
    *,
    target: str,
    relations: Relations,
    dialect: str | None = None,
    columns: Sequence[str] = (),
) -> ColumnLineage:
    """The flows of a SELECT, or of a statement that holds one, into the dataset ``target``.

    ``columns``: the target's own column names where they are known, in the order of the query.
    ``dialect``: sqlglot's name of it; one that it does not know is read as plain SQL.
    """
    parsed = _parsed(sql, dialect)
    if isinstance(parsed, str):
        return ColumnLineage(reason=parsed)
    found = next((s for s in map(_statement, parsed) if s is not None), None)
    if found is None:
        return ColumnLineage(reason="it holds no query")
    return read_statement(
        found, target=target, relations=relations, dialect=dialect, columns=columns
    )


def read_statement(
    statement: Statement,
    *,
    target: str,
    relations: Relations,
    dialect: str | None = None,
    columns: Sequence[str] = (),
) -> ColumnLineage:
    """The same for a statement of :func:`statements`."""
    try:
        query = _normalized(statement.query, dialect)
        reader = Reader(relations)
        out = reader.query(query)
        names = tuple(columns) or statement.columns
        flows = tuple(_flows(out, target, names, relations))
    except TooLarge:
        return ColumnLineage(reason="too many columns flow into each other")
    except RecursionError:
        return ColumnLineage(reason="it is nested too deeply")
    except SqlglotError:
        return ColumnLineage(reason="its names cannot be told apart")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Whatever shape of tree nobody has thought of: said, and never in the way of the rest.
        return ColumnLineage(reason=f"its shape is not understood ({type(error).__name__})")
    return ColumnLineage(
        flows=flows,
        sources=tuple(out.tables),
        unknown=dict(reader.unknown),
        columns=names or _named(out),
        gaps=tuple(dict.fromkeys(reader.gaps)),
        unsure=frozenset(reader.unsure),
    )


def statements(sql: str, *, dialect: str | None = None) -> list[Statement] | str:
    """What of a script makes or fills a relation out of a query, in order; or why it cannot be
    read."""
    parsed = _parsed(sql, dialect)
    if isinstance(parsed, str):
        return parsed
    found = [s for s in map(_statement, parsed) if s is not None]
    return [s for s in found if s.target]


def _known(dialect: str | None) -> str | None:
    return dialect if dialect and Dialect.get(dialect) else None


def _parsed(sql: str, dialect: str | None) -> list[exp.Expr] | str:
    if len(sql) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    try:
        return [tree for tree in sqlglot.parse(sql, read=_known(dialect)) if tree is not None]
    except RecursionError:
        return "it is nested too deeply"
    except ParseError as error:
        at = error.errors[0] if error.errors else {}
        place = f" (line {at['line']}, column {at['col']})" if at.get("line") else ""
        return f"it cannot be parsed as {_known(dialect) or 'SQL'}{place}"
    except SqlglotError:
        return f"it cannot be parsed as {_known(dialect) or 'SQL'}"


def _statement(tree: exp.Expr) -> Statement | None:
    if isinstance(tree, exp.Query):
        return Statement(target=(), what="query", query=tree)
    if not isinstance(tree, exp.Create | exp.Insert):
        return None
    query, into = tree.expression, tree.this
    if not isinstance(query, exp.Query):
        return None
    outer = tree.args.get("with_")
    if outer is not None and query.args.get("with_") is None:
        query.set("with_", outer.copy())
    columns: tuple[str, ...] = ()
    if isinstance(into, exp.Schema):
        columns = tuple(c.name for c in into.expressions)
        into = into.this
    if not isinstance(into, exp.Table):
        return None
    return Statement(
        target=tuple(part.name for part in into.parts),
        what=_what(tree),
        query=query,
        columns=columns,
    )


def _what(tree: exp.Expr) -> str:
    if isinstance(tree, exp.Insert):
        return "table"
    if tree.find(exp.MaterializedProperty):
        return "materialized view"
    return str(tree.args.get("kind") or "table").lower()


def _normalized(query: exp.Query, dialect: str | None) -> exp.Query:
    """Unquoted names in the case that the database gives them. Where case counts for nothing, they
    stay as they are and are compared without it."""
    used = Dialect.get_or_raise(_known(dialect))
    folding = (NormalizationStrategy.LOWERCASE, NormalizationStrategy.UPPERCASE)
    if used.normalization_strategy not in folding or not _known(dialect):
        return query
    return normalize_identifiers(query.copy(), dialect=used)


def _named(out: Outputs) -> tuple[str, ...] | None:
    return None if out.open else tuple(name for name, _ in out.columns.values())


def _flows(out: Outputs, target: str, names: Sequence[str], relations: Relations) -> Iterator[Flow]:
    columns = list(out.columns.values())
    if names and not out.open and len(columns) == len(names):
        pairs = [(name, origins) for name, (_, origins) in zip(names, columns, strict=True)]
    elif names:
        pairs = [(name, out.lookup(relations.key(name), name)) for name in names]
    else:
        pairs = columns
    aside: dict[tuple[str, str], Strength] = {}
    made = 0
    for name, origins in (*pairs, ("", out.influence)):
        made += len(origins)
        if made > MOST_FLOWS:
            raise TooLarge
        for place, strength in origins.items():
            if strength.kind == "indirect":
                aside.setdefault(place, strength)
            else:
                yield _flow(place, (target, name), strength)
    for place, strength in aside.items():
        yield _flow(place, (target, ""), strength)


def _flow(source: tuple[str, str], target: tuple[str, str], strength: Strength) -> Flow:
    return Flow(
        source=source[0],
        source_field=source[1],
        target=target[0],
        target_field=target[1],
        kind=strength.kind,
        masking=strength.masking,
    )
