"""A walk's neighbours straight from the database: only what a frontier touches is read, in batches,
so that a catalogue of any size costs what the person's reach costs.

What was read is kept: a second walk with the same instance asks for nothing it knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from lineage import models
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

# SQLite takes no more parameters in one statement on old systems.
BATCH = 900
_TELLING = Q(primary_key=True) | Q(personal=True) | Q(free_text=True) | ~Q(identity="")
_FIELD = ("dataset__address", "name", "identity", "primary_key", "free_text", "personal")


class Frontier:
    """A ``neighbours`` function for :func:`lineage.graph.walk`."""

    def __init__(self) -> None:
        self._light: dict[str, Dataset] = {}
        self._out: dict[str, Neighbours] = {}

    def __call__(self, frontier: frozenset[str]) -> Neighbours:
        """What leads out of these addresses."""
        fresh = [address for address in frontier if address not in self._out]
        if fresh:
            self._read(fresh)
        found = [self._out[address] for address in frontier]
        return Neighbours(
            edges=tuple(edge for one in found for edge in one.edges),
            derivations=tuple(made for one in found for made in one.derivations),
        )

    def _read(self, fresh: Sequence[str]) -> None:
        references = list(_references(fresh))
        derivations = list(_derivations(fresh))
        ends = {end for r in references for end in (r.holder, r.target)}
        self._look({*ends, *(d.upstream for d in derivations)})
        wanted = set(fresh)
        edges: dict[str, dict[Edge, None]] = {address: {} for address in fresh}
        for reference in references:
            holder, target = self._light[reference.holder], self._light[reference.target]
            for edge in edges_of(reference, holder, target):
                if edge.origin in wanted:
                    edges[edge.origin][edge] = None
        made: dict[str, list[Derivation]] = {address: [] for address in fresh}
        for derivation in derivations:
            made[derivation.upstream].append(derivation)
            for edge in edges_of_derivation(derivation, self._light[derivation.upstream]):
                edges[edge.origin][edge] = None
        for address in fresh:
            self._out[address] = Neighbours(
                edges=tuple(edges[address]), derivations=tuple(made[address])
            )

    def _look(self, addresses: Collection[str]) -> None:
        """The fields that decide what a reference does: keys, identities, what is personal."""
        fresh = [address for address in addresses if address not in self._light]
        fields: dict[str, list[Field]] = {address: [] for address in fresh}
        rows = models.Field.objects.filter(_TELLING)
        for address, name, identity, key, text, personal in _in_batches(
            rows, "dataset__address__in", fresh, _FIELD
        ):
            fields[address].append(
                Field(
                    name=name,
                    identity=identity or None,
                    primary_key=key,
                    free_text=text,
                    personal_override=personal,
                )
            )
        for address, listed in fields.items():
            self._light[address] = Dataset(address=address, store="", name="", fields=tuple(listed))


def _in_batches(
    rows: QuerySet[Any],
    where: str,
    values: Iterable[str],
    columns: Sequence[str],
) -> Iterator[tuple[Any, ...]]:
    listed = list(values)
    for start in range(0, len(listed), BATCH):
        part = rows.filter(**{where: listed[start : start + BATCH]}).order_by()
        yield from part.values_list(*columns)


def _references(addresses: Sequence[str]) -> Iterator[Reference]:
    seen: set[tuple[Any, ...]] = set()
    for end in ("holder", "target"):
        rows = models.Reference.objects.all()
        where = f"{end}__dataset__address__in"
        for row in _in_batches(rows, where, addresses, models.REFERENCE_COLUMNS):
            if row[:4] not in seen:
                seen.add(row[:4])
                yield models.reference_entry(row)


def _derivations(addresses: Sequence[str]) -> Iterator[Derivation]:
    rows = models.Derivation.objects.all()
    for row in _in_batches(rows, "upstream__address__in", addresses, models.DERIVATION_COLUMNS):
        yield models.derivation_entry(row)


def dataset_entries(addresses: Iterable[str]) -> Mapping[str, Dataset]:
    """The whole datasets at these addresses, by address."""
    found: dict[str, Dataset] = {}
    listed = sorted(set(addresses))
    rows = models.Dataset.objects.select_related("store").prefetch_related("fields")
    for start in range(0, len(listed), BATCH):
        for row in rows.filter(address__in=listed[start : start + BATCH]):
            found[row.address] = row.entry()
    return found
