"""The live shape of a store, as plain values: what the gate compares the catalogue with, what a
draft is made from, and what a plan relies on. Pure: no Django, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as the live store has it. ``length`` in characters, None where unlimited."""

    name: str
    data_type: str
    nullable: bool = True
    length: int | None = None
    primary_key: bool = False
    unique: bool = False
    indexed: bool = False
    generated: bool = False


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """A foreign key inside one store; ``on_delete`` as the database reports it, upper case."""

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    deferrable: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, or the shared shape of a file set; ``rows`` is an estimate or None."""

    name: str
    schema: str | None = None
    columns: tuple[Column, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    rows: int | None = None
    triggers: tuple[str, ...] = ()

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

    ``fingerprint``: hex SHA-256 over what a plan relies on (names, types, keys, foreign keys),
    never over contents. ``small``: the whole store may be re-scanned inline.
    """

    tables: Mapping[str, Table]
    fingerprint: str
    small: bool = True


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of a collection, by column: never all of a large one, never shown. ``unread``:
    why nothing could be read, in words without a value."""

    collection: str
    values: Mapping[str, tuple[object, ...]] = field(default_factory=dict, repr=False)
    unread: str = ""
