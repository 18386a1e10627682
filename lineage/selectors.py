"""Reads the catalogue: erasure's only door to lineage besides the plain values of ``graph``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from lineage import models, naming, overlay, reading
from lineage.errors import CatalogueError, UnknownIdentity, suggestion
from lineage.event_models import StoredEvent
from lineage.flowing import HEARD_STORE
from lineage.graph import Dataset, Derivation, Reference, StoreEntry
from lineage.snapshot import Snapshot


def stores() -> list[StoreEntry]:
    """Every store, by name."""
    return [row.entry() for row in models.Store.objects.order_by("name")]


def store(name: str) -> StoreEntry:
    """The store of that name. Raises CatalogueError, naming the nearest or the known ones."""
    steady = reading.steadily()
    known = {e.name: e for e in (HEARD_STORE, *(steady.stores if steady else stores()))}
    if name not in known:
        raise CatalogueError(name, f"unknown store; {suggestion(name, known)}")
    return known[name]


def datasets(store: str | None = None) -> Mapping[str, Dataset]:
    """Every dataset, or those of one store, by address."""
    found = reading.written().datasets
    return found if store is None else {a: d for a, d in found.items() if d.store == store}


def dataset(address: str) -> Dataset:
    """The dataset at ``fides_key.collection``. Raises CatalogueError, naming the nearest."""
    rows = models.Dataset.objects.select_related("store").prefetch_related("fields")
    row = rows.filter(address=address).first()
    if row is None:
        known = models.Dataset.objects.values_list("address", flat=True)
        raise CatalogueError(address, f"unknown dataset; {suggestion(address, known)}")
    return row.entry()


def references() -> Sequence[Reference]:
    """Every reference, by holder and target."""
    return reading.written().references


def derivations() -> Sequence[Derivation]:
    """Every derivation, those implied by backups included, by upstream and downstream."""
    return reading.written().derivations


def identity_kinds() -> list[str]:
    """The names under which a person can be asked for, sorted."""
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


def snapshot() -> Snapshot:
    """The whole catalogue, with what lineage events told of everything downstream of people's
    data; read once per revision of it, and then one statement."""
    return reading.whole()


def steady() -> AbstractContextManager[None]:
    """See :func:`lineage.reading.steady`."""
    return reading.steady()


def catalogue_version() -> str:
    """Hex SHA-256 over the whole catalogue: equal means unchanged."""
    return snapshot().version


def names_in_events(addresses: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Namespace and name under which lineage events speak of these datasets, by address."""
    known, entries = datasets(), {entry.name: entry for entry in stores()}
    found = {}
    for address in addresses:
        dataset = known.get(address)
        if dataset is None:
            found[address] = naming.split(address)
        else:
            found[address] = overlay.names_of(dataset, entries[dataset.store])[0]
    return found


def unread_events() -> list[tuple[str, str]]:
    """The newest stored events that nothing could be learnt from: the beginning of their digest,
    and why; a hundred at most."""
    rows = StoredEvent.objects.exclude(error="").order_by("-id")
    return [(digest[:12], why) for digest, why in rows.values_list("digest", "error")[:100]]
