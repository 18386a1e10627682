"""The reference implementation of the protocol: tables in memory, shared by the whole process.

It keeps to the meaning of the SQL store, foreign keys and transactions included, and is what the
flow is tested against. Nothing survives the process.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, ClassVar

from erasure.domain.errors import LateRows, StoreError, StoreUnreachable
from erasure.domain.needles import Matcher, Needle, needles_of_row
from erasure.domain.values import Scalar, Value
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
from erasure.stores.memory_images import PutsBack
from erasure.stores.rows import (
    Effect,
    comparable,
    effect_of,
    failures,
    receipt_of,
    unique_keys,
)
from lineage.graph import Dataset
from lineage.schema import Column, ForeignKey, Inspection, Table

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
        tables = self._world().tables
        plain = [[n, [[c.name, c.data_type] for c in t.columns]] for n, t in sorted(tables.items())]
        digest = hashlib.sha256(json.dumps(plain).encode()).hexdigest()
        return Inspection(tables=dict(tables), fingerprint=digest, small=not self._scheduled)

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
        rows = _by_key(self._world().rows[table.name], self._key(dataset, table))
        for key in keys:
            if key.values in rows:
                yield key, sorted(set(needles_of_row(dataset, rows[key.values])))

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

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """The postconditions, read anew."""
        world = self._world()
        batch = Batch(self, world, secrets)
        found = []
        for work in works:
            effect, rows = batch.resolve(work)
            pairs = [(k, rows[v]) for v, k in unique_keys(work).items() if v in rows]
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


def _by_key(rows: Sequence[Row], key: Sequence[str]) -> dict[KeyValues, Row]:
    return {tuple(row[n] for n in key): row for row in rows}


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


@dataclass(frozen=True, kw_only=True)
class _Link:
    """Columns of ``collection`` that refer to ``target_columns`` of another."""

    collection: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]

    def form(self, row: Row, names: Sequence[str]) -> tuple[str, ...] | None:
        """The reference as text; None where a part of it is NULL."""
        parts = [comparable(row[n]) for n in names]
        found = tuple(p for p in parts if p is not None)
        return found if len(found) == len(parts) else None


class Batch:
    """Works carried out on a copy of the rows."""

    def __init__(self, store: MemoryStore, world: World, secrets: Secrets) -> None:
        self._store, self._world, self._secrets = store, world, secrets
        self.rows = world.copy()
        self._removed: list[tuple[str, Row]] = []

    def resolve(self, work: Work) -> tuple[Effect, dict[KeyValues, Row]]:
        """The effect of a work, and the live rows of its table by key."""
        step = work.step
        table = self._store._table(step.dataset, step.guard)
        key = self._store._key(step.dataset, table)
        place = f"{self._store.name}.{table.name}"
        effect = effect_of(step, table, key, self._secrets, place)
        return effect, _by_key(self.rows[table.name], key)

    def act(self, work: Work) -> Receipt:
        """Carry out one work; the copy is thrown away when anything raises."""
        effect, rows = self.resolve(work)
        keys = unique_keys(work)
        if effect.untouched:
            return receipt_of(work, keys)
        present = [(key, rows[values]) for values, key in keys.items() if values in rows]
        kept: Sequence[Key] = ()
        if work.step.via == "refcount":
            kept = self.still_referred(work, rows)([key for key, _ in present])
        acted = [(key, row) for key, row in present if key not in kept]
        reused = [key for key, row in acted if effect.state(key, row) == "reused"]
        for key, row in acted:
            if key not in reused:
                self._apply(work, effect, key, row)
        return receipt_of(work, keys, reused=reused, kept=kept)

    def _apply(self, work: Work, effect: Effect, key: Key, row: Row) -> None:
        name = work.step.dataset.name
        if effect.removes:
            self.rows[name] = [other for other in self.rows[name] if other is not row]
            self._removed.append((name, row))
            return
        row.update(effect.changes(key.values, row))
        renamed = effect.rewritten(key)
        for link in self._links(work) if renamed else ():
            before = link.form(row, link.target_columns)
            for other in self.rows[link.collection]:
                if before is not None and link.form(other, link.columns) == before:
                    pairs = zip(link.columns, link.target_columns, strict=True)
                    other.update({c: renamed[t] for c, t in pairs if t in renamed})
        row.update(renamed)

    def still_referred(
        self, work: Work, rows: Mapping[KeyValues, Row]
    ) -> Callable[[Sequence[Key]], list[Key]]:
        """Which of some rows anybody but themselves refers to."""

        def answer(keys: Sequence[Key]) -> list[Key]:
            return [k for k in keys if self._referrers(work, rows[k.values])]

        return answer

    def _referrers(self, work: Work, row: Row) -> bool:
        return any(
            other is not row
            and link.form(other, link.columns) == link.form(row, link.target_columns)
            and link.form(other, link.columns) is not None
            for link in self._links(work)
            for other in self.rows[link.collection]
        )

    def _links(self, work: Work) -> list[_Link]:
        links = {
            _Link(
                collection=r.collection,
                columns=(r.field, *(mine for mine, _ in r.also)),
                target_columns=(r.target_field, *(theirs for _, theirs in r.also)),
            )
            for r in work.step.referrers
        }
        for link in links:
            known = self._world.tables.get(link.collection)
            if known is None or known.get(link.columns[0]) is None:
                raise StoreError(
                    f"{self._store.name}.{link.collection}",
                    f"'{link.columns[0]}' is missing; correct the catalogue",
                )
        links |= {link for link, _ in self._children(work.step.dataset.name)}
        return sorted(links, key=repr)

    def _children(self, target: str) -> Iterator[tuple[_Link, ForeignKey]]:
        for name, table in self._world.tables.items():
            for key in table.foreign_keys:
                if key.target == target:
                    yield (
                        _Link(
                            collection=name, columns=key.columns, target_columns=key.target_columns
                        ),
                        key,
                    )

    def refuse_dangling(self, steps: Sequence[Step]) -> None:
        """No reference may be left to a row that went. Raises LateRows; or StoreError where the
        children would have gone or changed without the plan naming their table."""
        planned = {
            (s.dataset.name, field) for s in steps for field in (*s.guard, *s.cut, *s.reference)
        }
        for name, row in self._removed:
            for link, key in self._children(name):
                gone = link.form(row, link.target_columns)
                if gone is None or all(
                    link.form(other, link.columns) != gone for other in self.rows[link.collection]
                ):
                    continue
                place = f"{self._store.name}.{link.collection}"
                named = all((link.collection, field) in planned for field in link.columns)
                if named or key.on_delete in ("NO ACTION", "RESTRICT"):
                    raise LateRows(place)
                raise StoreError(
                    place,
                    f"rows here would change with '{name}' (ON DELETE {key.on_delete}) and the "
                    "plan does not name them; declare the table, then plan again",
                )
