"""Reads what events told of everything downstream of personal data, as plain values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from lineage import models, naming
from lineage.batches import BATCH, in_batches
from lineage.event_models import Decision, HeardDataset, HeardFlow, HeardName
from lineage.flowing import HEARD_STORE, Heard, with_heard
from lineage.graph import Dataset, Derivation, Field, Flow, StoreEntry, walk
from lineage.importers.facets import is_personal
from lineage.snapshot import Snapshot

_PART = 500
_PLACEHOLDER = re.compile(r"\$\{([^}:]+)\}")
_Row = tuple[int, int, bool, list[list[Any]], Any, Any]


def overlaid(catalogue: Snapshot) -> Snapshot:
    """The catalogue with what events told beside it; one query where they told nothing."""
    if not HeardDataset.objects.exists():
        return catalogue
    heard = _Reader(catalogue).read()
    return with_heard(catalogue, heard) if heard else catalogue


def known_in_events(stores: Iterable[StoreEntry]) -> set[str]:
    """Addresses of datasets of the catalogue that events may speak of: those one of whose names
    was heard. Read past, however many there are; none is held."""
    entries = {store.name: store for store in stores}
    found: set[str] = set()
    columns = ("address", "schema", "name", "store__name")
    rows = models.Dataset.objects.order_by().values_list(*columns).iterator(chunk_size=BATCH)
    while part := list(islice(rows, BATCH)):
        names: dict[str, list[str]] = {}
        for address, schema, name, store in part:
            one = Dataset(address=address, store=store, name=name, schema=schema or None)
            for pair in names_of(one, entries[store]):
                names.setdefault(naming.canonical(*pair), []).append(address)
        heard = HeardName.objects.filter(until=None)
        for (name,) in in_batches(heard, "address", list(names), ("address",)):
            found.update(names[name])
    return found


def names_of(dataset: Dataset, store: StoreEntry) -> list[tuple[str, str]]:
    """What a catalogued dataset is called in events, as namespace and name: by the prefixes that a
    person gave the store (option ``lineage``), by its store's address, and by namespace
    ``fides_key``, name ``collection``."""
    found = []
    for prefix in store.options.get("lineage", ()):
        found += naming.of_prefix(resolved(prefix), dataset.schema, dataset.name)
    by_address = naming.of_store(store.kind, resolved(store.url), dataset.schema, dataset.name)
    own = dataset.address.removesuffix(f".{dataset.name}")
    return [*found, *([by_address] if by_address else []), (own, dataset.name)]


def resolved(text: str) -> str:
    """With what the environment says; a name that is not set leaves the address unknown."""
    return _PLACEHOLDER.sub(lambda match: os.environ.get(match[1], ""), text)


class _Reader:
    """One pass over what was heard, from the catalogue's personal datasets outwards."""

    def __init__(self, catalogue: Snapshot) -> None:
        self._catalogue = catalogue
        self._stores = {store.name: store for store in catalogue.stores}
        self._address: dict[int, str] = {}
        self._rows: dict[int, HeardDataset] = {}

    def read(self) -> Heard | None:
        """What was heard downstream of personal data; None where that is nothing."""
        starts = self._starts()
        starts |= set(HeardDataset.objects.filter(personal=True).values_list("pk", flat=True))
        direct, influences = self._flows(starts)
        wanted = starts | {down for _, down, *_ in direct}
        if not (direct or influences or wanted - set(self._address)):
            return None
        self._know(wanted | {pk for row in influences for pk in row[:2]})
        decided = {d.address: d for d in Decision.objects.all()}
        into: dict[int, list[_Row]] = {}
        for row in direct:
            into.setdefault(row[1], []).append(row)
        return Heard(
            datasets={
                self._address[pk]: _dataset(self._rows[pk], into.get(pk, []), decided)
                for pk in sorted(wanted)
                if self._address[pk] not in self._catalogue.datasets
            },
            derivations=[self._derivation(row) for row in direct if self._apart(row)],
            influences=[self._derivation(row) for row in influences if row[1] not in wanted],
        )

    def _starts(self) -> set[int]:
        """Numbers of heard datasets that the catalogue knows and that are people's."""
        names: dict[str, str] = {}
        for address, dataset in sorted(self._catalogue.datasets.items()):
            for pair in names_of(dataset, self._stores[dataset.store]):
                names.setdefault(naming.canonical(*pair), address)
        for part in _parts(sorted(names)):
            rows = HeardName.objects.filter(address__in=part, until=None)
            for name, pk in rows.values_list("address", "dataset_id"):
                self._address.setdefault(pk, names[name])
        datasets = self._catalogue.datasets
        start = {a: [f.name for f in d.identities] for a, d in datasets.items() if d.identities}
        reached = {stop.address for stop in walk(start, self._catalogue.neighbours).stops}
        reached |= {a for a, d in datasets.items() if d.has_personal_fields}
        return {pk for pk, address in self._address.items() if address in reached}

    def _flows(self, starts: set[int]) -> tuple[list[_Row], list[_Row]]:
        """Flows of data out of what is reached, and flows of influence."""
        direct: list[_Row] = []
        influences: list[_Row] = []
        seen, frontier = set(starts), set(starts)
        while frontier:
            found = [row for part in _parts(sorted(frontier)) for row in _out_of(part)]
            direct += [row for row in found if row[2]]
            influences += [row for row in found if not row[2]]
            frontier = {row[1] for row in found if row[2]} - seen
            seen |= frontier
        return direct, influences

    def _know(self, numbers: Iterable[int]) -> None:
        for part in _parts(sorted(numbers)):
            for row in HeardDataset.objects.filter(pk__in=part):
                self._rows[row.pk] = row
                self._address.setdefault(row.pk, row.address)

    def _apart(self, row: _Row) -> bool:
        return self._address[row[0]] != self._address[row[1]]

    def _derivation(self, row: _Row) -> Derivation:
        up, down, _, columns, *_ = row
        return Derivation(
            upstream=self._address[up],
            downstream=self._address[down],
            kind="trained" if self._rows[down].kind == "MODEL" else "derived",
            flows=tuple(sorted(Flow(*column) for column in columns)),
        )


