"""The map as a page: of the whole catalogue here, of one plan on the officer's desk."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from lineage import models, reading, selectors
from lineage.atlas import CLASSES, LANES, Chart, Lane, Spot, chart, parents_in
from lineage.drawing import MOST_DRAWN, draw
from lineage.event_models import HeardDataset
from lineage.flowing import HEARD_STORE
from lineage.frontier import Frontier, dataset_entries
from lineage.graph import Dataset, Neighbours, Reach, StoreEntry, walk

LISTED, FOUND, LOST = 1_000, 200, 100
# What somebody might paste into a search, and what would then stand in the address.
_PERSONAL = re.compile(r"@|(?:\d[ /.-]?){7,}")
# action, or the kind of a store that acts by itself → the tag in a box, words, tone
_DEEDS: Mapping[str, tuple[str, str, str]] = {
    "delete": ("delete", "rows are deleted", "go"),
    "anonymize": ("anon", "rows stay, anonymised", "change"),
    "redact": ("redact", "the person's values are blacked out", "change"),
    "restrict": ("restrict", "rows are restricted", "stay"),
    "retain": ("keep", "rows are kept: the law asks for it", "stay"),
    "rebuild": ("rebuild", "built anew without the person", "change"),
    "ignore": ("none", "nothing is done here", "stay"),
    "drop": ("drop", "to be dropped by its owner", "go"),
    "backups": ("expire", "copies expire", "change"),
    "model_registry": ("retrain", "models are retrained", "change"),
    "mlflow": ("retrain", "models are retrained", "change"),
    "manual": ("tell", "recipients are told by hand", "change"),
    "http": ("tell", "recipients are told", "change"),
}
# How a step of a path ends → what that says to a reader.
_HOPS: Mapping[str, str] = {
    "deep": "",
    "shallow": "only the reference",
    "refcount": "shared with others",
    "backed_up": "backed up",
}
_OPEN = ("decide", "nobody decided yet", "open")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is done to a dataset: a tag of a word, the words, and whether it goes, changes, stays
    or is open."""

    tag: str
    words: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the page was asked: a search, and a dataset whose path is lit."""

    q: str = ""
    dataset: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Question:
        """From the address; never longer than any name is."""
        given = {name: request.GET.get(name, "").strip()[:600] for name in ("q", "dataset")}
        return cls(q=given["q"], dataset=given["dataset"])

    @property
    def personal(self) -> bool:
        """It looks like somebody's data, which may not stand in an address."""
        return bool(_PERSONAL.search(self.q))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A dataset in the list below the map."""

    spot: Spot
    holds: str
    mark: Mark
    path: Sequence[str] = field(default_factory=tuple)
    here: bool = False

    @property
    def heard(self) -> bool:
        """Only lineage events know it."""
        return self.spot.store == HEARD_STORE.name


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a map is drawn on: the catalogue with what events told, where this process knows it
    or events told anything; else only what a walk touches is read, however much there is."""

    neighbours: Callable[[frozenset[str]], Neighbours]
    stores: Sequence[StoreEntry]
    whole: Mapping[str, Dataset] | None = None

    @classmethod
    def now(cls) -> Ground:
        """As it is at this moment."""
        known = reading.held()
        if known is None and HeardDataset.objects.exists():
            known = selectors.snapshot()
        if known is None:
            return cls(neighbours=Frontier(), stores=selectors.stores())
        return cls(neighbours=known.neighbours, stores=known.stores, whole=known.datasets)

    def entries(self, addresses: Iterable[str]) -> Mapping[str, Dataset]:
        """The datasets at these addresses."""
        whole = self.whole
        if whole is None:
            return dataset_entries(addresses)
        return {address: whole[address] for address in addresses if address in whole}

    def found(self, q: str, among: Iterable[str]) -> set[str]:
        """Datasets of the map whose address, store, owner or a field is like that."""
        there = sorted(among)
        if self.whole is None:
            return set(islice(_like(q, set(there)), FOUND))
        entries = ((address, self.whole.get(address)) for address in there)
        return set(islice((a for a, d in entries if d is not None and _is_like(q, d)), FOUND))


def map_page(request: HttpRequest) -> HttpResponse:
    """Everything that anybody's data can be in, from every identity."""
    if not request.user.has_perm("lineage.view_dataset"):
        raise PermissionDenied
    question = Question.of(request)
    if question.personal:
        return refused(request)
    kinds = selectors.identity_kinds()
    ground = Ground.now()
    reach = walk(selectors.identity_start(kinds) if kinds else {}, ground.neighbours)
    context = {
        **admin.site.each_context(request),
        "title": "Map of the catalogue",
        "kinds": kinds,
        **mapped(reach, question, ground, lost=_lost(reach)),
    }
    return TemplateResponse(request, "admin/lineage/map.html", context)


def refused(request: HttpRequest) -> HttpResponse:
    """Ask again, without what was typed."""
    messages.warning(
        request, "Search by dataset, store or field; a person's data do not belong there."
    )
    return redirect(request.path)


