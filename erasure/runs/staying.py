"""Rows past their date that stay all the same: a hold is about them or their person, or a case of
somebody's keeps them, and deals with them on a day of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet
from django.utils import timezone

from erasure import vault
from erasure.connect import open_store
from erasure.domain.errors import StoreError
from erasure.domain.finding import KeyText, Seed
from erasure.domain.states import SETTLED, WAITING
from erasure.domain.values import canonical, each
from erasure.models import ErasureRequest, HeldPerson, KeptDataset, PlanStep
from erasure.runs import case, holding, journal
from erasure.runs.searching import Stores, Task, find_rows
from erasure.stores.base import Restorable
from lineage import selectors
from lineage.graph import Dataset, walk

_HELD = "about people on hold"
_CASE = "kept for a case, which deals with them on its own day"
_ASKED = "of people whose request waits for an answer"


@dataclass(frozen=True, kw_only=True)
class Staying:
    """``whole``: why nothing goes from a dataset; ``rows``: why a row stays, by dataset and key."""

    whole: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, dict[KeyText, str]] = field(default_factory=dict)

    def why(self, address: str, text: KeyText) -> str:
        """Why that row stays; empty when it may go."""
        return self.whole.get(address, "") or self.rows.get(address, {}).get(text, "")


def staying(addresses: Collection[str], stores: Stores) -> Staying:
    """What stays in these datasets. Raises StoreError where that cannot be told: then nothing may
    go."""
    whole = {
        address: f"{holding.ON_HOLD} {timezone.localdate(hold.placed_at)} ({hold.code})"
        for hold in holding.active().filter(of_people=False).order_by("-placed_at")
        for address in set(hold.datasets) & set(addresses)
    }
    rows: dict[str, dict[KeyText, str]] = {}
    for why, given in ((_ASKED, _given()), (_HELD, _on_hold(addresses))):
        for address, text in _theirs(given, addresses, stores):
            rows.setdefault(address, {})[text] = why
    for address, text in _of_cases(addresses):
        rows.setdefault(address, {})[text] = _CASE
    return Staying(whole=whole, rows=rows)


def _asking() -> QuerySet[ErasureRequest]:
    """Open requests for data to be restricted or handed out, or with an exception."""
    kept = KeptDataset.objects.filter(lifted_at=None).values("request")
    asking = ErasureRequest.objects.filter(~Q(right="erasure") | Q(pk__in=kept))
    return asking.exclude(state__in=SETTLED)


def _given() -> case.Given:
    """What those people gave: nothing of theirs goes beside their case."""
    asking = list(_asking())
    return case.given_by(asking, proved=False) if asking else {}


def _on_hold(addresses: Collection[str]) -> case.Given:
    """The people on hold, as the stores name them now: a hold knows keyed pseudonyms alone, so
    every identity is hashed and compared. Raises StoreError where a kind can be read nowhere."""
    about = list(holding.active().filter(of_people=True))
    about = [h for h in about if not h.datasets or set(h.datasets) & set(addresses)]
    known = set(HeldPerson.objects.filter(hold__in=about).values_list("kind", "keyed_hash"))
    if not known:
        return {}
    pairs: set[tuple[str, str]] = set()
    for dataset, names in _naming({kind for kind, _ in known}):
        for kind, value in _values(dataset, names):
            if (kind, vault.pseudonym(kind, value)) in known:
                pairs.add((kind, value))
    return {_HELD: sorted(pairs)}


def _naming(kinds: Collection[str]) -> list[tuple[Dataset, Mapping[str, str]]]:
    """Datasets that can be read to their end and name people by these kinds, with the fields that
    do. Raises StoreError for a kind by which no such dataset does."""
    found: list[tuple[Dataset, Mapping[str, str]]] = []
    for dataset in selectors.datasets().values():
        names = {f.name: str(f.identity) for f in dataset.identities if f.identity in kinds}
        if names and dataset.action != "ignore" and _readable(dataset.store):
            found.append((dataset, names))
    unread = set(kinds).difference(*(names.values() for _, names in found))
    if unread:
        raise StoreError(
            "hold",
            f"people on hold are known by {', '.join(sorted(unread))}, which stands in no database "
            "of the catalogue; release the hold, or let it be about datasets",
        )
    return found


def _readable(name: str) -> bool:
    with open_store(name) as store:
        return isinstance(store, Restorable)


def _values(dataset: Dataset, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    with open_store(dataset.store) as store:
        assert isinstance(store, Restorable)  # noqa: S101 - only those are named
        for row in store.read(dataset, list(names)):
            for kind, value in zip(names.values(), row, strict=True):
                for one in each(value):
                    yield kind, canonical(one, kind)


def _theirs(
    given: case.Given, addresses: Collection[str], stores: Stores
) -> Iterator[tuple[str, KeyText]]:
    """Every row of these datasets that the walk from what people gave leads to."""
    wanted = case.wanted_of(given)
    kinds = wanted.keys() & set(selectors.identity_kinds())
    if not kinds:
        return
    catalogue = selectors.snapshot()
    reach = walk(selectors.identity_start(kinds), catalogue.neighbours)
    task = Task(
        datasets=catalogue.datasets,
        edges=[e for e in reach.edges if catalogue.datasets[e.destination].action != "ignore"],
        seeds=[
            Seed(
                dataset=stop.address, field=name, kind=_kind(catalogue.datasets, stop.address, name)
            )
            for stop in reach.stops
            for name in stop.seeds
            if catalogue.datasets[stop.address].action != "ignore"
        ],
        guards={},
        wanted=wanted,
    )
    for address, text, _ in find_rows(task, stores).walk():
        if address in addresses:
            yield address, text


def _kind(datasets: Mapping[str, Dataset], address: str, name: str) -> str:
    found = datasets[address].get(name)
    return str(found.identity) if found else ""


def _of_cases(addresses: Collection[str]) -> Iterator[tuple[str, KeyText]]:
    """Rows that decided cases have left there until a day, or for a hold."""
    waits = Q(residue="retained_until") | Q(on_hold=True)
    steps = PlanStep.objects.filter(waits, dataset__in=addresses, rows__gt=0)
    steps = steps.filter(plan__request__state__in=WAITING)
    cases = ErasureRequest.objects.filter(pk__in=steps.values("plan__request"))
    for one in cases.exclude(run=None).select_related("run").iterator():
        assert one.run is not None  # noqa: S101 - excluded above
        there = {s.ordinal: s.step.dataset.address for s in journal.run_steps(one.run)}
        for entry in journal.read_run(one.run, {str(one.id)}):
            if there[entry.ordinal] in addresses:
                yield there[entry.ordinal], entry.text
