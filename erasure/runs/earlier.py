"""What earlier cases of the same person have left until a day of its own: it is theirs, and no
later case cuts that short, acts on it beside them, or takes it for something that was missed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from erasure.domain.finding import KeyText, Person
from erasure.domain.plan import Draft
from erasure.domain.states import WAITING
from erasure.domain.steps import (
    KEPT,
    Mark,
    Step,
    in_the_end,
    mark_names,
    mark_of,
    marked,
    now_of,
)
from erasure.domain.values import Scalar
from erasure.models import ErasureRequest, Identifier, PlanStep, SuppressionEntry
from erasure.runs import journal
from erasure.runs.journal import RunStep
from erasure.runs.later import later_key
from erasure.runs.segments import Entry
from erasure.stores.base import Key
from lineage.prepared import Prepared, Slot

_STAYING = ("retained_until", "pseudonymized")
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


@dataclass(frozen=True, kw_only=True)
class LeftRows:
    """Rows that an earlier case has left by one step, ``by`` the plan's: how they are read now.
    ``taken``: what is done to them at last, by whose guard their ``keys`` are told; ``texts``: as
    they were found."""

    by: PlanStep
    kind: str
    taken: Step
    kept: tuple[str, ...]  # the only fields that were, where not all of the row was
    keys: Sequence[Key]
    texts: Sequence[KeyText]


def kept_before(people: Collection[Person]) -> Kept:
    """For each of these cases, by its id, what waiting cases of the same person have left. Raises
    KeyDestroyed where that cannot be read."""
    kept = Kept()
    for case, person in _earlier(people):
        for _, step, entry in _entries_left(case):
            place = kept.rows.setdefault((person, step.dataset.address), {})
            place[entry.text] = step
            kept.left.add(person, step, entry.key.guard)
    return kept


def rows_left(request: ErasureRequest) -> Iterator[LeftRows]:
    """What earlier cases of this person have left of their own rows, step by step. Raises
    KeyDestroyed where that cannot be read."""
    for case, _ in _earlier({str(request.id)}):
        planned = {s.ordinal: s for s in _left().filter(plan__request=case).select_related("plan")}
        found: dict[int, list[tuple[RunStep, Step, Entry]]] = {}
        for then, step, entry in _entries_left(case):
            found.setdefault(then.ordinal, []).append((then, step, entry))
        for ordinal, entries in sorted(found.items()):
            then, step, _ = entries[0]
            if step.via in ("deep", "refcount"):  # in others' rows stands what is others'
                taken = in_the_end(then.step)
                keys = [later_key(then.step, taken, e.key, then.kind) for _, _, e in entries]
                yield LeftRows(
                    by=planned[ordinal],
                    kind=then.kind,
                    taken=taken,
                    kept=() if step.action in KEPT else step.kept,
                    keys=keys,
                    texts=[e.text for _, _, e in entries],
                )


def _entries_left(case: ErasureRequest) -> Iterator[tuple[RunStep, Step, Entry]]:
    """What is still there of a case: the step as it was planned and as it is now, and the row."""
    assert case.run is not None  # noqa: S101 - it was carried out
    there = {s.ordinal: s.on_hold for s in _left().filter(plan__request=case)}
    planned = {s.ordinal: s for s in journal.run_steps(case.run) if s.ordinal in there}
    now = {n: now_of(s.step, on_hold=there[n]) for n, s in planned.items()}
    for entry in journal.read_run(case.run, {str(case.id)}):
        step = now.get(entry.ordinal)
        if step is None:
            continue  # what it has left has gone on its day
        if (step.action in KEPT or step.kept) and entry.became != "reused":
            yield planned[entry.ordinal], step, entry


def _left() -> QuerySet[PlanStep]:
    """Steps that were carried out and have left rows until a day, or for a hold."""
    return PlanStep.objects.filter(plan__state="carried_out", rows__gt=0, residue="retained_until")


def _waiting() -> QuerySet[ErasureRequest]:
    """Cases that have left something and know what one of these proved to be known by."""
    mine = ErasureRequest.objects.filter(pk__in=Slot("cases"))
    given = _proved().filter(request__in=Slot("cases")).values("keyed_hash")
    same = Q(pk__in=_proved().filter(keyed_hash__in=given).values("request"))
    same |= Q(pk__in=_erased().filter(keyed_hash__in=given).values("request_id"))
    same |= Q(pk__in=mine.exclude(follows=None).values("follows"))
    waiting = ErasureRequest.objects.filter(same, state__in=WAITING, run__isnull=False)
    waiting = waiting.filter(pk__in=_left().values("plan__request"))
    return waiting.select_related("run").order_by("run__started_at", "pk")


def _proved() -> QuerySet[Identifier]:
    """What was typed and not proved tells nobody anything: it may be somebody else's."""
    return Identifier.objects.exclude(proved_by="")


