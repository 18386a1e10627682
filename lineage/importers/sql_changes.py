"""What UPDATE and MERGE put into a table, as the query that would give the same columns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlglot import exp

# A column that is set, with the table it is qualified by, and what it is set to.
_Set = tuple[str, str, exp.Expr]


def updated(tree: exp.Update) -> Iterator[dict[str, Any]]:
    """``target``, ``what``, ``columns`` and ``query`` of every table that an UPDATE changes: out of
    its FROM, its joins and the queries in it."""
    table = tree.this
    if not isinstance(table, exp.Table):
        return
    begun = tree.args.get("from_")
    sources = [table.copy(), *([begun.this.copy()] if begun is not None else [])]
    named = {one.alias_or_name.lower(): one for one in [*tree.find_all(exp.Table)]}
    by_table: dict[str, list[_Set]] = {}
    for one in _assignments(tree.expressions):
        by_table.setdefault(one[1] if one[1] in named else "", []).append(one)
    for alias, sets in by_table.items():
        into = named.get(alias, table)
        yield _change(tree, into, sets, sources, tree.args.get("where"))


def merged(tree: exp.Merge) -> Iterator[dict[str, Any]]:
    """The same of every clause of a MERGE."""
    using, on = tree.args["using"].copy(), tree.args.get("on")
    whens = tree.args["whens"].expressions
    for when in whens:
        then = when.args.get("then")
        if isinstance(then, exp.Update):
            listed = then.expressions
            sets = list(_assignments(listed))
        elif isinstance(then, exp.Insert):
            listed = [then.this]
            sets = _inserted(then)
        else:
            continue  # DELETE, DO NOTHING
        aside = [part for part in (on, when.args.get("condition")) if part is not None]
        where = exp.Where(this=exp.and_(*(part.copy() for part in aside))) if aside else None
        if any(isinstance(one, exp.Star) for one in listed):
            query = exp.select("*").from_(using.copy())
            yield {"target": _names(tree.this), "what": "merge", "query": query}
        elif sets:
            yield _change(tree, tree.this, sets, [using, tree.this.copy()], where)


def _change(
    tree: exp.Expr,
    into: exp.Table,
    sets: Sequence[_Set],
    sources: Sequence[exp.Expr],
    where: exp.Expr | None,
) -> dict[str, Any]:
    query = exp.Select(
        expressions=[exp.alias_(value.copy(), name, quoted=True) for name, _, value in sets],
        from_=exp.From(this=sources[0].copy()),
        joins=[exp.Join(this=source.copy()) for source in sources[1:]],
    )
    for name, clause in (("where", where), ("with_", tree.args.get("with_"))):
        if clause is not None:
            query.set(name, clause.copy())
    columns = tuple(name for name, _, _ in sets)
    return {"target": _names(into), "what": "update", "query": query, "columns": columns}


def _assignments(listed: Sequence[exp.Expr]) -> Iterator[_Set]:
    for one in listed:
        if not isinstance(one, exp.EQ):
            continue
        places = one.this.expressions if isinstance(one.this, exp.Tuple) else [one.this]
        value = one.expression
        values = value.expressions if isinstance(value, exp.Tuple) else [value] * len(places)
        for place, given in zip(places, values, strict=False):
            yield place.name, str(getattr(place, "table", "")).lower(), given


def _inserted(then: exp.Insert) -> list[_Set]:
    places = then.this.expressions if isinstance(then.this, exp.Tuple) else []
    values = then.expression.expressions if isinstance(then.expression, exp.Tuple) else []
    return [(p.name, "", value) for p, value in zip(places, values, strict=False)]


def _names(table: exp.Expr) -> tuple[str, ...]:
    return tuple(part.name for part in table.parts) if isinstance(table, exp.Table) else ()
