"""Writes the catalogue: what importers read becomes rows, or nothing does.

An upsert by ``store.name`` and ``fides_key.collection.field``: importing twice changes nothing;
what the files no longer say stays, unless it is pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db import transaction
from django.db.models import CharField, F, Model, Q, QuerySet

from lineage import graph, models, revision
from lineage.batches import batched, in_batches
from lineage.errors import CatalogueError
from lineage.implied import imply_through_ignored
from lineage.importers.entries import Catalogue
from lineage.importers.resolution import Known, covered, named, resolve

M = TypeVar("M", bound=Model)
Key = tuple[str, ...]
Wanted = dict[Key, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What an import did, as labels: ``field shop.customer.email``."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def upsert(catalogue: Catalogue, *, prune: bool = False) -> Changes:
    """Write everything in one transaction; ``prune`` removes what is not in ``catalogue``.

    Raises CatalogueError, and writes nothing, for a name given twice or one that is not there:
    the store of a dataset, the field of a reference, an upstream, a collection in ``after``.
    """
    changes = Changes()
    with transaction.atomic():
        resolved = _resolved(catalogue, prune=prune)
        stores = _Rows(_STORES, changes)
        stores.write(_stores(resolved), also={d.value.store for d in resolved.datasets})
        datasets = _Rows(_DATASETS, changes)
        ends = {d.value.upstream for d in resolved.derivations}
        ends |= {d.value.downstream for d in resolved.derivations}
        datasets.write(_datasets(resolved, stores.by_key), also=ends)
        fields = _Rows(_FIELDS, changes)
        ends = {r.value.target for r in resolved.references}
        ends |= {r.value.holder for r in resolved.references}
        fields.write(_fields(resolved, datasets.by_key), also=ends)
        references = _Rows(_REFERENCES, changes)
        references.write(_references(resolved, fields.by_key))
        derivations = _Rows(_DERIVATIONS, changes)
        derivations.write(_derivations(resolved, datasets.by_key))
        if prune:
            for rows in (derivations, references, fields, datasets, stores):
                rows.prune()
        _imply(changes)
        _imply_through(changes)
        if changes.added or changes.changed or changes.removed:
            revision.renew_written()
    return changes


def _resolved(catalogue: Catalogue, *, prune: bool) -> Catalogue:
    """With every name found, here or among what the database has: only what is named is read, all
    of it where a name is not there, to say which is the nearest."""
    if prune:
        return resolve(catalogue, Known())
    try:
        return resolve(catalogue, _known(named(catalogue)))
    except CatalogueError:
        return resolve(catalogue, _known(None))


def _known(addresses: set[str] | None) -> Known:
    """What the database has at these addresses; everything where none are given."""
    rows, columns = models.Dataset.objects.order_by(), models.Field.objects.order_by()
    if addresses is None:
        there: Iterable[tuple[str]] = rows.values_list("address").iterator()
        names = columns.values_list("dataset__address", "name").iterator()
    else:
        there = in_batches(rows, "address", addresses, ("address",))
        names = in_batches(columns, "dataset__address", addresses, ("dataset__address", "name"))
    fields: dict[str, set[str]] = {address: set() for (address,) in there}
    for address, name in names:
        fields[address].add(name)
    return Known(
        stores=frozenset(models.Store.objects.values_list("name", flat=True)),
        fields={address: frozenset(found) for address, found in fields.items()},
        after={a: tuple(n) for a, n in rows.exclude(after=[]).values_list("address", "after")},
    )


@dataclass(frozen=True, kw_only=True)
class _Kind(Generic[M]):
    """One table: its rows, the columns that name a row, and how the name reads. The first of
    them says which rows are read for a write."""

    rows: Callable[[], QuerySet[M]]
    key: tuple[str, ...]
    label: Callable[[Key], str]
    prunable: Q = field(default_factory=Q)


class _Rows(Generic[M]):
    """The rows of one table before and after a write."""

    def __init__(self, kind: _Kind[M], changes: Changes) -> None:
        self._kind = kind
        self._changes = changes
        self._before: dict[Key, M] = {}
        self._wanted: Wanted = {}
        self.by_key: dict[Key, M] = {}

    def write(self, wanted: Wanted, also: Collection[str] = ()) -> None:
        """Add what is missing, change what differs. ``also``: what rows that others refer to begin
        with."""
        self._wanted = wanted
        self._read({key[0] for key in wanted} | set(also))
        model = self._kind.rows().model
        changed: list[M] = []
        for key, values in wanted.items():
            row = self._before.get(key)
            if row is None:
                self.by_key[key] = self._checked(key, model(**values))
                self._changes.added.append(self._kind.label(key))
            elif any(getattr(row, name) != value for name, value in values.items()):
                for name, value in values.items():
                    setattr(row, name, value)
                changed.append(self._checked(key, row))
                self._changes.changed.append(self._kind.label(key))
        manager = model._default_manager
        manager.bulk_create([self.by_key[key] for key in wanted if key not in self._before])
        if changed:
            manager.bulk_update(changed, list(next(iter(wanted.values()))), batch_size=500)

    def _read(self, beginnings: Collection[str]) -> None:
        """Rows with their names beside them: no other object is made for a row."""
        names = {f"key_{n}": F(column) for n, column in enumerate(self._kind.key)}
        for part in batched(self._kind.rows().annotate(**names), self._kind.key[0], beginnings):
            for row in part.iterator(chunk_size=2_000):
                self._before[tuple(getattr(row, name) for name in names)] = row
        self.by_key = dict(self._before)

    def prune(self) -> None:
        """Remove the rows that were there and are not wanted."""
        rows = self._kind.rows().filter(self._kind.prunable).values_list("pk", *self._kind.key)
        gone = {key: pk for pk, *told in rows.iterator() if (key := (*told,)) not in self._wanted}
        self._changes.removed.extend(self._kind.label(key) for key in gone)
        keys = list(gone.values())
        for start in range(0, len(keys), 1000):
            self._kind.rows().filter(pk__in=keys[start : start + 1000]).delete()

    def _checked(self, key: Key, row: M) -> M:
        # bulk writes do not validate, and SQLite takes texts of any length
        for column in row._meta.concrete_fields:
            limit = column.max_length
            if isinstance(column, CharField) and limit and len(getattr(row, column.name)) > limit:
                message = f"'{column.name}' is longer than {limit} characters"
                raise CatalogueError(self._kind.label(key)[:100], message)
        return row


_STORES = _Kind(
    rows=models.Store.objects.all,
    key=("name",),
    label=lambda key: f"store {key[0]}",
)
_DATASETS = _Kind(
    rows=models.Dataset.objects.all,
    key=("address",),
    label=lambda key: f"dataset {key[0]}",
)
_FIELDS = _Kind(
    rows=models.Field.objects.all,
    key=("dataset__address", "name"),
    label=lambda key: f"field {key[0]}.{key[1]}",
)
_REFERENCES = _Kind(
    rows=models.Reference.objects.all,
    key=("holder__dataset__address", "holder__name", "target__dataset__address", "target__name"),
    label=lambda key: f"reference {key[0]}.{key[1]} → {key[2]}.{key[3]}",
)
_DERIVATIONS = _Kind(
    rows=models.Derivation.objects.all,
    key=("upstream__address", "downstream__address", "kind"),
    label=lambda key: f"derivation {key[0]} ⇒ {key[1]} ({key[2]})",
    prunable=Q(implied=False),
)


def _stores(catalogue: Catalogue) -> Wanted:
    return {
        (entry.name,): {**graph.plain(entry), "options": dict(entry.options)}
        for entry in (placed.value for placed in catalogue.stores)
    }


def _datasets(catalogue: Catalogue, stores: Mapping[Key, models.Store]) -> Wanted:
    wanted: Wanted = {}
    for entry in (placed.value for placed in catalogue.datasets):
        values = {name: getattr(entry, name) for name in models.DATASET_COLUMNS}
        for name in ("schema", "action", "until", "exception"):
            values[name] = values[name] or ""
        for name in ("after", "quasi_identifiers"):
            values[name] = list(values[name])
        wanted[(entry.address,)] = {**values, "store_id": stores[(entry.store,)].pk}
    return wanted


def _fields(catalogue: Catalogue, datasets: Mapping[Key, models.Dataset]) -> Wanted:
    wanted: Wanted = {}
    for entry in (placed.value for placed in catalogue.datasets):
        dataset_id = datasets[(entry.address,)].pk
        for position, one in enumerate(entry.fields):
            values = _field(one)
            values |= {"dataset_id": dataset_id, "position": position}
            wanted[(entry.address, one.name)] = values
    return wanted


def _field(entry: graph.Field) -> dict[str, Any]:
    return {
        **graph.plain(entry),
        "data_type": entry.data_type or "",
        "identity": entry.identity or "",
        "categories": list(entry.categories),
        "method": graph.plain(entry.method) if entry.method else {},
        "personal": entry.personal,
    }


def _references(catalogue: Catalogue, fields: Mapping[Key, models.Field]) -> Wanted:
    wanted: Wanted = {}
    for entry in (placed.value for placed in catalogue.references):
        holder = (entry.holder, entry.holder_field)
        target = (entry.target, entry.target_field)
        wanted[(*holder, *target)] = {
            "holder_id": fields[holder].pk,
            "target_id": fields[target].pk,
            "direction": entry.direction or "",
            "on_erase": entry.on_erase or "",
            "ghost": entry.ghost,
            "also": [list(pair) for pair in entry.also],
        }
    return wanted


def _derivations(catalogue: Catalogue, datasets: Mapping[Key, models.Dataset]) -> Wanted:
    wanted: Wanted = {}
    for entry in (placed.value for placed in catalogue.derivations):
        wanted[(entry.upstream, entry.downstream, str(entry.kind))] = {
            "upstream_id": datasets[(entry.upstream,)].pk,
            "downstream_id": datasets[(entry.downstream,)].pk,
            "kind": entry.kind,
            "columns": dict(entry.columns),
            "implied": False,
        }
    return wanted


def _imply(changes: Changes) -> None:
    """A backup store's datasets hold copies of every dataset of the stores it covers.

    Worked out anew over the whole catalogue: either side may have come in another file. A
    derivation that a file declares is left alone.
    """
    rows = models.Derivation.objects.filter(kind="backed_up")
    wanted = _copies() - set(rows.filter(implied=False).values_list(*_ENDS))
    implied = rows.filter(implied=True)
    stored = set(implied.values_list(*_ENDS))
    fresh = sorted(wanted - stored)
    models.Derivation.objects.bulk_create(
        models.Derivation(upstream_id=up, downstream_id=down, kind="backed_up", implied=True)
        for up, down in fresh
    )
    gone = sorted(stored - wanted)
    for up, down in gone:
        implied.filter(upstream_id=up, downstream_id=down).delete()
    names = dict(models.Dataset.objects.values_list("pk", "address")) if fresh or gone else {}
    label = _DERIVATIONS.label
    changes.added.extend(label((names[up], names[down], "backed_up")) for up, down in fresh)
    changes.removed.extend(label((names[up], names[down], "backed_up")) for up, down in gone)


def _imply_through(changes: Changes) -> None:
    fresh, gone = imply_through_ignored()
    label = _DERIVATIONS.label
    changes.added.extend(label((d.upstream, d.downstream, d.kind)) for d in fresh)
    changes.removed.extend(label((d.upstream, d.downstream, d.kind)) for d in gone)


_ENDS = ("upstream_id", "downstream_id")


def _copies() -> set[tuple[int, int]]:
    """Primary keys of (original, copy): every dataset of a covered store with every dataset of
    the backup store."""
    backups = [row.entry() for row in models.Store.objects.filter(kind="backups")]
    if not backups:
        return set()
    members: dict[str, list[int]] = {}
    for store, pk in models.Dataset.objects.values_list("store__name", "pk"):
        members.setdefault(store, []).append(pk)
    return {
        (source, copy)
        for backup in backups
        for name in covered(backup)
        for source in members.get(name, ())
        for copy in members.get(backup.name, ())
        if source != copy
    }
