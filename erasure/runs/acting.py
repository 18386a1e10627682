"""Carrying out one store's batches: durable intent → target commit → control done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import LateRows, StoreError
from erasure.domain.finding import Person, key_text
from erasure.domain.steps import Step, last_day
from erasure.evidence import ledger
from erasure.models import Batch, ErasureRequest, Run, StoreRun
from erasure.runs import capturing, case, explaining, holding, journal
from erasure.runs.journal import Opened, RunStep
from erasure.runs.lease import Fence
from erasure.runs.once import looked_up_once
from erasure.runs.rounds import search_again
from erasure.runs.segments import Entry
from erasure.stores.base import Receipt, Secrets, Store
from erasure.transitions import move

ROUNDS = 3
_BY = "run"


def carry_out(run: Run, store_run: StoreRun, store: Store, fence: Fence) -> None:
    """Act on every batch of the store that is not done, then purge. Raises StoreError."""
    actor = _Actor(run, store_run, store, fence)
    _refuse_changed(actor.members, store, actor.steps)
    batch, more = _next(run, store.name)
    while batch is not None:
        holding.refuse_held(run, store.name, actor.steps)
        actor.act_on(batch)
        batch, more = _next(run, store.name) if more else (None, False)
    purged = store.purge([s.step.dataset for s in actor.steps if s.store == store.name])
    with ledger.together():
        fence.free()
        Run.objects.select_for_update().only("pk").get(pk=run.pk)
        if _pending(run, store.name).exists():
            return  # another store has found more to do here; it is still pending
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


def _refuse_changed(
    members: Sequence[ErasureRequest], store: Store, steps: Sequence[RunStep]
) -> None:
    """Between the start of a run and its act there may be days: a store that was away."""
    plan = case.plan_of(members)
    if code := explaining.changed_in(plan, steps, store.name, store):
        raise StoreError(
            store.name,
            f"what would change beside the plan is not what was approved: {code}; take that "
            "change back in the store, then try again",
        )


def _pending(run: Run, store: str) -> QuerySet[Batch]:
    return run.batches.filter(store=store).exclude(state="done").order_by("ordinal")


def _next(run: Run, store: str) -> tuple[Batch | None, bool]:
    """The next that is not done, and whether another follows."""
    pending = _pending(run, store)
    later = pending.filter(ordinal__gt=OuterRef("ordinal"))
    batch = pending.annotate(more=Exists(later)).first()
    return batch, bool(getattr(batch, "more", False))


class _Actor:
    """A store and a run's batches for it. Keys and secrets are opened once for all of them."""

    def __init__(self, run: Run, store_run: StoreRun, store: Store, fence: Fence) -> None:
        self._run, self._store, self._fence = run, store, fence
        self._begin = None if store_run.started_at else store_run
        self.steps = journal.run_steps(run)
        self._undoable = run.undo_windows.exists()  # windows are opened with the run, or never
        self._open()

    @looked_up_once()
    def _open(self) -> None:
        self.members = case.members(self._run)
        vault.look_up([self._run.pk, *(request.pk for request in self.members)])
        people = {str(request.id) for request in self.members}
        self._keys = journal.batch_keys(people)
        needles = journal.matcher_of(journal.open_needles(self._run, people))
        self._secrets = Secrets(seed=journal.open_seed(self._run), needles=needles)

    def act_on(self, batch: Batch) -> None:
        """A child inserted after the search makes its parent's delete fail: search again, write
        the late rows down, and take them together with the batch, in one transaction."""
        batches, written = [batch], -1
        for _ in range(ROUNDS):
            try:
                self._act(batches)
                return
            except LateRows as error:
                place = error.place
                written = self._run.batches.count() if written < 0 else written
                search_again(self._run, self.steps, self._fence)
                self._open()
                batches = list(_pending(self._run, self._store.name))
        if self._run.batches.count() == written:
            raise StoreError(
                place,
                "rows refer to what is to go, and no search leads to them; declare that "
                "reference in the catalogue (direction from), then plan again",
            )
        raise StoreError(
            self._store.name, "still active: rows keep being added; pause its writers and retry"
        )

    def _begun(self) -> None:
        """Write down when the store was first touched; with the first intent."""
        if self._begin is not None:
            begun = StoreRun.objects.filter(pk=self._begin.pk, started_at=None)
            begun.update(started_at=timezone.now())
            self._begin = None

    def _act(self, batches: Sequence[Batch]) -> None:
        people = case.people_of(self._run)
        opened = [journal.open_batch(b, people, self._keys) for b in batches]
        works = journal.works_in(opened, self.steps, self._store.name)
        with ledger.together():
            self._fence.check()
            self._begun()
            for batch in batches:
                if batch.state == "found":
                    move(batch, "intent", by=_BY)
        if self._undoable:
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
        _done(opened, told, self.steps, self._fence)


def _done(
    opened: Sequence[Opened],
    told: Mapping[int, Receipt],
    steps: Sequence[RunStep],
    fence: Fence,
) -> None:
    batches = [one.batch for one in opened]
    with ledger.together():
        fence.check()
        for one in opened:
            counts = _receipts(one, told, steps)
            move(one.batch, "done", by=_BY, also={"receipts": counts})
        ledger.record(
            "batch",
            {
                "run": str(batches[0].run_id),
                "store": batches[0].store,
                "ordinals": [b.ordinal for b in batches],
                "receipts": [
                    {"dataset": r.dataset, "action": r.action, "rows": r.done, "residue": r.residue}
                    for r in told.values()
                ],
            },
        )


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
                line["rows"] += group.counted()
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
        dated = self._step.action == "retain" or bool(self._step.kept)
        self.plain = not (dated or self._kept or self._reused or self._along)

    def note(self, line: dict[str, Any], entry: Entry, person: Person) -> None:
        """Count one of a person's entries."""
        until = _kept_until(self._step, entry)
        if until:
            line["until"] = max(line["until"] or until, until)
        if entry.text in self._kept:
            line["kept_at"].append(entry.at[person])
        elif entry.text in self._reused:
            line["reused_at"].append(entry.at[person])
        elif entry.text:
            line["rows"] += entry.key.count
            _add(line["along"], self._along.get(entry.text, {}))


def _add(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for code, rows in counts.items():
        total[code] = total.get(code, 0) + rows


def _kept_until(step: Step, entry: Entry) -> str | None:
    """For a retained row, the last day of keeping it."""
    ends = last_day(step, entry.carry)
    return ends.isoformat() if ends else None


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
