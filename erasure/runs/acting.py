"""Carrying out one store's batches: durable intent → target commit → control done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import LateRows, StoreError
from erasure.domain.finding import Person, key_text
from erasure.domain.steps import last_day
from erasure.domain.values import Scalar
from erasure.evidence import ledger
from erasure.models import Batch, Run, StoreRun, UndoWindow
from erasure.runs import capturing, case, explaining, holding, journal, seeds
from erasure.runs.journal import Opened, RunStep
from erasure.runs.lease import Fence, lock
from erasure.runs.once import looked_up_once
from erasure.runs.rounds import search_again
from erasure.runs.segments import Entry, Group
from erasure.stores.base import Receipt, Secrets, Store
from erasure.stores.blocks import TellsWhatItReads
from erasure.stores.purging import purge_after
from erasure.transitions import move, move_all
from lineage.prepared import Prepared, Slot, update

ROUNDS = 3
# Of so many batches it is written down at once that they are about to be carried out, or were. Who
# is killed between goes through all of them again, and finds little to do.
TOGETHER = 40
HOLDS = 2.0  # seconds, after which it is asked again whether a hold was placed
_BY = "run"


def _pending() -> QuerySet[Batch]:
    some = Batch.objects.filter(run=Slot("run"), store=Slot("store"))
    return some.exclude(state="done").order_by("ordinal")


def _due() -> QuerySet[Batch]:
    """The next, each with whether anything is on hold, and whether what it does can be undone."""
    undoable = UndoWindow.objects.filter(run=OuterRef("run"))
    told = {"held": holding.active(), "undoable": undoable}
    return _pending().annotate(**{n: Exists(found) for n, found in told.items()})[:TOGETHER]


_PENDING = Prepared(_pending)
_DUE = Prepared(_due)
_LEFT = Prepared(lambda: _pending().values_list("pk")[:1])


def carry_out(run: Run, store_run: StoreRun, store: Store, fence: Fence) -> None:
    """Act on every batch of the store that is not done, then purge. Raises StoreError."""
    actor = _Actor(run, store_run, store, fence)
    _refuse_changed(actor.people, store, actor.steps)
    more = True
    while more:
        batches = _DUE.all(run=run.pk, store=store.name)
        more = len(batches) == TOGETHER
        if batches:
            told = vars(batches[0])
            if told["held"]:
                holding.refuse_held(run, store.name, actor.steps)
            actor.act_on(batches, undoable=told["undoable"])
    actor.finish(store_run)


def _refuse_changed(people: Iterable[Person], store: Store, steps: Sequence[RunStep]) -> None:
    """Between the start of a run and its act there may be days: a store that was away."""
    if code := explaining.changed_since(people, steps, store):
        raise StoreError(
            store.name,
            f"what would change beside the plan is not what was approved: {code}; take that "
            "change back in the store, then try again",
        )


class _Actor:
    """A store and a run's batches for it. Keys and secrets are opened once for all of them."""

    def __init__(self, run: Run, store_run: StoreRun, store: Store, fence: Fence) -> None:
        self._run, self._store, self._fence = run, store, fence
        self._new = None if store_run.started_at else store_run
        self._looked = 0.0
        self.steps = journal.run_steps(run)
        self._open()

    @looked_up_once()
    def _open(self) -> None:
        self.people = people = case.people_of(self._run)
        self._asked = True
        vault.look_up([self._run.pk, *map(UUID, people)])
        self._keys = journal.batch_keys(people)
        needles = journal.open_needles(self._run, people) if self._reads_needles() else {}
        seed = seeds.seed_of(self._run, self.steps)
        self._secrets = Secrets(seed=seed, needles=journal.matcher_of(needles))

    def _reads_needles(self) -> bool:
        steps = [s.step for s in self.steps if s.store == self._store.name]
        store = self._store
        return not isinstance(store, TellsWhatItReads) or store.reads_needles(steps)

    def act_on(self, batches: Sequence[Batch], *, undoable: bool) -> None:
        """A child inserted after the search makes its parent's delete fail: search again, write
        the late rows down, and take them together with the batches, in one transaction."""
        parts, written = [[batch] for batch in batches], -1
        for _ in range(ROUNDS):
            try:
                self._carry_out(parts, undoable=undoable)
                return
            except LateRows as error:
                place = error.place
                written = self._run.batches.count() if written < 0 else written
                search_again(self._run, self.steps, self._fence)
                self._open()
                parts = [_PENDING.all(run=self._run.pk, store=self._store.name)]
        if self._run.batches.count() == written:
            raise StoreError(
                place,
                "rows refer to what is to go, and no search leads to them; declare that "
                "reference in the catalogue (direction from), then plan again",
            )
        raise StoreError(
            self._store.name, "still active: rows keep being added; pause its writers and retry"
        )

    def _carry_out(self, parts: Sequence[Sequence[Batch]], *, undoable: bool) -> None:
        """Each part is one transaction of the store's. That they are about to be carried out is
        written down of all of them before the first, and that they were, after the last: or after
        the last before something went wrong. An intent without a done is run again, guarded."""
        if not self._asked:  # others, by when a case may have ended
            self.people = case.people_of(self._run)
        self._asked, self._looked = False, monotonic()
        self._begin([batch for part in parts for batch in part])
        done: list[_Done] = []
        try:
            for part in parts:
                self._may_go_on()
                done.append(self._act(part, undoable=undoable))
        finally:
            self._end(done)

    def finish(self, store_run: StoreRun) -> None:
        """Every batch is done: purge, and with that the store's part of the run has ended, unless
        another store has found more to do here meanwhile."""
        self._fence.test()
        steps = (s.step for s in self.steps if s.store == self._store.name)
        purged = purge_after(self._store, steps)
        with ledger.together():
            self._fence.free()
            lock(self._run)
            if _LEFT.all(run=self._run.pk, store=self._store.name):
                return  # it is still pending
            move(
                store_run,
                "done",
                by=_BY,
                also={
                    "residue": purged.residue,
                    "until": purged.until,
                    "note": purged.note,
                    "finished_at": timezone.now(),
                    "error": "",
                },
            )

    def _may_go_on(self) -> None:
        """What another may have done meanwhile: taken over, or placed a hold."""
        self._fence.test()
        if monotonic() - self._looked >= HOLDS:
            holding.refuse_held(self._run, self._store.name, self.steps)
            self._looked = monotonic()

    def _begin(self, batches: Sequence[Batch]) -> None:
        with ledger.together():
            self._fence.check()
            self._begun()
            move_all([batch for batch in batches if batch.state == "found"], "intent", by=_BY)

    def _begun(self) -> None:
        """Write down when the store was first touched; with the first intent."""
        if self._new is not None:
            never = {"pk": self._new.pk, "started_at": None}
            update(StoreRun, never, {"started_at": timezone.now()})
            self._new = None

    def _act(self, batches: Sequence[Batch], *, undoable: bool) -> _Done:
        opened = [journal.open_batch(b, self.people, self._keys) for b in batches]
        works = journal.works_in(opened, self.steps, self._store.name)
        if undoable:
            every = [entry for batch in opened for entry in batch.entries()]
            receipts = capturing.act(
                self._run, batches, self._store, works, self._secrets, every, self._fence
            )
        else:
            receipts = self._store.act(list(works.values()), self._secrets)
        failures = self._store.check(list(works.values()), self._secrets)
        if failures:
            worst = failures[0]
            raise StoreError(worst.dataset, f"postcondition failed: {worst.why}; look at the store")
        told = {o: r for (o, w), r in zip(works.items(), receipts, strict=True) if w.keys}
        for one in opened:
            one.batch.receipts = _receipts(one, told, self.steps)
        return _Done(batches, list(told.values()))

    def _end(self, done: Sequence[_Done]) -> None:
        """Write down what was carried out, with an entry of the ledger for each transaction."""
        batches = [batch for one in done for batch in one.batches]
        if not batches:
            return
        with ledger.together():
            self._fence.check()
            if len(batches) == 1:
                move(batches[0], "done", by=_BY, also={"receipts": batches[0].receipts})
            else:
                Batch.objects.bulk_update(batches, ["receipts"])
                move_all(batches, "done", by=_BY)
            for one in done:
                ledger.record("batch", self._entry(one))

    def _entry(self, done: _Done) -> dict[str, Any]:
        return {
            "run": str(self._run.pk),
            "store": self._store.name,
            "ordinals": [batch.ordinal for batch in done.batches],
            "receipts": [
                {"dataset": r.dataset, "action": r.action, "rows": r.done, "residue": r.residue}
                for r in done.receipts
            ],
        }


