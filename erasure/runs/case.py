"""What a case has in the vault and the catalogue, as the values that the search needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from erasure import vault
from erasure.domain.finding import Seed, Wanted, add_wanted
from erasure.domain.needles import Needle, value_needles
from erasure.models import ErasureRequest
from lineage.graph import Edge, Field, Reference


def identifiers_of(request: ErasureRequest) -> list[tuple[str, str]]:
    """The (kind, value) pairs that the person gave. Raises KeyDestroyed after their date."""
    key = vault.open_key(request.id, "identifiers")
    return [
        (
            record.kind,
            vault.unseal(
                key, record.sealed, label=f"identifier:{request.id}:{record.kind}"
            ).decode(),
        )
        for record in request.identifiers.order_by("kind", "id")
    ]


def wanted_of(requests: Iterable[ErasureRequest]) -> dict[str, Wanted]:
    """Everybody's identifiers by kind, for one search over all of them."""
    wanted: dict[str, Wanted] = {}
    for request in requests:
        for kind, value in identifiers_of(request):
            add_wanted(wanted.setdefault(kind, {}), value, {str(request.id)}, kind)
    return wanted


def needles_given(request: ErasureRequest) -> set[Needle]:
    """The identifiers themselves are needles too, as far as they can be searched for."""
    return {
        needle
        for kind, value in identifiers_of(request)
        for needle in value_needles(Field(name=kind, identity=kind), value)
    }


def edge_to_json(edge: Edge) -> dict[str, Any]:
    """A plain copy of an edge for the plan."""
    return {**vars(edge), "reference": vars(edge.reference)}


def edge_from_json(plain: Mapping[str, Any]) -> Edge:
    """The inverse of :func:`edge_to_json`."""
    return Edge(**{**plain, "reference": Reference(**plain["reference"])})


def seeds_from_json(plain: Mapping[str, Mapping[str, str]]) -> list[Seed]:
    """Seeds from a plan's ``dataset → field → identity kind``."""
    return [
        Seed(dataset=dataset, field=field, kind=kind)
        for dataset, fields in sorted(plain.items())
        for field, kind in sorted(fields.items())
    ]
