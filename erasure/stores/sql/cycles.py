"""Tables that refer to each other, or to themselves, and go in one batch.

Where a database tests references at the commit there is nothing to do. Where it tests at once,
or follows them at once (what it nulls by itself looks like somebody else's afterwards), the
nullable side is nulled in the rows that go later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from erasure.stores.base import Key
from erasure.stores.rows import Effect
from erasure.stores.sql.address import Address, KeyValues
from erasure.stores.sql.along import kind_of
from erasure.stores.sql.reflect import Child, Schema


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """Rows of the task at ``position`` refer to rows of ``parent`` that go before them.
    ``columns``: the nullable columns of that reference; empty where none is."""

    position: int
    parent: str
    columns: tuple[str, ...]


def defer(connection: sa.Connection, schema: Schema) -> None:
    """References are tested at the commit, where the database allows it."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    elif dialect == "postgresql" and any(
        key.deferrable for table in schema.inspection.tables.values() for key in table.foreign_keys
    ):
        connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")


class Removing(Protocol):
    """What is asked of a task."""

    @property
    def address(self) -> Address:
        """Its table."""

    @property
    def effect(self) -> Effect:
        """What it does."""

    @property
    def keys(self) -> Mapping[KeyValues, Key]:
        """Its rows."""


def cycles_of(dialect: str, schema: Schema, tasks: Sequence[Removing]) -> Iterator[Cycle]:
    """The references that would forbid, or change, a deletion because their own rows go later."""
    removing = [(i, t) for i, t in enumerate(tasks) if t.effect.removes and t.keys]
    for earlier, parent in removing:
        collection = parent.address.shape.collection
        later = [(i, t) for i, t in removing if i >= earlier]
        for child, task, position in _holders(schema, collection, later):
            columns = _nullable(child, task.address)
            if not columns and kind_of(child.key):
                continue  # it goes along, or the database says no
            if _acts_at_once(dialect, child, same=position == earlier):
                yield Cycle(position=position, parent=collection, columns=columns)


def _holders(
    schema: Schema, collection: str, later: Sequence[tuple[int, Removing]]
) -> Iterator[tuple[Child, Removing, int]]:
    """Whoever of these refers to its rows, or to rows that it would take along before their turn:
    whose own references nothing would have nulled by then."""
    waiting, seen = deque([collection]), {collection}
    while waiting:
        target = waiting.popleft()
        for child in schema.children.get(target, ()):
            holders = [(i, t) for i, t in later if t.address.shape.collection == child.collection]
            for position, task in holders:
                yield child, task, position
            along = any(not _nullable(child, task.address) for _, task in holders)
            if along and child.key.on_delete == "CASCADE" and child.collection not in seen:
                seen.add(child.collection)
                waiting.append(child.collection)


def _acts_at_once(dialect: str, child: Child, *, same: bool) -> bool:
    """True when the reference is tested or followed before the rows that hold it are deleted.

    ``same``: both go in one work. PostgreSQL deletes those in one statement, at whose end it
    tests NO ACTION; RESTRICT it tests row by row. SQLite defers all but RESTRICT.
    """
    if child.key.on_delete == "CASCADE":
        return not same  # before their turn, while others still refer to them
    if child.key.on_delete in ("SET NULL", "SET DEFAULT"):
        return not (same and dialect == "postgresql")
    restrict = child.key.on_delete == "RESTRICT"
    if dialect == "sqlite":
        return restrict
    if dialect == "postgresql":
        return restrict or not (same or child.key.deferrable)
    return True


def _nullable(child: Child, address: Address) -> tuple[str, ...]:
    columns = {c.name: c for c in address.shape.table.columns}
    return tuple(n for n in child.key.columns if columns[n].nullable and n not in address.key)
