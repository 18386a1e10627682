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

_Bound = list[tuple[str, list[Any]]]


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
        if lock:
            order = [address.shape.clause.c[n] for n in address.key]
            select = select.order_by(*order).with_for_update(of=address.shape.clause)
        width = len(address.key)
        for row in self._connection.execute(select).all():
            yield address.key_of(row), dict(zip(names, row[width:], strict=True))

    def delete(
        self, address: Address, guard: Sequence[str], rows: Mapping[KeyValues, tuple[Scalar, ...]]
    ) -> list[KeyValues]:
        """What was deleted comes back, so the usual case needs no second look."""
        if not rows:
            return []
        bound = _keys(address, list(rows)) + _guards(guard, list(rows.values()))
        given = _unnested(address, bound)
        statement = (
            sa.delete(address.shape.clause)
            .where(*_same(address, given), *_guarded(address, guard, given))
            .returning(*(address.column(n).label(f"c{i}") for i, n in enumerate(address.key)))
        )
        told = self._connection.execute(statement).all()
        if address.proven and len(told) == len(rows):
            return []  # as many different keys came back as were asked for
        gone = {tuple(row) for row in told}
        return [key for key in rows if key not in gone]

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
    return [(name, [key[i] for key in keys]) for i, name in enumerate(address.key)]


def _guards(names: Sequence[str], guards: Sequence[tuple[Scalar, ...]]) -> _Bound:
    return [(name, [guard[i] for guard in guards]) for i, name in enumerate(names)]


def _unnested(address: Address, bound: _Bound) -> sa.TableValuedAlias:
    """The values as a table ``v(c0, c1, …)``, typed as their columns are compared."""
    kinds = [address.kind(name).bind for name, _ in bound]
    arrays = [array_of(values, kind) for (_, values), kind in zip(bound, kinds, strict=True)]
    columns = [sa.column(f"c{i}", kind) for i, kind in enumerate(kinds)]
    return sa.func.unnest(*arrays).table_valued(*columns, name="v").render_derived()


def _same(address: Address, given: sa.TableValuedAlias) -> list[sa.ColumnElement[bool]]:
    return [address.column(name) == given.c[f"c{i}"] for i, name in enumerate(address.key)]


def _guarded(
    address: Address, guard: Sequence[str], given: sa.TableValuedAlias
) -> list[sa.ColumnElement[bool]]:
    first = len(address.key)
    return [
        address.column(name).is_not_distinct_from(given.c[f"c{first + i}"])
        for i, name in enumerate(guard)
    ]
