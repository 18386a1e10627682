"""Every store is re-scanned by value and asked again by key, never with what deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils import timezone

from erasure.connect import make_store
from erasure.domain.bulk import Block
from erasure.domain.finding import KeyText, People, Person, Row, key_text
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Scalar
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Run, ScanResult, StoreScan
from erasure.runs import case, journal, rescanning
from erasure.runs.knowing import RunKnowledge
from erasure.runs.lease import Fence
from erasure.runs.pieces import Pieces, going_of
from erasure.runs.searching import Stores, find_rows
from erasure.stores.base import Declared, Hit, Key, Searched
from lineage.graph import Dataset, StoreEntry


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something was seen, and what it is."""

    person: Person
    store: str
    collection: str
    field: str
    verdict: str


def rescan_run(run: Run, fence: Fence) -> None:
    """Look everywhere again for every member of the run, but in stores that are scanned by
    schedule, and write down what was seen.

    Raises StoreError for a store that cannot be read: nothing is then claimed of it.
    """
    _look([_party(run, case.members(run))], fence, later=True)


def rescan_waiting(requests: Sequence[ErasureRequest], fence: Fence) -> None:
    """Look everywhere again for people of any number of runs, in one pass over each store."""
    runs = rescanning.by_run(requests)
    _look([_party(run, members) for run, members in runs.items()], fence, later=False)


@dataclass(frozen=True, kw_only=True)
class _Party:
    """People of one run who are looked for, and what was seen of them and where."""

    run: Run
    requests: Sequence[ErasureRequest]
    knowledge: RunKnowledge
    places: Counter[Place]
    scans: dict[str, dict[str, Any]]


def _party(run: Run, requests: Sequence[ErasureRequest]) -> _Party:
    needles = journal.open_needles(run, [str(r.id) for r in requests])
    knowledge = RunKnowledge(run, requests, needles)
    return _Party(run=run, requests=requests, knowledge=knowledge, places=Counter(), scans={})


def _look(parties: Sequence[_Party], fence: Fence, *, later: bool) -> None:
    """``later``: what is scanned by schedule is left to that. Nothing is written down of a party
    before everything was seen, so that a pass that was cut short claims nothing."""
    there: dict[str, tuple[StoreEntry, list[_Party]]] = {}
    for party in parties:
        for entry in rescanning.searched(party.requests):
            if not (later and rescanning.is_scheduled(entry)):
                there.setdefault(entry.name, (entry, []))[1].append(party)
    for entry, those in there.values():
        _scan_store(entry, those, fence)
    for party in parties:  # last: what was written during a long scan may hold but the key
        _ask_by_key(party)
    for party in parties:
        with ledger.together():
            fence.check()
            _write(party)


def _ask_by_key(party: _Party) -> None:
    """The identities again, by key: a row that still answers to one is residue, unless the law
    keeps it."""
    knowledge, task = party.knowledge, party.knowledge.task
    with Stores() as stores:
        findings = find_rows(task, stores, pieces=_Answering(party))
    for address, text, row in findings.walk():
        if address not in knowledge.unseen:
            read = dict(zip(task.guards.get(address, ()), _guard_of(row), strict=False))
            whose = {p for p in row.deep_for if not knowledge.is_left(p, address, read)}
            _answers(party, task.datasets[address], text, whose)


class _Answering(Pieces):
    """Rows that are all dealt with alike and still answer, judged as they are found."""

    def __init__(self, party: _Party) -> None:
        knowledge = party.knowledge
        stores = {s.store for s in knowledge.steps}
        going = going_of(knowledge.steps, knowledge.task.guards, stores)
        super().__init__({a: s for a, s in going.items() if not knowledge.marks_of(a)}, {})
        self._party = party

    def also(self, dataset: str) -> tuple[str, ...]:
        """Nothing: nobody's values are learnt from what is left."""
        return ()

    def keep(self, dataset: str, block: Block, people: People) -> None:
        """Judge rows of some people."""
        for row in block.rows:
            text = key_text(row[: block.width])
            _answers(self._party, self.going[dataset].step.dataset, text, people)


def _answers(party: _Party, dataset: Dataset, text: KeyText, people: Iterable[Person]) -> None:
    for person in people:
        fate = party.knowledge.fate(person, dataset).get(text)
        verdict = "retained" if fate == "retained" else "residue"
        if fate != "stays":
            party.places[
                Place(
                    person=person,
                    store=dataset.store,
                    collection=dataset.name,
                    field="(key)",
                    verdict=verdict,
                )
            ] += 1


def _guard_of(row: Row) -> tuple[Scalar, ...]:
    return row.payload.guard if isinstance(row.payload, Key) else ()


def _scan_store(entry: StoreEntry, parties: Sequence[_Party], fence: Fence) -> None:
    """One pass for everybody."""
    matcher = Matcher(needle for party in parties for needle in party.knowledge.needles)
    declared = [_marked(d, parties) for d in rescanning.declared_in(entry.name)]
    by_name = rescanning.by_collection([d.dataset for d in declared])
    totals = Counter({"collections": 0, "fields": 0, "rows": 0})
    store = make_store(entry)
    try:
        for seen in store.scan(declared, matcher):
            if isinstance(seen, Searched):
                totals.update({"collections": 1, "fields": seen.fields, "rows": seen.rows})
                fence.check()
            else:
                needle, dataset = matcher.needles[seen.needle], by_name.get(seen.collection)
                for party in parties:
                    _judge(party, seen, needle, entry.name, dataset)
    finally:
        store.close()
    for party in parties:
        party.scans[entry.name] = {**totals, "at": timezone.now()}


def _marked(declared: Declared, parties: Sequence[_Party]) -> Declared:
    """With what tells records apart of which an exception has left some."""
    names = {n for p in parties for n in p.knowledge.marks_of(declared.dataset.address)}
    return replace(declared, marks=tuple(sorted(names))) if names else declared


def _judge(party: _Party, hit: Hit, needle: Needle, store: str, dataset: Dataset | None) -> None:
    for person in party.knowledge.people_of(needle):
        verdict = party.knowledge.judge(person, hit, needle, dataset)
        party.places[
            Place(
                person=person,
                store=store,
                collection=hit.collection,
                field=hit.field,
                verdict=verdict,
            )
        ] += 1


def _write(party: _Party) -> None:
    run, places = party.run, party.places
    for store, seen in party.scans.items():
        StoreScan.objects.update_or_create(run=run, store=store, defaults=seen)
    run.scan_results.filter(request__in=party.requests).delete()
    ScanResult.objects.bulk_create(
        ScanResult(
            run=run,
            request_id=place.person,
            store=place.store,
            collection=place.collection,
            field=place.field,
            verdict=place.verdict,
            count=count,
        )
        for place, count in sorted(places.items(), key=lambda item: repr(item[0]))
    )
    ledger.record(
        "rescan",
        {
            "run": str(run.id),
            "stores": run.scans.count(),
            "residue": sum(n for p, n in places.items() if p.verdict == "residue"),
        },
    )
