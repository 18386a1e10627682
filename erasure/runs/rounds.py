"""Searching again: rows that were added after the first search, also under parents now gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from django.db import transaction

from erasure.domain.finding import (
    NOBODY,
    Findings,
    KeyText,
    Wanted,
    add_wanted,
    key_text,
    led_on,
)
from erasure.domain.masking import masked_fields
from erasure.domain.steps import KEPT, Step
from erasure.domain.values import Scalar, holds
from erasure.models import ErasureRequest, Run, StoreRun
from erasure.runs import case, journal, opening
from erasure.runs.journal import RunStep
from erasure.runs.lease import Fence
from erasure.runs.pieces import Pieces
from erasure.runs.searching import Stores, Task, find_mentions, find_rows, gather_needles
from erasure.runs.segments import Entry
from erasure.stores.base import Selector
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
        known = Known(run, requests, steps)
        found = _search(requests, steps, known, run)
        entries = [e for e in opening.entries_of(found, steps) if known.is_new(e)]
        if not entries or _write(run, steps, entries, found, fence, written):
            return len(entries)


def _search(
    requests: Sequence[ErasureRequest], steps: Sequence[RunStep], known: Known, run: Run
) -> opening.Search:
    task = opening.task_of(case.plan_of(requests), steps, case.given_by(requests))
    needles = journal.open_needles(run, [str(r.id) for r in requests])
    with Stores() as stores:
        findings = find_rows(task, stores, _carried(task, known, stores))
        fresh = known.unsettled(findings)
        for person, found in gather_needles(fresh, task.datasets, stores).items():
            needles.setdefault(person, set()).update(found)
        mentions = find_mentions([s.step for s in steps], needles, fresh, stores)
    return opening.Search(
        task=task, findings=findings, pieces=Pieces({}, {}), mentions=mentions, needles=needles
    )


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
        Run.objects.select_for_update().get(pk=run.pk)
        if run.batches.count() != written:
            return False
        journal.seal_needles(run, found.needles)
        round_ = run.batches.order_by("-round").values_list("round", flat=True).first() or 0
        journal.write_batches(run, steps, entries, round_=round_ + 1)
        touched = {stores[entry.ordinal] for entry in entries}
        for store_run in StoreRun.objects.filter(run=run, store__in=touched, state="done"):
            move(store_run, "pending", by="run", because="rows were added since the search")
    return True


class Known:
    """What a run has written down of its members so far, the latest of each row and step."""

    def __init__(
        self, run: Run, requests: Sequence[ErasureRequest], steps: Sequence[RunStep]
    ) -> None:
        self._steps = {s.ordinal: s.step for s in steps}
        self._deep = {s.step.dataset.address: s.ordinal for s in steps if s.step.via == "deep"}
        self._cut: dict[str, set[str]] = defaultdict(set)
        for step in self._steps.values():
            if step.via == "shallow":
                self._cut[step.dataset.address].update(step.cut)
        self._followed = _followed(steps)
        self._entries: dict[tuple[int, KeyText], Entry] = {
            (entry.ordinal, entry.text): entry
            for entry in journal.read_run(run, {str(r.id) for r in requests})
        }

    def own(self, address: str) -> list[Entry]:
        """The people's own rows of a dataset, but those found to be somebody else's now."""
        ordinal = self._deep.get(address)
        return [e for (o, _), e in self._entries.items() if o == ordinal and e.became != "reused"]

    def is_new(self, entry: Entry) -> bool:
        """Never written down; or dealt with, and there again."""
        step = self._steps[entry.ordinal]
        if step.via == "mention" and self._keeps_a_text(step.dataset.address, entry.text):
            return False
        before = self._entries.get((entry.ordinal, entry.text))
        if before is None or not before.became:
            return before is None
        if step.action in KEPT:
            return before.became == "reused"
        if step.via == "deep":
            # A row that stays is found by its references for ever.
            return before.became == "reused" or step.action == "delete"
        # A shared row's key may be a newcomer's; and one that was kept is still there.
        return step.via != "refcount"

    def _keeps_a_text(self, address: str, text: KeyText) -> bool:
        """Their own row, of which an exception keeps fields; the re-scan sees the rest of it."""
        ordinal = self._deep.get(address)
        own = self._entries.get((ordinal, text)) if ordinal is not None else None
        return own is not None and own.became != "reused" and bool(self._steps[own.ordinal].kept)

    def unsettled(self, findings: Findings) -> Findings:
        """Rows whose own step is still to be taken, or which the law keeps: what was anonymised
        already may hold a new mention."""
        rows = {
            address: {text: row for text, row in table.items() if self._unsettled(address, text)}
            for address, table in findings.rows.items()
        }
        return Findings(rows={address: table for address, table in rows.items() if table})

    def _unsettled(self, address: str, text: KeyText) -> bool:
        ordinal = self._deep.get(address)
        entry = self._entries.get((ordinal, text)) if ordinal is not None else None
        if ordinal is None or entry is None or not entry.became:
            return True
        return self._steps[ordinal].action in KEPT or self.is_new(entry)

    def is_theirs(self, address: str, text: KeyText, guard: Mapping[str, Scalar]) -> bool:
        """True while the row at that key is the one that was written down."""
        ordinal = self._deep.get(address)
        entry = self._entries.get((ordinal, text)) if ordinal is not None else None
        if ordinal is None or entry is None:
            return False
        step = self._steps[ordinal]
        changed = _changed(step) if entry.became else frozenset()
        if entry.became == "reused" or None in changed:
            return False
        changed |= self._followed[step.dataset.store, step.dataset.name]
        return all(
            holds(guard[name], then)
            or name in changed
            or (then is None and name in self._cut[address])
            for name, then in zip(step.guard, entry.key.guard, strict=True)
        )


def _followed(steps: Sequence[RunStep]) -> Mapping[tuple[str, str], set[str]]:
    """By store and collection, the fields that refer to a key which the run rewrites."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for s in steps:
        rewritten = {f.name for f in masked_fields(s.step.dataset)} & set(s.step.dataset.key)
        for referrer in s.step.referrers if s.step.action == "anonymize" else ():
            for mine, theirs in ((referrer.field, referrer.target_field), *referrer.also):
                if theirs in rewritten:
                    found[s.store, referrer.collection].add(mine)
    return found


