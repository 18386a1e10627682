"""What earlier cases of the same person have left until a day of its own: it is theirs, and no
later case cuts that short, acts on it beside them, or takes it for something that was missed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from erasure.domain.finding import KeyText, Person
from erasure.domain.plan import Draft
from erasure.domain.states import WAITING
from erasure.domain.steps import KEPT, Mark, Step, mark_names, mark_of, marked, now_of
from erasure.domain.values import Scalar
from erasure.models import ErasureRequest, Identifier, PlanStep
from erasure.runs import journal
from erasure.stores.base import Key
from lineage.prepared import Prepared, Slot

_BEGUN = WAITING | {"executing", "verifying", "blocked", "awaiting_window", "undoing", "completed"}


@dataclass(frozen=True)
class Left:
    """Records of which some fields were left, in stores whose keys do not outlive the change: by
    person, dataset and the fields by which they are known again."""

    marks: dict[tuple[Person, str], dict[tuple[str, ...], set[Mark]]] = field(default_factory=dict)

    def add(self, person: Person, step: Step, guard: Sequence[Scalar]) -> None:
        """A record that a step has changed, or still stands still for; ``guard``: as in its key."""
        if mark := mark_of(step, step.guard, guard):
            place = self.marks.setdefault((person, step.dataset.address), {})
            place.setdefault(mark_names(step), set()).add(mark)

    def update(self, other: Left) -> None:
        """Everything that another knows, too."""
        for place, known in other.marks.items():
            for names, marks in known.items():
                self.marks.setdefault(place, {}).setdefault(names, set()).update(marks)

    def fields(self, address: str) -> set[str]:
        """Every field by which a record of the dataset is known."""
        known = (names for (_, there), by in self.marks.items() if there == address for names in by)
        return {name for names in known for name in names}

    def holds(self, person: Person, address: str, values: Mapping[str, Scalar]) -> bool:
        """Whether a record with these values is one of that person's."""
        return any(
            values.keys() >= set(names) and marked(values[name] for name in names) in marks
            for names, marks in self.marks.get((person, address), {}).items()
        )


@dataclass(frozen=True)
class Kept:
    """Rows by person, dataset and key, each with the step that has left it there."""

    rows: dict[tuple[Person, str], dict[KeyText, Step]] = field(default_factory=dict)
    left: Left = field(default_factory=Left)

    def of(self, person: Person, address: str) -> dict[KeyText, Step]:
        """That person's there."""
        return self.rows.get((person, address), {})

    def without(
        self,
        people: frozenset[Person],
        step: Step,
        text: KeyText,
        key: Key,
        sparing: Collection[str],
    ) -> frozenset[Person]:
        """Those of the people for whom the row was not left by an earlier case. ``sparing``: what
        their own step leaves in it: where that is no less, it may be dealt with again, as a row
        that came back whole from a backup has to be."""
        if not self.rows:
            return people
        return frozenset(p for p in people if not self._bars(p, step, text, key, sparing))

    def _bars(
        self, person: Person, step: Step, text: KeyText, key: Key, sparing: Collection[str]
    ) -> bool:
        address = step.dataset.address
        if key.guard and self.left.holds(
            person, address, dict(zip(step.guard, key.guard, strict=True))
        ):
            return True
        left = self.of(person, address).get(text)
        return left is not None and not (left.kept and set(left.kept) <= set(sparing))

    def guarding(self, draft: Draft) -> Draft:
        """The draft, whose step looks at what such records are known by: in a file they are found
        together with others."""
        names = self.left.fields(draft.step.dataset.address)
        if not names or draft.step.via not in ("deep", "shallow"):
            return draft
        guard = tuple(sorted({*draft.step.guard, *names}))
        return replace(draft, step=replace(draft.step, guard=guard))


