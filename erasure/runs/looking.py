"""Somebody whom no search by key finds is looked for by value before it is said that nothing is
held: they may stand where nobody declared anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from erasure.connect import make_store
from erasure.domain.finding import Seed, key_text
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import canonical, each
from erasure.domain.verdict import Knowledge, Sighting, judge
from erasure.models import ErasureRequest, ScanResult
from erasure.runs import case, rescanning, sightings
from erasure.runs.earlier import known_besides
from erasure.stores.base import Hit, Searched
from lineage.graph import Dataset, StoreEntry


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look by value has come to: ``seen``, why the case is blocked, empty where nothing of
    the person was seen; ``left``, in words, what it did not look for."""

    seen: str = ""
    left: str = ""


@dataclass(frozen=True, kw_only=True)
class _Sought:
    """The needles, by what rows would be the person's own, and whose rows are whoever's refers to
    them."""

    needles: Matcher
    own: Mapping[tuple[str, str], set[str]]
    referenced: frozenset[str]


def look(
    request: ErasureRequest, given: case.Given, seeds: Sequence[Seed], referenced: frozenset[str]
) -> Look:
    """One pass over every store in which the re-scan would look for the person at once.
    ``referenced``: datasets whose rows are shared by those who refer to them. Raises StoreError
    for a store that cannot be read: nothing is then claimed of it."""
    needles: dict[str, set[Needle]] = {}
    case.add_given(needles, given)
    matcher = Matcher(needle for owned in needles.values() for needle in owned)
    if not matcher:
        return Look(left="; they are too short to be looked for by value")
    sought = _Sought(needles=matcher, own=_own(given, seeds), referenced=referenced)
    entries = list(rescanning.searched([request]))
    later = ", ".join(e.name for e in entries if rescanning.is_scheduled(e))
    places = Counter[tuple[str, str, str]]()
    for entry in entries:
        if not rescanning.is_scheduled(entry):
            places.update(_seen_in(entry, sought))
    return Look(
        seen=_words(places) if places else "",
        left=f"; not looked for by value in {later} (rescan: scheduled)" if later else "",
    )


def nothing_known(request: ErasureRequest, *more: str) -> str:
    """Why there is nothing, for whoever has to say so; with the cases that may know better."""
    told = "".join(("no store knows these identifiers", *more))
    others = " ".join(str(one.pk) for one in known_besides(request))
    if not others:
        return told
    return (
        f"{told}; what a person was known by of whom something is kept is among them, and "
        f"something else is not: look at case {others}"
    )


def _own(given: case.Given, seeds: Sequence[Seed]) -> dict[tuple[str, str], set[str]]:
    values: dict[str, set[str]] = {}
    for pairs in given.values():
        for kind, value in pairs:
            values.setdefault(kind, set()).add(canonical(value, kind))
    return {(s.dataset, s.field): values.get(s.kind, set()) for s in seeds}


def _seen_in(entry: StoreEntry, sought: _Sought) -> Iterator[tuple[str, str, str]]:
    """The place of everything there that is the person's."""
    declared = rescanning.declared_in(entry.name)
    by_name = rescanning.by_collection([d.dataset for d in declared])
    with closing(make_store(entry)) as store:
        for hit in store.scan(declared, sought.needles):
            if not isinstance(hit, Searched) and _is_theirs(
                hit, by_name.get(hit.collection), sought
            ):
                yield entry.name, hit.collection, hit.field


def _is_theirs(hit: Hit, dataset: Dataset | None, sought: _Sought) -> bool:
    if dataset is not None and _is_told_apart(hit, dataset, sought):
        return False
    seen = Sighting(
        field=hit.field,
        key=key_text(hit.key),
        whole=hit.whole,
        coarse=sought.needles.needles[hit.needle].coarse,
        owner=hit.owner,
    )
    known = Knowledge(
        dataset=dataset,
        needles=sought.needles,
        own=sought.own,
        referenced=dataset is not None and dataset.address in sought.referenced,
    )
    return judge(seen, known) == "residue"


def _is_told_apart(hit: Hit, dataset: Dataset, sought: _Sought) -> bool:
    """The search by key has looked at this very field: what it does not take for the person's is
    somebody else's (``ß`` is no ``ss``), and whoever answers is told of it."""
    own = sought.own.get((dataset.address, hit.field))
    field = dataset.get(hit.field)
    if own is None or field is None or not hit.whole or hit.field not in hit.owner:
        return False
    return own.isdisjoint(canonical(one, field.identity) for one in each(hit.owner[hit.field]))


def _words(places: Counter[tuple[str, str, str]]) -> str:
    seen = [
        ScanResult(store=store, collection=name, field=field, verdict="residue", count=count)
        for (store, name, field), count in sorted(places.items())
    ]
    return (
        "no search by key leads to the person, but a look by value has seen them: "
        f"{sightings.residue_places(seen)}; declare it in the catalogue, then plan again"
    )
