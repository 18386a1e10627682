"""Reads the catalogue: erasure's only door to lineage besides the plain values of ``graph``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from lineage import loading, models, naming, overlay, parts, reading
from lineage.errors import CatalogueError, UnknownIdentity, suggestion
from lineage.event_models import StoredEvent
from lineage.flowing import HEARD_STORE
from lineage.frontier import dataset_entries
from lineage.graph import Dataset, Derivation, Reference, StoreEntry
from lineage.part import Part, touching
from lineage.snapshot import Snapshot


def stores() -> list[StoreEntry]:
    """Every store, by name."""
    known = reading.held_written()
    if known is not None:
        return list(known.stores)
    return [row.entry() for row in models.Store.objects.order_by("name")]


def store(name: str) -> StoreEntry:
    """The store of that name. Raises CatalogueError, naming the nearest or the known ones."""
    known = {e.name: e for e in (HEARD_STORE, *stores())}
    if name not in known:
        raise CatalogueError(name, f"unknown store; {suggestion(name, known)}")
    return known[name]


def datasets(store: str | None = None) -> Mapping[str, Dataset]:
    """Every dataset, or those of one store, by address."""
    if store is None:
        return reading.written().datasets
    known = reading.held_written()
    if known is not None:
        return {a: d for a, d in known.datasets.items() if d.store == store}
    rows = models.Dataset.objects.filter(store__name=store).order_by("address")
    return dataset_entries(rows.values_list("address", flat=True))


def dataset(address: str) -> Dataset:
    """The dataset at ``fides_key.collection``. Raises CatalogueError, naming the nearest."""
    rows = models.Dataset.objects.select_related("store").prefetch_related("fields")
    row = rows.filter(address=address).first()
    if row is None:
        known = models.Dataset.objects.values_list("address", flat=True)
        raise CatalogueError(address, f"unknown dataset; {suggestion(address, known)}")
    return row.entry()


def entries(addresses: Iterable[str]) -> Mapping[str, Dataset]:
    """The datasets at these addresses, as far as the catalogue has them, by address."""
    known = reading.held_written()
    if known is None:
        return dataset_entries(addresses)
    return {a: known.datasets[a] for a in addresses if a in known.datasets}


def around(addresses: Iterable[str]) -> Snapshot:
    """These datasets as people wrote them, with every reference and derivation that touches one and
    what is at its other end."""
    inner = set(addresses)
    known = reading.held_written()
    return loading.around(inner) if known is None else touching(known, inner)


def models_declared() -> Mapping[str, Dataset]:
    """Every dataset that is a model, by address."""
    rows = models.Dataset.objects.exclude(model={}).order_by("address")
    return dataset_entries(rows.values_list("address", flat=True))


def references() -> Sequence[Reference]:
    """Every reference, by holder and target."""
    return reading.written().references


def derivations() -> Sequence[Derivation]:
    """Every derivation, those implied by backups included, by upstream and downstream."""
    return reading.written().derivations


def made_of(address: str) -> list[str]:
    """Addresses of what the catalogue says the dataset was made from, sorted."""
    rows = models.Derivation.objects.filter(downstream__address=address)
    return sorted(set(rows.values_list("upstream__address", flat=True)))


def made_from(addresses: Iterable[str]) -> list[str]:
    """Addresses of what the catalogue says was made from one of these, sorted."""
    rows = models.Derivation.objects.filter(upstream__address__in=list(addresses))
    return sorted(set(rows.values_list("downstream__address", flat=True)))


def size() -> dict[str, int]:
    """How many ``stores``, ``datasets`` and ``fields`` the catalogue has."""
    known = reading.held_written()
    if known is not None:
        whole = known.datasets.values()
        return {
            "stores": len({d.store for d in whole}),
            "datasets": len(whole),
            "fields": sum(len(d.fields) for d in whole),
        }
    datasets = models.Dataset.objects.order_by()
    return {
        "stores": datasets.values("store").distinct().count(),
        "datasets": datasets.count(),
        "fields": models.Field.objects.count(),
    }


def identity_kinds() -> list[str]:
    """The names under which a person can be asked for, sorted."""
    known = reading.held_written()
    if known is not None:
        return list(known.identity_kinds)
    rows = models.Field.objects.exclude(identity="").order_by("identity")
    return list(rows.values_list("identity", flat=True).distinct())


def identity_start(kinds: Iterable[str]) -> dict[str, list[str]]:
    """By address, the fields that carry one of the identity kinds: where a walk starts.

    Raises UnknownIdentity for a kind that no field carries.
    """
    wanted = sorted(set(kinds))
    rows = models.Field.objects.filter(identity__in=wanted).order_by(
        "dataset__address", "position", "id"
    )
    start: dict[str, list[str]] = {}
    seen: set[str] = set()
    for address, name, kind in rows.values_list("dataset__address", "name", "identity"):
        start.setdefault(address, []).append(name)
        seen.add(kind)
    for kind in wanted:
        if kind not in seen:
            raise UnknownIdentity(kind, identity_kinds())
    return start


def part(kinds: Iterable[str], store: str = "") -> Part:
    """What a case of people known by these kinds rests on, with what lineage events told of it; in
    one store only where that is named. Read once per revision.

    Raises UnknownIdentity for a kind that no field carries.
    """
    wanted = sorted(set(kinds))
    found = parts.part(wanted, store)
    if unknown := [kind for kind in wanted if kind not in found.known]:
        raise UnknownIdentity(unknown[0], identity_kinds())
    return found


def snapshot() -> Snapshot:
    """The whole catalogue, with what lineage events told of everything downstream of people's
    data; read once per revision of it, and then one statement."""
    return reading.whole()


def steady() -> AbstractContextManager[None]:
    """See :func:`lineage.reading.steady`."""
    return reading.steady()


def names_in_events(addresses: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Namespace and name under which lineage events speak of these datasets, by address."""
    listed = list(addresses)
    known, where = entries(listed), {entry.name: entry for entry in stores()}
    found = {}
    for address in listed:
        dataset = known.get(address)
        if dataset is None:
            found[address] = naming.split(address)
        else:
            found[address] = overlay.names_of(dataset, where[dataset.store])[0]
    return found


def unread_events() -> list[tuple[str, str]]:
    """The newest stored events that nothing could be learnt from: the beginning of their digest,
    and why; a hundred at most."""
    rows = StoredEvent.objects.exclude(error="").order_by("-id")
    return [(digest[:12], why) for digest, why in rows.values_list("digest", "error")[:100]]
