"""A plan's steps explained from the live schema: statement, index, locks, what is set off beside
them and what stays.

Beside the schema only two things are asked, and no answer holds a row's value: how the database
would search a table (see ``access``), once per table, and how many rows it has where nothing says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from erasure.stores.base import Approach, Explanation, Selector
from erasure.stores.sql.access import Access, Searches, accesses, caught, leads_of
from erasure.stores.sql.address import Address
from erasure.stores.sql.along import named_fields
from erasure.stores.sql.connection import Options
from erasure.stores.sql.documents import index_over
from erasure.stores.sql.effects import (
    Beside,
    Resolved,
    besides,
    forbidding,
    resolve,
    unnamed,
)
from erasure.stores.sql.membership import mailbox_indexes
from erasure.stores.sql.references import links_to
from erasure.stores.sql.reflect import Schema, Shape
from erasure.stores.sql.triggers import Triggers
from erasure.stores.sql.wording import locks_of, statement_of, stays_of

# What is read in a moment, whether an index serves or not: no warning.
SMALL = 1_000
# A table of unknown size is counted up to here.
COUNTED = 100_000
_PARTS = 100  # of one statement
_NAMES = 2

_Search = tuple[str, str, tuple[str, ...]]  # collection, mode, fields


@dataclass(frozen=True, kw_only=True)
class _Lookup:
    """Columns of a table that are searched because rows they refer to go or get another key."""

    collection: str
    columns: tuple[str, ...]
    parent: str


def explain(
    engine: sa.Engine,
    store: str,
    schema: Schema,
    options: Options,
    approaches: Sequence[Approach],
    triggers: Triggers,
) -> list[Explanation]:
    """One explanation per approach, in order. Raises StoreError for a table that is missing."""
    resolved = [resolve(store, schema, approach.step) for approach in approaches]
    dialect = engine.dialect.name
    searches = _searches(schema, approaches)
    with engine.connect() as connection:
        prepared = {
            collection: caught(connection, store, schema, listed)
            for collection, listed in searches.items()
        }
    beside = besides(store, dialect, schema, triggers, resolved)
    named = named_fields(schema, (r.step for r in resolved))
    lookups = _lookups(store, schema, resolved, named)
    with engine.connect() as connection:
        known = _Known(
            store=store,
            engine=engine,
            schema=schema,
            options=options,
            wal=_wal(connection),
            named=named,
            sizes=_sizes(connection, schema, resolved, lookups),
            used=_used(connection, schema, prepared),
        )
    rows = zip(approaches, resolved, beside, lookups, strict=True)
    return [known.explanation(*row) for row in rows]


def covered(schema: Schema, collection: str, columns: tuple[str, ...]) -> bool:
    """Whether an index serves a search by those columns: as the schema tells of a foreign key, else
    one that begins with any of them."""
    table = schema.shapes[collection].table
    keys = [key for key in table.foreign_keys if key.columns == columns]
    if keys:
        return all(key.indexed for key in keys)
    return any(column.indexed for column in table.columns if column.name in columns)


def _searches(schema: Schema, approaches: Sequence[Approach]) -> dict[str, list[Selector]]:
    """The searches of each table that an index can serve, each once; texts are read in full."""
    found: dict[str, dict[_Search, Selector]] = {}
    for search in (s for approach in approaches for s in approach.searches):
        key = _key(schema, search)
        if search.mode != "text" and _is_there(schema.shapes[key[0]], search.fields):
            found.setdefault(key[0], {})[key] = search
    return {collection: list(named.values()) for collection, named in found.items()}


def _is_there(shape: Shape, names: Sequence[str]) -> bool:
    return all(n in shape.kinds or shape.table.inside(n) for n in names)


def _key(schema: Schema, search: Selector) -> _Search:
    collection = schema.collection(search.dataset.name, search.dataset.schema)
    return collection, search.mode, search.fields


def _used(
    connection: sa.Connection, schema: Schema, prepared: Mapping[str, Searches]
) -> dict[_Search, Access | None]:
    used, leads = {}, leads_of(connection)
    for searches in prepared.values():
        told = accesses(connection, searches, leads)
        for (search, _), access in zip(searches, told, strict=True):
            used[_key(schema, search)] = access
    return used


def _lookups(
    store: str,
    schema: Schema,
    resolved: Sequence[Resolved],
    named: Mapping[str, frozenset[str]],
) -> list[list[_Lookup]]:
    """Per step where the database, or the store, looks for references to its rows."""
    found = []
    for one in resolved:
        looked: dict[_Lookup, None] = {}
        if one.effect is not None and (one.goes or one.effect.rekeys):
            parents = [one.address.shape.collection]
            parents += [child.collection for _, child in unnamed(schema, one, named)]
            looked = dict.fromkeys(_of_links(store, schema, one.address, one))
            looked |= dict.fromkeys(x for p in parents for x in _of_children(schema, p))
        found.append(list(looked))
    return found


def _of_links(
    store: str, schema: Schema, address: Address, resolved: Resolved
) -> Iterator[_Lookup]:
    for link in links_to(store, schema, address, resolved.step.referrers):
        yield _Lookup(
            collection=link.shape.collection,
            columns=link.columns,
            parent=address.shape.collection,
        )


def _of_children(schema: Schema, parent: str) -> Iterator[_Lookup]:
    for child in schema.children.get(parent, ()):
        yield _Lookup(collection=child.collection, columns=child.key.columns, parent=parent)


def _sizes(
    connection: sa.Connection,
    schema: Schema,
    resolved: Sequence[Resolved],
    lookups: Sequence[Sequence[_Lookup]],
) -> dict[str, int]:
    """Rows per table, as the database estimates them; where it does not, counted up to
    ``COUNTED``."""
    wanted = {r.address.shape.collection for r in resolved}
    wanted |= {lookup.collection for listed in lookups for lookup in listed}
    shapes = {name: schema.shapes[name] for name in sorted(wanted)}
    sizes = {name: s.table.rows for name, s in shapes.items() if s.table.rows is not None}
    unknown = [name for name in shapes if name not in sizes]
    for start in range(0, len(unknown), _PARTS):
        parts = []
        for number, name in enumerate(unknown[start : start + _PARTS]):
            one: sa.ColumnElement[int] = sa.literal_column("1").label("one")
            some = sa.select(one).select_from(shapes[name].clause).limit(COUNTED).subquery()
            place: sa.ColumnElement[int] = sa.literal_column(str(number))
            parts.append(sa.select(place, sa.func.count()).select_from(some))
        for number, count in connection.execute(sa.union_all(*parts)):
            sizes[unknown[start + number]] = count
    return sizes


def _wal(connection: sa.Connection) -> bool:
    if connection.dialect.name != "sqlite":
        return False
    return bool(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal")


@dataclass(frozen=True, kw_only=True)
class _Known:
    """Everything that was asked of one store."""

    store: str
    engine: sa.Engine
    schema: Schema
    options: Options
    wal: bool
    named: Mapping[str, frozenset[str]]
    sizes: Mapping[str, int]
    used: Mapping[_Search, Access | None]

    def explanation(
        self,
        approach: Approach,
        resolved: Resolved,
        beside: Beside,
        lookups: Sequence[_Lookup],
    ) -> Explanation:
        """The explanation of one step."""
        dialect = self.engine.dialect.name
        quote = self.engine.dialect.identifier_preparer.quote
        warnings = [resolved.why] if resolved.why else []
        warnings += forbidding(self.store, self.schema, resolved, self.named)
        warnings += [w for s in approach.searches if (w := self._slow_search(s))]
        warnings += [w for lookup in lookups if (w := self._slow_lookup(lookup))]
        told = [self._index(search) for search in approach.searches]
        told += [self._reference(lookup) for lookup in lookups if not self._served(lookup)]
        return Explanation(
            statement=statement_of(resolved, quote),
            rows=self.sizes[resolved.address.shape.collection],
            index=tuple(told),
            locks=locks_of(resolved, dialect, self.options, wal=self.wal),
            stays=stays_of(resolved, dialect, self.options),
            cascades=beside.cascades,
            triggers=beside.triggers,
            warnings=tuple(warnings),
        )

    def _index(self, search: Selector) -> str:
        fields = ", ".join(search.fields)
        if search.mode == "text":
            return f"{fields}: every text is read"
        access = self._access(search)
        if access.scans:
            return f"{fields}: no index serves it, every row is read"
        names = [n for n in access.indexes if n and not n.startswith("sqlite_autoindex")]
        if not names:
            return f"{fields}: by a key of the table"
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        return f"{fields}: by {', '.join(names[:_NAMES])}{more}"

    def _access(self, search: Selector) -> Access:
        key = _key(self.schema, search)
        return self.used.get(key) or Access(scans=not covered(self.schema, key[0], search.fields))

    def _reference(self, lookup: _Lookup) -> str:
        place = f"{lookup.collection}.{'+'.join(lookup.columns)}"
        return f"{place} refers to it without an index ({self._size(lookup.collection)})"

    def _served(self, lookup: _Lookup) -> bool:
        table = self.schema.shapes[lookup.collection].table
        inside = table.inside(lookup.columns[0])
        column = table.get(inside.column) if inside else None
        if column is not None and self.engine.dialect.name == "postgresql":
            return column.indexed  # by GIN: no other index is over a document as such
        return covered(self.schema, lookup.collection, lookup.columns)

    def _size(self, collection: str) -> str:
        rows = self.sizes[collection]
        estimated = self.schema.shapes[collection].table.rows is not None
        how = "about " if estimated else "at least " if rows == COUNTED else ""
        return f"{how}{rows:,} row{'' if rows == 1 else 's'}"

    def _slow_search(self, search: Selector) -> str:
        collection, mode, fields = _key(self.schema, search)
        name = ", ".join(fields)
        if self.sizes[collection] <= SMALL or mode == "text" or not self._access(search).scans:
            return ""
        inside = self.schema.shapes[collection].table.inside(fields[0])
        if mode == "email":
            indexes = "" if inside else mailbox_indexes(name, self.engine.dialect.name)
            case = "mailboxes are compared without regard to case"
            remedy = f"{case}: {indexes or 'choose a quiet hour'}"
        elif inside:
            remedy = index_over(inside, self.engine.dialect.name)
        else:
            remedy = f"add an index on {name}"
        return (
            f"{self.store}.{collection}: searching it by {name} reads every row "
            f"({self._size(collection)}); {remedy}"
        )

    def _slow_lookup(self, lookup: _Lookup) -> str:
        if self._served(lookup) or self.sizes[lookup.collection] <= SMALL:
            return ""
        columns = ", ".join(lookup.columns)
        inside = self.schema.shapes[lookup.collection].table.inside(lookup.columns[0])
        if inside:
            return (
                f"{self.store}.{lookup.collection}: {columns} refers to {lookup.parent}, and all "
                f"of it ({self._size(lookup.collection)}) is read once to see which rows still "
                f"do; {index_over(inside, self.engine.dialect.name)}"
            )
        return (
            f"{self.store}.{lookup.collection}: {columns} refers to {lookup.parent} and has no "
            f"index, so each row that goes there makes the database read all of "
            f"{lookup.collection} ({self._size(lookup.collection)}) under lock; add an index on "
            f"{columns}"
        )
