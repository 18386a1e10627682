"""What an approved plan rests on in the catalogue: which reach, which steps, in which order.

A plan is stale when this would come out differently by now, and not because something else in the
catalogue has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from weakref import ref

from erasure.domain.errors import UsageError
from erasure.domain.plan import World, draft_steps
from lineage.graph import plain
from lineage.part import Part

# A part never changes, and is the same for everybody until the catalogue does.
_last: tuple[ref[Part], str] | None = None


def basis_of(part: Part) -> str:
    """Hex SHA-256 over everything that a plan on this part takes from the catalogue: equal means
    that it would be the same, as far as live stores are. Raises UsageError where nothing was
    decided."""
    global _last
    last = _last
    if last is None or last[0]() is not part:
        last = _last = ref(part), _digest(part)
    return last[1]


def _digest(part: Part) -> str:
    said = hashlib.sha256()
    for entry in _said(part):
        said.update(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return said.hexdigest()


def changed(part: Part, basis: str) -> bool:
    """Whether a plan made on this part rests on anything else than ``basis``."""
    try:
        return basis_of(part) != basis
    except UsageError:
        return True


def _said(part: Part) -> Iterator[Any]:
    catalogue, reach = part.catalogue, part.reach
    world = World(
        datasets=catalogue.datasets,
        stores={entry.name: entry for entry in catalogue.stores},
        references=catalogue.references,
        inspections={},  # stores say themselves what has changed in them
    )
    for draft in draft_steps(reach, world):
        yield [plain(draft.store), draft.step.to_json(), draft.path, draft.reason]
    passed = {a for a, d in catalogue.datasets.items() if d.action == "ignore"}
    for stop in reach.stops:
        if stop.address not in passed:
            yield [stop.address, stop.effect, stop.path, stop.seeds]
    for edge in reach.edges:
        if edge.destination not in passed:  # no row is looked for there
            yield [edge.forward, edge.effect, *plain(edge.reference).values()]
