"""A table as an engine's catalogue tells it, before its parts are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from erasure.stores.sql.kinds import Kind
from lineage.schema import Column, Table


@dataclass(frozen=True, kw_only=True)
class Index:
    """``columns``: in order, up to the first expression. ``unique``: they identify a row, so no
    row is left out and no expression takes part."""

    columns: tuple[str, ...]
    unique: bool = False

    @classmethod
    def over(cls, names: Sequence[str | None], *, unique: bool) -> Index:
        """An index over columns and, where there is no name, expressions."""
        named = tuple(takewhile(lambda name: name is not None, names))
        return cls(columns=named, unique=unique and len(named) == len(names))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Found:
    """``table`` lacks only what follows from the rest. ``kinds`` by column. Indexes that leave
    rows out are not named: they prove nothing and cannot be relied on."""

    table: Table
    kinds: Mapping[str, Kind]
    primary_key: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()

    def whole(self) -> Table:
        """The table with what follows from its keys and indexes."""
        leading = {index.columns[0] for index in self._sorted() if index.columns}
        unique = self.unique()
        columns = tuple(self._column(c, unique, leading) for c in self.table.columns)
        keys = tuple(
            replace(key, indexed=self._leads(key.columns)) for key in self.table.foreign_keys
        )
        return replace(
            self.table,
            columns=columns,
            foreign_keys=tuple(sorted(keys, key=lambda k: (k.columns, k.target, k.name))),
        )

    def unique(self) -> frozenset[frozenset[str]]:
        """Sets of columns that identify a row."""
        return frozenset(frozenset(i.columns) for i in self._sorted() if i.unique)

    def _sorted(self) -> tuple[Index, ...]:
        key = Index(columns=self.primary_key, unique=True)
        return (key, *self.indexes) if self.primary_key else self.indexes

    def _column(
        self, column: Column, unique: frozenset[frozenset[str]], leading: set[str]
    ) -> Column:
        in_key = column.name in self.primary_key
        return replace(
            column,
            nullable=column.nullable and not in_key,
            primary_key=in_key,
            unique=frozenset({column.name}) in unique,
            indexed=column.name in leading,
        )

    def _leads(self, columns: tuple[str, ...]) -> bool:
        return any(set(i.columns[: len(columns)]) == set(columns) for i in self._sorted())


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A database's tables by collection name; ``views``: the kind of each view; ``size`` in
    bytes, None where the engine does not say; ``default``: the schema that is not named;
    ``published`` and ``logged``: as :class:`Inspection` has them."""

    tables: Mapping[str, Found]
    views: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    default: str | None = None
    published: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    logged: str = ""
