"""A walk's neighbours straight from the database: only what a frontier touches is read, in batches,
so that a catalogue of any size costs what the person's reach costs.

What was read is kept: a second walk with the same instance asks for nothing it knows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from lineage import models
from lineage.batches import BATCH, batched, in_batches
from lineage.graph import (
    Dataset,
    Derivation,
    Edge,
    Field,
    Neighbours,
    Reference,
    edges_of,
    edges_of_derivation,
)

# What decides about a reference: keys, identities, what is personal.
_TELLING = Q(primary_key=True) | Q(personal=True) | Q(free_text=True) | ~Q(identity="")
_FIELD = ("dataset_id", "name", "identity", "primary_key", "free_text", "personal")
_ENDS = ("holder__dataset_id", "target__dataset_id")
_MADE = ("upstream_id", "downstream_id")
_PLAIN: dict[tuple[Any, ...], Field] = {}


class Frontier:
    """A ``neighbours`` function for :func:`lineage.graph.walk`."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._addresses: dict[int, str] = {}
        self._light: dict[int, Dataset] = {}
        self._out: dict[str, Neighbours] = {}

    def __call__(self, frontier: frozenset[str]) -> Neighbours:
        """What leads out of these addresses, in the order of a walk."""
        ordered = sorted(frontier)
        fresh = [address for address in ordered if address not in self._out]
        if fresh:
            self._read(fresh)
        found = [self._out[address] for address in ordered]
        return Neighbours(
            edges=tuple(chain.from_iterable(one.edges for one in found)),
            derivations=tuple(chain.from_iterable(one.derivations for one in found)),
            in_order=True,
        )

    def _read(self, fresh: Sequence[str]) -> None:
        ids = self._ids_of(fresh)
        references = _references(ids)
        derivations = list(in_batches(models.Derivation.objects.all(), "upstream_id", ids,
                                       (*_MADE, "kind", "columns")))  # fmt: skip
        ends = {end for row in references for end in row[:2]}
        self._look(ends | {end for row in derivations for end in row[:2]})
        edges: dict[str, list[Edge]] = {address: [] for address in fresh}
        for row in references:
            self._edges(row, edges)
        made: dict[str, list[Derivation]] = {address: [] for address in fresh}
        for upstream, downstream, kind, columns in derivations:
            one = Derivation(
                upstream=self._addresses[upstream],
                downstream=self._addresses[downstream],
                kind=kind,
                columns=columns,
            )
            made[one.upstream].append(one)
            for edge in edges_of_derivation(one, self._light[upstream]) if columns else ():
                if edge not in edges[edge.origin]:  # a person may have written the same reference
                    edges[edge.origin].append(edge)
        for address in fresh:
            self._out[address] = Neighbours(
                edges=tuple(sorted(edges[address], key=_order)), derivations=tuple(made[address])
            )

    def _edges(self, row: tuple[Any, ...], edges: Mapping[str, list[Edge]]) -> None:
        holder, target, mine, theirs, direction, on_erase, ghost, also = row
        reference = Reference(
            holder=self._addresses[holder],
            holder_field=mine,
            target=self._addresses[target],
            target_field=theirs,
            direction=direction or None,
            on_erase=on_erase or None,
            ghost=ghost,
            also=() if also == "[]" else tuple((a, b) for a, b in json.loads(also)),
        )
        for edge in edges_of(reference, self._light[holder], self._light[target]):
            if edge.origin in edges:
                edges[edge.origin].append(edge)

    def _ids_of(self, addresses: Sequence[str]) -> list[int]:
        unknown = [address for address in addresses if address not in self._ids]
        rows = models.Dataset.objects.all()
        for address, pk in in_batches(rows, "address", unknown, ("address", "pk")):
            self._ids[address] = pk
        return [self._ids[address] for address in addresses if address in self._ids]

    def _look(self, ids: Collection[int]) -> None:
        """The datasets, with the fields that tell."""
        fresh = [pk for pk in ids if pk not in self._light]
        fields: dict[int, list[Field]] = {}
        rows = models.Field.objects.filter(_TELLING)
        for pk, *told in in_batches(rows, "dataset_id", fresh, _FIELD):
            fields.setdefault(pk, []).append(_field(*told))
        places = models.Dataset.objects.all()
        for pk, address in in_batches(places, "pk", fresh, ("pk", "address")):
            self._ids[address], self._addresses[pk] = pk, address
            self._light[pk] = Dataset(
                address=address, store="", name="", fields=tuple(fields.get(pk, ()))
            )


def _field(name: str, identity: str, key: bool, text: bool, personal: bool) -> Field:
    # Thousands of tables have a key called id: one value says so for all of them.
    told = (name, identity, key, text, personal)
    if told not in _PLAIN:
        if len(_PLAIN) > BATCH:
            _PLAIN.clear()
        _PLAIN[told] = Field(
            name=name,
            identity=identity or None,
            primary_key=key,
            free_text=text,
            personal_override=personal,
        )
    return _PLAIN[told]


def _order(edge: Edge) -> tuple[str, ...]:
    return (edge.origin_field, edge.destination, edge.destination_field, edge.effect)


def _references(ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """Each once: one that leads in a single direction is read from the end that it leads from."""
    columns = (*_ENDS, "holder__name", "target__name", *models.REFERENCE_COLUMNS[4:7], "said")
    # Hardly any is composite: the rest is not worth parsing.
    rows = models.Reference.objects.annotate(said=Cast("also", TextField()))
    from_target = rows.exclude(direction="to")
    found = list(in_batches(from_target, "target__dataset_id", ids, columns))
    both = {row[:4] for row in found if not row[4]}
    from_holder = rows.exclude(direction="from")
    rest = in_batches(from_holder, "holder__dataset_id", ids, columns)
    found.extend(row for row in rest if row[:4] not in both)
    return found


def dataset_entries(addresses: Iterable[str]) -> Mapping[str, Dataset]:
    """The whole datasets at these addresses, by address."""
    rows = models.Dataset.objects.select_related("store").prefetch_related("fields")
    parts = batched(rows, "address", sorted(set(addresses)))
    return {row.address: row.entry() for part in parts for row in part}
