"""What a run knows of its people, for judging what the re-scan sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from erasure.domain.finding import KeyText, Person, key_text
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.domain.values import canonical
from erasure.domain.verdict import Knowledge, Sighting, Verdict, judge
from erasure.models import Run
from erasure.runs import case, journal
from erasure.runs.journal import Entry, RunStep
from erasure.stores.base import Hit
from lineage import selectors
from lineage.graph import Dataset, Edge

_GONE = "gone"
_STAYS = "stays"
_UNSEEN = frozenset({"expire", "notify", "manual", "retrain", "unlearn", "retire"})


class RunKnowledge:
    """Rows, owner values and needles of everybody in a run."""

    def __init__(self, run: Run, needles: Mapping[Person, set[Needle]]) -> None:
        self._matcher = journal.matcher_of(needles)
        self._own_matcher = {person: Matcher(owned) for person, owned in needles.items()}
        self._people: list[list[Person]] = [
            sorted(p for p, owned in needles.items() if needle in owned)
            for needle in self._matcher.needles
        ]
        self._fates: dict[tuple[Person, str], dict[KeyText, str]] = {}
        self._own: dict[Person, dict[tuple[str, str], set[str]]] = {}
        steps = {s.ordinal: s for s in journal.run_steps(run)}
        self._referenced = {
            s.step.dataset.address for s in steps.values() if s.step.via == "refcount"
        }
        self.unseen = {s.store for s in steps.values() if s.step.action in _UNSEEN}
        self._only = {r.only_store for r in run.requests.all()} - {""}
        self._read(run, steps)

    def covers(self, store: str) -> bool:
        """A replay after a restore looks at the restored store alone."""
        return not self._only or store in self._only

    def people_of(self, needle: int) -> list[Person]:
        """Everybody whose needle that is."""
        return self._people[needle]

    def fate(self, person: Person, dataset: Dataset) -> Mapping[KeyText, str]:
        """What became of the person's rows there, by key."""
        return self._fates.get((person, dataset.address), {})

    def judge(self, person: Person, hit: Hit, dataset: Dataset | None) -> Verdict:
        """Residue, shared or retained, for this person."""
        seen = Sighting(
            field=hit.field,
            key=key_text(hit.key),
            whole=hit.whole,
            coarse=self._matcher.needles[hit.needle].coarse,
            owner=hit.owner,
        )
        knowledge = Knowledge(
            dataset=dataset,
            needles=self._own_matcher[person],
            fate=self.fate(person, dataset) if dataset else {},
            own=self._own.get(person, {}),
            referenced=dataset is not None and dataset.address in self._referenced,
        )
        return judge(seen, knowledge)

    def _read(self, run: Run, steps: Mapping[int, RunStep]) -> None:
        requests = list(run.requests.all())
        plan = requests[0].plans.filter(state="approved").first() if requests else None
        edges = [case.edge_from_json(e) for e in plan.edges] if plan else []
        datasets = selectors.datasets()
        for person, pairs in case.given_by(requests).items():
            self._seed(person, pairs, plan.seeds if plan else {})
        for batch in run.batches.all():
            kept = _kept(batch.receipts)
            for entry in journal.read_batch(batch):
                step = steps[entry.ordinal].step
                for person in entry.people:
                    fate = _fate(step, kept.get((person, str(entry.ordinal)), 0))
                    place = self._fates.setdefault((person, step.dataset.address), {})
                    place[key_text(entry.key.values)] = fate
                    self._own_values(person, step, entry, edges, datasets)

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
        step: Step,
        entry: Entry,
        edges: list[Edge],
        datasets: Mapping[str, Dataset],
    ) -> None:
        if step.via != "deep":
            return
        own = self._own.setdefault(person, {})
        for edge in edges:
            value = entry.carry.get(edge.origin_field)
            if edge.origin != step.dataset.address or value is None:
                continue
            found = datasets[edge.destination].get(edge.destination_field)
            kind = found.identity if found else None
            place = (edge.destination, edge.destination_field)
            own.setdefault(place, set()).add(canonical(value, kind))


def _kept(receipts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[tuple[str, str], int]:
    return {
        (person, ordinal): line["kept"]
        for person, lines in receipts.items()
        for ordinal, line in lines.items()
    }


def _fate(step: Step, kept: int) -> str:
    """Where some shared rows were kept, any of that step's may still be there."""
    if step.action == "retain":
        return "retained"
    if step.via == "refcount" and kept:
        return "kept"
    if step.via in ("shallow", "mention"):
        return "others"
    return _STAYS if step.action in ("anonymize", "redact", "restrict") else _GONE
