"""An approved plan for data past their date is carried out, as any run: what goes is found and
written down, then durable intent → target commit → control done, store by store.

There is no person, so there are no needles: what was done is asked again by key, and says so.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.connect import open_store
from erasure.domain.errors import LateRows, StalePlan, StoreError
from erasure.domain.finding import KeyText, key_text
from erasure.domain.needles import Matcher
from erasure.domain.values import Scalar, rows_from_json, rows_to_json
from erasure.evidence import ledger
from erasure.models import Batch, Expiry, Run, StayingRow, StoreRun
from erasure.runs import journal, seeds
from erasure.runs.journal import RunStep
from erasure.runs.lease import Fence, lease
from erasure.runs.over import Survey, roots_of
from erasure.runs.over_records import survey_in
from erasure.runs.searching import Stores
from erasure.runs.segments import Entry
from erasure.stores.base import Captures, Image, Key, Receipt, Secrets, Store, Work
from erasure.stores.purging import purge_after
from erasure.transitions import move
from lineage import selectors

ROUNDS = 3
_BY = "run"
_RENEWED = "rows were renewed just now; looked at again"


def seal_keys(expiry_id: uuid.UUID, roots: Sequence[Entry]) -> bytes:
    """The keys of the rows that a digest is about, sealed under a key of the plan's own."""
    keys = [entry.key.values for entry in roots]
    text = json.dumps(rows_to_json(keys)).encode()
    key = vault.make_key(expiry_id, "deferred")
    return vault.seal(key, text, label=f"expiry:{expiry_id}")


def open_keys(expiry: Expiry) -> list[tuple[Scalar, ...]]:
    """The inverse of :func:`seal_keys`. Raises KeyDestroyed once the plan is closed."""
    key = vault.open_key(expiry.id, "deferred")
    text = vault.unseal(key, expiry.sealed_keys, label=f"expiry:{expiry.id}")
    _, keys = rows_from_json(json.loads(text))
    return keys


def survey_of(expiry: Expiry, stores: Stores) -> Survey:
    """What was approved, as it is now. Raises StalePlan for a dataset that has gone."""
    catalogue = selectors.snapshot()
    dataset = catalogue.datasets.get(expiry.dataset)
    if dataset is None or not dataset.retention:
        raise StalePlan(f"{expiry.dataset}: has no retention any more")
    survey = survey_in(dataset, catalogue, stores, timezone.localdate())
    survey.take(open_keys(expiry))
    return survey


def open_run(expiry: Expiry, steps: Sequence[RunStep], entries: Sequence[Entry]) -> Run:
    """Seal what is to go, and move the plan to ``executing``: all or nothing."""
    run_id = uuid.uuid4()
    with transaction.atomic():
        seed = vault.seal(vault.make_key(run_id, "run"), os.urandom(32), label=f"seed:{run_id}")
        run = Run.objects.create(
            id=run_id,
            sealed_seed=seed,
            steps=[
                {"ordinal": s.ordinal, "store": s.store, "kind": s.kind, "spec": s.step.to_json()}
                for s in steps
            ],
        )
        journal.write_batches(run, steps, entries, round_=0)
        with_rows = {e.ordinal for e in entries}
        StoreRun.objects.bulk_create(
            StoreRun(run=run, store=store, kind=kind)
            for store, kind in sorted({(s.store, s.kind) for s in steps if s.ordinal in with_rows})
        )
        move(expiry, "executing", by=_BY, also={"run": run})
        move(run, "acting", by=_BY, because=f"data past their date in {expiry.dataset}")
    return run


def act_on(expiry: Expiry, run: Run, store_run: StoreRun) -> None:
    """Carry out what is to go in one store. Raises StoreError and Fenced."""
    with lease(run.id, store_run.store) as fence, Stores() as stores:
        store_run.refresh_from_db()
        if store_run.state != "pending":
            return
        actor = _Actor(expiry, run, stores, fence)
        with open_store(store_run.store) as store:
            while (batch := _pending(run, store.name)) is not None:
                actor.act_on(batch, store)
            purged = purge_after(store, (s.step for s in actor.steps if s.store == store.name))
        with transaction.atomic():
            fence.check()
            done = {"finished_at": timezone.now(), "residue": purged.residue, "note": purged.note}
            move(store_run, "done", by=_BY, also={**done, "until": purged.until, "error": ""})


def _pending(run: Run, store: str) -> Batch | None:
    return run.batches.filter(store=store).exclude(state="done").order_by("ordinal").first()


