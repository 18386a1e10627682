"""The live shape of a store, as plain values: what the gate compares the catalogue with, what a
draft is made from, and what a plan relies on. Pure: no Django, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as the live store has it. ``length`` in characters, None where unlimited.

    ``indexed``: an index leads with it. ``generated``: computed from other columns. ``assigned``:
    an identity that the database alone may write.
    """

    name: str
    data_type: str
    nullable: bool = True
    length: int | None = None
    primary_key: bool = False
    unique: bool = False
    indexed: bool = False
    generated: bool = False
    assigned: bool = False


@dataclass(frozen=True, kw_only=True)
class Check:
    """A condition that every row keeps: the expression as the database prints it, and the columns
    it speaks of."""

    name: str
    expression: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """A foreign key; ``on_delete`` and ``on_update`` as the database reports them, upper case,
    ``UNKNOWN`` where its user may not be told.

    ``indexed``: an index leads with its columns, so that removing a row it refers to does not
    read the whole table.
    """

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    deferrable: bool = False
    indexed: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, or the shared shape of a file set; ``rows`` is an estimate or None.

    ``kind``: ``table``, ``partitioned``, ``foreign`` (rows of another server), ``virtual`` and
    ``shadow`` (SQLite: a module's table, and what it keeps for it), ``versioned`` (MariaDB: old
    rows stay as history), ``materialized view``. ``inherits``: tables whose readers see the rows
    of this one too (PostgreSQL); the rows are counted here alone.
    """

    name: str
    schema: str | None = None
    columns: tuple[Column, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    rows: int | None = None
    triggers: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    kind: str = "table"
    inherits: tuple[str, ...] = ()

    def get(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the primary-key columns."""
        return tuple(c.name for c in self.columns if c.primary_key)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The live schema, keyed by collection name (``schema.name`` outside the default schema).

    ``fingerprint``: hex SHA-256 over what a plan relies on (names, types, keys, foreign keys,
    checks), never over contents. ``small``: the whole store may be re-scanned inline. ``views``:
    the kind of each view, which is no table and never acted on, by its name.
    """

    tables: Mapping[str, Table]
    fingerprint: str
    small: bool = True
    views: Mapping[str, str] = field(default_factory=dict)

    def absent(self, *names: str) -> str:
        """Why there is no table of any of these names, in words for people."""
        for name in names:
            if name in self.views:
                return f"'{name}' is a {self.views[name]}; name the tables it reads from instead"
        return f"'{names[-1]}' is not in the store"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of a collection, by column: never all of a large one, never shown. ``unread``:
    why nothing could be read, in words without a value."""

    collection: str
    values: Mapping[str, tuple[object, ...]] = field(default_factory=dict, repr=False)
    unread: str = ""
