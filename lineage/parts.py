"""Reads the part of the catalogue that a case rests on, once per revision: what people's walk
touches, however large the rest is.

Where lineage events told anything, everything personal is read first: which keys flow where follows
from all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from django.db.models import Q

from lineage import loading, models, overlay, reading, revision
from lineage.errors import CatalogueError
from lineage.event_models import HeardDataset
from lineage.frontier import Frontier
from lineage.graph import walk
from lineage.part import Part, part_of
from lineage.snapshot import Snapshot

# A catalogue of so many datasets is read whole: that takes fewer statements than a walk.
SMALL = 5_000
# Held at once by a process: people are asked for in a few ways.
_MOST = 8
Name = tuple[tuple[str, ...], str]


@dataclass(frozen=True, kw_only=True)
class _Held:
    """Of one revision: parts by kinds and store, and everything personal where it was needed."""

    at: tuple[str, str]
    parts: dict[Name, Part] = field(default_factory=dict)
    personal: list[Snapshot] = field(default_factory=list)


_lock = Lock()
_held: _Held | None = None


def part(kinds: Iterable[str], store: str = "") -> Part:
    """What a case of people known by these kinds rests on, of one moment. Raises CatalogueError
    where writers never rest."""
    name = (tuple(sorted(set(kinds))), store)
    known = _known(reading.now())
    if known and name in known.parts:
        return known.parts[name]
    with _lock:  # one thread reads; the others find it
        return _read(name)


def _known(at: tuple[str, str] | None) -> _Held | None:
    held = _held
    return held if held and held.at == at else None


def _read(name: Name) -> Part:
    """Again until nobody wrote meanwhile: only what is of one moment is held."""
    found: Part | None = None
    for _ in range(reading.TRIES):
        at = reading.now()
        known = _known(at) or (_Held(at=at) if at else None)
        if known and name in known.parts:
            return known.parts[name]
        try:
            found = part_of(_base(name[0], known), *name)
        except KeyError:
            reading.look_again()
            continue  # a row that refers to one that is not there yet, or any more
        if at == revision.current():
            if known:
                _hold(known, name, found)
            break
        if known:
            known.personal.clear()  # of two moments
        reading.look_again()
    if found is None:
        raise CatalogueError("catalogue", "it is being changed all the time; try again")
    return found


def _hold(known: _Held, name: Name, found: Part) -> None:
    global _held
    if len(known.parts) >= _MOST:
        known.parts.clear()
    known.parts[name] = found
    _held = known


def _base(kinds: Iterable[str], known: _Held | None) -> Snapshot:
    """A snapshot in which everything is that a part of these kinds can have."""
    whole = reading.held()
    if whole is not None:
        return whole
    if models.Dataset.objects.count() <= SMALL:
        return reading.whole()
    if not HeardDataset.objects.exists():
        return _around(_holding(identity__in=list(kinds)))
    if known and known.personal:
        return known.personal[0]
    stores = [row.entry() for row in models.Store.objects.all()]
    people = Q(personal=True) | ~Q(identity="")
    found = overlay.overlaid(_around(_holding(people) | overlay.known_in_events(stores)))
    if known:
        known.personal.append(found)
    return found


def _around(start: set[str]) -> Snapshot:
    """Everything that a walk from there reaches, free text wherever it is, and what touches it."""
    return loading.around(_reached(start) | _holding(free_text=True))


def _reached(start: set[str]) -> set[str]:
    """Addresses alone: what the walk itself holds is gone before anything else is read."""
    return {stop.address for stop in walk(dict.fromkeys(start, ()), Frontier()).stops}


def _holding(*where: Q, **also: object) -> set[str]:
    """Addresses of the datasets with such a field."""
    rows = models.Field.objects.filter(*where, **also).order_by()
    return set(rows.values_list("dataset__address", flat=True).distinct())
