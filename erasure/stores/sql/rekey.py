"""A key that is an identity is rewritten together with everything that refers to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar, canonical
from erasure.stores.documents import replaced
from erasure.stores.sql.address import Address, KeyValues, compared
from erasure.stores.sql.keyed import Keyed, Target, writable
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
    connection: sa.Connection,
    keyed: Keyed,
    address: Address,
    links: Sequence[Link],
    rewrites: Rewrites,
) -> None:
    """Rewrite keys and every reference to them. Raises StoreError where a reference leads to a
    key in a way that cannot be followed."""
    for link in links:
        if link.inside and set(link.target_columns) <= set(address.key):
            _in_documents(connection, keyed, address, link, rewrites)
    moves = list(_moves(connection, address, links, rewrites))
    if connection.dialect.name == "postgresql":
        # Data-modifying parts of one statement: references are tested when all are done. No two
        # parts may change one row.
        by_table: dict[str, list[_Move]] = {}
        for move in moves:
            by_table.setdefault(move.shape.collection, []).append(move)
        parts = [_update(each).cte(f"part{i}") for i, each in enumerate(by_table.values())]
        connection.execute(sa.select(sa.literal(1)).add_cte(*parts))
        return
    with unchecked(connection) if tests_at_once(connection) else nullcontext():
        _move_one_by_one(connection, moves)


def _move_one_by_one(connection: sa.Connection, moves: Sequence[_Move]) -> None:
    for move in moves:
        columns = [move.shape.clause.c[name] for name in move.columns]
        where = [column == sa.bindparam(f"_o_{i}") for i, column in enumerate(columns)]
        values: dict[Any, Any] = {c: sa.bindparam(f"_n_{i}") for i, c in enumerate(columns)}
        rows = [
            {f"_o_{i}": v for i, v in enumerate(old)} | {f"_n_{i}": v for i, v in enumerate(new)}
            for old, new in zip(move.old, move.new, strict=True)
        ]
        connection.execute(sa.update(move.shape.clause).where(*where).values(values), rows)


def _moves(
    connection: sa.Connection, address: Address, links: Sequence[Link], rewrites: Rewrites
) -> Iterator[_Move]:
    changed = {name for new in rewrites.values() for name in new}
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
        if link.inside:
            continue
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


def _in_documents(
    connection: sa.Connection, keyed: Keyed, address: Address, link: Link, rewrites: Rewrites
) -> None:
    """References inside documents, rewritten in their text. Raises StoreError where the rows
    cannot be told apart, or one old value became several."""
    inside, (target,) = link.inside, link.target_columns
    assert inside is not None  # noqa: S101 - only such links come here
    at = address.key.index(target)
    changed = {(key[at], changes[target]) for key, changes in rewrites.items() if target in changes}
    news = {canonical(old): new for old, new in changed}
    key_names = link.shape.table.primary_key
    olds = [(old,) for old, _ in changed]
    found = [tuple(row.values()) for _, row in referring(connection, link, olds, key_names)]
    if not found:
        return
    holder = Address(
        place=f"{address.place.partition('.')[0]}.{link.shape.collection}",
        shape=link.shape,
        key=key_names,
    )
    if not key_names or len(news) < len(changed):
        raise StoreError(
            f"{holder.place}.{inside.name}",
            "refers to a key that is rewritten, and cannot be followed there; declare "
            "`method: keep` on the key, or a primary key here",
        )
    rows = keyed.rows(holder, list(dict.fromkeys(found)), (inside.column,), lock=True)
    targets = [
        Target(key=key, changes={inside.column: replaced(row[inside.column], inside, news)})
        for key, row in rows
    ]
    keyed.update(holder, (), targets)


def _update(moves: Sequence[_Move]) -> sa.Update:
    """All moves of one table. A row may be in several: it has a key of its own and refers to
    other rows, or it refers to two; of a single one the database makes a join."""
    if len(moves) == 1:
        given = _given(moves[0], "v")
        new = dict(_after(moves[0], given))
        return sa.update(moves[0].shape.clause).where(*_matches(moves[0], given)).values(new)
    wheres = []
    found: dict[Any, list[sa.ColumnElement[Any]]] = {}
    for i, move in enumerate(moves):
        given = _given(move, f"v{i}")
        here = _matches(move, given)
        wheres.append(sa.select(sa.literal(1)).select_from(given).where(*here).exists())
        for column, value in _after(move, given):
            after = sa.select(value).where(*here).correlate(move.shape.clause)
            found.setdefault(column, []).append(after.scalar_subquery())
    values = {column: sa.func.coalesce(*after, column) for column, after in found.items()}
    return sa.update(moves[0].shape.clause).where(sa.or_(*wheres)).values(values)


def _given(move: _Move, name: str) -> sa.TableValuedAlias:
    """Old and new values as a table ``(o0, …, n0, …)``."""
    arrays, columns = [], []
    for prefix, rows in (("o", move.old), ("n", move.new)):
        for i, column in enumerate(move.columns):
            kind = move.shape.kinds[column].bind
            arrays.append(array_of([row[i] for row in rows], kind))
            columns.append(sa.column(f"{prefix}{i}", kind))
    return sa.func.unnest(*arrays).table_valued(*columns, name=name).render_derived()


def _after(
    move: _Move, given: sa.TableValuedAlias
) -> Iterator[tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]]:
    """Each column with its new value, in the column's own type."""
    address = Address(place=move.shape.collection, shape=move.shape, key=())
    for i, name in enumerate(move.columns):
        yield move.shape.clause.c[name], writable(address, name, given.c[f"n{i}"])


def _matches(move: _Move, given: sa.TableValuedAlias) -> list[sa.ColumnElement[bool]]:
    return [
        compared(move.shape, column) == given.c[f"o{i}"] for i, column in enumerate(move.columns)
    ]
