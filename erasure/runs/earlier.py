"""What earlier cases of the same person have left until a day of its own: it is theirs, and no
later case cuts that short, acts on it beside them, or takes it for something that was missed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Q

from erasure.domain.finding import KeyText, Person
from erasure.domain.states import WAITING
from erasure.domain.steps import KEPT, Step
from erasure.models import ErasureRequest, Identifier, PlanStep
from erasure.runs import journal


@dataclass(frozen=True)
class Kept:
    """Rows by person, dataset and key, each with the step that has left it there."""

    rows: dict[tuple[Person, str], dict[KeyText, Step]] = field(default_factory=dict)

    def of(self, person: Person, address: str) -> dict[KeyText, Step]:
        """That person's there."""
        return self.rows.get((person, address), {})

    def without(self, people: frozenset[Person], address: str, text: KeyText) -> frozenset[Person]:
        """Those of the people for whom the row was not left by an earlier case."""
        if not self.rows:
            return people
        return frozenset(p for p in people if text not in self.of(p, address))


def kept_before(people: Collection[Person]) -> Kept:
    """For each of these cases, by its id, what waiting cases of the same person have left. Raises
    KeyDestroyed where that cannot be read."""
    kept = Kept()
    for case, person in _earlier(people):
        if case.run is None:
            continue
        steps = {s.ordinal: s.step for s in journal.run_steps(case.run)}
        for entry in journal.read_run(case.run, {str(case.id)}):
            step = steps[entry.ordinal]
            if (step.action in KEPT or step.kept) and entry.became != "reused":
                place = kept.rows.setdefault((person, step.dataset.address), {})
                place[entry.text] = step
    return kept


def _earlier(people: Collection[Person]) -> Iterable[tuple[ErasureRequest, Person]]:
    """Waiting cases that know one of the identifiers, or were reopened as one of these."""
    ids = {UUID(person) for person in people}
    mine = Identifier.objects.filter(request__in=ids)
    waiting = ErasureRequest.objects.filter(state__in=WAITING).exclude(pk__in=ids)
    about = Q(identifiers__keyed_hash__in=mine.values("keyed_hash"))
    followed = ErasureRequest.objects.filter(pk__in=ids).exclude(follows=None).values("follows")
    found = list(waiting.filter(about | Q(pk__in=followed)).select_related("run").distinct())
    if not found:
        return []
    hashes: dict[str, set[UUID]] = {}
    for keyed, request in mine.values_list("keyed_hash", "request"):
        hashes.setdefault(keyed, set()).add(request)
    follows = dict(
        ErasureRequest.objects.filter(pk__in=ids).exclude(follows=None).values_list("pk", "follows")
    )
    pairs = []
    for case in found:
        known = set(case.identifiers.values_list("keyed_hash", flat=True))
        whose = {pk for keyed in known for pk in hashes.get(keyed, ())}
        whose |= {pk for pk, old in follows.items() if old == case.pk}
        pairs += [(case, str(pk)) for pk in whose]
    return pairs


def left_by_earlier(request: ErasureRequest) -> list[dict[str, Any]]:
    """The same as a certificate tells it, by dataset."""
    cases = [case for case, _ in _earlier({str(request.id)})]
    steps = PlanStep.objects.filter(plan__request__in=cases, plan__state="carried_out", rows__gt=0)
    return [
        {
            "dataset": step.dataset,
            "rows": step.rows or 0,
            "reason": f"left by case {step.plan.request_id} until a day of its own",
            "until": step.until.isoformat() if step.until else None,
        }
        for step in steps.filter(residue="retained_until").select_related("plan")
    ]
