"""What a run knows of its people, for judging what the re-scan sees."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from erasure.domain.finding import KeyText, Person, key_text
from erasure.domain.keeping import OBJECTS
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step, partial
from erasure.domain.values import Scalar, canonical, each
from erasure.domain.verdict import (
    Fate,
    Fates,
    Knowledge,
    Sighting,
    Verdict,
    judge,
)
from erasure.models import ErasureRequest, Run
from erasure.runs import case, journal, opening
from erasure.runs.earlier import Kept, Left, kept_before
from erasure.runs.journal import RunStep
from erasure.runs.met import Met
from erasure.runs.segments import Entry
from erasure.stores.base import Hit
from lineage.graph import Dataset, Edge

_UNSEEN = frozenset({"expire", "notify", "manual", "retrain", "unlearn", "retire"})
_PART = 5_000  # entries that are read together
# Where a row was dealt with by several steps, the one that says most of what may stand in it.
_WEAKEST_FIRST: Sequence[Fate] = ("others", "gone", "kept", "stays", "retained")


class RunKnowledge:
    """Rows, owner values and needles of the members of a run."""

    def __init__(
        self,
        run: Run,
        requests: Sequence[ErasureRequest],
        needles: Mapping[Person, set[Needle]],
    ) -> None:
        self._own_matcher = {person: Matcher(owned) for person, owned in needles.items()}
        self._people = _by_needle(needles)
        self._fates, self._own = Met(), Met()
        self.steps = journal.run_steps(run)
        steps = {s.ordinal: s for s in self.steps}
        self._referenced = {
            s.step.dataset.address for s in steps.values() if s.step.via == "refcount"
        }
        self._kinds = {s.step.dataset.address: s.kind for s in steps.values()}
        partly = [p for s in steps.values() if (p := partial(s.step))]
        self._excepted = {step.dataset.address: step.kept for step in partly}
        self._left = Left()
        self.unseen = {s.step.dataset.address for s in steps.values() if s.step.action in _UNSEEN}
        self._read(run, requests, steps)

    @property
    def needles(self) -> Collection[Needle]:
        """Everybody's."""
        return self._people.keys()

    def people_of(self, needle: Needle) -> Sequence[Person]:
        """Everybody whose needle that is."""
        return self._people.get(needle, ())

    def fate(self, person: Person, dataset: Dataset) -> Fates:
        """What became of the person's rows there, by key."""
        return _Fates(self._fates, person, dataset.address)

    def marks_of(self, address: str) -> set[str]:
        """The fields by which records there are known of which an exception has left some."""
        return self._left.fields(address)

    def is_left(self, person: Person, address: str, values: Mapping[str, Scalar]) -> bool:
        """Whether a record with these values is one of the person's of which some was left."""
        return self._left.holds(person, address, values)

    def judge(self, person: Person, hit: Hit, needle: Needle, dataset: Dataset | None) -> Verdict:
        """Residue, shared or retained, for this person, whose needle was hit."""
        seen = Sighting(
            field=hit.field,
            key=key_text(hit.key),
            whole=hit.whole,
            coarse=needle.coarse,
            owner=hit.owner,
            left=dataset is not None and self.is_left(person, dataset.address, hit.marks),
        )
        knowledge = Knowledge(
            dataset=dataset,
            needles=self._own_matcher[person],
            fate=self.fate(person, dataset) if dataset else {},
            own=_Own(self._own, person),
            referenced=dataset is not None and dataset.address in self._referenced,
            excepted=self._excepted.get(dataset.address, ()) if dataset else (),
        )
        return judge(seen, knowledge)

    def _read(
        self, run: Run, requests: Sequence[ErasureRequest], steps: Mapping[int, RunStep]
    ) -> None:
        plan = case.plan_of(requests)
        given = case.given_by(requests)
        self.task = opening.task_of(plan, list(steps.values()), given)
        datasets = self.task.datasets
        edges: dict[str, list[Edge]] = {}
        for edge in map(case.edge_from_json, plan.edges):
            edges.setdefault(edge.origin, []).append(edge)
        for person, pairs in given.items():
            self._own.put(self._seed(person, pairs, plan.seeds))
        for opened in journal.open_batches(run, given):
            # Whoever is at the key of a row that was reused is somebody else, who says nothing of
            # the person.
            entries = (e for e in opened.in_turn() if e.became != "reused")
            while some := list(islice(entries, _PART)):
                self._note_fates(some, steps)
                for entry in some:
                    step = steps[entry.ordinal].step
                    for person in entry.people:
                        self._left.add(person, step, entry.key.guard)
                    led = edges.get(step.dataset.address) if step.via == "deep" else None
                    if led:
                        self._own.put(self._own_values(entry, led, datasets))
        self._note_earlier(kept_before(given))

    def _note_earlier(self, kept: Kept) -> None:
        """What earlier cases have left there stays there."""
        for (person, address), rows in kept.rows.items():
            for text, step in rows.items():
                fate: Fate = "stays" if step.kept else "retained"
                digest = self._fates.digest(person, address, *text)
                self._fates.put([(digest, _WEAKEST_FIRST.index(fate))])
                if part := partial(step):
                    self._excepted[address] = part.kept
        self._left.update(kept.left)

    def _note_fates(self, entries: Iterable[Entry], steps: Mapping[int, RunStep]) -> None:
        found: dict[bytes, int] = {}
        for entry in entries:
            step = steps[entry.ordinal].step
            text, fate = entry.text, _fate(step, entry)
            if fate == "retained" and self._kinds[step.dataset.address] in OBJECTS:
                text = text[:3]  # a hit does not tell apart what is under one value
            strength = _WEAKEST_FIRST.index(fate)
            for person in entry.people:
                digest = self._fates.digest(person, step.dataset.address, *text)
                found[digest] = max(strength, found.get(digest, 0))
        before = self._fates.numbers(list(found))
        self._fates.put(
            (digest, max(strength, known or 0))
            for (digest, strength), known in zip(found.items(), before, strict=True)
        )

    def _seed(
        self,
        person: Person,
        identifiers: Sequence[tuple[str, str]],
        seeds: Mapping[str, Mapping[str, str]],
    ) -> Iterator[tuple[bytes, int]]:
        for dataset, fields in seeds.items():
            for field, kind in fields.items():
                for k, value in identifiers:
                    if k == kind:
                        own = (person, dataset, field, canonical(value, k))
                        yield self._own.digest(*own), 0

    def _own_values(
        self, entry: Entry, edges: Sequence[Edge], datasets: Mapping[str, Dataset]
    ) -> Iterator[tuple[bytes, int]]:
        for edge in edges:
            if edge.reference.also:
                continue  # a part of a composite reference is many people's
            found = datasets[edge.destination].get(edge.destination_field)
            kind = found.identity if found else None
            for value in each(entry.carry.get(edge.origin_field)):
                text = canonical(value, kind)
                for person in entry.people:
                    own = (person, edge.destination, edge.destination_field, text)
                    yield self._own.digest(*own), 0


