"""Column lineage of a SELECT, worked out with sqlglot. Pure: no database is asked.

Whatever cannot be read gives a reason, never an exception; no reason repeats the statement, whose
literals may be somebody's data.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from lineage.columns import ColumnLineage, Flow, Relations
from lineage.importers.sql_outputs import Outputs, Strength
from lineage.importers.sql_reader import Reader, TooLarge
from lineage.importers.sql_statements import LONGEST, Statement, fills, known

MOST_FLOWS = 100_000
# Its warnings quote the statement.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


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
    found = next((s for tree in parsed for s in fills(tree) or () if s.query is not None), None)
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
    """The same for a statement of a script."""
    if statement.query is None:
        return ColumnLineage(reason="it holds no query")
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


def _parsed(sql: str, dialect: str | None) -> list[exp.Expr] | str:
    if len(sql) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    try:
        return [tree for tree in sqlglot.parse(sql, read=known(dialect)) if tree is not None]
    except RecursionError:
        return "it is nested too deeply"
    except ParseError as error:
        at = error.errors[0] if error.errors else {}
        place = f" (line {at['line']}, column {at['col']})" if at.get("line") else ""
        return f"it cannot be parsed as {known(dialect) or 'SQL'}{place}"
    except SqlglotError:
        return f"it cannot be parsed as {known(dialect) or 'SQL'}"


def _normalized(query: exp.Query, dialect: str | None) -> exp.Query:
    """Unquoted names in the case that the database gives them. Where case counts for nothing, they
    stay as they are and are compared without it."""
    used = Dialect.get_or_raise(known(dialect))
    folding = (NormalizationStrategy.LOWERCASE, NormalizationStrategy.UPPERCASE)
    if used.normalization_strategy not in folding or not known(dialect):
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