class _Actor:
    """One store of a run. What was renewed, or may not go any more, is left out at the last
    moment, with everything that would go along with it."""

    def __init__(self, expiry: Expiry, run: Run, stores: Stores, fence: Fence) -> None:
        self.steps = journal.run_steps(run)
        self._expiry, self._run, self._stores, self._fence = expiry, run, stores, fence
        self._person, self._keys = str(expiry.id), open_keys(expiry)

    def act_on(self, batch: Batch, store: Store) -> None:
        """A part that was added after the search makes the deletion fail: it is written down, and
        goes in one transaction with the rest."""
        batches = [batch]
        for _ in range(ROUNDS):
            survey = survey_of(self._expiry, self._stores)
            try:
                self._act(batches, store, survey)
                return
            except LateRows as error:
                place = error.place
                self._write_late(survey_of(self._expiry, self._stores), store.name)
                pending = self._run.batches.filter(store=store.name).exclude(state="done")
                batches = list(pending.order_by("ordinal"))
        raise StoreError(
            place,
            "rows refer to what is over, and no search leads to them: declare that reference in "
            "the catalogue (direction from), or pause what adds them; then try again",
        )

    def _write_late(self, survey: Survey, store: str) -> None:
        known = {(e.ordinal, e.text) for e in journal.read_run(self._run, {self._person})}
        theirs = {s.ordinal for s in self.steps if s.store == store}
        late = [
            entry
            for entry in survey.entries(self._person, len(self._keys))
            if entry.ordinal in theirs and (entry.ordinal, entry.text) not in known
        ]
        with transaction.atomic():
            self._fence.check()
            if late:
                journal.write_batches(self._run, self.steps, late, round_=1)

    def _act(self, batches: Sequence[Batch], store: Store, survey: Survey) -> None:
        """Durable intent, the store's own transaction, done."""
        # What is there no more has gone already, in a run that was cut short after it.
        gone = {survey.root_of(key) for key in self._keys} - survey.present
        free = survey.free | gone
        listed = {b.ordinal: journal.open_batch(b, {self._person}).entries() for b in batches}
        going = [e for entries in listed.values() for e in entries if roots_of(e) <= free]
        if not survey.keyed:
            going = self._where_they_are(going, survey)
        before = {} if any(b.state != "found" for b in batches) else self._now(listed, survey)
        works = journal.works_of(going, self.steps, store.name)
        with transaction.atomic():
            self._fence.check()
            for batch in batches:
                if batch.state == "found":
                    move(batch, "intent", by=_BY)
        secrets = self._secrets(works, store)
        receipts = self._carry_out(store, works, secrets, survey)
        for failure in store.check(list(works.values()), secrets):
            raise StoreError(failure.dataset, f"postcondition failed: {failure.why}")
        told = {o: r for (o, w), r in zip(works.items(), receipts, strict=True) if w.keys}
        with transaction.atomic():
            self._fence.check()
            for batch in batches:
                self._done(batch, listed[batch.ordinal], free, told, before)
            kept = {key for r in told.values() for key in (*r.kept, *r.reused)}
            roots = [e.key for e in going if e.ordinal == survey.root.ordinal]
            hashes = survey.staying_hashes(key for key in roots if key not in kept)
            StayingRow.objects.bulk_create(
                (StayingRow(dataset=self._expiry.dataset, keyed_hash=one) for one in hashes),
                ignore_conflicts=True,
            )

    def _where_they_are(self, going: Sequence[Entry], survey: Survey) -> list[Entry]:
        """Records in files, in the objects that hold them now: they move. Those of which nothing is
        there stand for themselves."""
        root = survey.root.ordinal
        others = [e for e in going if e.ordinal != root or not roots_of(e) <= survey.present]
        wanted = {r for e in going if e.ordinal == root for r in roots_of(e)}
        now = survey.entries(self._person, len(self._keys))
        return [*others, *(e for e in now if e.ordinal == root and roots_of(e) <= wanted)]

    def _now(self, listed: Mapping[int, Sequence[Entry]], survey: Survey) -> dict[int, int]:
        """By the identity of an entry for records in files: how many of those written down are
        there just before they go. What has gone or was renewed by itself is not ours to claim."""
        rest: dict[KeyText, int] = {}
        found: dict[int, int] = {}
        for entry in (e for entries in listed.values() for e in entries):
            if survey.keyed or entry.ordinal != survey.root.ordinal:
                continue
            (root,) = roots_of(entry)
            there = rest.setdefault(root, survey.there(root) or 0)
            found[id(entry)] = min(there, entry.key.count)
            rest[root] -= found[id(entry)]
        return found

    def _done(
        self,
        batch: Batch,
        entries: Sequence[Entry],
        free: AbstractSet[KeyText],
        told: Mapping[int, Receipt],
        now: Mapping[int, int],
    ) -> None:
        """Counts from the written keys; and which of them were left, by their places."""
        lines: dict[str, dict[str, Any]] = {}
        for entry in entries:
            receipt, place = told.get(entry.ordinal), entry.at[self._person]
            line = lines.setdefault(
                str(entry.ordinal),
                {
                    "rows": 0,
                    "left": 0,
                    "left_at": [],
                    "residue": receipt.residue if receipt else "present",
                },
            )
            left = receipt is None or not roots_of(entry) <= free
            if left or _among(entry, (*receipt.kept, *receipt.reused) if receipt else ()):
                gone = 0
            else:
                gone = now.get(id(entry), entry.key.count)
            line["rows"] += gone
            line["left"] += entry.key.count - gone
            if not gone:
                line["left_at"].append(place)
        move(batch, "done", by=_BY, also={"receipts": {self._person: lines}})
        steps = {str(s.ordinal): s.step for s in self.steps}
        ledger.record(
            "batch",
            {
                "run": str(self._run.id),
                "store": batch.store,
                "ordinals": [batch.ordinal],
                "receipts": [
                    {
                        "dataset": steps[ordinal].dataset.address,
                        "action": steps[ordinal].action,
                        "rows": line["rows"],
                        "residue": line["residue"],
                    }
                    for ordinal, line in lines.items()
                ],
            },
        )

    def _secrets(self, works: Mapping[int, Work], store: Store) -> Secrets:
        """Of texts in rows that stay, their own values are taken out, as far as they tell."""
        needles = [
            needle
            for work in works.values()
            if work.step.redact
            for _, found in store.gather(work.step.dataset, work.keys)
            for needle in found
        ]
        return Secrets(seed=seeds.open_seed(self._run), needles=Matcher(needles))

    def _carry_out(
        self, store: Store, works: Mapping[int, Work], secrets: Secrets, survey: Survey
    ) -> list[Receipt]:
        """Where parts go along with a row, all or none go: what was renewed between the look and
        the lock takes everything back."""
        listed, root = list(works.values()), survey.root.ordinal
        place = list(works).index(root) if root in works else -1
        along = any(work.keys for ordinal, work in works.items() if ordinal != root)
        if place < 0 or not along or not isinstance(store, Captures):
            return store.act(listed, secrets)
        mine = {key_text(key.values) for key in listed[place].keys}
        return store.capture(listed, secrets, _AllOrNone(place, mine & survey.free))


