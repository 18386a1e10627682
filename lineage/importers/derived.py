"""What follows from column lineage for the catalogue: derivations, references that were copied
along, and classes of data that came with a value. Pure, and the same wherever the flows are from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from lineage.columns import Flow
from lineage.graph import Dataset, Derivation, Reference

Place = tuple[str, str]
# A value that was changed is still about the person; a count of many is about nobody in particular.
_KEEPS_CLASS = frozenset({"identity", "transformation"})


def derivation(upstream: str, downstream: str, flows: Iterable[Flow]) -> Derivation:
    """Made from it; ``columns`` are the fields that are the same in both."""
    columns = {
        f.target_field: f.source_field
        for f in flows
        if (f.source, f.target, f.kind) == (upstream, downstream, "identity")
    }
    return Derivation(upstream=upstream, downstream=downstream, columns=columns)


def classified(datasets: Mapping[str, Dataset], flows: Iterable[Flow]) -> dict[str, Dataset]:
    """The datasets, their fields with the categories of what flows into them. A field with
    categories of its own, or that a person decided on, keeps what it has."""
    onward: dict[Place, list[Place]] = {}
    for flow in flows:
        if flow.kind in _KEEPS_CLASS:
            source, target = (flow.source, flow.source_field), (flow.target, flow.target_field)
            onward.setdefault(source, []).append(target)
    own = {
        (address, f.name): f.categories
        for address, dataset in datasets.items()
        for f in dataset.fields
        if f.categories and f.personal_override is not False
    }
    found: dict[Place, dict[str, None]] = {}
    for place, categories in own.items():
        for reached in _reached(place, onward):
            if reached not in own:
                found.setdefault(reached, {}).update(dict.fromkeys(categories))
    return {
        address: replace(
            dataset,
            fields=tuple(
                replace(f, categories=tuple(found[address, f.name]))
                if (address, f.name) in found and f.personal_override is None
                else f
                for f in dataset.fields
            ),
        )
        for address, dataset in datasets.items()
    }


def _reached(place: Place, onward: Mapping[Place, list[Place]]) -> Iterator[Place]:
    seen = {place}
    waiting = [place]
    while waiting:
        for after in onward.get(waiting.pop(), ()):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
                yield after


def carried(
    references: Iterable[Reference], flows: Iterable[Flow], datasets: Mapping[str, Dataset]
) -> list[Reference]:
    """A reference copied into another dataset refers there as well: an order's customer is still
    the customer in what is made of orders. Nothing is looked up in a dataset that is ignored, and
    a part of a composite reference alone leads to strangers."""
    onward: dict[Place, list[Place]] = {}
    for flow in flows:
        if flow.kind == "identity":
            source, target = (flow.source, flow.source_field), (flow.target, flow.target_field)
            onward.setdefault(source, []).append(target)
    found: dict[tuple[str, str, str, str], Reference] = {}
    given = [r for r in references if not r.also and r.direction != "to"]
    for one in given:
        for address, name in _reached((one.holder, one.holder_field), onward):
            dataset = datasets.get(address)
            if dataset is None or dataset.action == "ignore" or address == one.target:
                continue
            key = (address, name, one.target, one.target_field)
            found[key] = replace(one, holder=address, holder_field=name, ghost=False)
    known = {(r.holder, r.holder_field, r.target, r.target_field) for r in given}
    return [one for key, one in sorted(found.items()) if key not in known]


def unconfirmed(flows: Iterable[Flow], datasets: Mapping[str, Dataset]) -> Iterator[Flow]:
    """Flows that might lead to a person and that a person has to confirm: worked out of a key or
    an identity."""
    for flow in flows:
        source = datasets.get(flow.source)
        one = source.get(flow.source_field) if source else None
        if flow.kind == "transformation" and one and (one.primary_key or one.identity):
            yield flow