class _Done(NamedTuple):
    """Batches that one transaction of the store's has dealt with, and what the store said of each
    step; what is said to everybody is in the batches, and not written yet."""

    batches: Sequence[Batch]
    receipts: Sequence[Receipt]


def _receipts(
    opened: Opened, told: Mapping[int, Receipt], steps: Sequence[RunStep]
) -> dict[str, dict[str, Any]]:
    """Counts per person and step, from the written keys and never from a row count; and which of
    the person's entries the store left alone, by their places: a key may be personal."""
    told_of = {s.ordinal: _Told(s, told[s.ordinal]) for s in steps if s.ordinal in told}
    people: dict[str, dict[str, Any]] = {person: {} for person in opened.groups}
    for person, groups in opened.groups.items():
        for group in groups:
            about = told_of[group.ordinal]
            line = people[person].setdefault(about.name, _empty_line(about.receipt))
            if about.plain:
                about.count(line, group)
    odd = {ordinal for ordinal, about in told_of.items() if not about.plain}
    for entry in opened.entries(odd) if odd else ():
        about = told_of[entry.ordinal]
        for person in entry.people:
            about.note(people[person][about.name], entry, person)
    return people


class _Told:
    """What a store said of a step's keys. ``plain``: the same of each of them."""

    def __init__(self, step: RunStep, receipt: Receipt) -> None:
        self.name, self._step, self.receipt = str(step.ordinal), step.step, receipt
        self._kept = {key_text(key.values) for key in receipt.kept}
        self._reused = {key_text(key.values) for key in receipt.reused}
        self._along = {key_text(key.values): counts for key, counts in receipt.along.items()}
        self._dated = self._step.action == "retain" or bool(self._step.kept)
        self.plain = not (self._kept or self._reused or self._along)

    def count(self, line: dict[str, Any], group: Group) -> None:
        """Count what was done alike."""
        line["rows"] += group.counted()
        for carry in group.carried() if self._dated else ():
            self._keep(line, carry)

    def note(self, line: dict[str, Any], entry: Entry, person: Person) -> None:
        """Count one of a person's entries."""
        self._keep(line, entry.carry)
        if entry.text in self._kept:
            line["kept_at"].append(entry.at[person])
        elif entry.text in self._reused:
            line["reused_at"].append(entry.at[person])
        elif entry.text:
            line["rows"] += entry.key.count
            _add(line["along"], self._along.get(entry.text, {}))

    def _keep(self, line: dict[str, Any], carry: Mapping[str, Scalar]) -> None:
        """The last day of keeping a row, where it is kept."""
        if ends := last_day(self._step, carry):
            line["until"] = max(line["until"] or "", ends.isoformat())


def _add(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for code, rows in counts.items():
        total[code] = total.get(code, 0) + rows


def _empty_line(receipt: Receipt) -> dict[str, Any]:
    return {
        "rows": 0,
        "kept_at": [],
        "reused_at": [],
        "residue": receipt.residue,
        "until": receipt.until.isoformat() if receipt.until else None,
        "note": receipt.note,
        "along": {},
    }
