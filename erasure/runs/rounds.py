"""Searching again: rows that were added after the first search, also under parents now gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Literal

from django.db import transaction

from erasure.domain.finding import NOBODY, Findings, Wanted, add_wanted, key_text, led_on
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.models import ErasureRequest, Run, StoreRun
from erasure.runs import case, journal, opening
from erasure.runs.earlier import Kept, kept_before
from erasure.runs.journal import RunStep
from erasure.runs.known import Known, Late, Written, rewrites_key
from erasure.runs.lease import Fence, lock
from erasure.runs.pieces import Placed, going_of
from erasure.runs.renamed import Renaming
from erasure.runs.searching import Stores, Task, find_mentions, find_rows, gather_needles
from erasure.runs.segments import Entry
from erasure.stores.base import Found, Selector
from erasure.transitions import move
from lineage.graph import Edge


def search_again(run: Run, steps: Sequence[RunStep], fence: Fence) -> int:
    """Write down what was not known yet, as batches of a new round; returns how many rows.

    Several stores of a run may meet late rows at once: whoever finds that another wrote some down
    meanwhile searches anew. Raises Fenced.
    """
    requests = case.members(run)
    while True:
        written = run.batches.count()
        task = opening.task_of(case.plan_of(requests), steps, case.given_by(requests))
        kept = kept_before({str(r.id) for r in requests})
        # Where an earlier case has left rows, each is looked at.
        going = {} if kept.rows else _going(steps, task)
        many = _led_by_key(task, going) if written > 1 else ()
        known = Known(run, requests, steps, many)
        late = Late(going, task.carries(), known)
        found = _search(requests, steps, run, task, known, late, kept)
        entries = [e for e in opening.entries_of(found, steps) if known.is_new(e)]
        new = len(entries) + late.rows
        if not new or _write(run, steps, entries, found, fence, written):
            return new


def _going(steps: Sequence[RunStep], task: Task) -> dict[str, Placed]:
    """Those that are packed as they are found; each row with another key is looked at."""
    going = going_of(steps, task.guards, {s.store for s in steps})
    return {a: placed for a, placed in going.items() if not rewrites_key(placed.step)}


def _led_by_key(task: Task, going: Collection[str]) -> set[str]:
    """Those of the datasets that lead on by their key alone, if at all: whoever is there now is
    told by the entry that has led there."""
    by: dict[str, set[tuple[str, ...]]] = {}
    for edge in task.edges:
        by.setdefault(edge.origin, set()).add(edge.origin_fields)
    return {a for a in going if by.get(a, set()) <= {task.datasets[a].key}}


def _search(
    requests: Sequence[ErasureRequest],
    steps: Sequence[RunStep],
    run: Run,
    task: Task,
    known: Known,
    late: Late,
    kept: Kept,
) -> opening.Search:
    needles = journal.open_needles(run, [str(r.id) for r in requests])
    with Stores() as stores:
        findings = find_rows(task, stores, _carried(run, task, known, stores), late)
        late.pack()
        _forget_renamed(findings, run, task, known, stores)
        fresh = known.unsettled(findings)
        gathered = gather_needles(fresh, task.datasets, stores)
        for person, found in chain(gathered.items(), late.needles.items()):
            needles.setdefault(person, set()).update(found)
        mentions = find_mentions([s.step for s in steps], needles, fresh, stores)
    return opening.Search(
        task=task,
        findings=findings,
        pieces=late,
        mentions=mentions,
        needles=needles,
        kept=kept,
    )


def _forget_renamed(findings: Findings, run: Run, task: Task, known: Known, stores: Stores) -> None:
    """Whoever refers to the person's own row leads to it also at the key that it has been given:
    it has been dealt with. A row that waits for it still stands at its own."""
    own = known.by_dataset(known.own())
    for address, table in findings.rows.items():
        step = known.rewriting(address)
        if step is None or address not in own:
            continue
        waiting = {entry.text for entry in own[address] if not entry.became}
        rows = {t: opening.key_of(row) for t, row in table.items() if t not in waiting}
        for text in _renaming(run, task, step, known, stores).again(rows, own[address]):
            del table[text]


def _renaming(run: Run, task: Task, step: Step, known: Known, stores: Stores) -> Renaming:
    store = stores.get(step.dataset.store)
    reading = task.guards.get(step.dataset.address, ())
    return Renaming(run=run, step=step, store=store, known=known, reading=reading)


def _write(
    run: Run,
    steps: Sequence[RunStep],
    entries: Sequence[Entry],
    found: opening.Search,
    fence: Fence,
    written: int,
) -> bool:
    """False, and nothing done, when batches were added since ``written`` of them were read."""
    stores = {s.ordinal: s.store for s in steps}
    with transaction.atomic():
        fence.check()
        lock(run)
        if run.batches.count() != written:
            return False
        journal.seal_needles(run, found.needles)
        round_ = run.batches.order_by("-round").values_list("round", flat=True).first() or 0
        journal.write_batches(run, steps, entries, round_=round_ + 1, pieces=found.pieces)
        touched = {stores[n] for n in {entry.ordinal for entry in entries} | found.pieces.ordinals}
        for store_run in StoreRun.objects.filter(run=run, store__in=touched, state="done"):
            move(store_run, "pending", by="run", because="rows were added since the search")
    return True


def _carried(run: Run, task: Task, known: Known, stores: Stores) -> Iterator[Mapping[Edge, Wanted]]:
    """The values that led on from the person's rows, without those that lead to somebody else
    now: a key that was given out again belongs to its new owner."""
    origins = {edge.origin for edge in task.edges}
    for written in chain([known.own()], known.parts(origins)):
        carried: dict[Edge, Wanted] = {}
        own = known.by_dataset(written)
        for edge in task.edges:
            wanted: Wanted = {}
            for entry in own.get(edge.origin, ()):
                add_wanted(wanted, led_on(edge, entry.carry), entry.people)
            for text in _taken(run, task, edge, wanted, known, written, stores):
                wanted.pop(text, None)
            if wanted:
                carried[edge] = wanted
        yield carried


def _taken(
    run: Run,
    task: Task,
    edge: Edge,
    wanted: Wanted,
    known: Known,
    written: Written,
    stores: Stores,
) -> Wanted:
    """Those of the values that stand in a row which is not, or no longer, the person's."""
    taken: Wanted = {}
    if not wanted:
        return taken
    dataset = task.datasets[edge.origin]
    guard = task.guards.get(edge.origin, ())
    fields = edge.origin_fields
    mode: Literal["key", "together"] = "key" if len(fields) == 1 else "together"
    selector = Selector(dataset=dataset, mode=mode, fields=fields, carry=fields, guard=guard)
    store = stores.get(dataset.store)
    strange = [
        found
        for found in store.find(selector, [raw for raw, _ in wanted.values()])
        if not known.is_theirs(written, edge.origin, key_text(found.key.values), _now(guard, found))
    ]
    step = known.rewriting(edge.origin)
    if step is not None:
        own = known.by_dataset(written).get(edge.origin, ())
        strange = _renaming(run, task, step, known, stores).strangers(edge, strange, own)
    for found in strange:
        add_wanted(taken, led_on(edge, found.carry), NOBODY)
    return taken


def _now(guard: Sequence[str], found: Found) -> Mapping[str, Scalar]:
    return dict(zip(guard, found.key.guard, strict=True))
