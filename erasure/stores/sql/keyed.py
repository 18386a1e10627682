"""Reading and writing rows by key, every mutation guarded.

Two ways with one meaning: typed arrays through ``unnest`` (PostgreSQL), one statement for any
number of rows; and one prepared statement executed many times (everything else).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.sql.address import Address, KeyValues
from erasure.stores.sql.kinds import underlying
from erasure.stores.sql.membership import LIST_SIZE, member_of

Row = dict[str, Scalar]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A row to be changed: its key, its guard's values as they are now, and the new values."""

    key: KeyValues
    guard: tuple[Scalar, ...] = ()
    changes: Mapping[str, Scalar]


class Keyed(Protocol):
    """What both ways offer. ``guard`` names the guard's columns."""

    def rows(
        self,
        address: Address,
        keys: Sequence[KeyValues],
        names: Sequence[str],
        *,
        lock: bool = False,
    ) -> Iterator[tuple[KeyValues, Row]]:
        """The rows that are there, with those columns; ``lock`` holds them, in key order."""

    def delete(
        self, address: Address, guard: Sequence[str], rows: Mapping[KeyValues, tuple[Scalar, ...]]
    ) -> list[KeyValues]:
        """Delete rows whose guard matches; returns the keys that may still be there."""

    def update(self, address: Address, guard: Sequence[str], rows: Sequence[Target]) -> None:
        """Write new values into rows whose guard matches. Raises StoreError where fewer were
        written than there are."""


def grouped(rows: Sequence[Target]) -> Iterator[tuple[tuple[str, ...], list[Target]]]:
    """Rows by the columns that change in them, so that no other column is written."""
    groups: dict[tuple[str, ...], list[Target]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row.changes)), []).append(row)
    yield from groups.items()


