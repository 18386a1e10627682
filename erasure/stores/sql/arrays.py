"""Reading and writing rows by key through typed arrays: PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.sql.address import Address, KeyValues, stored
from erasure.stores.sql.keyed import Row, Target, grouped, writable
from erasure.stores.sql.literals import array_of
from erasure.stores.sql.membership import member_of

_FEWEST = 200  # fewer are found in no time
_Bound = list[tuple[str, Sequence[Any]]]


class Arrays:
    """One statement for any number of rows."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def rows(
        self,
        address: Address,
        keys: Sequence[KeyValues],
        names: Sequence[str],
        *,
        lock: bool = False,
    ) -> Iterator[tuple[KeyValues, Row]]:
        """The rows that are there; locked rows come in key order, so that two runs that share
        some wait for each other instead of deadlocking."""
        if not keys:
            return
        given = _unnested(address, _keys(address, keys))
        columns = [address.column(n) for n in (*address.key, *names)]
        select = sa.select(*(c.label(f"c{i}") for i, c in enumerate(columns))).select_from(
            address.shape.clause.join(given, sa.and_(*_same(address, given)))
        )
        select = select.where(*_narrowed(self._connection, address, keys))
        if lock:
            order = [address.shape.clause.c[n] for n in address.key]
            select = select.order_by(*order).with_for_update(of=address.shape.clause)
        width = len(address.key)
        for row in self._connection.execute(select).all():
            yield address.key_of(row), dict(zip(names, row[width:], strict=True))

    def delete(
        self, address: Address, guard: Sequence[str], rows: Mapping[KeyValues, tuple[Scalar, ...]]
    ) -> list[KeyValues]:
        """How many were deleted comes back, so the usual case needs no second look."""
        if not rows:
            return []
        keys = list(rows)
        bound = _keys(address, keys) + _guards(guard, list(rows.values()))
        given = _unnested(address, bound)
        statement: sa.sql.dml.ReturningDelete[Any] = (
            sa.delete(address.shape.clause)
            .where(*_same(address, given), *_narrowed(self._connection, address, keys))
            .where(*_guarded(address, guard, given))
            .returning(sa.literal_column("1"))
        )
        with self._connection.execute(statement) as result:
            told = result.rowcount
        # As many rows went as different keys were asked for, each of which one row has.
        return [] if address.proven and told == len(rows) else keys

    def update(self, address: Address, guard: Sequence[str], rows: Sequence[Target]) -> None:
        """One statement per set of columns; a column that becomes NULL everywhere is no array."""
        for names, group in grouped(rows):
            filled = [n for n in names if any(r.changes[n] is not None for r in group)]
            bound = _keys(address, [r.key for r in group])
            bound += _guards(guard, [r.guard for r in group])
            bound += [(n, [stored(address, n, r.changes[n]) for r in group]) for n in filled]
            given = _unnested(address, bound)
            first = len(address.key) + len(guard)
            values: dict[Any, Any] = dict.fromkeys(
                (address.shape.clause.c[n] for n in names), sa.null()
            )
            for i, name in enumerate(filled):
                values[address.shape.clause.c[name]] = writable(
                    address, name, given.c[f"c{first + i}"]
                )
            statement: sa.sql.dml.ReturningUpdate[Any] = (
                sa.update(address.shape.clause)
                .where(*_same(address, given), *_guarded(address, guard, given))
                .values(values)
                .returning(sa.literal_column("1"))
            )
            if len(self._connection.execute(statement).all()) < len(group):
                raise StoreError(
                    address.place,
                    "rows stayed as they were; a trigger, rule or row policy prevents the change",
                )


def _keys(address: Address, keys: Sequence[KeyValues]) -> _Bound:
    return _columns(address.key, keys)


def _guards(names: Sequence[str], guards: Sequence[tuple[Scalar, ...]]) -> _Bound:
    return _columns(names, guards)


def _columns(names: Sequence[str], rows: Sequence[tuple[Scalar, ...]]) -> _Bound:
    return list(zip(names, zip(*rows, strict=True), strict=True))


def _unnested(address: Address, bound: _Bound) -> sa.TableValuedAlias:
    """The values as a table ``v(c0, c1, …)``, typed as their columns are compared."""
    kinds = [address.kind(name).bind for name, _ in bound]
    arrays = [array_of(values, kind) for (_, values), kind in zip(bound, kinds, strict=True)]
    columns = [sa.column(f"c{i}", kind) for i, kind in enumerate(kinds)]
    return sa.func.unnest(*arrays).table_valued(*columns, name="v").render_derived()


def _same(address: Address, given: sa.TableValuedAlias) -> list[sa.ColumnElement[bool]]:
    return [address.column(name) == given.c[f"c{i}"] for i, name in enumerate(address.key)]


def _narrowed(
    connection: sa.Connection, address: Address, keys: Sequence[KeyValues]
) -> list[sa.ColumnElement[bool]]:
    """Where several rows share the first part of a key (the lines of an order), what says so once
    more: one look into the index for each of those parts, not for each row."""
    if len(address.key) < 2:
        return []
    name = address.key[0]
    parts = list(dict.fromkeys(key[0] for key in keys))
    if not _FEWEST <= 2 * len(parts) <= len(keys):
        return []
    return [member_of(connection, address.shape, name, parts)]


def _guarded(
    address: Address, guard: Sequence[str], given: sa.TableValuedAlias
) -> list[sa.ColumnElement[bool]]:
    first = len(address.key)
    return [
        address.column(name).is_not_distinct_from(given.c[f"c{first + i}"])
        for i, name in enumerate(guard)
    ]
