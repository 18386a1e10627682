"""Who refers to a row: shared rows that stay, and rows that came too late."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import sqlalchemy as sa

from erasure.domain.values import Scalar
from erasure.stores.base import Referrer
from erasure.stores.documents import values as inside_values
from erasure.stores.sql.address import Address, KeyValues, compared, require, shape_of
from erasure.stores.sql.documents import Asked, condition, kind_of
from erasure.stores.sql.keyed import Row
from erasure.stores.sql.membership import batch_size, one_of
from erasure.stores.sql.reflect import Child, Schema, Shape
from lineage.schema import Inside

Values = tuple[Scalar, ...]
Normal = tuple[Hashable, ...]


@dataclass(frozen=True, kw_only=True)
class Link:
    """Columns of one table that refer to columns of another."""

    shape: Shape
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]

    @cached_property
    def inside(self) -> Inside | None:
        """Where the reference is inside a document; it is one field then."""
        return self.shape.table.inside(self.columns[0]) if len(self.columns) == 1 else None

    @property
    def read(self) -> tuple[str, ...]:
        """The columns to be read."""
        return (self.inside.column,) if self.inside else self.columns

    def normals(self, row: Sequence[Any]) -> Iterator[Normal]:
        """The forms of what a row refers to, read by :attr:`read`."""
        inside = self.inside
        values = [(v,) for v in inside_values(row[0], inside).items] if inside else [row]
        for one in values:
            if (form := self.normal(one)) is not None:
                yield form

    def normal(self, values: Sequence[Any]) -> Normal | None:
        """The form in which a reference equals what it refers to; None where a part is NULL."""
        kinds = [self.shape.kinds[name] for name in self.read]
        kinds = [kind_of(self.shape, self.inside)] if self.inside else kinds
        forms = tuple(kind.alike(v) for kind, v in zip(kinds, values, strict=True))
        return None if None in forms else forms

    def one_of(
        self, connection: sa.Connection, position: int, values: Iterable[Any]
    ) -> sa.ColumnElement[bool]:
        """The column refers to one of ``values``, as the database itself sees it: a collation
        that ignores case holds for references too."""
        if self.inside:
            return condition(connection, self.shape, Asked(inside=self.inside, values=list(values)))
        name = self.columns[position]
        kind = self.shape.kinds[name]
        column = compared(self.shape, name)
        plain = sa.type_coerce(column, kind.bind) if kind.folds else column
        probes = dict.fromkeys(p for value in values for p in kind.probes(value))
        return one_of(connection, plain, list(probes), kind.bind)


def links_to(
    store: str, schema: Schema, address: Address, declared: Iterable[Referrer]
) -> list[Link]:
    """Declared referrers and reflected foreign keys, each once. Raises StoreError for a declared
    one that is not there."""
    found: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Link] = {}
    for referrer in declared:
        collection = schema.collection(referrer.collection, referrer.schema)
        place = f"{store}.{collection}"
        shape = shape_of(place, schema, collection)
        columns = (referrer.field, *(mine for mine, _ in referrer.also))
        targets = (referrer.target_field, *(theirs for _, theirs in referrer.also))
        require(place, shape, columns)
        require(address.place, address.shape, targets)
        link = Link(shape=shape, columns=columns, target_columns=targets)
        found[collection, link.columns, link.target_columns] = link
    for child in schema.children.get(address.shape.collection, ()):
        link = link_of(schema, child)
        found[child.collection, link.columns, link.target_columns] = link
    return list(found.values())


def link_of(schema: Schema, child: Child) -> Link:
    """A reflected foreign key."""
    return Link(
        shape=schema.shapes[child.collection],
        columns=child.key.columns,
        target_columns=child.key.target_columns,
    )


def referring(
    connection: sa.Connection, link: Link, targets: Iterable[Values], names: Sequence[str] = ()
) -> Iterator[tuple[Normal, Row]]:
    """Rows that refer to one of ``targets`` (values of the target columns), with those columns;
    without ``names`` each target that is referred to comes once."""
    wanted: dict[Normal, list[Values]] = {}
    for target in targets:
        if (form := link.normal(target)) is not None:
            wanted.setdefault(form, []).append(target)
    columns = [compared(link.shape, name) for name in (*link.read, *names)]
    select = sa.select(*(c.label(f"c{i}") for i, c in enumerate(columns)))
    if not names:
        select = select.distinct()
    pending, width = iter(wanted), len(link.columns)
    while batch := list(islice(pending, batch_size(connection))):
        given = [target for form in batch for target in wanted[form]]
        conditions = [link.one_of(connection, i, [t[i] for t in given]) for i in range(width)]
        for row in connection.execute(select.where(*conditions)):
            for normal in link.normals(row[:width]):
                if normal in wanted:
                    yield normal, dict(zip(names, row[width:], strict=True))


def referred(
    connection: sa.Connection,
    links: Iterable[Link],
    address: Address,
    rows: Mapping[KeyValues, Row],
    *,
    going: bool,
) -> set[KeyValues]:
    """Which of ``rows`` (with every link's target columns) somebody refers to. ``going``: those
    that nobody refers to go, and set free what they refer to among ``rows``. A row that refers to
    itself does not keep itself alive; rows that refer to each other do."""
    kept: set[KeyValues] = set()
    among: dict[KeyValues, set[KeyValues]] = {}
    for link in links:
        by_target: dict[Normal, set[KeyValues]] = {}
        for key, row in rows.items():
            normal = link.normal([row[name] for name in link.target_columns])
            if normal is not None:
                by_target.setdefault(normal, set()).add(key)
        own = link.shape.collection == address.shape.collection
        names = address.key if own else ()
        targets = [tuple(row[n] for n in link.target_columns) for row in rows.values()]
        for normal, row in referring(connection, link, targets, names):
            holder = tuple(row[n] for n in names)
            held = by_target[normal] - ({holder} if own else set())
            if going and own and holder in rows:
                for key in held:
                    among.setdefault(key, set()).add(holder)
            else:
                kept |= held
    return kept | _held(among, kept)


def _held(among: Mapping[KeyValues, set[KeyValues]], kept: set[KeyValues]) -> set[KeyValues]:
    """Of rows with those that refer to them: what is left once nobody goes any more."""
    held = set(among)
    while free := {key for key in held - kept if not among[key] & (held | kept)}:
        held -= free
    return held


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a batch names, by collection: the keys of rows that go, the fields by which its steps
    reach their rows, and all its keys. A work without keys names its fields, too. ``cut``: by
    collection and column, rows that do not refer by it any more when it comes to that; nobody
    need tell where they have been cut."""

    removed: Mapping[str, frozenset[KeyValues]]
    fields: Mapping[str, frozenset[str]]
    keys: Mapping[str, frozenset[KeyValues]]
    cut: Mapping[tuple[str, str], frozenset[KeyValues]] = field(default_factory=dict)


def late_table(
    connection: sa.Connection, schema: Schema, planned: Planned, addresses: Iterable[Address]
) -> str | None:
    """After a batch was rolled back: a collection with rows that refer to what was to go, and
    that the batch does not know."""
    for address in addresses:
        gone = planned.removed.get(address.shape.collection, frozenset())
        for child in schema.children.get(address.shape.collection, ()):
            link = link_of(schema, child)
            names = link.shape.table.primary_key or link.columns
            if not set(link.target_columns) <= set(address.key):
                continue
            places = [address.key.index(n) for n in link.target_columns]
            targets = [tuple(key[i] for i in places) for key in gone]
            known = planned.keys.get(child.collection, frozenset())
            for _, row in referring(connection, link, targets, names):
                if tuple(row.values()) not in known:
                    return child.collection
    return None
