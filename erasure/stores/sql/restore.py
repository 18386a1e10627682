"""Putting rows back as they were: judged first, then written parents first, then read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.base import Image, Missing, Standing
from erasure.stores.images import exact_key, how_it_stands, refuse_moved, same_row
from erasure.stores.sql.address import KeyValues
from erasure.stores.sql.cycles import defer
from erasure.stores.sql.errors import diagnose
from erasure.stores.sql.exact import CHUNK, Exact, Imaged, Row
from erasure.stores.sql.mutate import keyed_for
from erasure.stores.sql.references import Link, links_to, referred, referring
from erasure.stores.sql.reflect import Schema
from erasure.stores.sql.rekey import rewrite_keys
from lineage.schema import ForeignKey

# No statement may have more parameters than the least of the databases takes.
PARAMETERS = 30_000
Group = tuple[Imaged, list[Image]]
KeyText = tuple[str, ...]


class Restoring:
    """Images against one database. ``connection`` is inside a transaction."""

    def __init__(self, connection: sa.Connection, store: str, schema: Schema) -> None:
        self._connection, self._store, self._schema = connection, store, schema
        self._exact = Exact(connection, store, schema)

    def standings(self, images: Iterable[Image], *, lock: bool = False) -> Iterator[Standing]:
        """What stands in the place of each image, in order."""
        for address, group in self._groups(images):
            found = self._found(address, [k for i in group for k in (i.key, i.now) if k], lock=lock)
            how = [how_it_stands(i, *_rows_of(i, found)) for i in group]
            wanted = [i for i, h in zip(group, how, strict=True) if h == "left" and i.values]
            taken = self._taken(address, wanted)
            missing = self._missing(address, wanted)
            for image, h in zip(group, how, strict=True):
                key = exact_key(image.key)
                if h == "left" and key in taken:
                    yield Standing(image=image, how="taken")
                else:
                    yield Standing(image=image, how=h, missing=tuple(missing.get(key, ())))

    def put_back(self, images: Iterable[Image]) -> None:
        """Write what is not there as it was. Raises StoreError; then nothing may be committed."""
        defer(self._connection, self._schema)
        standings = self.standings(images, lock=True)
        todo: dict[_Place, bool] = {}
        added: list[Image] = []
        for image in refuse_moved(standings, self._store):
            if image.values:
                todo[_place(image)] = image.left is None
            else:
                added.append(image)
        blanked = self._insert(images, todo)
        self._rename(i for i in images if _place(i) in todo)
        self._change(i for i in images if not todo.get(_place(i), True) or _place(i) in blanked)
        self._take_away(added)
        self._read_back(i for i in images if _place(i) in todo)

    def _groups(self, images: Iterable[Image]) -> Iterator[Group]:
        """Neighbouring images of one table, some at a time."""
        for (collection, names), same in groupby(images, lambda i: (i.collection, i.key_names)):
            address = self._exact.address(collection, names)
            while group := list(islice(same, CHUNK)):
                yield address, group

    def _found(
        self, address: Imaged, keys: Sequence[KeyValues], *, lock: bool = False
    ) -> dict[KeyText, Row]:
        rows = self._exact.rows(address, keys, lock=lock)
        return {exact_key(key): row for key, row, _ in rows}

    def _taken(self, address: Imaged, images: Sequence[Image]) -> set[KeyText]:
        """Images of which a unique value stands in another row now."""
        taken: set[KeyText] = set()
        for columns in (tuple(sorted(g)) for g in address.shape.unique if g != set(address.key)):
            link = Link(shape=address.shape, columns=columns, target_columns=columns)
            wanted: dict[object, list[Image]] = {}
            for image in images:
                wanted.setdefault(link.normal(_of(image, columns)), []).append(image)
            wanted.pop(None, None)
            targets = [_of(image, columns) for found in wanted.values() for image in found]
            for normal, row in referring(self._connection, link, targets, address.key):
                holder = exact_key(row.values())
                for image in wanted[normal]:
                    if holder not in (exact_key(image.key), exact_key(image.now)):
                        taken.add(exact_key(image.key))
        return taken

    def _missing(self, address: Imaged, images: Sequence[Image]) -> dict[KeyText, list[Missing]]:
        """What the rows would refer to by a foreign key and that is not there."""
        missing: dict[KeyText, list[Missing]] = {}
        for key in address.shape.table.foreign_keys:
            target = self._schema.shapes.get(key.target)
            if target is None:
                continue
            link = Link(shape=target, columns=key.target_columns, target_columns=key.columns)
            wanted = {i.key: link.normal(_of(i, key.columns)) for i in images}
            targets = [_of(i, key.columns) for i in images if wanted[i.key] is not None]
            there = {normal for normal, _ in referring(self._connection, link, targets)}
            for image in images:
                if wanted[image.key] is not None and wanted[image.key] not in there:
                    missing.setdefault(exact_key(image.key), []).append(
                        Missing(
                            collection=key.target,
                            columns=key.target_columns,
                            values=_of(image, key.columns),
                        )
                    )
        return missing

    def _insert(self, images: Iterable[Image], todo: dict[_Place, bool]) -> set[_Place]:
        """Insert the rows that went; returns those that still lack a reference, because the row
        referred to comes later and the database tests at once."""
        ahead = Counter(collection for (collection, _), gone in todo.items() if gone)
        blanked: set[_Place] = set()
        for address, group in self._groups(i for i in images if todo.get(_place(i))):
            blank = self._blank(address, ahead)
            ahead[address.shape.collection] -= len(group)
            names = _written(address, group)
            step = max(1, PARAMETERS // len(names))
            for start in range(0, len(group), step):
                self._insert_some(address, names, group[start : start + step], blank)
            if blank:
                blanked.update(_place(image) for image in group)
        return blanked

    def _blank(self, address: Imaged, ahead: Counter[str]) -> set[str]:
        """Columns to be left empty at first."""
        columns = {c.name: c for c in address.shape.table.columns}
        return {
            name
            for key in address.shape.table.foreign_keys
            if ahead[key.target] > 0 and not self._tested_late(key)
            for name in key.columns
            if columns[name].nullable and name not in address.key
        }

    def _tested_late(self, key: ForeignKey) -> bool:
        return self._exact.dialect == "sqlite" or key.deferrable

    def _insert_some(
        self, address: Imaged, names: Sequence[str], images: Sequence[Image], blank: set[str]
    ) -> None:
        rows, parameters = [], []
        for image in images:
            values = [None if n in blank else image.values[n] for n in names]
            bound = [self._exact.bound(address, n, v) for n, v in zip(names, values, strict=True)]
            rows.append(f"({', '.join(place for place, _ in bound)})")
            parameters += [value for _, value in bound]
        columns = ", ".join(self._exact.quoted(n) for n in names)
        overriding = "OVERRIDING SYSTEM VALUE " if self._exact.dialect == "postgresql" else ""
        self._connection.exec_driver_sql(
            f"INSERT INTO {self._exact.table(address)} ({columns}) {overriding}"
            f"VALUES {', '.join(rows)}",
            tuple(parameters),
        )

    def _rename(self, images: Iterable[Image]) -> None:
        """Keys that were rewritten get their own values again, with all that refers to them."""
        keyed = keyed_for(self._connection)
        for address, group in self._groups(i for i in images if i.now and i.now != i.key):
            rewrites = {
                image.now: {
                    name: old
                    for name, old, new in zip(address.key, image.key, image.now, strict=True)
                    if old != new
                }
                for image in group
            }
            links = links_to(self._store, self._schema, address, ())
            rewrite_keys(self._connection, keyed, address, links, rewrites)

    def _change(self, images: Iterable[Image]) -> None:
        """Give the rows that are there the values they had, and no column that has its value."""
        for address, group in self._groups(images):
            found = self._found(address, [image.key for image in group])
            names = _written(address, group)
            for image in group:
                now = found.get(exact_key(image.key), {})
                other = [n for n in names if now.get(n) != image.values[n]]
                if now and other:
                    self._update(address, image, other)

    def _update(self, address: Imaged, image: Image, names: Sequence[str]) -> None:
        bound = [self._exact.bound(address, n, image.values[n]) for n in names]
        tests = [self._exact.bound(address, n, image.values[n]) for n in address.key]
        changes = [f"{self._exact.quoted(n)} = {p}" for n, (p, _) in zip(names, bound, strict=True)]
        where = [
            f"{self._exact.quoted(n)} = {p}" for n, (p, _) in zip(address.key, tests, strict=True)
        ]
        self._connection.exec_driver_sql(
            f"UPDATE {self._exact.table(address)} SET {', '.join(changes)} "  # noqa: S608
            f"WHERE {' AND '.join(where)}",
            tuple(value for _, value in (*bound, *tests)),
        )

    def _take_away(self, images: Iterable[Image]) -> None:
        """Rows that were added go, unless somebody refers to them still: a row that was left
        alone, or one that was made to since."""
        keyed = keyed_for(self._connection)
        for address, group in self._groups(images):
            links = links_to(self._store, self._schema, address, ())
            names = list(dict.fromkeys(c for link in links for c in link.target_columns))
            rows = dict(keyed.rows(address, [image.key for image in group], names))
            kept = referred(self._connection, links, address, rows, going=False)
            keyed.delete(address, (), {key: () for key in rows if key not in kept})

    def _read_back(self, images: Iterable[Image]) -> None:
        for address, group in self._groups(images):
            found = self._found(address, [image.key for image in group])
            for image in group:
                row = found.get(exact_key(image.key))
                if row is None or not same_row(row, image):
                    triggers = ", ".join(address.shape.table.triggers) or "the column's type"
                    raise StoreError(
                        address.place,
                        f"a row did not come out as it was; {triggers} changes what is put "
                        "back: switch that off there for the while",
                    )


_Place = tuple[str, KeyText]


def _place(image: Image) -> _Place:
    return image.collection, exact_key(image.key)


def _written(address: Imaged, images: Sequence[Image]) -> list[str]:
    """Columns that can be written, and that every one of the images has."""
    known = set.intersection(*(set(image.values) for image in images))
    columns = address.shape.table.columns
    return [c.name for c in columns if not c.generated and c.name in known]


def _of(image: Image, columns: Sequence[str]) -> tuple[Scalar, ...]:
    return tuple(image.values[n] for n in columns)


def _rows_of(image: Image, found: dict[KeyText, Row]) -> tuple[Row | None, Row | None]:
    at_key = found.get(exact_key(image.key))
    return at_key, found.get(exact_key(image.now)) if image.now else at_key


@contextmanager
def constraints_named(place: str) -> Iterator[None]:
    """A constraint that forbids to put a row back is told by its name, never with a value."""
    try:
        yield
    except sa_exc.IntegrityError as error:
        found = diagnose(error)
        about = " ".join(part for part in (found.code, found.subject) if part)
        raise StoreError(
            place, f"a constraint forbids to put rows back ({about}); look there, then try again"
        ) from None
