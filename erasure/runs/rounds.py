"""Searching again: rows that were added after the first search, also under parents now gone."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from django.db import transaction

from erasure.domain.errors import StoreError
from erasure.domain.finding import KeyText, Wanted, add_wanted, key_text
from erasure.domain.values import Scalar
from erasure.models import Run, StoreRun
from erasure.runs import case, journal, opening
from erasure.runs.journal import Entry, RunStep
from erasure.runs.searching import Stores, Task, find_mentions, find_rows, gather_needles
from erasure.stores.base import Selector
from erasure.transitions import move
from lineage.graph import Edge

Known = dict[tuple[str, KeyText], Entry]


def search_again(run: Run, steps: Sequence[RunStep]) -> int:
    """Write down what was not known yet, as batches of a new round; returns how many rows."""
    requests = list(run.requests.all())
    plan = requests[0].plans.filter(state="approved").first()
    if plan is None:
        raise StoreError("run", "its approved plan is gone; plan again")
    task = opening.task_of(plan, steps, case.given_by(requests))
    known = known_entries(run, steps)
    needles = journal.open_needles(run)
    with Stores() as stores:
        carried = _carried(task, known, steps, stores)
        findings = find_rows(task, stores, carried)
        new_rows = {
            address: {text: row for text, row in table.items() if (address, text) not in known}
            for address, table in findings.rows.items()
        }
        findings.rows = {address: table for address, table in new_rows.items() if table}
        for person, found in gather_needles(findings, task.datasets, stores).items():
            needles.setdefault(person, set()).update(found)
        mentions = find_mentions([s.step for s in steps], needles, findings, stores)
    fresh = {
        address: {text: m for text, m in table.items() if (address, text) not in known}
        for address, table in mentions.items()
    }
    found_now = opening.Search(task=task, findings=findings, mentions=fresh, needles=needles)
    entries = opening.entries_of(found_now, steps)
    if entries:
        _write(run, steps, entries, found_now)
    return len(entries)


def _write(
    run: Run, steps: Sequence[RunStep], entries: Sequence[Entry], found: opening.Search
) -> None:
    stores = {s.ordinal: s.store for s in steps}
    with transaction.atomic():
        journal.seal_needles(run, found.needles)
        round_ = run.batches.order_by("-round").values_list("round", flat=True).first() or 0
        journal.write_batches(run, steps, entries, round_=round_ + 1)
        touched = {stores[entry.ordinal] for entry in entries}
        for store_run in StoreRun.objects.filter(run=run, store__in=touched, state="done"):
            move(store_run, "pending", by="run", because="rows were added since the search")


def known_entries(run: Run, steps: Sequence[RunStep]) -> Known:
    """Every row written down so far, by dataset and key."""
    address = {s.ordinal: s.step.dataset.address for s in steps}
    return {
        (address[entry.ordinal], key_text(entry.key.values)): entry
        for batch in run.batches.all()
        for entry in journal.read_batch(batch)
    }


def _carried(
    task: Task, known: Known, steps: Sequence[RunStep], stores: Stores
) -> Mapping[Edge, Wanted]:
    """The values that led on from the person's rows, without those that lead to somebody else
    now: a key that was given out again belongs to its new owner."""
    deep = {s.ordinal for s in steps if s.step.via == "deep"}
    gone = {s.ordinal for s in steps if s.step.action == "delete"}
    carried: dict[Edge, Wanted] = {}
    for edge in task.edges:
        wanted: Wanted = {}
        for (address, _), entry in known.items():
            if address == edge.origin and entry.ordinal in deep:
                add_wanted(wanted, entry.carry.get(edge.origin_field), entry.people)
        for text in _reused(task, edge, wanted, known, stores, gone):
            del wanted[text]
        if wanted:
            carried[edge] = wanted
    return carried


def _reused(
    task: Task, edge: Edge, wanted: Wanted, known: Known, stores: Stores, gone: Container[int]
) -> set[str]:
    if not wanted:
        return set()
    dataset = task.datasets[edge.origin]
    guard = task.guards.get(edge.origin, ())
    selector = Selector(
        dataset=dataset, fields=(edge.origin_field,), carry=(edge.origin_field,), guard=guard
    )
    values = [raw for raw, _ in wanted.values()]
    taken: Wanted = {}
    for found in stores.get(dataset.store).find(selector, values):
        entry = known.get((edge.origin, key_text(found.key.values)))
        same = entry is not None and _same_owner(entry, found.key.guard, gone)
        if not same:
            add_wanted(taken, found.carry.get(edge.origin_field), {""})
    return set(taken) & set(wanted)


def _same_owner(entry: Entry, guard: tuple[Scalar, ...], gone: Container[int]) -> bool:
    """A row that was to stay still is the one that was found; one that was to go is only if its
    owner fields are as they were, for then it has not gone yet."""
    return entry.ordinal not in gone or entry.key.guard == guard