def _changed(step: Step) -> frozenset[str | None]:
    """Fields that the step has changed; None among them when the row is no longer at its key."""
    if step.action in KEPT:
        return frozenset()
    masked = {f.name for f in masked_fields(step.dataset)} if step.action == "anonymize" else set()
    moved = step.action == "delete" or masked & set(step.dataset.key)
    return frozenset({*masked, *step.cut, *step.redact, *((None,) if moved else ())})


def _carried(task: Task, known: Known, stores: Stores) -> Mapping[Edge, Wanted]:
    """The values that led on from the person's rows, without those that lead to somebody else
    now: a key that was given out again belongs to its new owner."""
    carried: dict[Edge, Wanted] = {}
    own = {edge.origin: known.own(edge.origin) for edge in task.edges}
    for edge in task.edges:
        wanted: Wanted = {}
        for entry in own[edge.origin]:
            add_wanted(wanted, led_on(edge, entry.carry), entry.people)
        for text in _taken(task, edge, wanted, known, stores):
            wanted.pop(text, None)
        if wanted:
            carried[edge] = wanted
    return carried


def _taken(task: Task, edge: Edge, wanted: Wanted, known: Known, stores: Stores) -> Wanted:
    """Those of the values that stand in a row which is not, or no longer, the person's."""
    taken: Wanted = {}
    if not wanted:
        return taken
    dataset = task.datasets[edge.origin]
    guard = task.guards.get(edge.origin, ())
    fields = edge.origin_fields
    mode: Literal["key", "together"] = "key" if len(fields) == 1 else "together"
    selector = Selector(dataset=dataset, mode=mode, fields=fields, carry=fields, guard=guard)
    values = [raw for raw, _ in wanted.values()]
    for found in stores.get(dataset.store).find(selector, values):
        now = dict(zip(guard, found.key.guard, strict=True))
        if not known.is_theirs(edge.origin, key_text(found.key.values), now):
            add_wanted(taken, led_on(edge, found.carry), NOBODY)
    return taken
