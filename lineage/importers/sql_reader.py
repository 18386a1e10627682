"""A query's outputs from its inputs, column by column, along sqlglot's tree. Pure.

Every query is read once, inside out: what a common table expression or a subquery gives is worked
out where it stands and looked up by name where it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from lineage.columns import Relations
from lineage.importers.sql_outputs import (
    ASIDE,
    CHANGED,
    WHOLE,
    Origins,
    Outputs,
    Strength,
    add,
    parts_of,
)

MOST_ORIGINS = 200_000


class TooLarge(Exception):
    """More columns flow into each other than anybody would look at."""


@dataclass(kw_only=True)
class _Frame:
    """One SELECT while it is read: its sources by alias, what WITH defined, and the SELECTs
    around it. ``aliases``: columns named earlier in the same list."""

    env: Mapping[str, Outputs]
    outer: _Frame | None = None
    sources: list[tuple[str, Outputs]] = field(default_factory=list)
    aliases: dict[str, Origins] = field(default_factory=dict)
    influence: Origins = field(default_factory=dict)
    tables: dict[str, None] = field(default_factory=dict)


class Reader:
    """Reads queries over some relations. ``unknown``: tables that are none of them, with their
    names as written; ``gaps``: columns that could not be found; ``unsure``: those that
    could be of several tables."""

    def __init__(self, relations: Relations) -> None:
        self._relations = relations
        self._work = 0
        self.unknown: dict[str, tuple[str, ...]] = {}
        self.gaps: list[str] = []
        self.unsure: set[tuple[str, str]] = set()

    def query(
        self,
        node: exp.Expr,
        env: Mapping[str, Outputs] | None = None,
        outer: _Frame | None = None,
    ) -> Outputs:
        """What a query gives. Raises TooLarge, RecursionError."""
        env = self._with(node, env or {}, outer)
        if isinstance(node, exp.Subquery):
            return self.query(node.this, env, outer)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, env, outer)
        if isinstance(node, exp.Select):
            return self._select(node, env, outer)
        if isinstance(node, exp.DML):
            return self._select(_returned(node), env, outer)
        return self._source(node, _Frame(env=env, outer=outer))

    def _with(
        self, node: exp.Expr, env: Mapping[str, Outputs], outer: _Frame | None
    ) -> Mapping[str, Outputs]:
        clause = node.args.get("with_")
        if clause is None:
            return env
        known = dict(env)
        for cte in clause.expressions:
            names, key = cte.alias_column_names, cte.alias.lower()
            if clause.recursive and isinstance(cte.this, exp.SetOperation):
                # What it begins with is what it goes on with.
                known[key] = self._renamed(self.query(cte.this.this, known, outer), names)
            known[key] = self._renamed(self.query(cte.this, known, outer), names)
        return known

    def _set_operation(
        self, node: exp.SetOperation, env: Mapping[str, Outputs], outer: _Frame | None
    ) -> Outputs:
        # A long chain leans to the left; it is unwound, not descended into.
        later: list[exp.SetOperation] = []
        left: exp.Expr = node
        while isinstance(left, exp.SetOperation) and (left is node or not left.args.get("with_")):
            later.append(left)
            left = left.this
        out = self.query(left, env, outer)
        for operation in reversed(later):
            other = self.query(operation.expression, env, outer)
            out = self._united(out, other, adds=isinstance(operation, exp.Union))
        return out

    def _united(self, left: Outputs, right: Outputs, *, adds: bool) -> Outputs:
        left.beside(right)
        if not adds:  # EXCEPT and INTERSECT decide about rows and give none
            for _, origins in right.columns.values():
                add(left.influence, origins, ASIDE)
            return left
        columns = list(right.columns.values())
        matched = len(columns) == len(left.columns) and not (left.open or right.open)
        merged: dict[str, tuple[str, Origins]] = {}
        for n, (key, (name, origins)) in enumerate(left.columns.items()):
            both = dict(origins)
            add(both, columns[n][1] if matched else right.lookup(key, name))
            merged[key] = (name, self._counted(both))
        if left.open or right.open:
            for key, (name, origins) in right.columns.items():
                merged.setdefault(key, (name, origins))
        rest = dict(left.rest)
        add(rest, right.rest)
        return Outputs(
            columns=merged,
            open={**right.open, **left.open},
            rest=rest,
            influence=left.influence,
            tables=left.tables,
        )

    def _select(
        self, node: exp.Select, env: Mapping[str, Outputs], outer: _Frame | None
    ) -> Outputs:
        frame = _Frame(env=env, outer=outer)
        self._sources(node, frame)
        out = Outputs(influence=frame.influence, tables=frame.tables)
        for number, projection in enumerate(node.expressions):
            self._project(projection, number, frame, out)
        for clause in ("where", "group", "having", "qualify", "order", "distinct"):
            part = node.args.get(clause)
            if part is not None:
                self._expression(part, ASIDE, frame.influence, frame)
        for _, source in frame.sources:
            out.beside(source)
        return out

    # Sources

    def _sources(self, node: exp.Expr, frame: _Frame) -> None:
        first = node.args.get("from_")
        if first is not None:
            self._take(first.this, frame)
        self._joins(node, frame)
        for lateral in node.args.get("laterals") or ():
            self._take(lateral, frame)

    def _joins(self, node: exp.Expr, frame: _Frame) -> None:
        for join in node.args.get("joins") or ():
            self._take(join.this, frame)
            condition = join.args.get("on")
            if condition is not None:
                self._expression(condition, ASIDE, frame.influence, frame)
            for name in join.args.get("using") or ():
                for _, source in frame.sources:
                    found = source.lookup(self._relations.key(name.name), name.name)
                    add(frame.influence, found, ASIDE)

    def _take(self, node: exp.Expr, frame: _Frame) -> None:
        inner = node.this
        wrapped = isinstance(node, exp.Subquery | exp.Paren) and not isinstance(inner, exp.Query)
        if wrapped and isinstance(inner, exp.Table | exp.Subquery):
            self._take(inner, frame)  # (a JOIN b)
        else:
            source = self._renamed(self._source(node, frame), node.alias_column_names)
            frame.sources.append((node.alias_or_name.lower(), self._pivoted(node, source)))
        self._joins(node, frame)

    def _source(self, node: exp.Expr, frame: _Frame) -> Outputs:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return self._table(node, frame)
        if isinstance(node, exp.Subquery | exp.Query) and not isinstance(node, exp.Table):
            return self.query(node, frame.env, frame.outer)
        if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            return self.query(node.this, frame.env, frame)
        # UNNEST, VALUES, a table function: out of its arguments, in whatever way.
        rest: Origins = {}
        self._expression(node, CHANGED, rest, frame)
        return Outputs(rest=rest, tables=dict(frame.tables))

    def _table(self, node: exp.Table, frame: _Frame) -> Outputs:
        parts = tuple(part.name for part in node.parts)
        if len(parts) == 1 and parts[0].lower() in frame.env:
            return frame.env[parts[0].lower()]
        relation = self._relations.find(parts)
        address = relation.address if relation else ".".join(parts)
        if relation is None:
            self.unknown[address] = parts
        if relation is None or not relation.columns:
            return Outputs(open={address: WHOLE}, tables={address: None})
        columns: dict[str, tuple[str, Origins]] = {
            self._relations.key(c): (c, {(address, c): WHOLE}) for c in relation.columns
        }
        return Outputs(columns=columns, tables={address: None})

    def _renamed(self, out: Outputs, names: Iterable[str]) -> Outputs:
        """With the names of ``AS t(a, b)``; what it does not name keeps its own."""
        given = list(names)
        if not given:
            return out
        columns = list(out.columns.values())
        renamed: dict[str, tuple[str, Origins]] = {}
        for n, name in enumerate(given):
            origins = columns[n][1] if n < len(columns) and not out.open else dict(out.rest)
            renamed[self._relations.key(name)] = (name, origins)
        for name, origins in columns[len(given) :]:
            renamed[self._relations.key(name)] = (name, origins)
        return Outputs(columns=renamed, rest=out.rest, influence=out.influence, tables=out.tables)

    def _pivoted(self, node: exp.Expr, out: Outputs) -> Outputs:
        if not node.args.get("pivots"):
            return out
        rest: Origins = dict(out.rest)
        for _, origins in out.columns.values():
            add(rest, origins, CHANGED)
        return Outputs(
            columns=out.columns,
            open=dict.fromkeys(out.open, CHANGED),
            rest=rest,
            influence=out.influence,
            tables=out.tables,
        )

    # Columns

    def _project(self, node: exp.Expr, number: int, frame: _Frame, out: Outputs) -> None:
        star = node if isinstance(node, exp.Star) else node.this
        if isinstance(star, exp.Star) and isinstance(node, exp.Star | exp.Column):
            self._star(star, getattr(node, "table", "").lower(), frame, out)
            return
        origins: Origins = {}
        self._expression(node, WHOLE, origins, frame)
        plain = node.name if isinstance(node, exp.Column | exp.Dot) else ""
        name = node.alias or plain or f"_col_{number}"
        key = self._relations.key(name)
        # Two columns of one name: both come out, and a lookup by name means either.
        if key in out.columns:
            key = f"{key}#{number}"
        out.columns[key] = (name, self._counted(origins))
        if node.alias:
            frame.aliases[key] = origins

    def _star(self, star: exp.Star, table: str, frame: _Frame, out: Outputs) -> None:
        left_out = {self._relations.key(c.name) for c in star.args.get("except_") or ()}
        renamed = {self._relations.key(r.this.name): r.alias for r in star.args.get("rename") or ()}
        replaced = {self._relations.key(r.alias): r for r in star.args.get("replace") or ()}
        chosen = [s for alias, s in frame.sources if not table or alias == table]
        opened = [address for source in chosen for address in source.open]
        for source in chosen:
            for key, (name, origins) in source.columns.items():
                key = key.partition("#")[0]
                if key in left_out or (key in out.columns and not table):
                    continue  # joined by USING, or shown twice
                if key in replaced:
                    origins = {}
                    self._expression(replaced[key].this, WHOLE, origins, frame)
                shown = renamed.get(key, name)
                out.columns[self._relations.key(shown)] = (shown, self._counted(dict(origins)))
            unsure = len(set(opened)) > len(source.open)
            for address, strength in source.open.items():
                out.open[address] = strength.then(CHANGED) if unsure else strength
            add(out.rest, source.rest)

    def _expression(self, root: exp.Expr, strength: Strength, into: Origins, frame: _Frame) -> None:
        waiting: list[tuple[exp.Expr, Strength]] = [(root, strength)]
        while waiting:
            node, how = waiting.pop()
            if isinstance(node, exp.Column):
                if not isinstance(node.this, exp.Star):
                    add(into, self._column(node, frame), how)
            elif isinstance(node, exp.Query):
                self._inner(node, how, into, frame)
            else:
                waiting.extend(parts_of(node, how))

    def _inner(self, node: exp.Query, how: Strength, into: Origins, frame: _Frame) -> None:
        out = self.query(node, frame.env, frame)
        for _, origins in out.columns.values():
            add(into, origins, CHANGED.then(how))
        add(frame.influence, out.influence, ASIDE)
        frame.tables.update(out.tables)

    def _column(self, node: exp.Column, frame: _Frame) -> Origins:
        key, table = self._relations.key(node.name), node.table.lower()
        around: _Frame | None = frame
        while around is not None:
            found = (
                self._qualified(node, key, table, around)
                if table
                else self._bare(node, key, around)
            )
            if found is not None:
                return found
            around = around.outer
        self.gaps.append(f"the column '{node.name}' is in none of the tables")
        return {}

    def _qualified(self, node: exp.Column, key: str, table: str, frame: _Frame) -> Origins | None:
        for alias, source in frame.sources:
            if alias == table:
                found = source.lookup(key, node.name)
                return found if found or source.has(key) else None
        # person.name.first: the table may be a column that holds a record
        inside = self._bare(
            exp.column(node.args["table"]), self._relations.key(node.table), frame, sure=True
        )
        if inside is None:
            return None
        changed: Origins = {}
        add(changed, inside, CHANGED)
        return changed

    def _bare(
        self, node: exp.Column, key: str, frame: _Frame, *, sure: bool = False
    ) -> Origins | None:
        certain = [source for _, source in frame.sources if source.has(key)]
        if certain:
            found: Origins = {}
            for source in certain:
                add(found, source.lookup(key, node.name))
            return found
        if key in frame.aliases:
            return frame.aliases[key]
        possible = [s for _, s in frame.sources if s.open or s.rest]
        if sure or not possible:
            return None
        found = {}
        for source in possible:
            origins = source.lookup(key, node.name)
            add(found, origins, WHOLE if len(possible) == 1 else CHANGED)
            if len(possible) > 1:
                self.unsure.update(origins)
        return found

    def _counted(self, origins: Origins) -> Origins:
        self._work += len(origins)
        if self._work > MOST_ORIGINS:
            raise TooLarge
        return origins


def _returned(node: exp.DML) -> exp.Select:
    """The query that gives what RETURNING gives: rows move from one table to another so."""
    given = node.args.get("returning")
    into = node.this.this if isinstance(node.this, exp.Schema) else node.this
    also = [node.args.get("from_"), *(node.args.get("using") or ())]
    sources = [one.this if isinstance(one, exp.From) else one for one in also if one is not None]
    return exp.Select(
        expressions=[one.copy() for one in given.expressions] if given is not None else [],
        from_=exp.From(this=into.copy()),
        joins=[exp.Join(this=source.copy()) for source in sources],
    )
