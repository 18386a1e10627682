"""What a run knows of its people, for judging what the re-scan sees."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from erasure.domain.finding import KeyText, Person, key_text
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.domain.values import canonical, each
from erasure.domain.verdict import Fate, Knowledge, Sighting, Verdict, judge
from erasure.models import ErasureRequest, Run
from erasure.runs import case, journal, opening
from erasure.runs.earlier import Kept, kept_before
from erasure.runs.journal import RunStep
from erasure.runs.segments import Entry
from erasure.stores.base import Hit
from lineage.graph import Dataset, Edge

_UNSEEN = frozenset({"expire", "notify", "manual", "retrain", "unlearn", "retire"})
# Where a row was dealt with by several steps, the one that says most of what may stand in it.
_STRENGTH: Mapping[Fate, int] = {"others": 0, "gone": 1, "kept": 2, "stays": 3, "retained": 4}


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
        self._fates: dict[tuple[Person, str], dict[KeyText, Fate]] = {}
        self._own: dict[Person, dict[tuple[str, str], set[str]]] = {}
        steps = {s.ordinal: s for s in journal.run_steps(run)}
        self._referenced = {
            s.step.dataset.address for s in steps.values() if s.step.via == "refcount"
        }
        partly = [s.step for s in steps.values() if s.step.kept]
        self._excepted = {step.dataset.address: step.kept for step in partly}
        self.unseen = {s.step.dataset.address for s in steps.values() if s.step.action in _UNSEEN}
        self._read(run, requests, steps)

    @property
    def needles(self) -> Collection[Needle]:
        """Everybody's."""
        return self._people.keys()

    def people_of(self, needle: Needle) -> Sequence[Person]:
        """Everybody whose needle that is."""
        return self._people.get(needle, ())

    def fate(self, person: Person, dataset: Dataset) -> Mapping[KeyText, Fate]:
        """What became of the person's rows there, by key."""
        return self._fates.get((person, dataset.address), {})

    def judge(self, person: Person, hit: Hit, needle: Needle, dataset: Dataset | None) -> Verdict:
        """Residue, shared or retained, for this person, whose needle was hit."""
        seen = Sighting(
            field=hit.field,
            key=key_text(hit.key),
            whole=hit.whole,
            coarse=needle.coarse,
            owner=hit.owner,
        )
        knowledge = Knowledge(
            dataset=dataset,
            needles=self._own_matcher[person],
            fate=self.fate(person, dataset) if dataset else {},
            own=self._own.get(person, {}),
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
            self._seed(person, pairs, plan.seeds)
        for entry in journal.read_run(run, given):
            step = steps[entry.ordinal].step
            if entry.became == "reused":
                continue  # it is somebody else's row, and says nothing of the person
            for person in entry.people:
                self._note_fate(person, step, entry)
                if step.via == "deep":
                    self._own_values(person, entry, edges.get(step.dataset.address, ()), datasets)
        self._note_earlier(kept_before(given))

    def _note_earlier(self, kept: Kept) -> None:
        """What earlier cases have left there stays there."""
        for (person, address), rows in kept.rows.items():
            place = self._fates.setdefault((person, address), {})
            for text, step in rows.items():
                place[text] = "stays" if step.kept else "retained"
                if step.kept:
                    self._excepted[address] = step.kept

    def _note_fate(self, person: Person, step: Step, entry: Entry) -> None:
        place = self._fates.setdefault((person, step.dataset.address), {})
        text, fate = entry.text, _fate(step, entry)
        if text not in place or _STRENGTH[place[text]] < _STRENGTH[fate]:
            place[text] = fate

    def _seed(
        self,
        person: Person,
        identifiers: Sequence[tuple[str, str]],
        seeds: Mapping[str, Mapping[str, str]],
    ) -> None:
        own = self._own.setdefault(person, {})
        for dataset, fields in seeds.items():
            for field, kind in fields.items():
                own.setdefault((dataset, field), set()).update(
                    canonical(value, k) for k, value in identifiers if k == kind
                )

    def _own_values(
        self,
        person: Person,
        entry: Entry,
        edges: Sequence[Edge],
        datasets: Mapping[str, Dataset],
    ) -> None:
        own = self._own.setdefault(person, {})
        for edge in edges:
            if edge.reference.also:
                continue  # a part of a composite reference is many people's
            found = datasets[edge.destination].get(edge.destination_field)
            kind = found.identity if found else None
            place = (edge.destination, edge.destination_field)
            values = each(entry.carry.get(edge.origin_field))
            own.setdefault(place, set()).update(canonical(value, kind) for value in values)


def _by_needle(needles: Mapping[Person, set[Needle]]) -> dict[Needle, list[Person]]:
    people: dict[Needle, list[Person]] = {}
    for person in sorted(needles):
        for needle in needles[person]:
            people.setdefault(needle, []).append(person)
    return people


def _fate(step: Step, entry: Entry) -> Fate:
    if step.action == "retain":
        return "retained"
    if entry.became == "kept":
        return "kept"
    if step.via in ("shallow", "mention"):
        return "others"
    return "stays" if step.action in ("anonymize", "redact", "restrict") else "gone"
