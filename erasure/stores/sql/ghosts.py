"""Ghost rows: what a reference that cannot be empty leads to, once it must not lead to the person.

One is made for each row that referred to them and is shared by no two, so that nothing can be told
from what they have in common. It holds what its table demands and nothing else: a default where
there is one, NULL where that is taken, else a value drawn from the run's seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher
from erasure.domain.placing import Family, family_of
from erasure.domain.steps import Ghost, Step
from erasure.domain.values import Scalar
from erasure.stores.base import Key
from erasure.stores.choosing import Given, Proposal, Verdict, choose
from erasure.stores.rows import Effect
from erasure.stores.rules import Rule, hints_of
from erasure.stores.sql.accepted import Proposed, SqlJudge
from erasure.stores.sql.address import Address, KeyValues, address_of, require
from erasure.stores.sql.keyed import Row, as_written, writable
from erasure.stores.sql.reflect import Schema
from lineage.graph import Field
from lineage.schema import Column

_AT_ONCE = 500
_PARAMETERS = 30_000  # no database takes fewer in a statement
# Of a type in Python, where nothing stands yet that would tell.
_BLANKS: Mapping[Family, Scalar] = {
    "text": "",
    "enum": "",
    "set": "",
    "json": "",
    "xml": "",
    "array": "",
    "empty": "",
    "interval": "",
    "address": "",
    "network": "",
    "hardware": "",
    "bytes": b"",
    "integer": 0,
    "year": 0,
    "float": 0.0,
    "boolean": False,
    "decimal": Decimal(0),
    "date": date(1970, 1, 1),
    "datetime": datetime(1970, 1, 1),  # noqa: DTZ001 - as the column has it
    "time": time(0),
    "uuid": "",
}
_METHODS = frozenset({"constant", "fake", "random"})
# A default that is another one for each row.
_FRESH = re.compile(r"\b(nextval|\w*uuid\w*|random\w*)\s*\(", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Made:
    """Ghost rows by the key of the row that leads there: their own keys, and what is referred
    to."""

    address: Address
    keys: Mapping[KeyValues, KeyValues]
    values: Mapping[KeyValues, Scalar]


@dataclass(frozen=True, kw_only=True)
class _Blueprint:
    """``names``: the columns that are given a value; ``defaults``: SQL of what is not; ``fresh``:
    columns that the database fills, for each row with another value."""

    address: Address
    field: str
    effect: Effect
    names: tuple[str, ...]
    defaults: Mapping[str, str]
    fresh: frozenset[str]


class Ghosts:
    """Makes the ghost rows of a step, in the transaction of ``connection``."""

    def __init__(self, connection: sa.Connection, store: str, schema: Schema) -> None:
        self._connection, self._store, self._schema = connection, store, schema

    def foresee(self, step: Step, seed: bytes, keys: Iterable[KeyValues]) -> None:
        """Raise StoreError where a ghost row could not be filled; nothing is written."""
        self._filled(self._blueprint(step, seed), step, list(keys))

    def make(self, step: Step, seed: bytes, keys: Iterable[KeyValues]) -> Made:
        """A ghost row for each of ``keys``. Raises StoreError."""
        wanted = list(keys)
        blueprint = self._blueprint(step, seed)
        rows = self._filled(blueprint, step, wanted)
        made = dict(zip(wanted, self._inserted(blueprint, rows), strict=True))
        width = len(blueprint.address.key)
        return Made(
            address=blueprint.address,
            keys={key: values[:width] for key, values in made.items()},
            values={key: values[width] for key, values in made.items()},
        )

    def _blueprint(self, step: Step, seed: bytes) -> _Blueprint:
        ghost = step.ghost
        assert ghost is not None  # noqa: S101 - only a step with one comes here
        address = address_of(self._store, self._schema, ghost.dataset)
        require(address.place, address.shape, [ghost.field])
        defaults, fresh = _defaults(self._connection, address)
        rules = self._schema.rules.get(address.shape.collection, ())
        names = tuple(_filled_names(address, ghost, rules, defaults, fresh))
        return _Blueprint(
            address=address,
            field=ghost.field,
            effect=_effect(address, ghost, names, seed, rules),
            names=names,
            defaults=defaults,
            fresh=fresh,
        )

    def _filled(
        self, blueprint: _Blueprint, step: Step, keys: Sequence[KeyValues]
    ) -> list[tuple[Scalar, ...]]:
        """The values of ``names`` for each ghost row, as the constraints let them in."""
        blank: Row = {c.name: None for c in blueprint.address.shape.table.columns}
        blank |= {name: self._blank(blueprint, name) for name in blueprint.names}
        # No row of this table ever draws by such a key.
        own = [(step.dataset.address, *step.reference, *values) for values in keys]
        given = Given(keys={k: Key(values=k) for k in own}, rows=dict.fromkeys(own, blank))
        rules = [
            rule
            for rule in self._schema.rules.get(blueprint.address.shape.collection, ())
            if rule.columns & set(blueprint.names) and not rule.columns & blueprint.fresh
        ]
        judge = SqlJudge(self._connection, self._schema, blueprint.address)

        def judged(
            rules: Sequence[Rule], names: Sequence[str], proposals: Sequence[Proposal]
        ) -> list[Verdict]:
            rows = Proposed(
                names=tuple(names), rows=proposals, existing=False, defaults=blueprint.defaults
            )
            return judge.verdicts(rules, rows)

        effect = choose(blueprint.effect, given, rules, judged)
        return [
            tuple(effect.after(key, name, blank[name]) for name in blueprint.names)
            for key in given.keys.values()
        ]

    def _blank(self, blueprint: _Blueprint, name: str) -> Scalar:
        column = blueprint.effect.columns[name]
        family = family_of(column.data_type, None)
        if family == "uuid" and self._connection.dialect.name == "postgresql":
            return UUID(int=0)
        if family not in _BLANKS:
            raise StoreError(
                f"{blueprint.address.place}.{name}",
                "a ghost row needs a value here and none can be made up for its type; give the "
                "column a default, or declare `on_erase: deep` on the reference",
            )
        return _BLANKS[family]

    def _inserted(
        self, blueprint: _Blueprint, rows: Sequence[tuple[Scalar, ...]]
    ) -> list[KeyValues]:
        """The rows' keys, and what is referred to in them."""
        told: list[KeyValues] = []
        size = max(1, min(_AT_ONCE, _PARAMETERS // max(1, len(blueprint.names))))
        if not blueprint.names or not self._connection.dialect.insert_returning:
            size = 1
        for start in range(0, len(rows), size):
            told += self._insert(blueprint, rows[start : start + size])
        return told

    def _insert(self, blueprint: _Blueprint, rows: Sequence[tuple[Scalar, ...]]) -> list[KeyValues]:
        address, written = blueprint.address, as_written(self._connection)
        clause, wanted = address.shape.clause, (*address.key, blueprint.field)
        values: list[dict[str, Any]] = [
            {
                name: writable(
                    address,
                    name,
                    sa.bindparam(None, written(value), type_=address.kind(name).bind, unique=True),
                )
                for name, value in zip(blueprint.names, row, strict=True)
            }
            for row in rows
        ]
        statement = sa.insert(clause).values(values if blueprint.names else {})
        if self._connection.dialect.insert_returning:
            back = [address.column(name).label(f"c{i}") for i, name in enumerate(wanted)]
            return [tuple(row) for row in self._connection.execute(statement.returning(*back))]
        number = self._connection.execute(statement).lastrowid
        given = dict(zip(blueprint.names, rows[0], strict=True))
        return [tuple(given.get(name, number) for name in wanted)]


def _defaults(connection: sa.Connection, address: Address) -> tuple[dict[str, str], frozenset[str]]:
    """What the database puts where nothing is given: SQL by column; and which of it is another
    value for each row."""
    clause = address.shape.clause
    found = sa.inspect(connection).get_columns(str(clause.name), schema=clause.schema)
    defaults = {c["name"]: str(c["default"]) for c in found if c["default"] is not None}
    fresh: set[str] = set()
    if connection.dialect.insert_returning:  # else nobody says what it was, but for a number
        fresh = {name for name, text in defaults.items() if _FRESH.search(text)}
    fresh |= {c["name"] for c in found if c.get("identity") or c.get("autoincrement") is True}
    key = address.shape.table.primary_key
    if connection.dialect.name == "sqlite" and len(key) == 1:
        types = {c.name: c.data_type.upper() for c in address.shape.table.columns}
        fresh |= {key[0]} if types[key[0]] == "INTEGER" else set()
    return {n: text for n, text in defaults.items() if n not in fresh}, frozenset(fresh)


def _filled_names(
    address: Address,
    ghost: Ghost,
    rules: Iterable[Rule],
    defaults: Mapping[str, str],
    fresh: frozenset[str],
) -> Iterable[str]:
    by_kind: dict[str, set[str]] = {}
    for rule in rules:
        by_kind.setdefault(rule.kind, set()).update(rule.columns)
    for column in address.shape.table.columns:
        name = column.name
        if column.generated or column.assigned or name in fresh:
            continue
        if name == ghost.field:
            yield name
        elif column.nullable:
            if name in by_kind.get("check", ()):  # which may demand that one of several is there
                yield name
        elif name not in defaults or name in by_kind.get("unique", ()):
            yield name


def _effect(
    address: Address, ghost: Ghost, names: Sequence[str], seed: bytes, rules: Sequence[Rule]
) -> Effect:
    columns = {c.name: c for c in address.shape.table.columns}
    columns[ghost.field] = replace(columns[ghost.field], nullable=False)
    return Effect(
        place=address.place,
        step=Step(dataset=ghost.dataset, action="anonymize", via="shallow"),
        key=address.key,
        columns=columns,
        seed=seed,
        needles=Matcher(()),
        masked={name: _made_up(ghost, columns[name]) for name in names},
        hints=hints_of(rules, columns),
    )


def _made_up(ghost: Ghost, column: Column) -> Field:
    """As the catalogue has it, where that makes a value out of nothing."""
    found = ghost.dataset.get(column.name)
    method = found.method if found and not column.nullable else None
    return Field(name=column.name, method=method if method and method.name in _METHODS else None)