def mapped(
    reach: Reach,
    question: Question,
    ground: Ground,
    *,
    lost: Sequence[str] = (),
    marks: Mapping[str, Mark] | None = None,
) -> dict[str, Any]:
    """The picture and its list, for a template. ``lost``: personal datasets that nothing leads
    to; ``marks``: what a plan does, by address; without one, what the catalogue says."""
    reached = {stop.address: stop for stop in reach.stops}
    found = ground.found(question.q, reached.keys() | set(lost)) if question.q else None
    wanted = [stop.address for stop in reach.stops[:LISTED]]
    wanted += [*(found or ()), *([question.dataset] if question.dataset in reached else ())]
    parents = parents_in(reach)
    datasets = ground.entries({*_with_trails(parents, wanted), *lost})
    charted = chart(reach, datasets, ground.stores, lost, parents)
    charted = replace(charted, spots={a: _marked(s, marks) for a, s in charted.spots.items()})
    chosen = question.dataset if question.dataset in charted.spots else ""
    drawing = draw(charted, chosen=chosen, lit=found)
    rows = _rows(charted, found, chosen, marks)
    return {
        "question": question,
        "query": urlencode({"q": question.q}) if question.q else "",
        "drawing": drawing,
        "chosen": next((r for r in rows if r.spot.address == chosen), None),
        "unknown": question.dataset if question.dataset and not chosen else "",
        "lanes": _grouped(rows if found is None else [r for r in rows if r.spot.address in found]),
        "found": None if found is None else len(found),
        "legend_stores": sorted(drawing.hues.items(), key=lambda pair: (pair[1], pair[0])),
        "legend_classes": [
            (code, words)
            for code, words in CLASSES.items()
            if any(box.spot.holds == code for box in drawing.boxes)
        ],
        "reached": len(reached),
        "unlisted": max(len(reached) - LISTED, 0) if found is None else 0,
        "most_drawn": MOST_DRAWN,
    }


def _with_trails(parents: Mapping[str, tuple[str, str]], addresses: Iterable[str]) -> set[str]:
    """The addresses, and everything on the way to them."""
    found: set[str] = set()
    for address in addresses:
        step = address
        while step and step not in found:
            found.add(step)
            step = parents.get(step, ("", ""))[0]
    return found


def _like(q: str, there: Container[str]) -> Iterator[str]:
    alike = Q(address__icontains=q) | Q(store__name__icontains=q) | Q(owner__icontains=q)
    rows = models.Dataset.objects.filter(alike | Q(fields__name__icontains=q)).distinct()
    matching = rows.order_by("address").values_list("address", flat=True).iterator()
    return (address for address in matching if address in there)


def _is_like(q: str, dataset: Dataset) -> bool:
    names = (dataset.address, dataset.store, dataset.owner, *(f.name for f in dataset.fields))
    return any(q.casefold() in name.casefold() for name in names)


def _lost(reach: Reach) -> list[str]:
    """Datasets with personal fields that no walk reaches; free text is searched by value."""
    reached = {stop.address for stop in reach.stops}
    rows = models.Field.objects.filter(personal=True, free_text=False)
    rows = rows.exclude(dataset__action="ignore").order_by("dataset__address")
    addresses = rows.values_list("dataset__address", flat=True).distinct().iterator()
    found: list[str] = []
    for address in addresses:
        if address not in reached:
            found.append(address)
        if len(found) == LOST:
            break
    return found


def _marked(spot: Spot, marks: Mapping[str, Mark] | None) -> Spot:
    mark = mark_of(spot) if marks is None else marks.get(spot.address)
    return spot if mark is None else replace(spot, mark=mark.tag, tone=mark.tone)


def mark_of(spot: Spot) -> Mark:
    """What the catalogue says happens there."""
    tag, words, tone = _DEEDS.get(spot.action or spot.kind, _OPEN)
    return Mark(tag=tag, words=words, tone=tone)


def deed(action: str, words: str) -> Mark:
    """What a plan's step does: its tag in the box, and the desk's words for it."""
    tag, _, tone = _DEEDS.get(action, (action, "", "change"))
    return Mark(tag=tag, words=words, tone=tone)


def _rows(
    charted: Chart, found: set[str] | None, chosen: str, marks: Mapping[str, Mark] | None
) -> list[Row]:
    nothing = Mark(tag="", words="nothing: no row of this person", tone="stay")
    return [
        Row(
            spot=spot,
            holds=CLASSES[spot.holds],
            mark=mark_of(spot) if marks is None else marks.get(spot.address, nothing),
            path=[_hop(step) for step in spot.path],
            here=spot.address == chosen,
        )
        for spot in charted.spots.values()
    ]


def _hop(step: str) -> str:
    """A step of a path in words: ``a.id → b.a_id (deep)`` loses its code."""
    start, bracket, code = step.rpartition(" (")
    if not bracket:
        return step
    words = _HOPS.get(code.rstrip(")"), code.rstrip(")"))
    return f"{start}, {words}" if words else start


def _grouped(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """The rows by what column of the map they are in."""
    groups: dict[Lane, list[Row]] = {lane: [] for lane in LANES}
    for row in rows:
        groups[row.spot.lane].append(row)
    words = {**LANES, "data": "The data themselves"}
    return [
        (words[lane], sorted(group, key=lambda r: (r.spot.distance, r.spot.address)))
        for lane, group in groups.items()
        if group
    ]