def _erased() -> QuerySet[SuppressionEntry]:
    """What was found to be a person's, and erased."""
    return SuppressionEntry.objects.filter(ended_at=None)


_WAITING = Prepared(_waiting)


def _earlier(people: Collection[Person]) -> Iterator[tuple[ErasureRequest, Person]]:
    """Cases that have left something of these people, or were reopened as one of these; each with
    those of the people who are the same person and were carried out after it."""
    cases = [UUID(person) for person in people]
    found = _WAITING.all(cases=cases)
    if not found:
        return
    given = _by_case(_proved().filter(request__in=cases).values_list("request", "keyed_hash"))
    known = _known_to([case.pk for case in found])
    for pk, follows, at in _begun(ErasureRequest.objects.filter(pk__in=cases).order_by("pk")):
        same = {one for one in known(given.get(pk, set())) if one != pk} | {follows}
        for case in found:
            before = at is None or (case.run is not None and case.run.started_at < at)
            if before and case.pk in same:
                yield case, str(pk)


def _known_to(cases: Collection[UUID]) -> Callable[[set[str]], Iterator[UUID]]:
    """Tells which of the cases are of the person who has proved some identifiers: those to which
    one of them was given, and those that know all of them as given, or found and erased. What was
    only found may be a household's: then nothing of theirs may be strange to that case."""
    given = _by_case(_proved().filter(request__in=cases).values_list("request", "keyed_hash"))
    erased = _by_case(
        _erased().filter(request_id__in=cases).values_list("request_id", "keyed_hash")
    )
    knowing: dict[str, set[UUID]] = {}
    for case in cases:
        for keyed in given.get(case, set()) | erased.get(case, set()):
            knowing.setdefault(keyed, set()).add(case)

    def same(proved: set[str]) -> Iterator[UUID]:
        for case in {case for keyed in proved for case in knowing.get(keyed, ())}:
            mine = given.get(case, set())
            if proved & mine or proved <= mine | erased.get(case, set()):
                yield case

    return same


def _by_case(pairs: Iterable[tuple[UUID, str]]) -> dict[UUID, set[str]]:
    grouped: dict[UUID, set[str]] = {}
    for pk, keyed in pairs:
        grouped.setdefault(pk, set()).add(keyed)
    return grouped


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


def known_besides(request: ErasureRequest) -> list[ErasureRequest]:
    """Cases that have left something of somebody who was known by some of what this one's person
    proved, and not by all: a person has to see whether it is the same one."""
    same = {case.pk for case, _ in _earlier({str(request.id)})}
    found = _WAITING.all(cases=[request.pk])
    return [case for case in found if case.pk not in same | {request.pk}]


def waited_for(request: ErasureRequest) -> list[ErasureRequest]:
    """Cases of the same person, carried out after this one, that have erased everything but what
    earlier ones had left, of which nothing is left any more."""
    known = Q(keyed_hash__in=_proved().filter(request=request).values("keyed_hash"))
    known |= Q(keyed_hash__in=_erased().filter(request_id=request.pk).values("keyed_hash"))
    about = Q(pk__in=_proved().filter(known).values("request")) | Q(follows=request.pk)
    later = ErasureRequest.objects.filter(about, state="partly_granted", run__isnull=False)
    stays = PlanStep.objects.filter(plan__state="carried_out", rows__gt=0, residue__in=_STAYING)
    later = later.exclude(pk=request.pk).exclude(pk__in=stays.values("plan__request"))
    return [one for one in later.distinct() if not left_by_earlier(one)]