def kept_before(people: Collection[Person]) -> Kept:
    """For each of these cases, by its id, what waiting cases of the same person have left. Raises
    KeyDestroyed where that cannot be read."""
    kept = Kept()
    for case, person in _earlier(people):
        assert case.run is not None  # noqa: S101 - it was carried out
        there = {s.ordinal: s.on_hold for s in _left().filter(plan__request=case)}
        steps = {
            s.ordinal: now_of(s.step, on_hold=there[s.ordinal])
            for s in journal.run_steps(case.run)
            if s.ordinal in there
        }
        for entry in journal.read_run(case.run, {str(case.id)}):
            step = steps.get(entry.ordinal)
            if step is None:
                continue  # what it has left has gone on its day
            if (step.action in KEPT or step.kept) and entry.became != "reused":
                place = kept.rows.setdefault((person, step.dataset.address), {})
                place[entry.text] = step
                kept.left.add(person, step, entry.key.guard)
    return kept


def _left() -> QuerySet[PlanStep]:
    """Steps that were carried out and have left rows until a day, or for a hold."""
    return PlanStep.objects.filter(plan__state="carried_out", rows__gt=0, residue="retained_until")


def _waiting() -> QuerySet[ErasureRequest]:
    mine = ErasureRequest.objects.filter(pk__in=Slot("cases"))
    given = Identifier.objects.filter(request__in=Slot("cases"))
    same = Q(identifiers__keyed_hash__in=given.values("keyed_hash"))
    same |= Q(pk__in=mine.exclude(follows=None).values("follows"))
    waiting = ErasureRequest.objects.filter(same, state__in=WAITING, run__isnull=False)
    waiting = waiting.filter(pk__in=_left().values("plan__request")).distinct()
    return waiting.select_related("run").order_by("run__started_at", "pk")


_WAITING = Prepared(_waiting)


def _earlier(people: Collection[Person]) -> Iterator[tuple[ErasureRequest, Person]]:
    """Cases that have left something and know one of the identifiers, or were reopened as one of
    these; each with those of the people who are the same person and were carried out after it."""
    cases = [UUID(person) for person in people]
    found = _WAITING.all(cases=cases)
    if not found:
        return
    hashes: dict[str, set[UUID]] = {}
    given = Identifier.objects.filter(request__in=cases)
    for keyed, pk in given.values_list("keyed_hash", "request"):
        hashes.setdefault(keyed, set()).add(pk)
    mine = ErasureRequest.objects.filter(pk__in=cases)
    begun = {pk: (follows, at) for pk, follows, at in _begun(mine)}
    for case in found:
        known = case.identifiers.values_list("keyed_hash", flat=True)
        whose = {pk for keyed in known for pk in hashes.get(keyed, ())}
        whose |= {pk for pk, (follows, _) in begun.items() if follows == case.pk}
        for pk in sorted(whose - {case.pk}):
            at = begun[pk][1]
            if at is None or (case.run is not None and case.run.started_at < at):
                yield case, str(pk)


def _begun(
    cases: QuerySet[ErasureRequest],
) -> Iterator[tuple[UUID, UUID | None, datetime | None]]:
    """Each with the case that was reopened as it, and when it was carried out, if it was yet: a
    run of its own that came to nothing does not count."""
    rows = cases.values_list("pk", "follows", "state", "run__started_at")
    for pk, follows, state, at in rows:
        yield pk, follows, at if state in _BEGUN else None


def left_by_earlier(request: ErasureRequest) -> list[PlanStep]:
    """The steps of earlier cases that have left something of this person."""
    cases = [case for case, _ in _earlier({str(request.id)})]
    return list(_left().filter(plan__request__in=cases).select_related("plan")) if cases else []


def told_of_earlier(request: ErasureRequest) -> list[dict[str, Any]]:
    """The same as a certificate tells it."""
    return [
        {
            "dataset": step.dataset,
            "rows": step.rows or 0,
            "reason": f"left by case {step.plan.request_id} until a day of its own: {step.reason}",
            "until": step.until.isoformat() if step.until else None,
        }
        for step in left_by_earlier(request)
    ]


def waited_for(request: ErasureRequest) -> list[ErasureRequest]:
    """Cases of the same person, carried out after this one, that have erased everything but what
    earlier ones had left, of which nothing is left any more."""
    about = Q(identifiers__keyed_hash__in=request.identifiers.values("keyed_hash"))
    about |= Q(follows=request.pk)
    later = ErasureRequest.objects.filter(about, state="partly_granted", run__isnull=False)
    later = later.exclude(pk=request.pk).exclude(pk__in=_left().values("plan__request"))
    return [one for one in later.distinct() if not left_by_earlier(one)]
