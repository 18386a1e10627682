"""Reads the catalogue: erasure's only door to lineage besides the plain values of ``graph``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db.models import Q

from lineage import models
from lineage.errors import CatalogueError, UnknownIdentity, suggestion
from lineage.graph import (
    Dataset,
    Derivation,
    Edge,
    Field,
    Neighbours,
    Reference,
    StoreEntry,
    edges_of,
    edges_of_derivation,
)

# SQLite takes 32,766 parameters a statement by default, PostgreSQL 65,535.
_CHUNK = 10_000


def stores() -> list[StoreEntry]:
    """Every store, by name."""
    return [row.entry() for row in models.Store.objects.order_by("name")]


def store(name: str) -> StoreEntry:
    """The store of that name. Raises CatalogueError, naming the nearest or the known ones."""
    known = {entry.name: entry for entry in stores()}
    if name not in known:
        raise CatalogueError(name, f"unknown store; {suggestion(name, known)}")
    return known[name]


def datasets(store: str | None = None) -> dict[str, Dataset]:
    """Every dataset, or those of one store, by address."""
    rows = models.Dataset.objects.select_related("store").prefetch_related("fields")
    if store is not None:
        rows = rows.filter(store__name=store)
    return {row.address: row.entry() for row in rows.order_by("address")}


def dataset(address: str) -> Dataset:
    """The dataset at ``fides_key.collection``. Raises CatalogueError, naming the nearest."""
    rows = models.Dataset.objects.select_related("store").prefetch_related("fields")
    row = rows.filter(address=address).first()
    if row is None:
        known = models.Dataset.objects.values_list("address", flat=True)
        raise CatalogueError(address, f"unknown dataset; {suggestion(address, known)}")
    return row.entry()


def references() -> list[Reference]:
    """Every reference, by holder and target."""
    rows = models.Reference.objects.order_by(*models.REFERENCE_COLUMNS[:4])
    return [models.reference_entry(r) for r in rows.values_list(*models.REFERENCE_COLUMNS)]


def derivations() -> list[Derivation]:
    """Every derivation, those implied by backups included, by upstream and downstream."""
    rows = models.Derivation.objects.order_by(*models.DERIVATION_COLUMNS[:3])
    return [models.derivation_entry(r) for r in rows.values_list(*models.DERIVATION_COLUMNS)]


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


def neighbours(frontier: frozenset[str]) -> Neighbours:
    """What leads out of the addresses: five queries, however many there are (up to 10,000)."""
    edges: dict[Edge, None] = {}
    found: list[Derivation] = []
    for chunk in _chunks(sorted(frontier)):
        touching = _references_of(chunk)
        derived = _derived_from(chunk)
        ends = {a for r in touching for a in (r.holder, r.target)} | {d.upstream for d in derived}
        known = _outlines(sorted(ends))
        inside = set(chunk)
        for reference in touching:
            for edge in edges_of(reference, known[reference.holder], known[reference.target]):
                if edge.origin in inside:
                    edges[edge] = None
        for derivation in derived:
            edges |= dict.fromkeys(edges_of_derivation(derivation, known[derivation.upstream]))
        found += derived
    return Neighbours(edges=tuple(edges), derivations=tuple(found))


def _references_of(addresses: list[str]) -> list[Reference]:
    # Two questions, not one OR: each has an index of its own.
    touching: dict[Reference, None] = {}
    for end in ("holder", "target"):
        rows = models.Reference.objects.filter(**{f"{end}__dataset__address__in": addresses})
        for row in rows.order_by("pk").values_list(*models.REFERENCE_COLUMNS):
            touching[models.reference_entry(row)] = None
    return list(touching)


def _derived_from(addresses: list[str]) -> list[Derivation]:
    rows = models.Derivation.objects.filter(upstream__address__in=addresses).order_by("pk")
    return [models.derivation_entry(r) for r in rows.values_list(*models.DERIVATION_COLUMNS)]


def _outlines(addresses: list[str]) -> dict[str, Dataset]:
    """Datasets with no more of their fields than the effect of an edge depends on."""
    telling = Q(personal=True) | Q(free_text=True) | Q(primary_key=True) | ~Q(identity="")
    fields: dict[str, list[Field]] = {address: [] for address in addresses}
    for chunk in _chunks(addresses):
        rows = models.Field.objects.filter(telling, dataset__address__in=chunk)
        for row in rows.select_related("dataset").only(*_OUTLINE, "dataset__address"):
            fields[row.dataset.address].append(row.entry())
    return {
        address: Dataset(address=address, store="", name="", fields=tuple(own))
        for address, own in fields.items()
    }


_OUTLINE = (
    *("name", "data_type", "categories", "identity", "primary_key", "free_text", "method"),
    *("personal_override", "because", "dataset_id", "position"),
)


def _chunks(values: list[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def catalogue_version() -> str:
    """Hex SHA-256 over the canonical JSON of the whole catalogue: equal means unchanged."""
    whole = {
        "stores": _canonical(vars(entry) for entry in stores()),
        "datasets": _canonical(entry.to_json() for entry in datasets().values()),
        "references": _canonical(vars(entry) for entry in references()),
        "derivations": _canonical(vars(entry) for entry in derivations()),
    }
    return hashlib.sha256(_json(whole).encode()).hexdigest()


def _canonical(entries: Iterable[dict[str, Any]]) -> list[str]:
    # Sorted here: databases do not agree on the order of texts.
    return sorted(_json(entry) for entry in entries)


def _json(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
