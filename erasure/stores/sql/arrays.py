"""Reading and writing rows by key through typed arrays: PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.sql.address import Address, KeyValues, compared, stored
from erasure.stores.sql.keyed import Row, Target, grouped, writable
from erasure.stores.sql.literals import array_type, written
from erasure.stores.sql.membership import in_array

_FEWEST = 200  # fewer are found in no time
_Bound = list[tuple[str, Sequence[Any]]]
_Made = TypeVar("_Made", bound=sa.Executable)


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
        given = _Given(address, _keys(address, keys), _narrowed(address, keys))

        def made() -> sa.Select[Any]:
            clause = address.shape.clause
            columns = [address.column(n) for n in (*address.key, *names)]
            select = sa.select(*(c.label(f"c{i}") for i, c in enumerate(columns)))
            select = select.select_from(clause).where(*given.same())
            if not lock:
                return select
            return select.order_by(*(clause.c[n] for n in address.key)).with_for_update(of=clause)

        select = given.statement("lock" if lock else "rows", names, made)
        width = len(address.key)
        for row in self._connection.execute(select, given.params).all():
            yield address.key_of(row), dict(zip(names, row[width:], strict=True))

    def delete(
        self, address: Address, guard: Sequence[str], rows: Mapping[KeyValues, tuple[Scalar, ...]]
    ) -> list[KeyValues]:
        """How many were deleted comes back, so the usual case needs no second look."""
        if not rows:
            return []
        keys = list(rows)
        bound = _keys(address, keys) + _guards(guard, list(rows.values()))
        given = _Given(address, bound, _narrowed(address, keys))

        def made() -> sa.sql.dml.ReturningDelete[Any]:
            statement = sa.delete(address.shape.clause).where(*given.same(guard))
            return statement.returning(sa.literal_column("1"))

        statement = given.statement("delete", guard, made)
        with self._connection.execute(statement, given.params) as result:
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
            given = _Given(address, bound)
            first = len(address.key) + len(guard)
            values: dict[Any, Any] = dict.fromkeys(
                (address.shape.clause.c[n] for n in names), sa.null()
            )
            for i, name in enumerate(filled):
                values[address.shape.clause.c[name]] = writable(
                    address, name, given.table.c[f"c{first + i}"]
                )
            statement: sa.sql.dml.ReturningUpdate[Any] = (
                sa.update(address.shape.clause)
                .where(*given.same(guard))
                .values(values)
                .returning(sa.literal_column("1"))
            )
            if len(self._connection.execute(statement, given.params).all()) < len(group):
                raise StoreError(
                    address.place,
                    "rows stayed as they were; a trigger, rule or row policy prevents the change",
                )


def _keys(address: Address, keys: Sequence[KeyValues]) -> _Bound:
    return _columns(address.key, keys)


def _guards(names: Sequence[str], guards: Sequence[tuple[Scalar, ...]]) -> _Bound:
    return _columns(names, guards)


def _columns(names: Sequence[str], rows: Sequence[tuple[Scalar, ...]]) -> _Bound:
    return [(name, list(map(itemgetter(i), rows))) for i, name in enumerate(names)]


class _Given:
    """Values as parameters of a statement on one table, by the columns that they are compared with;
    ``parts``: of the key's first column, see :func:`_narrowed`."""

    def __init__(self, address: Address, bound: _Bound, parts: Sequence[Any] = ()) -> None:
        self._address, self._names = address, tuple(name for name, _ in bound)
        every = [*bound, (address.key[0], parts)] if parts else bound
        self._kinds = [address.kind(name).bind for name, _ in every]
        told = [written(v, kind) for (_, v), kind in zip(every, self._kinds, strict=True)]
        self.params = {f"a{i}": value for i, (value, _) in enumerate(told)}
        self._items = tuple(item for _, item in told)

    def statement(self, deed: str, names: Sequence[str], make: Callable[[], _Made]) -> _Made:
        """The statement that does that, made once for each form that its parameters take: which
        takes longer than carrying it out. No value is in it."""
        address, known = self._address, self._address.shape.statements
        form = (deed, type(address), address.key, tuple(names), self._names, self._items)
        if form not in known:
            known[form] = make()
        made: _Made = known[form]
        return made

    @cached_property
    def table(self) -> sa.TableValuedAlias:
        """The values as a table ``v(c0, c1, …)``, typed as their columns are compared."""
        kinds = self._kinds[: len(self._names)]
        columns = [sa.column(f"c{i}", kind) for i, kind in enumerate(kinds)]
        arrays = [self._array(i) for i in range(len(kinds))]
        return sa.func.unnest(*arrays).table_valued(*columns, name="v").render_derived()

    def same(self, guard: Sequence[str] = ()) -> list[sa.ColumnElement[bool]]:
        """The rows of these keys, with these guards. Of a key of one column, or where the first
        part is given once more, it is said by an array that is compared with nothing else: joined
        alone, ten thousand keys made the server read an index from end to end."""
        address, key = self._address, self._address.key
        first, last = compared(address.shape, key[0]), len(self._names)
        if len(key) == 1:
            listed = [in_array(first, self._array(0))]
        else:
            listed = [in_array(first, self._array(last))] if last < len(self._kinds) else []
        if len(key) == 1 and len(self._names) == 1:
            return listed
        column = self.table.c
        keys = [address.column(name) == column[f"c{i}"] for i, name in enumerate(key)]
        guards = [
            address.column(name).is_not_distinct_from(column[f"c{len(key) + i}"])
            for i, name in enumerate(guard)
        ]
        return [*keys, *guards, *listed]

    def _array(self, i: int) -> sa.ColumnElement[Any]:
        return sa.bindparam(f"a{i}", type_=array_type(self._items[i], self._kinds[i]))


def _narrowed(address: Address, keys: Sequence[KeyValues]) -> Sequence[Any]:
    """Where several rows share the first part of a key (the lines of an order), what says so once
    more: one look into the index for each of those parts, not for each row."""
    if len(address.key) < 2:
        return ()
    parts = list(dict.fromkeys(map(itemgetter(0), keys)))
    return parts if _FEWEST <= 2 * len(parts) <= len(keys) else ()
