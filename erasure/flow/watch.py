"""Dates that act by themselves: retained rows whose time has come are erased by their own step,
and copies that should have expired are looked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.errors import LateRows, StoreError
from erasure.domain.finding import key_text
from erasure.domain.needles import Matcher
from erasure.domain.outcome import Done, outcome_of
from erasure.domain.states import SETTLED
from erasure.domain.steps import Step, last_day
from erasure.evidence import certificate, ledger
from erasure.models import DateDue, ErasureRequest, PlanStep, Run, UndoWindow
from erasure.runs import addendum, earlier, explaining, holding, journal, statement
from erasure.runs.later import became, later_key, taken_on
from erasure.runs.lease import Fence, lease
from erasure.runs.segments import Entry
from erasure.stores.base import (
    Explains,
    Key,
    Purged,
    Receipt,
    Secrets,
    Selector,
    Store,
    Work,
)
from erasure.stores.purging import purge_after
from erasure.transitions import move, move_all

_BY = "run"
WATCHED = ("partly_granted", "awaiting_copies")
# Deleting draws no random value and looks for no needle.
_NO_SECRETS = Secrets(seed=bytes(32), needles=Matcher(()))


def windows_over(now: datetime) -> list[ErasureRequest]:
    """Cases whose undo window has to be closed, or was closed by somebody who died then."""
    over = Q(closed_at=None) & (Q(closes_at__lte=now) | Q(request__state__in=SETTLED))
    left = Q(request__state="awaiting_window") & ~Q(closed_at=None)
    windows = UndoWindow.objects.filter(over | left).exclude(request__state="undoing")
    return [window.request for window in windows.select_related("request").order_by("closes_at")]


def dates_over(now: datetime) -> Iterator[ErasureRequest]:
    """Decided cases of which something has to be gone by today, and those whose dates nobody has
    written down yet."""
    decided = ErasureRequest.objects.filter(state__in=WATCHED)
    over = Q(dates__done_at=None, dates__on__lt=now.date())
    unknown = Q(
        dates=None,
        plans__state="carried_out",
        plans__steps__rows__gt=0,
        plans__steps__until__isnull=False,
    ) & (
        Q(plans__steps__action__in=("retain", "expire")) | Q(plans__steps__residue="retained_until")
    )
    held = Q(plans__steps__on_hold=True)
    yield from decided.filter(over | unknown | held).distinct().order_by("due_at")


def act_on_dates(request: ErasureRequest, *, now: datetime) -> None:
    """Erase what was retained until a day that has passed, and see whether copies that should be
    gone are. What came of it is sealed as an addendum, and the case comes to its new outcome.

    Raises StoreError and Fenced; then it is tried again.
    """
    case = _Case(request)
    case.note_dates()
    case.note_released(now.date() - timedelta(days=1))
    over = request.dates.filter(done_at=None, on__lt=now.date())
    for store in sorted(set(over.values_list("store", flat=True))):
        with lease(_run_of(request).id, store) as fence:
            case = _Case(request)  # read anew: one store's date moves another's copies
            case.act_in(store, case.not_held(over.filter(store=store)), fence)


def note_trouble(request: ErasureRequest, why: str) -> None:
    """Why something is not gone on its date, where a person sees it; the sweep tries again."""
    today = timezone.now().date()
    request.dates.filter(done_at=None, on__lt=today).update(error=why)


def _run_of(request: ErasureRequest) -> Run:
    assert request.run is not None  # noqa: S101 - a decided case was carried out by a run
    return request.run


class _Case:
    """A decided case, its plan's steps as they stand, and the keys that were kept sealed."""

    def __init__(self, request: ErasureRequest) -> None:
        self.request, self.run = request, _run_of(request)
        self._steps = {s.ordinal: s for s in statement.steps_of(request)}
        self._run_steps = {s.ordinal: s for s in journal.run_steps(self.run)}
        self._entries: dict[int, list[Entry]] = {}
        for entry in journal.read_run(self.run, {str(request.id)}):
            self._entries.setdefault(entry.ordinal, []).append(entry)
        self._done: list[addendum.Done] = []

    def note_dates(self) -> None:
        """Write down, once, on which days what has to go."""
        if self.request.dates.exists():
            return
        counts: Counter[tuple[int, date]] = Counter()
        for ordinal, entries in self._entries.items():
            for entry in entries:
                if day := last_day(self._run_steps[ordinal].step, entry.carry):
                    counts[ordinal, day] += entry.key.count
        for step in self._steps.values():
            if step.action == "expire" and step.until and step.residue != "clean":
                counts[step.ordinal, step.until] += step.rows or 0
        DateDue.objects.bulk_create(
            (self._date(ordinal, day, rows) for (ordinal, day), rows in counts.items()),
            ignore_conflicts=True,
        )

    def note_released(self, day: date) -> None:
        """What stood still for a hold that was released was due yesterday, or is on the last day
        of the exception under the hold; where that keeps some fields, the rest was due yesterday.
        """
        steps = holding.released(self.request, list(self._steps.values()))
        with transaction.atomic():
            for step in steps:
                rows = sum(e.key.count for e in self._entries.get(step.ordinal, ()))
                held = self._run_steps[step.ordinal].step.held
                until = last_day(held, {}) if held else None
                days = {until or day, day} if held and held.kept else {until or day}
                if rows:
                    for one in days if until is None or until > day else {until}:
                        self._date(step.ordinal, one, rows).save()
                    step.until = until
                step.on_hold = False
                step.save(update_fields=["on_hold", "until"])
            if steps:
                told = {"request": str(self.request.id), "datasets": [s.dataset for s in steps]}
                ledger.record("hold_over", told)

    def not_held(self, due: QuerySet[DateDue]) -> list[DateDue]:
        """Those that may go: a hold outranks a date."""
        free = []
        for one in due:
            if why := holding.is_held(self.request, {one.dataset}):
                DateDue.objects.filter(pk=one.pk).update(error=why)
            else:
                free.append(one)
        return free

    def _date(self, ordinal: int, day: date, rows: int) -> DateDue:
        step = self._steps[ordinal]
        return DateDue(
            request=self.request,
            store=step.store,
            dataset=step.dataset,
            step=ordinal,
            on=day,
            rows=rows,
        )

    def act_in(self, name: str, due: Sequence[DateDue], fence: Fence) -> None:
        """Everything that is due in one store, written down together."""
        self._done = []
        copies = [one for one in due if self._steps[one.step].action == "expire"]
        retained = [one for one in due if one not in copies]
        late: dict[int, str] = {}
        with open_store(name) as store:
            if retained:
                self._erase(store, retained)
            for one in copies:
                if left := self._copies_left(store, one.step):
                    late[one.pk] = f"{left} copies are past their date and still there; remove them"
                else:
                    self._copies_gone(one)
        since = list(self._copies_since()) if retained else []
        with transaction.atomic():
            fence.check()
            for pk, why in late.items():
                DateDue.objects.filter(pk=pk).update(error=why)
            finished = [one.pk for one in due if one.pk not in late]
            DateDue.objects.filter(pk__in=finished).update(done_at=timezone.now(), error="")
            self._expect(since)
            if finished:
                self._conclude(name)

    def _erase(self, store: Store, due: Sequence[DateDue]) -> None:
        """The retained rows whose day has passed, by their own step, children first."""
        theirs = {n: self._last([d for d in due if d.step == n]) for n in {d.step for d in due}}
        works: dict[int, Work] = {}
        for ordinal in sorted(theirs):
            step = self._taken(theirs[ordinal][0])
            works[ordinal] = Work(step=step, keys=self._keys(ordinal, step, theirs[ordinal]))
        listed = list(works.values())
        secrets = self._secrets(listed)
        self._refuse_triggers(store, sorted(works))
        try:
            receipts = store.act(listed, secrets)
        except LateRows as error:
            raise StoreError(
                error.place, "rows refer to what has to go on its date; remove them there first"
            ) from None
        for failure in store.check(listed, secrets):
            raise StoreError(failure.dataset, f"on its date: {failure.why}; look at the store")
        purged = purge_after(store, (work.step for work in listed))
        for (ordinal, work), receipt in zip(works.items(), receipts, strict=True):
            if work.step.kept:
                self._erased_partly(self._steps[ordinal], work, receipt)
            else:
                self._erased(self._steps[ordinal], theirs[ordinal], receipt, purged)

    def _last(self, due: Sequence[DateDue]) -> list[DateDue]:
        """Those of a step that are to be dealt with: where its last day has come meanwhile, not
        what should have been done before."""
        return [one for one in due if not self._taken(one).kept] or list(due)

    def _taken(self, due: DateDue) -> Step:
        return taken_on(self._run_steps[due.step].step, due.on)

    def _secrets(self, works: Sequence[Work]) -> Secrets:
        """What a step that stood still needs, and no other: the person's needles."""
        if all(work.step.action == "delete" for work in works):
            return _NO_SECRETS
        needles = journal.open_needles(self.run, [str(self.request.id)])
        return Secrets(seed=os.urandom(32), needles=journal.matcher_of(needles))

    def _refuse_triggers(self, store: Store, ordinals: Sequence[int]) -> None:
        """A trigger may write elsewhere what it deletes. Raises StoreError for one that was not
        accepted with the plan."""
        plan = self.request.plans.exclude(state="stale").first()
        if plan is None or not isinstance(store, Explains):
            return
        approved = {(found["code"], found["mark"]) for found in plan.findings}
        steps = [self._run_steps[ordinal].step for ordinal in ordinals]
        for step, effects in zip(steps, explaining.triggers_later(store, steps), strict=True):
            for effect in effects:
                if (effect.code, effect.mark) not in approved:
                    raise StoreError(
                        step.dataset.address,
                        f"a trigger would run that was not accepted with the plan ({effect.code}); "
                        "disable it until these rows have gone",
                    )

    def _keys(self, ordinal: int, taken: Step, due: Sequence[DateDue]) -> tuple[Key, ...]:
        """The keys that were kept for those days. Raises StoreError where they are not as many as
        were counted: then nothing may be claimed."""
        step, days = self._run_steps[ordinal].step, {one.on for one in due}
        entries = self._entries.get(ordinal, ())
        whole = step.held is not None and step.dataset.until is None
        keys = tuple(
            later_key(step, taken, e.key, self._run_steps[ordinal].kind)
            for e in entries
            if whole or last_day(step, e.carry) in days
        )
        if sum(key.count for key in keys) != sum(one.rows for one in due):
            raise StoreError(
                step.dataset.address, "the keys kept for its dates are not those that were counted"
            )
        return keys

    def _erased(
        self, step: PlanStep, due: Sequence[DateDue], receipt: Receipt, purged: Purged
    ) -> None:
        gone = sum(one.rows for one in due)
        left = (step.rows or 0) - gone
        kept = len(receipt.reused) + len(receipt.kept)
        note = f"{gone - kept} {became(receipt)} when their last day had passed"
        if kept:
            note += f"; {kept} left alone: no longer the row that was found, or referred to"
        residue = purged.residue if receipt.residue == "logically_deleted" else receipt.residue
        step.note = "; ".join(filter(None, (step.note, note)))
        if left > 0:
            step.rows = left
        else:
            every = self.request.dates.filter(step=step.ordinal)
            step.rows = sum(one.rows for one in every if not self._taken(one).kept) - kept
            step.residue, step.until = residue, None
        self._done.append(
            addendum.Done(
                step=step, action=receipt.action, rows=gone - kept, residue=residue, note=note
            )
        )

    def _erased_partly(self, step: PlanStep, work: Work, receipt: Receipt) -> None:
        """A hold was released over an exception of fields: those stay until its day."""
        other = sum(key.count for key in (*receipt.reused, *receipt.kept))
        step.rows = sum(key.count for key in work.keys) - other
        note = f"kept: {', '.join(work.step.kept)}; the rest was anonymised after the hold"
        if other:
            note += f"; {other} left alone: no longer the row that was found, or referred to"
        step.note = "; ".join(filter(None, (step.note, note)))
        step.residue, step.until = "retained_until", last_day(work.step, {})
        done = addendum.Done(
            step=step, action=receipt.action, rows=step.rows, residue=step.residue, note=note
        )
        self._done.append(done)

    def _copies_left(self, store: Store, ordinal: int) -> int:
        """Copies that held the person and are still there, looked for by their names."""
        mine = {key_text(entry.key.values) for entry in self._entries.get(ordinal, ())}
        return len(mine & {key_text(key.values) for key in self._present(store, ordinal)})

    def _present(self, store: Store, ordinal: int) -> list[Key]:
        dataset = self._run_steps[ordinal].step.dataset
        if dataset.name not in store.inspect().tables:
            return []
        return [found.key for found in store.find(Selector(dataset=dataset), ())]

    def _copies_gone(self, due: DateDue) -> None:
        step = self._steps[due.step]
        step.residue, step.until = "clean", None
        step.note = "no copy from before is left; looked for by name"
        self._done.append(
            addendum.Done(
                step=step, action="expire", rows=due.rows, residue="clean", note=step.note
            )
        )

    def _copies_since(self) -> Iterator[tuple[int, list[Key], Receipt]]:
        """What was retained until now is in every copy taken since: they have to expire, too."""
        for ordinal, step in self._steps.items():
            if step.action == "expire":
                with open_store(step.store) as store:
                    if keys := self._present(store, ordinal):
                        work = Work(step=self._run_steps[ordinal].step, keys=tuple(keys))
                        yield ordinal, keys, store.act([work], _NO_SECRETS)[0]

    def _expect(self, copies: Sequence[tuple[int, list[Key], Receipt]]) -> None:
        for ordinal, keys, receipt in copies:
            person = frozenset({str(self.request.id)})
            entries = [
                Entry(ordinal=ordinal, key=key, text=key_text(key.values), people=person)
                for key in keys
            ]
            round_ = 1 + max(self.run.batches.values_list("round", flat=True), default=0)
            journal.write_batches(self.run, [self._run_steps[ordinal]], entries, round_=round_)
            written = list(self.run.batches.filter(round=round_))
            move_all(written, "intent", by=_BY)
            move_all(written, "done", by=_BY)
            step = self._steps[ordinal]
            step.rows, step.residue, step.until = len(keys), receipt.residue, receipt.until
            step.note = receipt.note
            self.request.dates.filter(step=ordinal, done_at=None).delete()
            if receipt.until:
                DateDue.objects.update_or_create(
                    request=self.request,
                    step=ordinal,
                    on=receipt.until,
                    defaults={
                        "store": step.store,
                        "dataset": step.dataset,
                        "rows": len(keys),
                        "done_at": None,
                    },
                )

    def _conclude(self, store: str) -> None:
        steps = list(self._steps.values())
        PlanStep.write_results(steps)
        outcome, why = outcome_of(
            [Done(action=s.action, rows=s.rows or 0, residue=s.residue) for s in steps],
            (),
            verifiable=True,
            rescan_due=False,
            left_before=bool(earlier.left_by_earlier(self.request)),
        )
        ledger.record(
            "dates",
            {
                "request": str(self.request.id),
                "store": store,
                "done": [
                    {"dataset": d.step.dataset, "action": d.action, "rows": d.rows}
                    for d in self._done
                ],
            },
        )
        if outcome != self.request.state:
            move(self.request, outcome, by=_BY, because=f"a date has passed: {why}")
        certificate.seal(addendum.body_of(self.request, steps, self._done, outcome))
        for one in earlier.waited_for(self.request):
            because = f"nothing is left of case {self.request.pk} any more"
            move(one, "completed", by=_BY, because=because)
            certificate.seal(addendum.body_of(one, statement.steps_of(one), (), "completed"))