def _among(entry: Entry, keys: Collection[Key]) -> bool:
    return any(key.values == entry.key.values for key in keys)


class _AllOrNone:
    """A keeper that keeps nothing: it sees to it that every row expected is really taken."""

    def __init__(self, place: int, expected: Collection[KeyText]) -> None:
        self._place, self._expected = place, set(expected)

    def keep(self, image: Image) -> None:
        """A row is about to go, locked and as it was written down."""
        self._expected -= {key_text(key) for place, key in image.whose if place == self._place}

    def seal(self, left: Any) -> None:
        """Raises StoreError, passing, before the store commits."""
        for _ in left:
            pass
        if self._expected:
            raise StoreError("retention", _RENEWED, permanent=False)


def outcome_of(expiry: Expiry, run: Run) -> dict[int, Counter[str]]:
    """By the ordinal of a step: rows dealt with, rows left, and their residue.

    Raises StoreError where a row that has gone is there again: nothing is claimed then.
    """
    person, found = str(expiry.id), {s.ordinal: Counter[str]() for s in journal.run_steps(run)}
    gone: set[KeyText] = set()
    with Stores() as stores:
        survey = survey_of(expiry, stores)
        root = survey.root.ordinal
        for batch in run.batches.all():
            lines = batch.receipts.get(person, {})
            for ordinal, line in lines.items():
                counts = {"rows": line["rows"], "left": line.get("left", len(line["left_at"]))}
                found[int(ordinal)].update({**counts, line["residue"]: line["rows"]})
            left = set(lines.get(str(root), {}).get("left_at", ()))
            gone |= {
                one
                for e in journal.open_batch(batch, {person}).entries()
                if e.ordinal == root and e.at[person] not in left
                for one in roots_of(e)
            }
    if survey.root.step.action == "delete" and gone & survey.present:
        raise StoreError(expiry.dataset, "rows that were erased are there again; look at the store")
    return found


def close_run(run: Run, fence: Fence) -> None:
    """Every store was acted on and asked again. Joins the caller's transaction."""
    fence.check()
    for state in ("settling", "models", "verifying"):
        move(run, state, by=_BY)
    journal.forget_run(run)
    move(run, "finished", by=_BY, also={"finished_at": timezone.now()})
