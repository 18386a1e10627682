"""The live shape of a store, as plain values: what the gate compares the catalogue with, what a
draft is made from, and what a plan relies on. Pure: no Django, no I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

DocumentKind = Literal["json", "array", "text"]
_TEXTS = ("CHAR", "TEXT", "CLOB")


@dataclass(frozen=True, kw_only=True)
class Inside:
    """A field inside a column: ``payload.user.id`` is the path ``user``, ``id`` in ``payload``; a
    column of JSON or an array is all of itself, by the empty path.

    ``kind``: JSON by the column's type, an array of the database, or a text that is JSON only if
    the catalogue says so.
    """

    name: str
    column: str
    path: tuple[str, ...] = ()
    kind: DocumentKind = "json"


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
    read the whole table. ``asleep``: it is there and does nothing, because what carries it out is
    switched off (PostgreSQL: ``DISABLE TRIGGER ALL`` on the table that it refers to).
    """

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    deferrable: bool = False
    indexed: bool = False
    asleep: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, or the shared shape of a file set; ``rows`` is an estimate or None.

    ``kind``: ``table``, ``partitioned``, ``foreign`` (rows of another server), ``virtual`` and
    ``shadow`` (SQLite: a module's table, and what it keeps for it), ``versioned`` (MariaDB: old
    rows stay as history), ``materialized view``. ``inherits``: tables whose readers see the rows
    of this one too (PostgreSQL); the rows are counted here alone. ``large_objects``: columns of the
    number of a large object, which no trigger removes with its row (PostgreSQL).
    ``transactional``: False where what is written cannot be taken back (MyISAM, Aria).
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
    large_objects: tuple[str, ...] = ()
    transactional: bool = True

    def get(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((c for c in self.columns if c.name == name), None)

    def inside(self, name: str) -> Inside | None:
        """What a field's name says where it is no plain column: the longest column name that it
        begins with, and the path inside. None for a plain column, and where there is no such
        column or it holds no document."""
        if name not in self._inside:
            self._inside[name] = self._looked_inside(name)
        return self._inside[name]

    @cached_property
    def _inside(self) -> dict[str, Inside | None]:
        """The same names are asked about at every step of every run."""
        return {}

    def _looked_inside(self, name: str) -> Inside | None:
        whole = self.get(name)
        if whole is not None:
            kind = self._kind(whole)
            return None if kind in (None, "text") else Inside(name=name, column=name, kind=kind)
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            column = self.get(".".join(parts[:end]))
            if column is not None:
                kind, path = self._kind(column), tuple(parts[end:])
                if kind is None or kind == "array":
                    return None
                return Inside(name=name, column=column.name, path=path, kind=kind)
        return None

    def _kind(self, column: Column) -> DocumentKind | None:
        declared = column.data_type.upper()
        if declared.endswith("[]"):
            return "array"
        if declared in ("JSON", "JSONB") or any(
            c.columns == (column.name,) and "json_valid" in c.expression.lower()
            for c in self.checks
        ):
            return "json"
        return "text" if any(word in declared for word in _TEXTS) else None

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the primary-key columns."""
        return tuple(c.name for c in self.columns if c.primary_key)


@dataclass(frozen=True, kw_only=True)
class View:
    """A view or materialised view as the database keeps it: ``definition`` is its query, in the
    words of ``dialect`` (SQLAlchemy's name of it), empty where the user may not read it."""

    name: str
    schema: str | None = None
    columns: tuple[Column, ...] = ()
    kind: str = "view"
    definition: str = ""
    dialect: str = ""

    @property
    def keeps_rows(self) -> bool:
        """A materialised view is a copy; any other view shows what its tables hold."""
        return self.kind == "materialized view"


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The live schema, keyed by collection name (``schema.name`` outside the default schema).

    ``fingerprint``: hex SHA-256 over what a plan relies on (names, types, keys, foreign keys,
    checks), never over contents. ``parts``: the same per collection (:func:`relied_on`); empty
    where a store is relied on as a whole. ``small``: the whole store may be re-scanned inline.
    ``views``: the kind of each view, which is no table and never acted on, by its name.
    ``published``: by collection, what hands its rows on to subscribers (PostgreSQL). ``logged``:
    how the server writes the values of statements into its own log, and the remedy; else empty.
    """

    tables: Mapping[str, Table]
    fingerprint: str
    parts: Mapping[str, str] = field(default_factory=dict)
    small: bool = True
    views: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    logged: str = ""

    def fingerprint_of(self, collections: Iterable[str]) -> str:
        """What a plan that acts on these collections relies on: a change elsewhere in the store
        does not change it."""
        if not self.parts:
            return self.fingerprint
        return _digest([[name, self.parts.get(name, "")] for name in sorted(set(collections))])

    def absent(self, *names: str) -> str:
        """Why there is no table of any of these names, in words for people."""
        for name in names:
            if self.views.get(name) == "materialized view":
                return (
                    f"'{name}' is a materialized view; it is built anew and not erased in: name it "
                    "in the store's option refresh, and give it action: ignore and because"
                )
            if name in self.views:
                return f"'{name}' is a {self.views[name]}; name the tables it reads from instead"
        return f"'{names[-1]}' is not in the store"

    def view_remedy(self, *names: str) -> str:
        """The line of YAML that settles a view of one of these names; empty where none is one."""
        for name in names:
            if self.views.get(name) == "materialized view":
                return (
                    'erasure: {action: ignore, because: "…"}  # and on its store options: '
                    f"{{refresh: [{json.dumps(name, ensure_ascii=False)}]}}, which builds it anew "
                    "after an erasure; without that, because names the job that does"
                )
            if name in self.views:
                return 'erasure: {action: ignore, because: "a view keeps no rows of its own"}'
        return ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of a collection, by column: never all of a large one, never shown. ``unread``:
    why nothing could be read, in words without a value."""

    collection: str
    values: Mapping[str, tuple[object, ...]] = field(default_factory=dict, repr=False)
    unread: str = ""


def relied_on(tables: Mapping[str, Table]) -> dict[str, str]:
    """Per collection, a digest over what a step there relies on: the table's kind, columns, keys,
    references and checks; and what other tables do to it, by referring to it or inheriting."""
    beside: dict[str, list[Any]] = {}
    for name, table in tables.items():
        for key in table.foreign_keys:
            beside.setdefault(key.target, []).append([name, *_reference(key)])
        for parent in table.inherits:
            beside.setdefault(parent, []).append([name])
    return {
        name: _digest([name, *_own(table), sorted(beside.get(name, ()), key=repr)])
        for name, table in tables.items()
    }


def fingerprint(parts: Mapping[str, str]) -> str:
    """The digest over all collections of :func:`relied_on`."""
    return _digest(sorted(parts.items()))


def _own(table: Table) -> list[Any]:
    columns = [
        [c.name, c.data_type, c.nullable, c.length, c.unique, c.generated, c.assigned]
        for c in table.columns
    ]
    keys = sorted((_reference(key) for key in table.foreign_keys), key=repr)
    checks = sorted([c.expression, c.columns] for c in table.checks)
    own = [table.kind, columns, table.primary_key, keys, checks, sorted(table.inherits)]
    own += [table.large_objects] if table.large_objects else []
    return own if table.transactional else [*own, "no transactions"]


def _reference(key: ForeignKey) -> list[Any]:
    ends = [key.columns, key.target, key.target_columns]
    told = [*ends, key.on_delete, key.on_update, key.deferrable]
    return [*told, "asleep"] if key.asleep else told


def _digest(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()