def _out_of(part: Sequence[int]) -> Iterator[_Row]:
    columns = ("upstream_id", "downstream_id", "direct", "columns", "first_at", "last_at")
    rows = HeardFlow.objects.filter(upstream__in=part).order_by("upstream_id", "downstream_id")
    yield from rows.values_list(*columns)


def _dataset(row: HeardDataset, into: Sequence[_Row], decisions: Mapping[str, Decision]) -> Dataset:
    action, because, decided = None, "", ""
    decision = decisions.get(row.address)
    emptied = row.emptied_at
    if row.kind == "JOB":
        action, because = "ignore", "a job between datasets; it holds none itself"
    elif emptied is not None and all(flow[5] < emptied for flow in into):
        words = "dropped" if row.emptied_how == "DROP" else "emptied"
        action, because = "ignore", f"{words} on {emptied:%Y-%m-%d}, and nothing flowed in since"
    elif decision is not None and not _outdated(decision, into):
        decided, because = decision.choice, _words(decision)
        action = "ignore" if decided == "anonymous" else None
    return Dataset(
        address=row.address,
        store=HEARD_STORE.name,
        name=row.address,
        fields=tuple(_fields(row)),
        owner=", ".join(row.owners),
        action=action,
        because=because,
        heard=True,
        decided=decided,
    )


def _outdated(decision: Decision, into: Sequence[_Row]) -> bool:
    """Something new flowed in after it was assessed anonymous: that has to be assessed anew."""
    return decision.choice == "anonymous" and any(
        flow[4].date() > decision.decided_on for flow in into
    )


def _words(decision: Decision) -> str:
    said = f"decided by {decision.by} on {decision.decided_on}: {decision.because}"
    words = {
        "rebuild": "to be built anew without the person",
        "drop": "to be dropped",
        "anonymous": "assessed anonymous",
    }
    return f"{words[decision.choice]}, {said}"


def _fields(row: HeardDataset) -> Iterator[Field]:
    tags: dict[str, list[tuple[str, str]]] = {}
    for name, key, value in row.tags:
        tags.setdefault(name, []).append((key, value))
    types = dict(row.fields)
    whole = tags.get("", [])
    for name in [*types, *(n for n in tags if n and n not in types)]:
        given = [*tags.get(name, []), *whole]
        categories = {v for pair in given for v in pair if v == "user" or v.startswith("user.")}
        personal = any(is_personal(key, value) for key, value in given)
        yield Field(
            name=name,
            data_type=types.get(name) or None,
            categories=tuple(sorted(categories)) or (("user",) if personal else ()),
        )


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]
