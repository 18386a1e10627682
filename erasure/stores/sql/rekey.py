"""A key that is an identity is rewritten together with everything that refers to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.sql.address import Address, KeyValues, compared
from erasure.stores.sql.literals import array_of
from erasure.stores.sql.references import Link, referring
from erasure.stores.sql.reflect import Shape
from erasure.stores.sql.unchecked import tests_at_once, unchecked

# Old key → new values of the fields of it that change.
Rewrites = Mapping[KeyValues, Mapping[str, Scalar]]


@dataclass(frozen=True, kw_only=True)
class _Move:
    """An update of some columns of one table, found by their old values. Both by row."""

    shape: Shape
    columns: tuple[str, ...]
    old: list[tuple[Any, ...]]
    new: list[tuple[Any, ...]]


def rewrite_keys(
    connection: sa.Connection, address: Address, links: Sequence[Link], rewrites: Rewrites
) -> None:
    """Rewrite keys and every reference to them. Raises StoreError where a reference leads to a
    key in a way that cannot be followed."""
    moves = list(_moves(connection, address, links, rewrites))
    if connection.dialect.name == "postgresql":
        # Data-modifying parts of one statement: references are tested when all are done.
        parts = [_update(move, f"part{i}").cte(f"part{i}") for i, move in enumerate(moves)]
        connection.execute(sa.select(sa.literal(1)).add_cte(*parts))
        return
    with unchecked(connection) if tests_at_once(connection) else nullcontext():
        _move_one_by_one(connection, moves)


def _move_one_by_one(connection: sa.Connection, moves: Sequence[_Move]) -> None:
    for move in moves:
        columns = [move.shape.clause.c[name] for name in move.columns]
        where = [column == sa.bindparam(f"o{i}") for i, column in enumerate(columns)]
        values: dict[Any, Any] = {c: sa.bindparam(f"n{i}") for i, c in enumerate(columns)}
        rows = [
            {f"o{i}": v for i, v in enumerate(old)} | {f"n{i}": v for i, v in enumerate(new)}
            for old, new in zip(move.old, move.new, strict=True)
        ]
        connection.execute(sa.update(move.shape.clause).where(*where).values(values), rows)


def _moves(
    connection: sa.Connection, address: Address, links: Sequence[Link], rewrites: Rewrites
) -> Iterator[_Move]:
    changed = {name for new in rewrites.values() for name in new}
    keys = list(rewrites)
    yield _move(address.shape, address.key, address.key, address.key, rewrites)
    for link in links:
        if not changed & set(link.target_columns):
            continue
        if not set(link.target_columns) <= set(address.key):
            raise StoreError(
                address.place,
                f"'{link.shape.collection}' refers to a part of the key and to other columns; "
                "declare `method: keep` on the key",
            )
        if link.shape.collection == address.shape.collection:
            _refuse_entangled(connection, address, link, keys)
        yield _move(link.shape, link.columns, link.target_columns, address.key, rewrites)


def _move(
    shape: Shape,
    columns: tuple[str, ...],
    targets: tuple[str, ...],
    key: tuple[str, ...],
    rewrites: Rewrites,
) -> _Move:
    old, new = [], []
    for values, changes in rewrites.items():
        before = dict(zip(key, values, strict=True))
        after = {**before, **changes}
        pairs = list(zip(columns, targets, strict=True))
        old.append(tuple(_as(shape, column, before[target]) for column, target in pairs))
        new.append(tuple(_as(shape, column, after[target]) for column, target in pairs))
    return _Move(shape=shape, columns=columns, old=old, new=new)


def _as(shape: Shape, column: str, value: Scalar) -> Any:
    """The value as the referring column has it, which may be text where the key is a number."""
    return next(iter(shape.kinds[column].probes(value)), value)


def _refuse_entangled(
    connection: sa.Connection, address: Address, link: Link, keys: Sequence[KeyValues]
) -> None:
    """One statement cannot change a row twice: its own key, and its reference to another."""
    positions = [address.key.index(name) for name in link.target_columns]
    targets = [tuple(key[i] for i in positions) for key in keys]
    for _, row in referring(connection, link, targets, address.key):
        if tuple(row.values()) in keys:
            raise StoreError(
                address.place,
                "rows whose keys are rewritten refer to each other; declare `method: keep` on "
                "the key, or erase them one after the other",
            )


def _update(move: _Move, name: str) -> sa.Update:
    arrays, columns = [], []
    for prefix, rows in (("o", move.old), ("n", move.new)):
        for i, column in enumerate(move.columns):
            kind = move.shape.kinds[column].bind
            values = [row[i] for row in rows]
            arrays.append(array_of(values, kind))
            columns.append(sa.column(f"{prefix}{i}", kind))
    given = sa.func.unnest(*arrays).table_valued(*columns, name=f"v{name}").render_derived()
    where = [
        compared(move.shape, column) == given.c[f"o{i}"] for i, column in enumerate(move.columns)
    ]
    new: dict[Any, Any] = {
        move.shape.clause.c[column]: given.c[f"n{i}"] for i, column in enumerate(move.columns)
    }
    return sa.update(move.shape.clause).where(*where).values(new)
