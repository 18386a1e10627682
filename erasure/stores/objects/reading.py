"""The reading half of a store of objects: inspect, find, gather, scan. See ``store``."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from erasure.domain.errors import StoreError
from erasure.domain.keeping import ANYWHERE
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Scalar, Value
from erasure.stores.base import Declared, Found, Hit, Key, Purged, Searched, Selector
from erasure.stores.dating import Object, Record
from erasure.stores.matching import single_values
from erasure.stores.objects import documents, swap
from erasure.stores.objects.documents import Row
from erasure.stores.objects.engine import Engine, Opened
from erasure.stores.objects.faults import translated
from erasure.stores.objects.finding import (
    Gathering,
    Sought,
    as_scalar,
    by_object,
    counted,
    found_in,
    place_of,
)
from erasure.stores.objects.matching import LINE, Query, Wanted, folds
from erasure.stores.objects.scanning import Census, Scan
from erasure.stores.objects.tree import Obj, Tree, checked_name, root_of
from lineage.graph import Dataset
from lineage.schema import Column, Inspection, Table

_SMALL = 256 << 20  # bytes that a whole re-scan reads without being put off
OPTIONS = frozenset({"format", "glob", "preserve_times", "max_concurrent", "rescan"})


class ObjectReader:
    """Looks into the files below one directory, and changes none."""

    kind: str = ""
    options: frozenset[str] = OPTIONS
    # True where objects change their names while they live, so that a change may be a rotation.
    rotates: bool = False

    def __init__(self, *, name: str, url: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self.root = root_of(name, url)
        self.tree = Tree(name, self.root, options.get("glob"))
        self._preserve_times = bool(options.get("preserve_times", True))
        # Checksums that this very store has replaced: such a change is no rotation.
        self.replaced: set[str] = set()

    # --- what files and logs say -------------------------------------------------------------

    def engine_of(self, obj: Obj, file: BinaryIO) -> Engine:
        """The engine for an object. Raises Fault."""
        raise NotImplementedError

    def query_of(self, selector: Selector, values: Sequence[Scalar], engine: Engine) -> Query:
        """The question that a selector asks of objects of that format."""
        also = (*selector.carry, *selector.guard)
        if selector.mode == "text":
            return Query(texts=values, text_fields=selector.fields, also=also)
        return Query(
            equal={f: self._wanted(selector, f, values) for f in selector.fields}, also=also
        )

    @staticmethod
    def _wanted(selector: Selector, field: str, values: Sequence[Scalar]) -> Wanted:
        # As what acts on it and looks again compares, which knows the dataset alone.
        return Wanted(values, fold_case=folds(selector.dataset, field))

    def virtual_of(self, obj: Obj) -> Mapping[str, str | None]:
        """Fields whose value the object's path holds."""
        return {}

    def hits_in(self, scan: Scan, obj: Obj, file: BinaryIO, *, declared: bool) -> Iterator[Hit]:
        """Everything that a scan sees inside one object. Raises Fault."""
        raise NotImplementedError

    # --- the protocol ------------------------------------------------------------------------

    def inspect(self) -> Inspection:
        """The shape of every collection that paths suggest; objects that cannot be read have no
        columns. Raises StoreUnreachable."""
        tables: dict[str, Table] = {}
        facts: list[Any] = []
        size = 0
        for name, objects in sorted(self.tree.guessed().items()):
            table, schema = self._table(name, objects)
            tables[name] = table
            facts.append([name, schema])
            size += sum(o.path.stat().st_size for o in objects if o.path.exists())
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return Inspection(tables=tables, fingerprint=digest, small=size < _SMALL)

    def _table(self, name: str, objects: Sequence[Obj]) -> tuple[Table, list[list[str]]]:
        """The union of the objects' columns. A format without a schema has none to rely on."""
        columns: dict[str, Column] = {}
        relied: set[tuple[str, str]] = set()
        rows: int | None = 0
        for obj in objects:
            try:
                with self.opened(obj) as (source, engine):
                    found = engine.columns(source)
                    counted = engine.rows(source)
                    schemaless = engine.schemaless
            except StoreError:
                rows = None
                continue
            for column in found:
                columns.setdefault(column.name, column)
            relied |= set() if schemaless else {(c.name, c.data_type) for c in found}
            rows = None if rows is None or counted is None else rows + counted
        table = Table(name=name, columns=tuple(columns.values()), rows=rows)
        return table, [list(pair) for pair in sorted(relied)]

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """Keys per object and value; see the module for their shape. Raises StoreError."""
        sought = single_values(selector.dataset.address, selector, values)
        given = [value for value in sought if value is not None]
        if not given or not selector.fields:
            return
        for obj in self.tree.of(selector.dataset.name):
            with self.opened(obj, selector.dataset) as (source, engine):
                matches = engine.search(source, self.query_of(selector, given, engine))
                found = list(
                    found_in(obj.name, partial(swap.checksum, source.file), matches, selector)
                )
            yield from found

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """The needles in the rows behind each key. Rows found by a text are somebody else's and
        give none."""
        gathering = Gathering(dataset, keys)
        fields = tuple(f.name for f in dataset.fields)
        for name, owned in self.places(dataset, keys).items():
            with self.opened(self.tree.named(name), dataset) as (source, engine):
                query = _query_of_keys(dataset, owned, fields)
                gathering.add(engine.search(source, query))
        yield from gathering.result()

    def dated(
        self,
        dataset: Dataset,
        starts: str,
        fields: Sequence[str],
        texts: Sequence[str] | None = None,
    ) -> Iterator[Object]:
        """See ``Dated``. What a path says of its records (``day=2015-06-30/``) is a field."""
        for obj in self.tree.of(dataset.name):
            with self.opened(obj, dataset) as (source, engine):
                if texts is None:
                    rows = engine.read(source, starts, fields)
                else:
                    wanted = Wanted(texts, fold_case=folds(dataset, starts))
                    query = Query(equal={starts: wanted}, also=tuple(fields))
                    found = engine.search(source, query)
                    rows = (row for row, sights in found if any(s.field == starts for s in sights))
                yield Object(
                    name=obj.name,
                    version=partial(swap.checksum, source.file),
                    records=self._records(obj, dataset, rows, (starts, *fields)),
                )

    def _records(
        self, obj: Obj, dataset: Dataset, rows: Iterable[Row | None], fields: Sequence[str]
    ) -> Iterator[Record]:
        with self.guarded(obj, dataset):
            for row in rows:
                yield (
                    None
                    if row is None
                    else {
                        name: tuple(map(as_scalar, documents.values(row, name))) for name in fields
                    }
                )

    def hand_out(
        self, dataset: Dataset, keys: Sequence[Key], fields: Sequence[str], guard: Sequence[str]
    ) -> Iterator[Mapping[str, Any]]:
        """Those rows, whole. A line that its format cannot read gives none: whom else it names
        nobody can tell."""
        also = tuple(dict.fromkeys((*fields, *(f.name for f in dataset.fields))))
        unread = {LINE, *dataset.free_text}
        readable = [key for key in keys if place_of(key)[0] not in unread]
        for name, owned in self.places(dataset, readable).items():
            sought = Sought(owned)
            with self.opened(self.tree.named(name), dataset) as (source, engine):
                for row, sights in engine.search(source, _query_of_keys(dataset, owned, also)):
                    if sought.is_theirs(row, sights):
                        yield documents.picked(row, fields)

    def counted(self, dataset: Dataset, keys: Sequence[Key]) -> tuple[int, int]:
        """See ``CountsUnread``: a row may be found by two of its fields."""
        return counted(keys, {LINE, *dataset.free_text})

    def places(
        self, dataset: Dataset, keys: Sequence[Key], *, changed_too: bool = False
    ) -> Mapping[str, list[Key]]:
        """Keys by object; all keys for every object of the collection once one has moved, or names
        no object."""
        groups = by_object(keys)
        lost = ANYWHERE in groups
        for name, owned in () if lost else groups.items():
            with translated(lambda: dataset.address):
                path = self.tree.named(checked_name(name)).path
            versions = {k.version for k in owned} - self.replaced - {""}
            lost = lost or self._lost(path, versions if changed_too else set())
        if not lost:
            return groups
        return {obj.name: list(keys) for obj in self.tree.of(dataset.name)}

    @staticmethod
    def _lost(path: Path, versions: set[str]) -> bool:
        if not path.exists():
            return True
        if not versions:
            return False
        with path.open("rb") as file:
            return swap.checksum(file) not in versions

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Every object, whoever declared it, and its path. Raises StoreError at the end when an
        object could not be searched: nothing is claimed of its collection."""
        by_name = {d.dataset.name: d for d in declared}
        groups = self.tree.grouped(list(by_name))
        faults: list[StoreError] = []
        for collection in sorted({*groups, *by_name}):
            objects = groups.get(collection, [])
            census = _census(collection, by_name.get(collection), objects)
            before = len(faults)
            for obj in objects:
                try:
                    yield from self._scanned(obj, census, needles, collection in by_name)
                except StoreError as fault:
                    faults.append(fault)
            if len(faults) == before:
                yield Searched(
                    collection=census.collection, fields=len(census.fields), rows=census.rows
                )
        if faults:
            permanent = any(f.permanent for f in faults)
            text = f"{len(faults)} objects could not be searched; the first is {faults[0]}"
            raise StoreError(self.name, text, permanent=permanent)

    def _scanned(self, obj: Obj, census: Census, needles: Matcher, declared: bool) -> Iterator[Hit]:
        scan = Scan(needles, obj.name, self.virtual_of(obj), census)
        yield from scan.path()
        with self.guarded(obj, None), obj.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size:
                yield from self.hits_in(scan, obj, file, declared=declared)

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """Replaced versions are unlinked when they are replaced; what a crash left goes now."""
        for _ in self.tree.objects():
            pass  # walking removes the drafts of dead writers
        return Purged(
            residue="purged",
            note="snapshots and copies made by the file system itself are out of reach",
        )

    def close(self) -> None:
        """Nothing stays open between calls."""

    # --- opening -----------------------------------------------------------------------------

    @contextmanager
    def opened(self, obj: Obj, dataset: Dataset | None = None) -> Iterator[tuple[Opened, Engine]]:
        """An object for reading, with its engine; faults become StoreError of that place."""
        with self.guarded(obj, dataset), obj.path.open("rb") as file:
            yield Opened(obj.path, file, self.virtual_of(obj)), self.engine_of(obj, file)

    @contextmanager
    def guarded(self, obj: Obj, dataset: Dataset | None) -> Iterator[None]:
        def place() -> str:
            return f"{dataset.address if dataset else self.name} [{self.tree.shown(obj)}]"

        with translated(place):
            yield


def _query_of_keys(dataset: Dataset, keys: Sequence[Key], fields: tuple[str, ...]) -> Query:
    wanted: dict[str, list[str]] = {}
    for key in keys:
        field, text = place_of(key)
        if field not in {LINE, *dataset.free_text}:
            wanted.setdefault(field, []).append(text)
    equal = {f: Wanted(t, fold_case=folds(dataset, f)) for f, t in wanted.items()}
    return Query(equal=equal, also=fields)


def _census(collection: str, declared: Declared | None, objects: Sequence[Obj]) -> Census:
    if declared is None:
        return Census(collection=objects[0].shown)
    folding = tuple(f for f in declared.owners if folds(declared.dataset, f))
    return Census(
        collection=collection, owners=declared.owners, folding=folding, marks=declared.marks
    )
