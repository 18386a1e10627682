"""Every store is asked again by key, then re-scanned by value, never with what deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from erasure.connect import make_store
from erasure.domain.finding import Person
from erasure.domain.needles import Matcher
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Run, ScanResult, StoreScan
from erasure.runs import case, journal
from erasure.runs.knowing import RunKnowledge
from erasure.runs.lease import Fence
from erasure.runs.opening import task_of
from erasure.runs.searching import Stores, find_rows
from erasure.stores.base import Declared, Hit, Searched
from lineage import selectors
from lineage.graph import Dataset, Reference, StoreEntry

# Nothing of the person can be looked for there: whole sets that expire, recipients elsewhere.
_UNSEEN_KINDS = frozenset({"backups", "manual"})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something was seen, and what it is."""

    person: Person
    store: str
    collection: str
    field: str
    verdict: str


def rescan_run(run: Run, fence: Fence) -> None:
    """Look everywhere again for every member of the run, and write down what was seen.

    Raises StoreError for a store that cannot be read: nothing is then claimed of it.
    """
    requests = case.members(run)
    needles = journal.open_needles(run, [str(r.id) for r in requests])
    knowledge = RunKnowledge(run, requests, needles)
    matcher = journal.matcher_of(needles)
    places = _asked_by_key(run, requests, knowledge)
    for entry in selectors.stores():
        if entry.kind not in _UNSEEN_KINDS and knowledge.covers(entry.name):
            _scan_store(run, entry, matcher, knowledge, places, fence)
    with transaction.atomic():
        fence.check()
        _write(run, requests, places)


def _asked_by_key(
    run: Run, requests: Sequence[ErasureRequest], knowledge: RunKnowledge
) -> Counter[Place]:
    """The identities again, by key: a row that still answers to one is residue, unless the law
    keeps it."""
    steps = journal.run_steps(run)
    plan = case.plan_of(requests)
    places: Counter[Place] = Counter()
    task = task_of(plan, steps, case.given_by(requests))
    with Stores() as stores:
        findings = find_rows(task, stores)
    for address, text, row in findings.walk():
        dataset = task.datasets[address]
        if address in knowledge.unseen:
            continue
        for person in row.deep_for:
            fate = knowledge.fate(person, dataset).get(text)
            verdict = "retained" if fate == "retained" else "residue"
            if fate != "stays":
                places[
                    Place(
                        person=person,
                        store=dataset.store,
                        collection=dataset.name,
                        field="(key)",
                        verdict=verdict,
                    )
                ] += 1
    return places


def _scan_store(
    run: Run,
    entry: StoreEntry,
    matcher: Matcher,
    knowledge: RunKnowledge,
    places: Counter[Place],
    fence: Fence,
) -> None:
    declared = declared_in(entry.name)
    by_name = _by_collection([d.dataset for d in declared])
    totals = Counter({"collections": 0, "fields": 0, "rows": 0})
    store = make_store(entry)
    try:
        for seen in store.scan(declared, matcher):
            if isinstance(seen, Searched):
                totals.update({"collections": 1, "fields": seen.fields, "rows": seen.rows})
                fence.check()
            else:
                _judge(seen, entry.name, by_name.get(seen.collection), knowledge, places)
    finally:
        store.close()
    with transaction.atomic():
        fence.check()
        StoreScan.objects.update_or_create(
            run=run, store=entry.name, defaults={**totals, "at": timezone.now()}
        )


def _by_collection(datasets: Sequence[Dataset]) -> dict[str, Dataset]:
    """Datasets as their store names them: ``schema.name`` outside its default schema. A schema
    that is given may be that default; a dataset without one has the first claim to its name."""
    named = {d.name: d for d in datasets if d.schema}
    named |= {f"{d.schema}.{d.name}": d for d in datasets if d.schema}
    return named | {d.name: d for d in datasets if not d.schema}


def declared_in(store: str) -> list[Declared]:
    """A store's datasets, each with the fields that tell whose a row is."""
    references = selectors.references()
    return [
        Declared(dataset=d, owners=_owners(d, references))
        for d in selectors.datasets(store).values()
    ]


def _owners(dataset: Dataset, references: Sequence[Reference]) -> tuple[str, ...]:
    names = [f.name for f in dataset.identities]
    names += [
        r.holder_field
        for r in references
        if r.holder == dataset.address and r.direction in (None, "from") and not r.also
    ]
    return tuple(dict.fromkeys(names))


def _judge(
    hit: Hit,
    store: str,
    dataset: Dataset | None,
    knowledge: RunKnowledge,
    places: Counter[Place],
) -> None:
    for person in knowledge.people_of(hit.needle):
        verdict = knowledge.judge(person, hit, dataset)
        places[
            Place(
                person=person,
                store=store,
                collection=hit.collection,
                field=hit.field,
                verdict=verdict,
            )
        ] += 1


def _write(run: Run, requests: Sequence[ErasureRequest], places: Mapping[Place, int]) -> None:
    run.scan_results.filter(request__in=requests).delete()
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
    ledger.append(
        "rescan",
        {
            "run": str(run.id),
            "stores": run.scans.count(),
            "residue": sum(n for p, n in places.items() if p.verdict == "residue"),
        },
    )
