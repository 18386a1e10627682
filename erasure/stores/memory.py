"""The reference implementation of the protocol: tables in memory, shared by the whole process.

It keeps to the meaning of the SQL store, foreign keys and transactions included, and is what the
flow is tested against. Nothing survives the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, ClassVar

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.domain.needles import Matcher, Needle, needles_of_row
from erasure.domain.values import Scalar, Value, holds
from erasure.stores.base import (
    Declared,
    Failure,
    Found,
    Hit,
    Key,
    Purged,
    Receipt,
    Searched,
    Secrets,
    Selector,
    Step,
    Work,
)
from erasure.stores.matching import text_matcher, value_matcher
from erasure.stores.memory_batch import Batch, by_key
from erasure.stores.memory_images import PutsBack
from erasure.stores.renaming import Moved
from erasure.stores.rows import failures, unique_keys
from lineage.graph import Dataset
from lineage.schema import Column, Inspection, Table, fingerprint, relied_on

Row = dict[str, Scalar]
KeyValues = tuple[Scalar, ...]


@dataclass
class World:
    """What one store holds: shapes and rows by collection."""

    tables: dict[str, Table]
    rows: dict[str, list[Row]]
    lock: RLock = field(default_factory=RLock)

    def copy(self) -> dict[str, list[Row]]:
        """The rows, to be changed without anybody seeing it yet."""
        return {name: [dict(row) for row in rows] for name, rows in self.rows.items()}


class MemoryStore(PutsBack):
    """A store of rows in memory; ``seed`` fills it, ``rows_of`` looks past the protocol."""

    kind = "memory"
    options: ClassVar[frozenset[str]] = frozenset({"max_concurrent", "rescan"})
    _worlds: ClassVar[dict[str, World]] = {}

    def __init__(self, *, name: str, url: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self._scheduled = options.get("rescan") == "scheduled"

    @classmethod
    def seed(
        cls, name: str, rows: Mapping[str, Sequence[Mapping[str, Scalar]]], *tables: Table
    ) -> None:
        """Fill the store ``name`` anew. A table without a given shape gets one from its rows,
        with the primary key ``id`` where there is such a column."""
        shapes = {t.name: _shape(t.name, rows.get(t.name, ())) for t in tables}
        shapes = {n: _shape(n, rows[n]) for n in rows} | shapes | {t.name: t for t in tables}
        cls._worlds[name] = World(
            tables=shapes, rows={n: [dict(row) for row in rows.get(n, ())] for n in shapes}
        )

    @classmethod
    def rows_of(cls, name: str, table: str) -> list[Row]:
        """A copy of the rows, read past the protocol."""
        return deepcopy(cls._worlds[name].rows[table])

    @classmethod
    def insert(cls, name: str, table: str, row: Mapping[str, Scalar]) -> None:
        """Add a row past the protocol: somebody else is at work."""
        cls._worlds[name].rows[table].append(dict(row))

    @classmethod
    def delete(cls, name: str, table: str, **where: Scalar) -> None:
        """Remove rows past the protocol."""
        rows = cls._worlds[name].rows
        rows[table] = [r for r in rows[table] if any(r[n] != v for n, v in where.items())]

    @classmethod
    def forget(cls, name: str) -> None:
        """The store is gone."""
        cls._worlds.pop(name, None)

    def inspect(self) -> Inspection:
        """The shapes as they were seeded. Raises StoreUnreachable."""
        tables = dict(self._world().tables)
        parts = relied_on(tables)
        return Inspection(
            tables=tables, fingerprint=fingerprint(parts), parts=parts, small=not self._scheduled
        )

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """Stream the keys of rows that match any value."""
        table = self._table(selector.dataset, selector.fields, selector.carry, selector.guard)
        key = self._key(selector.dataset, table)
        match = (
            text_matcher(values)
            if selector.mode == "text"
            else value_matcher(selector.mode, values)
        )
        for row in list(self._world().rows[table.name]):
            sought: list[Value] = [row[name] for name in selector.fields]
            if selector.mode == "together":
                sought = [tuple(row[name] for name in selector.fields)]
            matched = dict.fromkeys(v for one in sought for v in match(one))
            if matched:
                yield Found(
                    key=Key(
                        values=tuple(row[n] for n in key),
                        guard=tuple(row[n] for n in selector.guard),
                    ),
                    matched=tuple(matched),
                    carry={n: row[n] for n in selector.carry},
                )

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """The person's needles in those rows."""
        table = self._table(dataset)
        rows = by_key(self._world().rows[table.name], self._key(dataset, table))
        for key in keys:
            if key.values in rows:
                yield key, sorted(set(needles_of_row(dataset, rows[key.values])))

    def hand_out(
        self, dataset: Dataset, keys: Sequence[Key], fields: Sequence[str], guard: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        """Those rows, whole."""
        table = self._table(dataset)
        rows = by_key(self._world().rows[table.name], self._key(dataset, table))
        for key in keys:
            row = rows.get(key.values)
            if row and all(map(holds, (row[name] for name in guard), key.guard)):
                yield {name: row[name] for name in fields}

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """Carry out the works on a copy, and put it in place when all is well."""
        world = self._world()
        with world.lock:
            receipts, batch = self._acted(works, secrets)
            world.rows = batch.rows
        return receipts

    def _acted(self, works: Sequence[Work], secrets: Secrets) -> tuple[list[Receipt], Batch]:
        batch = Batch(self, self._world(), secrets)
        receipts = [batch.act(work) for work in works]
        batch.refuse_dangling([work.step for work in works])
        return receipts, batch

    def foresee(self, works: Sequence[Work], secrets: Secrets) -> None:
        """Raise what ``act`` would refuse to put into the rows."""
        batch = Batch(self, self._world(), secrets)
        for work in works:
            effect, rows = batch.resolve(work)
            pairs = [(k, rows[v]) for v, k in unique_keys(work).items() if v in rows]
            effect = batch.settled(effect, pairs)
            for key, row in pairs:
                effect.changes(key, row)

    def renamed(self, step: Step, moved: Sequence[Moved], secrets: Secrets) -> list[bool]:
        """Which rows are known again at the key that the step has given them."""
        effect, _ = Batch(self, self._world(), secrets).resolve(Work(step=step, keys=()))
        return [effect.may_be(key, values) for key, values in moved]

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """The postconditions, read anew."""
        world = self._world()
        batch = Batch(self, world, secrets)
        found = []
        for work in works:
            effect, rows = batch.resolve(work)
            pairs = [(k, rows[v]) for v, k in unique_keys(work).items() if v in rows]
            effect = batch.settled(effect, pairs)
            reasons = Counter(failures(effect, pairs, batch.still_referred(work, rows)))
            found += [
                Failure(dataset=work.step.dataset.address, why=why, count=count)
                for why, count in sorted(reasons.items())
            ]
        return found

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Every table and column by value."""
        world = MemoryStore(name=self.name, url="", options={})._world()
        owners = {d.dataset.name: d for d in declared}
        for name, table in sorted(world.tables.items()):
            known = owners.get(name)
            key = (known.dataset.key if known else ()) or table.primary_key
            for row in world.rows[name]:
                owner = {n: row[n] for n in (known.owners if known else ()) if n in row}
                where = tuple(row[n] for n in key)
                yield from _hits(name, row, where, owner, needles)
            rows = len(world.rows[name])
            yield Searched(collection=name, fields=len(table.columns), rows=rows)

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """What is deleted in memory is gone."""
        return Purged(residue="purged")

    def close(self) -> None:
        """Nothing to release."""

    def _world(self) -> World:
        world = self._worlds.get(self.name)
        if world is None:
            raise StoreUnreachable(self.name, "nothing was seeded under this name in this process")
        return world

    def _table(self, dataset: Dataset, *names: Sequence[str]) -> Table:
        table = self._world().tables.get(dataset.name)
        place = f"{self.name}.{dataset.name}"
        if table is None:
            raise StoreError(place, "the table is missing; correct the catalogue")
        for name in (n for group in (dataset.key, *names) for n in group):
            if table.get(name) is None:
                raise StoreError(place, f"the column '{name}' is missing; correct the catalogue")
        return table

    def _key(self, dataset: Dataset, table: Table) -> tuple[str, ...]:
        key = dataset.key or table.primary_key
        if not key:
            raise StoreError(
                f"{self.name}.{table.name}",
                "the table has no primary key; declare `primary_key: true` on the fields that "
                "identify a row, or add a key to the table",
            )
        return key


def _shape(name: str, rows: Sequence[Mapping[str, Scalar]]) -> Table:
    names = dict.fromkeys(n for row in rows for n in row)
    columns = tuple(Column(name=n, data_type="", primary_key=n == "id") for n in names)
    return Table(name=name, columns=columns, rows=len(rows))


def _hits(collection: str, row: Row, key: KeyValues, owner: Row, needles: Matcher) -> Iterator[Hit]:
    for name, value in row.items():
        text = "" if value is None else str(value)
        whole = needles.equals(text)
        for needle in sorted(needles.found_in(text)):
            yield Hit(
                collection=collection,
                field=name,
                key=key,
                needle=needle,
                whole=needle in whole,
                owner=owner,
            )
