"""Which stores a case is searched in, at once and by schedule, when that is due, and by what a
store's rows are told apart then.

A store with ``rescan: scheduled`` is too large to be read for one person: it is read once for
everybody who waits, at the latest ``LETHE_RESCAN_HOURS`` after the first of them was erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings

from erasure.models import ErasureRequest, Run
from erasure.stores.base import Declared
from lineage import selectors
from lineage.graph import Dataset, Reference, StoreEntry

# Nothing of a person can be looked for there: whole sets that expire, recipients elsewhere.
_UNSEEN = frozenset({"backups", "manual"})


def searched(
    requests: Iterable[ErasureRequest], entries: Iterable[StoreEntry] | None = None
) -> Iterator[StoreEntry]:
    """Every store in which these people are looked for again; a replay after a restore looks at
    the restored store alone. ``entries``: the catalogue's stores, where they were read already."""
    only = {request.only_store for request in requests} - {""}
    for entry in selectors.stores() if entries is None else entries:
        if entry.kind not in _UNSEEN and (not only or entry.name in only):
            yield entry


def is_scheduled(entry: StoreEntry) -> bool:
    """Whether its re-scan waits for the pass over it for everybody."""
    return entry.options.get("rescan") == "scheduled"


def scheduled(request: ErasureRequest, entries: Iterable[StoreEntry] | None = None) -> list[str]:
    """Stores in which the person is looked for later. What an earlier pass over them has seen
    says nothing: it may have been about others of the same run."""
    return [entry.name for entry in searched([request], entries) if is_scheduled(entry)]


def due_at(erased_at: datetime) -> datetime:
    """By when somebody erased at that moment has been looked for everywhere."""
    return erased_at + timedelta(hours=settings.LETHE_RESCAN_HOURS)


def waiting(now: datetime) -> list[ErasureRequest]:
    """Everybody to be looked for now, who was erased first leading; nobody before one is due."""
    requests = ErasureRequest.objects.filter(state="awaiting_rescan").order_by("closed_at", "id")
    listed = list(requests.select_related("run"))
    if not listed or listed[0].closed_at is None or due_at(listed[0].closed_at) > now:
        return []
    return listed


def by_run(requests: Iterable[ErasureRequest]) -> dict[Run, list[ErasureRequest]]:
    """The requests of each run that has erased some of them."""
    runs: dict[Run, list[ErasureRequest]] = {}
    for request in requests:
        assert request.run is not None  # noqa: S101 - a run has erased them
        runs.setdefault(request.run, []).append(request)
    return runs


def by_collection(datasets: Sequence[Dataset]) -> dict[str, Dataset]:
    """Datasets as their store names them: ``schema.name`` outside its default schema. A schema
    that is given may be that default; a dataset without one has the first claim to its name."""
    named = {d.name: d for d in datasets if d.schema}
    named |= {f"{d.schema}.{d.name}": d for d in datasets if d.schema}
    return named | {d.name: d for d in datasets if not d.schema}


def declared_in(store: str) -> list[Declared]:
    """A store's datasets, each with the fields that tell whose a row is."""
    datasets = selectors.datasets(store)
    held: dict[str, list[Reference]] = {}
    for reference in selectors.around(datasets).references:
        held.setdefault(reference.holder, []).append(reference)
    return [Declared(dataset=d, owners=_owners(d, held.get(a, ()))) for a, d in datasets.items()]


def _owners(dataset: Dataset, references: Sequence[Reference]) -> tuple[str, ...]:
    """``references``: those that it holds."""
    names = [f.name for f in dataset.identities]
    names += [r.holder_field for r in references if r.direction in (None, "from") and not r.also]
    return tuple(dict.fromkeys(names))