def writable(address: Address, name: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A bound value in the column's own type."""
    kind = address.kind(name)
    if not kind.as_text:
        return value
    if isinstance(kind.native, DOMAIN) and isinstance(underlying(kind.native), sa.String):
        return value  # a cast would cut what is too long; an assignment refuses it
    return sa.cast(value, kind.native)


class Lists:
    """Prepared statements executed many times, and short lists of values."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._plain = as_written(connection)

    def rows(
        self,
        address: Address,
        keys: Sequence[KeyValues],
        names: Sequence[str],
        *,
        lock: bool = False,
    ) -> Iterator[tuple[KeyValues, Row]]:
        """Each key column narrows by itself; the pair is confirmed here, never in SQL."""
        columns = [address.column(n) for n in (*address.key, *names)]
        select = sa.select(*(c.label(f"c{i}") for i, c in enumerate(columns)))
        if lock:
            select = select.with_for_update()  # renders nothing on SQLite, which has locked
        pending = iter(sorted(keys, key=repr))
        width = len(address.key)
        while batch := set(islice(pending, LIST_SIZE)):
            conditions = [
                member_of(self._connection, address.shape, name, list({k[i] for k in batch}))
                for i, name in enumerate(address.key)
            ]
            with _legible(address, address.key, batch):
                found = self._connection.execute(select.where(*conditions)).all()
            for row in found:
                if tuple(row[:width]) in batch:
                    yield address.key_of(row), dict(zip(names, row[width:], strict=True))

    def delete(
        self, address: Address, guard: Sequence[str], rows: Mapping[KeyValues, tuple[Scalar, ...]]
    ) -> list[KeyValues]:
        """One prepared DELETE; without a guard nothing can be left, with one somebody looks."""
        if rows:
            statement = sa.delete(address.shape.clause).where(*self._where(address, guard))
            with _legible(address, (*address.key, *guard), ((*k, *g) for k, g in rows.items())):
                self._connection.execute(statement, [self._bound(k, g) for k, g in rows.items()])
        return list(rows) if guard else []

    def update(self, address: Address, guard: Sequence[str], rows: Sequence[Target]) -> None:
        """One prepared UPDATE per set of columns, and of those that get broken text."""
        by_identity = (*address.key, *guard)
        for names, group in grouped(rows):
            by_broken: dict[tuple[bool, ...], list[Target]] = {}
            for row in group:
                broken = tuple([not legible(row.changes[n]) for n in names])
                by_broken.setdefault(broken, []).append(row)
            for broken, some in by_broken.items():
                with _legible(address, by_identity, ((*r.key, *r.guard) for r in some)):
                    self._update(address, guard, dict(zip(names, broken, strict=True)), some)

    def _update(
        self,
        address: Address,
        guard: Sequence[str],
        names: Mapping[str, bool],
        rows: Sequence[Target],
    ) -> None:
        """``names``: the columns, and whether they get broken text."""
        if any(names.values()):
            self._refuse_other_encodings(address)
        values: dict[sa.ColumnElement[Any], sa.ColumnElement[Any]] = {}
        for i, (name, broken) in enumerate(names.items()):
            kind = sa.LargeBinary() if broken else address.kind(name).bind
            value = sa.bindparam(f"_v_{i}", type_=kind)
            values[address.shape.clause.c[name]] = sa.cast(value, sa.Text()) if broken else value
        where = self._where(address, guard)
        statement = sa.update(address.shape.clause).where(*where).values(values)
        self._connection.execute(
            statement,
            [
                self._bound(r.key, r.guard)
                | {
                    f"_v_{i}": octets(r.changes[n]) if broken else self._plain(r.changes[n])
                    for i, (n, broken) in enumerate(names.items())
                }
                for r in rows
            ],
        )

    def _refuse_other_encodings(self, address: Address) -> None:
        """What is written as bytes is taken for a text in the database's own encoding."""
        if self._connection.exec_driver_sql("PRAGMA encoding").scalar_one() != "UTF-8":
            raise StoreError(
                address.place, "a text to be changed is broken, in UTF-16; repair it in the store"
            )

    def _where(self, address: Address, guard: Sequence[str]) -> list[sa.ColumnElement[bool]]:
        columns = address.shape.clause.c
        keys = [columns[n] == sa.bindparam(f"_k_{i}") for i, n in enumerate(address.key)]
        guards = [
            columns[n].is_not_distinct_from(sa.bindparam(f"_g_{i}")) for i, n in enumerate(guard)
        ]
        return [*keys, *guards]

    def _bound(self, key: KeyValues, guard: tuple[Scalar, ...]) -> dict[str, Any]:
        return {f"_k_{i}": self._plain(v) for i, v in enumerate(key)} | {
            f"_g_{i}": self._plain(v) for i, v in enumerate(guard)
        }


def legible(value: Scalar) -> bool:
    """False of a text of SQLite's that is no UTF-8."""
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def octets(value: Scalar) -> bytes:
    """The bytes of a text that is no UTF-8."""
    return str(value).encode("utf-8", "surrogateescape")


@contextmanager
def _legible(
    address: Address, names: Sequence[str], rows: Iterable[Sequence[Scalar]]
) -> Iterator[None]:
    """Whatever identifies a row is handed over as text. Raises StoreError naming the column in
    which that cannot be."""
    try:
        yield
    except UnicodeEncodeError:
        every = (pair for row in rows for pair in zip(names, row, strict=True))
        name = next((name for name, value in every if not legible(value)), "")
        place = f"{address.place}.{name}" if name else address.place
        raise StoreError(
            place, "a row is identified by a text that is no UTF-8; repair it in the store"
        ) from None


def as_written(connection: sa.Connection) -> Callable[[Scalar], Any]:
    """How values are handed to that dialect's driver."""
    return plain if connection.dialect.name == "sqlite" else _as_is


def plain(value: Scalar) -> Any:
    """A value as SQLite's driver takes it, which knows neither decimals nor moments."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time | UUID):
        return str(value)
    return value


def _as_is(value: Scalar) -> Any:
    return value