@dataclass(frozen=True)
class _Fates:
    """What became of one person's rows in one dataset."""

    met: Met
    person: Person
    address: str

    def get(self, key: KeyText, /) -> Fate | None:
        """Of the row at that key."""
        (found,) = self.met.numbers([self.met.digest(self.person, self.address, *key)])
        return None if found is None else _WEAKEST_FIRST[found]


@dataclass(frozen=True)
class _Own:
    """By what one person's rows are known."""

    met: Met
    person: Person

    def get(self, place: tuple[str, str], /) -> Container[str]:
        """In one field of a dataset."""
        return _Values(self.met, (self.person, *place))


@dataclass(frozen=True)
class _Values:
    """The values of one field."""

    met: Met
    about: tuple[str, ...]

    def __contains__(self, text: object) -> bool:
        (found,) = self.met.numbers([self.met.digest(*self.about, str(text))])
        return found is not None


def _by_needle(needles: Mapping[Person, set[Needle]]) -> dict[Needle, list[Person]]:
    people: dict[Needle, list[Person]] = {}
    for person in sorted(needles):
        for needle in needles[person]:
            people.setdefault(needle, []).append(person)
    return people


def _fate(step: Step, entry: Entry) -> Fate:
    if step.action in ("retain", "restrict"):
        return "retained"
    if entry.became == "kept":
        return "kept"
    if step.via in ("shallow", "mention"):
        return "others"
    return "stays" if step.action in ("anonymize", "redact") else "gone"
