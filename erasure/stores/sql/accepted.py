"""What the database itself says of rows as they would be: nothing is written.

Proposed values stand in a derived table that has the table's own name and columns, and the
constraints' own expressions are evaluated over it. A unique rule looks for another row; a foreign
key for the row it leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import TypeEngine

from erasure.domain.values import Scalar
from erasure.stores.choosing import Given, Proposal, Verdict, choose, interim, tied
from erasure.stores.rows import Effect
from erasure.stores.rules import Rule
from erasure.stores.sql.address import Address, KeyValues
from erasure.stores.sql.errors import diagnose
from erasure.stores.sql.keyed import as_written
from erasure.stores.sql.kinds import underlying
from erasure.stores.sql.literals import array_of
from erasure.stores.sql.reflect import Schema, Shape
from lineage.schema import ForeignKey

AT_ONCE = 10_000  # rows of one statement, through arrays
UNIONED = 200  # and as a list of SELECTs
_BISECTED = 64  # statements at most, to find the rows at which evaluating fails
_NUMBER = "lethe row"
# Columns, their labels and rows of values become a derived table.
_Build = Callable[[Sequence[str], Sequence[str], Sequence[tuple[Scalar, ...]]], Any]


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """Rows as they would be. ``existing``: they are there, at their keys, with other values in
    ``names``; else they are new, and ``defaults`` has the SQL of what is not given."""

    names: tuple[str, ...]
    rows: Sequence[Proposal]
    existing: bool = True
    defaults: Mapping[str, str] | None = None


class SqlJudge:
    """Judges the rows of one table; see :class:`erasure.stores.choosing.Judge`."""

    def __init__(self, connection: sa.Connection, schema: Schema, address: Address) -> None:
        self._connection, self._schema, self._address = connection, schema, address
        self._arrays = connection.dialect.name == "postgresql"
        self._known: dict[Any, sa.Select[Any]] = {}

    def __call__(
        self, rules: Sequence[Rule], names: Sequence[str], proposals: Sequence[Proposal]
    ) -> list[Verdict]:
        """What refuses each row."""
        return self.verdicts(rules, Proposed(names=tuple(names), rows=proposals))

    def verdicts(self, rules: Sequence[Rule], proposed: Proposed) -> list[Verdict]:
        """The same, also for rows that are not there yet."""
        size = AT_ONCE if self._arrays else UNIONED
        found: list[Verdict] = []
        for start in range(0, len(proposed.rows), size):
            part = replace(proposed, rows=proposed.rows[start : start + size])
            verdicts = self._tried(rules, part)
            if verdicts is None:
                verdicts = self._one_by_one(rules, part)
            found += verdicts
        return found

    def _one_by_one(self, rules: Sequence[Rule], proposed: Proposed) -> list[Verdict]:
        """Something cannot be evaluated: look at each rule alone, and where one fails at some
        rows, look for them. A rule that fails at every row says nothing."""
        verdicts: list[dict[int, KeyValues | None]] = [{} for _ in proposed.rows]
        for place, rule in enumerate(rules):
            refused, failing = self._looked_at(rule, proposed)
            if len(failing) < len(proposed.rows):
                for row, holder in (refused | dict.fromkeys(failing)).items():
                    verdicts[row][place] = holder
        return [*verdicts]

    def _looked_at(
        self, rule: Rule, proposed: Proposed
    ) -> tuple[dict[int, KeyValues | None], set[int]]:
        """Rows that the rule refuses, and rows at which it cannot be evaluated."""
        refused: dict[int, KeyValues | None] = {}
        failing: set[int] = set()
        unknown = [range(len(proposed.rows))]
        statements = count()
        while unknown:
            part = unknown.pop()
            rows = [proposed.rows[i] for i in part]
            verdicts = self._tried([rule], replace(proposed, rows=rows))
            if verdicts is not None:
                refused |= {i: v[0] for i, v in zip(part, verdicts, strict=True) if v}
            elif len(part) == 1 or next(statements) > _BISECTED:
                failing.update(part)
            else:
                half = len(part) // 2
                unknown += [part[:half], part[half:]]
        return refused, failing

    def _tried(self, rules: Sequence[Rule], proposed: Proposed) -> list[Verdict] | None:
        """None where the database cannot evaluate it."""
        if not rules or not proposed.rows:
            return [{} for _ in proposed.rows]
        try:
            with self._connection.begin_nested():
                statement, values = self._prepared(tuple(rules), proposed)
                answer = self._connection.execute(statement, values).all()
        except sa_exc.DBAPIError as error:
            if diagnose(error).problem.permanent:
                return None
            raise
        # A row that has gone meanwhile does not answer; whoever writes will see.
        by_row = {row[0]: self._verdict_of(rules, row[1:]) for row in answer}
        return [by_row.get(n, {}) for n in range(len(proposed.rows))]

    def _verdict_of(self, rules: Sequence[Rule], row: Sequence[Any]) -> Verdict:
        found: dict[int, KeyValues | None] = {}
        left, width = list(row), len(self._address.key)
        for place, rule in enumerate(rules):
            if rule.kind == "unique":
                holder, left = tuple(left[:width]), left[width:]
                if holder[0] is not None:
                    found[place] = holder
            elif not left.pop(0):
                found[place] = None
        return found

    # the statement

    def _prepared(
        self, rules: tuple[Rule, ...], proposed: Proposed
    ) -> tuple[sa.Select[Any], dict[str, Any]]:
        """A statement and its parameters. A list of SELECTs is made once, for so many rows; where
        there are fewer, the last one comes again, and nobody asks for its number."""
        if self._arrays:
            return self._statement(rules, proposed, self._unnested), {}
        size = 1 if len(proposed.rows) == 1 else UNIONED
        key = (rules, proposed.names, proposed.existing, size)
        if key not in self._known:
            unioned = partial(self._unioned, size)
            self._known[key] = self._statement(rules, proposed, unioned)
        rows, written = self._rows(proposed), as_written(self._connection)
        rows += rows[-1:] * (size - len(rows))
        return self._known[key], {
            f"v{number}_{i}": written(value)
            for number, row in enumerate(rows)
            for i, value in enumerate(row)
        }

    def _statement(
        self, rules: Sequence[Rule], proposed: Proposed, build: _Build
    ) -> sa.Select[Any]:
        """Per row its number, and per rule whether it holds; for a unique one the key of the row
        that is in the way, of which there is at most one."""
        seen = self._seen(rules, proposed, build)
        columns: list[Any] = [seen.c[_NUMBER]]
        for place, rule in enumerate(rules):
            columns += self._measured(place, rule, seen)
        measured = sa.select(*columns).select_from(seen).subquery("measured")
        answers: list[Any] = [measured.c[_NUMBER]]
        source: Any = measured
        for place, rule in enumerate(rules):
            if rule.kind == "unique":
                other = self._others(place, rule)
                source = source.outerjoin(other, self._alike(place, rule, measured, other))
                answers += [other.c[f"k{i}"] for i in range(len(self._address.key))]
            elif rule.foreign is not None:
                answers.append(self._leads(place, rule.foreign, measured))
            else:
                answers.append(measured.c[f"r{place}"])
        return sa.select(*answers).select_from(source)

    def _seen(self, rules: Sequence[Rule], proposed: Proposed, build: _Build) -> sa.Subquery:
        """The rows as they would be, under the table's name."""
        shape, keys = self._address.shape, self._address.key if proposed.existing else ()
        labels = [f"k{i}" for i in range(len(keys))]
        labels += [f"n{i}" for i in range(len(proposed.names))]
        given = build([*keys, *proposed.names], labels, self._rows(proposed))
        wanted = sorted(set().union(*(rule.columns for rule in rules)))
        columns: list[Any] = [
            self._value(name, given, proposed).label(quoted_name(name, True)) for name in wanted
        ]
        source: Any = given
        if keys:
            same = [self._address.column(k) == given.c[f"k{i}"] for i, k in enumerate(keys)]
            source = given.join(shape.clause, sa.and_(*same))
        seen = sa.select(given.c[_NUMBER], *columns).select_from(source)
        return seen.subquery(quoted_name(shape.table.name, True))

    def _rows(self, proposed: Proposed) -> list[tuple[Scalar, ...]]:
        return [(*(key if proposed.existing else ()), *vector) for key, vector in proposed.rows]

    def _value(self, name: str, given: Any, proposed: Proposed) -> sa.ColumnElement[Any]:
        shape = self._address.shape
        if name in proposed.names:
            value = given.c[f"n{proposed.names.index(name)}"]
            return sa.cast(value, self._type(name)) if self._arrays else value
        if proposed.existing:
            return shape.clause.c[name]
        default = (proposed.defaults or {}).get(name)
        value = sa.literal_column(f"({default})") if default else sa.null()
        return sa.cast(value, self._type(name)) if self._arrays else value

    def _type(self, name: str) -> TypeEngine[Any]:
        return base_type(self._address.shape, name)

    def _measured(self, place: int, rule: Rule, seen: sa.Subquery) -> Iterator[Any]:
        """What is known of each row by itself."""
        if rule.kind == "check":
            test = sa.literal_column(f"(({rule.expressions[0]}) IS NOT FALSE)", sa.Boolean())
            yield test.label(f"r{place}")
            return
        texts = rule.expressions
        if rule.foreign is not None:
            for i, column in enumerate(rule.foreign.columns):
                yield seen.c[column].label(f"r{place} {i}")
            return
        for i, text in enumerate(texts):
            yield sa.literal_column(f"({text})").label(f"r{place} {i}")
        if rule.predicate:
            test = sa.literal_column(f"(({rule.predicate}) IS TRUE)", sa.Boolean())
            yield test.label(f"r{place} among")

    def _alike(
        self, place: int, rule: Rule, measured: sa.Subquery, other: sa.Subquery
    ) -> sa.ColumnElement[bool]:
        parts = [(other.c[f"o{i}"], measured.c[f"r{place} {i}"])
                 for i in range(len(rule.expressions))]  # fmt: skip
        same = [
            one.is_not_distinct_from(part) if rule.nulls else one == part for one, part in parts
        ]
        return sa.and_(*same, *([measured.c[f"r{place} among"]] if rule.predicate else []))

    def _others(self, place: int, rule: Rule) -> sa.Subquery:
        """Every row of the table, as the unique rule sees it."""
        keys = [self._address.column(k).label(f"k{i}") for i, k in enumerate(self._address.key)]
        parts: list[Any] = [
            sa.literal_column(f"({text})").label(f"o{i}") for i, text in enumerate(rule.expressions)
        ]
        select = sa.select(*keys, *parts).select_from(self._address.shape.clause)
        if rule.predicate:
            select = select.where(sa.literal_column(f"({rule.predicate})", sa.Boolean()))
        return select.subquery(f"other{place}")

    def _leads(
        self, place: int, foreign: ForeignKey, measured: sa.Subquery
    ) -> sa.ColumnElement[Any]:
        target = self._schema.shapes.get(foreign.target)
        if target is None:
            return sa.literal(True)
        columns = [measured.c[f"r{place} {i}"] for i in range(len(foreign.columns))]
        there = [
            target.clause.c[name] == column
            for name, column in zip(foreign.target_columns, columns, strict=True)
        ]
        found = sa.exists(sa.select(sa.literal(1)).select_from(target.clause).where(*there))
        return sa.or_(*(c.is_(None) for c in columns), found)

    # the proposed values

    def _unnested(
        self, names: Sequence[str], labels: Sequence[str], rows: Sequence[tuple[Scalar, ...]]
    ) -> Any:
        kinds = [self._address.kind(name).bind for name in names]
        arrays = [array_of([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]
        numbers = array_of(list(range(len(rows))), sa.BigInteger())
        columns = [sa.column(_NUMBER, sa.BigInteger())]
        columns += [sa.column(label, kind) for label, kind in zip(labels, kinds, strict=True)]
        given = sa.func.unnest(numbers, *arrays).table_valued(*columns, name="given")
        return given.render_derived()

    def _unioned(
        self,
        size: int,
        names: Sequence[str],
        labels: Sequence[str],
        rows: Sequence[tuple[Scalar, ...]],
    ) -> Any:
        """SELECT after SELECT; the first, of no row, lends the columns' types to MySQL."""
        clause = self._address.shape.clause
        kinds = [self._address.kind(name).bind for name in names]
        first = [clause.c[n].label(label) for n, label in zip(names, labels, strict=True)]
        selects = [sa.select(sa.literal(-1).label(_NUMBER), *first).where(sa.false())]
        for number in range(size):
            values: list[Any] = [
                sa.bindparam(f"v{number}_{i}", type_=kind).label(label)
                for i, (kind, label) in enumerate(zip(kinds, labels, strict=True))
            ]
            selects.append(sa.select(sa.literal_column(str(number)).label(_NUMBER), *values))
        return sa.union_all(*selects).subquery("given")


def needed(schema: Schema, address: Address, effect: Effect) -> tuple[str, ...]:
    """Names of the columns that deciding, and choosing, reads."""
    rules = schema.rules.get(address.shape.collection, ())
    return tuple(dict.fromkeys((*effect.reads, *tied(effect, rules))))


def settled(
    connection: sa.Connection, schema: Schema, address: Address, effect: Effect, given: Given
) -> Effect:
    """The effect with every value chosen so that the constraints let it in. Raises StoreError."""
    rules = schema.rules.get(address.shape.collection, ())
    return choose(effect, _theirs(effect, given), rules, SqlJudge(connection, schema, address))


def on_the_way(
    connection: sa.Connection, schema: Schema, address: Address, effect: Effect, given: Given
) -> dict[KeyValues, dict[str, Scalar]]:
    """What some rows must hold for a moment, because another row gets what they have."""
    rules = schema.rules.get(address.shape.collection, ())
    return interim(effect, _theirs(effect, given), rules, SqlJudge(connection, schema, address))


def _theirs(effect: Effect, given: Given) -> Given:
    keys = given.keys
    rows = {v: row for v, row in given.rows.items() if effect.is_theirs(keys[v], row)}
    return Given(keys=keys, rows=rows)


def base_type(shape: Shape, name: str) -> TypeEngine[Any]:
    """The type of a column without the length that would cut what is too long, and without a
    domain, whose own checks are judged as rules."""
    native = underlying(shape.kinds[name].native)
    if isinstance(native, sa.Enum):
        return native
    if isinstance(native, sa.String):
        return shape.kinds[name].bind
    return native
