"""The SQL store: the protocol's methods, each carried out in the module of its name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from erasure.domain.bulk import Block
from erasure.domain.errors import LateRows, StoreError
from erasure.domain.needles import Matcher, Needle, needles_of_row
from erasure.domain.values import Scalar, Value, holds
from erasure.stores.base import (
    Approach,
    Declared,
    Explanation,
    Failure,
    Found,
    Hit,
    Image,
    Keeper,
    Key,
    Purged,
    Receipt,
    Searched,
    Secrets,
    Selector,
    SideEffect,
    Standing,
    Step,
    Work,
)
from erasure.stores.insides import insides_of, roots, told, values_of
from erasure.stores.renaming import Moved
from erasure.stores.sql.address import address_of
from erasure.stores.sql.along import collections_of, count_along
from erasure.stores.sql.blocks import block_reading, find_blocks
from erasure.stores.sql.check import check
from erasure.stores.sql.connection import (
    OPTIONS,
    Reader,
    engine_of,
    read_options,
    release,
    writing,
)
from erasure.stores.sql.effects import side_effects
from erasure.stores.sql.errors import translated
from erasure.stores.sql.explain import explain
from erasure.stores.sql.find import Reading, find, read
from erasure.stores.sql.foresee import foresee
from erasure.stores.sql.images import Images
from erasure.stores.sql.mutate import (
    Batch,
    keyed_for,
    late_place,
    resolve,
    with_new_keys,
)
from erasure.stores.sql.purge import purge
from erasure.stores.sql.reflect import Schema, read_schema
from erasure.stores.sql.restore import Restoring, constraints_named
from erasure.stores.sql.sample import present, sample
from erasure.stores.sql.scan import scan
from erasure.stores.sql.schema.automatic import automatic, automatic_and_version
from erasure.stores.sql.schema.memory import Remembered, address_key
from erasure.stores.sql.staying import refuse_staying, ties_rows
from erasure.stores.sql.triggers import Triggers, read_triggers
from erasure.stores.sql.views import read_views
from lineage.graph import Dataset
from lineage.schema import Inspection, Sample, View

GATHERED = 1_000
_SCHEMAS = Remembered[Schema]()
_TRIGGERS = Remembered[Triggers]()


class SqlStore:
    """A store of rows behind a database url; see CATALOGUE.md for urls and options."""

    kind = "sql"
    options = OPTIONS

    def __init__(self, *, name: str, url: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self._url = url
        self._options = read_options(name, options)
        self._made = engine_of(name, url, self._options)
        self._reads = Reader(self._made)
        self._key = (address_key(url), self._options)  # under which its schema is remembered
        self._schema: Schema | None = None
        self._seen = ""  # what acted by itself when the schema was read
        self._version: str | None = None  # of both; None where nobody knows
        self._told = ""  # the same, as side_effects() has told it

    def inspect(self) -> Inspection:
        """The live schema, read anew where it has changed. Raises StoreUnreachable."""
        with translated(self.name), self._reads.connect() as connection:
            # First: what comes later is seen by _refuse_moved, whichever of the two it changes.
            databases = self._schema.databases if self._schema else ()
            self._seen, version = automatic_and_version(connection, databases)
            self._version = version and f"{version} {self._seen}"
            self._schema = _SCHEMAS.get(
                self._key, version, lambda: read_schema(connection, self._options)
            )
        return self._schema.inspection

    def views(self) -> dict[str, View]:
        """Every view with its query, by its collection name. Raises StoreUnreachable."""
        schema = self._known()
        with translated(self.name), self._engine.connect() as connection:
            return read_views(connection, schema)

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """Stream the keys of rows that match any value; a row matching several comes once."""
        schema = self._known()
        place = self._place(schema, selector.dataset)
        with translated(place), self._reads.connect() as connection:
            yield from find(connection, self.name, schema, selector, values)

    def find_blocks(
        self, selector: Selector, values: Sequence[Value], also: Sequence[str] = ()
    ) -> Iterator[Block] | None:
        """The same, many rows together; None where the fields asked for do not allow it."""
        schema = self._known()
        with translated(self._place(schema, selector.dataset)):
            reading = block_reading(self.name, schema, selector, also)
        return None if reading is None else self._blocks(reading, values, also)

    def _blocks(
        self, reading: Reading, values: Sequence[Value], also: Sequence[str]
    ) -> Iterator[Block]:
        with translated(reading.address.place), self._reads.connect() as connection:
            yield from find_blocks(connection, reading, values, also)

    def read(self, dataset: Dataset, fields: Sequence[str]) -> Iterator[tuple[Scalar, ...]]:
        """Stream the values of ``fields``, for recognising people after a restore."""
        schema = self._known()
        with translated(self._place(schema, dataset)), self._engine.connect() as connection:
            yield from read(connection, self.name, schema, dataset, fields)

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """The person's needles in those rows, read before they are gone."""
        schema = self._known()
        names = [f.name for f in dataset.fields if f.needle]
        address = address_of(self.name, schema, dataset, names)
        by_values = {key.values: key for key in keys}
        wanted = list(by_values)
        insides = insides_of(address.shape.table, names)
        columns = roots(names, insides)
        with translated(address.place), self._reads.connect() as connection:
            for start in range(0, len(wanted), GATHERED):
                batch = wanted[start : start + GATHERED]
                for values, row in keyed_for(connection).rows(address, batch, columns):
                    found = needles_of_row(dataset, told(row, names, insides))
                    needles = sorted(set(found))
                    yield by_values[values], needles

    def hand_out(
        self, dataset: Dataset, keys: Sequence[Key], fields: Sequence[str], guard: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        """Those rows, whole; a key that was given out again since is somebody else's."""
        schema, names = self._known(), tuple(dict.fromkeys((*fields, *guard)))
        address = address_of(self.name, schema, dataset, names)
        insides = insides_of(address.shape.table, names)
        then = {key.values: key.guard for key in keys}
        wanted, columns = list(then), roots(names, insides)
        with translated(address.place), self._engine.connect() as connection:
            for start in range(0, len(wanted), GATHERED):
                batch = wanted[start : start + GATHERED]
                for values, row in keyed_for(connection).rows(address, batch, columns):
                    if all(map(holds, values_of(guard, insides, row), then[values])):
                        yield told(row, fields, insides)

    def reads_needles(self, steps: Sequence[Step]) -> bool:
        """Only where a text is redacted."""
        return any(step.redact for step in steps)

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """Carry out the works in the order given, as one transaction."""
        return self._act(works, secrets, None)

    def capture(self, works: Sequence[Work], secrets: Secrets, keeper: Keeper) -> list[Receipt]:
        """The same, with an image of every row that is deleted or changed."""
        return self._act(works, secrets, keeper)

    def _act(self, works: Sequence[Work], secrets: Secrets, keeper: Keeper | None) -> list[Receipt]:
        if not self._told:
            self.inspect()
        told, schema = self._told or self._look(), self._known()
        tasks = [resolve(self.name, schema, work, secrets) for work in works]
        late = any(task.effect.removes for task in tasks)
        try:
            with translated(self.name, late=late), self._writing().begin() as connection:
                tasks = with_new_keys(connection, schema, tasks)
                images = Images(connection, self.name, schema, tasks) if keeper else None
                if keeper and images:
                    images.hand_to(keeper)
                batch = Batch(connection, self.name, schema, tasks)
                receipts = batch.carry_out()
                self._refuse_moved(connection, schema, told)
                if keeper and images:
                    images.hand_added(keeper, batch.ghosts)
                    keeper.seal(images.left(receipts))
                return receipts
        except LateRows as error:
            if error.place != self.name:
                raise
        with translated(self.name), self._engine.connect() as connection:
            raise LateRows(late_place(connection, self.name, schema, tasks) or self.name)

    def foresee(self, works: Sequence[Work], secrets: Secrets) -> None:
        """Raise what ``act`` would refuse to put into the rows; reads only."""
        schema = self._known()
        with translated(self.name), self._engine.connect() as connection:
            refuse_staying(keyed_for(connection), self.name, schema, works)
            foresee(connection, self.name, schema, works, secrets)

    def foresees_in_parts(self, steps: Sequence[Step]) -> bool:
        """Unless rows that stay may refer by their key to rows that go."""
        return not ties_rows(self.name, self._known(), steps)

    def renamed(self, step: Step, moved: Sequence[Moved], secrets: Secrets) -> list[bool]:
        """Which rows are known again at the key that the step has given them."""
        effect = resolve(self.name, self._known(), Work(step=step, keys=()), secrets).effect
        return [effect.may_be(key, values) for key, values in moved]

    def compare(self, images: Iterable[Image]) -> Iterator[Standing]:
        """What stands now in the place of each image."""
        schema = self._known()
        with translated(self.name), self._engine.connect() as connection:
            yield from Restoring(connection, self.name, schema).standings(images)

    def restore(self, images: Iterable[Image]) -> None:
        """Put rows back as they were, all or none."""
        schema = self._known()
        with (
            translated(self.name),
            constraints_named(self.name),
            self._writing().begin() as connection,
        ):
            Restoring(connection, self.name, schema).put_back(images)

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """The postconditions, read anew; empty when all hold."""
        schema = self._known()
        with translated(self.name), self._checking(works) as connection:
            return list(check(connection, self.name, schema, works, secrets))

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Open the database afresh and search every table and column by value."""
        engine = engine_of(self.name, self._url, self._options, pooled=False)
        with translated(self.name), engine.connect() as connection:
            # What holds copies of rows is not acted on, but it is searched.
            schema = read_schema(connection, self._options, copies=True)
            yield from scan(connection, self.name, schema, declared, needles)

    def sample(self, collections: Sequence[str], rows: int) -> Iterator[Sample]:
        """Some rows of each table, for a draft."""
        schema = self._known()
        with translated(self.name), self._engine.connect() as connection:
            yield from sample(connection, self.name, schema, collections, rows)

    def present(self, collection: str, field: str, values: Sequence[object]) -> int | None:
        """How many of the values a column holds, for a draft."""
        schema = self._known()
        with translated(self.name), self._engine.connect() as connection:
            return present(connection, self.name, schema.shapes[collection], field, values)

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """Physical removal of what was deleted; says what stays."""
        return self.purge_along(datasets, ())

    def purge_along(self, datasets: Sequence[Dataset], codes: Collection[str]) -> Purged:
        """The same, and of what these cascades have changed or deleted."""
        schema = self._known()
        names = {schema.collection(d.name, d.schema) for d in datasets}
        names |= collections_of(self.name, schema, codes)
        with translated(self.name):
            return purge(self._engine, self.name, schema, self._options, names)

    def explain(self, approaches: Sequence[Approach]) -> list[Explanation]:
        """How each step would be carried out here; reads no row's value."""
        schema = self._known()
        with translated(self.name):
            triggers = self._triggers(schema)
            return explain(self._engine, self.name, schema, self._options, approaches, triggers)

    def side_effects(self, steps: Sequence[Step]) -> list[tuple[SideEffect, ...]]:
        """What each step would set off beside itself, as the schema is now."""
        self._told = self._look()
        schema = self._known()
        with translated(self.name):
            triggers = self._triggers(schema)
            return side_effects(self._made.dialect.name, self.name, schema, steps, triggers)

    def along(self, works: Sequence[Work]) -> Mapping[str, int]:
        """How many rows would go along with the works now, by code."""
        schema = self._known()
        with translated(self.name), self._reads.connect() as connection:
            return count_along(connection, keyed_for(connection), self.name, schema, works)

    def close(self) -> None:
        """Release the connections."""
        release(self._engine)

    def _triggers(self, schema: Schema) -> Triggers:
        """As they were when the schema was looked at: _refuse_moved sees what has changed since."""

        def read() -> Triggers:
            with self._reads.connect() as connection:
                return read_triggers(connection, schema)

        return _TRIGGERS.get(self._key, self._version, read)

    @property
    def _engine(self) -> sa.Engine:
        """For what is not only read: it gets the connection by which was read before."""
        self._reads.release()
        return self._made

    def _writing(self) -> sa.Engine:
        return writing(self._engine)

    def _checking(self, works: Sequence[Work]) -> AbstractContextManager[sa.Connection]:
        """In a transaction, where what a column would accept is tried out in savepoints."""
        gone = all(w.step.action == "delete" and w.step.via in ("deep", "refcount") for w in works)
        return self._reads.connect() if gone else self._engine.connect()

    def _known(self) -> Schema:
        if self._schema is None:
            self.inspect()
        if self._schema is None:
            raise StoreError(self.name, "its schema could not be read; try again", permanent=False)
        return self._schema

    def _look(self) -> str:
        """What acted by itself when the schema was read. MariaDB is asked again: only the schema
        tells which databases to ask about."""
        self._known()
        if not self._seen:
            self.inspect()
        return self._seen

    def _refuse_moved(self, connection: sa.Connection, schema: Schema, told: str) -> None:
        """Nothing may have acted by itself that was not there when it was looked at. The
        transaction holds the tables by now, so that nothing can be added to them any more."""
        if automatic(connection, schema.databases) != told:
            self._told = self._seen = ""
            raise StoreError(
                self.name,
                "a trigger or a reference was added or changed meanwhile; look again",
                permanent=False,
            )

    def _place(self, schema: Schema, dataset: Dataset) -> str:
        return f"{self.name}.{schema.collection(dataset.name, dataset.schema)}"
