"""Reads rows of the catalogue as plain values: all of them, or those around some datasets.

Texts and fields that are equal are one object, so that hundreds of thousands of datasets fit.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from lineage import graph, models
from lineage.batches import batched, in_batches
from lineage.snapshot import Snapshot

_CHUNK = 10_000
_FIELD = (
    *("name", "data_type", "identity", "primary_key", "free_text", "personal_override"),
    "because",
)
_FIELD_JSON = ("categories", "method")
_DATASET_JSON = ("retention", "after", "model", "quasi_identifiers")
_DATASET = tuple(name for name in models.DATASET_COLUMNS if name not in _DATASET_JSON)
_ENDS = ("holder__dataset_id", "holder__name", "target__dataset_id", "target__name")
_REFERENCE = (*_ENDS, "direction", "on_erase", "ghost")
_DERIVATION = ("upstream_id", "downstream_id", "kind")
_Rows = Iterable[tuple[Any, ...]]


def everything() -> Snapshot:
    """The whole catalogue. Raises KeyError where rows of two moments contradict each other."""
    references = _rows(models.Reference.objects.order_by(), _REFERENCE, ("also",))
    derivations = _rows(models.Derivation.objects.order_by(), _DERIVATION, ("columns",))
    return _snapshot(_Known(), references, derivations)


def around(addresses: Collection[str]) -> Snapshot:
    """These datasets, every reference and derivation that touches one, and what is at its other
    end or comes before (``after``). Raises KeyError as above."""
    rows = models.Dataset.objects.all()
    inner = [pk for (pk,) in in_batches(rows, "address", sorted(addresses), ("pk",))]
    references = models.Reference.objects.order_by()
    derivations = models.Derivation.objects.order_by()
    # Each once, though both of its ends may be inside.
    referring = {
        row[:4]: row
        for end in ("target__dataset_id", "holder__dataset_id")
        for row in _rows(references, _REFERENCE, ("also",), among=(end, inner))
    }
    made = {
        row[:3]: row
        for end in ("upstream_id", "downstream_id")
        for row in _rows(derivations, _DERIVATION, ("columns",), among=(end, inner))
    }
    known = {*inner, *(pk for row in referring.values() for pk in (row[0], row[2]))}
    known.update(pk for row in made.values() for pk in row[:2])
    return _snapshot(_Known(known), referring.values(), made.values())


class _Known:
    """Datasets by address, in their order, and their addresses by primary key: of the keys given,
    and of what has to be done before them."""

    def __init__(self, keys: Collection[int] | None = None) -> None:
        self.stores = list(models.Store.objects.order_by("name"))
        self._names = {row.pk: row.name for row in self.stores}
        self.addresses: dict[int, str] = {}
        found: dict[str, graph.Dataset] = {}
        self._read(keys, found)
        while keys is not None and (missing := _named(found.values()) - found.keys()):
            rows = in_batches(models.Dataset.objects.all(), "address", sorted(missing), ("pk",))
            earlier = [pk for (pk,) in rows]
            if not earlier:
                break
            self._read(earlier, found)
        self.datasets = {address: found[address] for address in sorted(found)}

    def _read(self, keys: Collection[int] | None, found: dict[str, graph.Dataset]) -> None:
        fields = _fields(keys)
        among = None if keys is None else ("pk", keys)
        columns = ("pk", "store_id", *_DATASET)
        rows = _rows(models.Dataset.objects.order_by(), columns, _DATASET_JSON, among=among)
        for pk, store, *told in rows:
            plain = dict(zip(_DATASET + _DATASET_JSON, told, strict=True))
            for name in ("schema", "action", "until", "exception"):
                plain[name] = plain[name] or None
            for name in _DATASET_JSON:
                plain[name] = _plain(plain[name])
            for name in ("after", "quasi_identifiers"):
                plain[name] = tuple(plain[name])
            one = graph.Dataset(store=self._names[store], fields=fields.get(pk, ()), **plain)
            self.addresses[pk] = one.address
            found[one.address] = one


def _named(datasets: Iterable[graph.Dataset]) -> set[str]:
    return {name for dataset in datasets for name in dataset.after}


def _snapshot(known: _Known, references: _Rows, derivations: _Rows) -> Snapshot:
    return Snapshot(
        stores=[row.entry() for row in known.stores],
        datasets=MappingProxyType(known.datasets),
        references=_references(references, known.addresses),
        derivations=_derivations(derivations, known.addresses),
    )


def _fields(keys: Collection[int] | None) -> Mapping[int, tuple[graph.Field, ...]]:
    """By the primary key of their dataset, in their order."""
    rows = _rows(
        models.Field.objects.order_by("dataset_id", "position", "id"),
        ("dataset_id", *_FIELD),
        _FIELD_JSON,
        among=None if keys is None else ("dataset_id", keys),
    )
    shared: dict[tuple[Any, ...], graph.Field] = {}
    found: dict[int, tuple[graph.Field, ...]] = {}
    for pk, *told in rows:
        key = tuple(told)
        one = shared.get(key)
        if one is None:
            one = shared[key] = _field(*told)
        found[pk] = (*found.get(pk, ()), one)
    return found


def _field(
    name: str,
    data_type: str,
    identity: str,
    key: bool,
    text: bool,
    override: bool | None,
    because: str,
    categories: str,
    method: str,
) -> graph.Field:
    filled = _plain(method)
    return graph.Field(
        name=name,
        data_type=data_type or None,
        categories=tuple(_plain(categories)),
        identity=identity or None,
        primary_key=key,
        free_text=text,
        method=graph.Method(**filled) if filled else None,
        personal_override=override,
        because=because,
    )


def _references(rows: _Rows, addresses: Mapping[int, str]) -> list[graph.Reference]:
    """By holder and target."""
    names: dict[str, str] = {}
    found = [
        graph.Reference(
            holder=addresses[holder],
            holder_field=names.setdefault(mine, mine),
            target=addresses[target],
            target_field=names.setdefault(theirs, theirs),
            direction=direction or None,
            on_erase=on_erase or None,
            ghost=ghost,
            also=tuple((one, other) for one, other in _plain(also)),
        )
        for holder, mine, target, theirs, direction, on_erase, ghost, also in rows
    ]
    found.sort(key=attrgetter("holder", "holder_field", "target", "target_field"))
    return found


def _derivations(rows: _Rows, addresses: Mapping[int, str]) -> list[graph.Derivation]:
    """Those implied by backups and views included, by upstream and downstream."""
    found = [
        graph.Derivation(
            upstream=addresses[up], downstream=addresses[down], kind=kind, columns=_plain(columns)
        )
        for up, down, kind, columns in rows
    ]
    found.sort(key=attrgetter("upstream", "downstream", "kind"))
    return found


def _rows(
    rows: QuerySet[Any],
    columns: Sequence[str],
    texts: Sequence[str],
    *,
    among: tuple[str, Collection[int]] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Rows as ``columns``, then ``texts``: JSON that is not read yet, since most of it is alike.
    ``among``: only those with that column in that collection."""
    said = {f"{name}_said": Cast(F(name), TextField()) for name in texts}
    told = rows.annotate(**said)
    for part in [told] if among is None else batched(told, *among):
        yield from part.values_list(*columns, *said).iterator(chunk_size=_CHUNK)


@lru_cache(maxsize=_CHUNK)
def _plain(text: str) -> Any:
    """The same object for the same text: not to be changed."""
    return json.loads(text)
