"""What holds and exceptions say of a case now: while it is planned, started and carried out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import StoreError
from erasure.domain.finding import Person
from erasure.domain.keeping import Keep, overtaken, spread, stopping
from erasure.domain.needles import Needle
from erasure.domain.plan import Draft
from erasure.domain.steps import KEPT, Step
from erasure.models import ErasureRequest, Hold, KeptDataset, Plan, PlanStep, Run, SuppressionEntry
from erasure.runs import journal
from erasure.runs.journal import RunStep
from lineage.prepared import Prepared, Slot

ON_HOLD = "on hold since"
_EXCEPTED = Prepared(lambda: KeptDataset.objects.filter(request__in=Slot("cases"), lifted_at=None))
_ACTIVE = Prepared(lambda: active().values_list("pk")[:1])


def active() -> QuerySet[Hold]:
    """The holds that were not released."""
    return Hold.objects.filter(released_at=None)


def any_active() -> bool:
    """Whether there are any."""
    return bool(_ACTIVE.all())


def holds_on(request: ErasureRequest) -> list[Hold]:
    """The active holds that are about this case's person, or about everybody."""
    if not any_active():
        return []
    hashes = request.identifiers.values("keyed_hash")
    erased = SuppressionEntry.objects.filter(request_id=request.pk, ended_at=None)
    about = Q(of_people=False) | Q(people__keyed_hash__in=hashes) | Q(cases=request)
    about |= Q(people__keyed_hash__in=erased.values("keyed_hash"))
    return list(active().filter(about).order_by("placed_at").distinct())


def recognised(
    request: ErasureRequest, needles: Mapping[Person, set[Needle]], keeps: list[Keep]
) -> list[Keep]:
    """Note the holds on people whom the search has found this case to be about: somebody may ask
    by another identifier than the one a hold knows. Returns what is to be left now, which was
    ``keeps`` before."""
    return keeps_of(request) if newly_about([request], needles) else keeps


def newly_about(
    requests: Sequence[ErasureRequest], needles: Mapping[Person, Collection[Needle]]
) -> list[ErasureRequest]:
    """Of these cases those that a hold is found to be about by what was found of their people; it
    is noted."""
    if not active().filter(of_people=True).exists():
        return []
    return [one for one in requests if _noted(one, needles.get(str(one.pk), ()))]


def _noted(request: ErasureRequest, needles: Collection[Needle]) -> bool:
    found = {vault.pseudonym(n.category, n.text) for n in needles}
    about = active().filter(people__keyed_hash__in=found).exclude(cases=request).distinct()
    for hold in (new := list(about)):
        hold.cases.add(request)
    return bool(new)


def excepted(request: ErasureRequest) -> frozenset[UUID]:
    """The exceptions that are decided for this case, by their numbers."""
    cases = [request.pk, *filter(None, [request.replay_of])]
    return frozenset(one.pk for one in _EXCEPTED.all(cases=cases))


def keeps_of(request: ErasureRequest) -> list[Keep]:
    """Everything that is to be left in this case, exceptions first: a hold outranks them. What was
    excepted of a case holds when a restore makes it be repeated."""
    cases, today = [request.pk, *filter(None, [request.replay_of])], timezone.localdate()
    keeps = [
        Keep(
            dataset=e.dataset,
            code=e.code,
            reference=e.legal_reference,
            until=e.until,
            fields=tuple(e.fields),
        )
        for e in _EXCEPTED.all(cases=cases)
        if e.until > today
    ]
    for hold in holds_on(request):
        since = timezone.localdate(hold.placed_at)
        keeps += [
            Keep(dataset=dataset, code=hold.code, reference=hold.legal_reference, since=since)
            for dataset in hold.datasets or [""]
        ]
    return keeps


def waits(request: ErasureRequest) -> str:
    """Why an approved case does not start, in words; empty when it may."""
    if not any_active():
        return ""
    plan = request.plans.filter(state__in=("draft", "approved")).first()
    return _hinders(request, plan)[0] if plan else ""


def hinders(request: ErasureRequest, plan: Plan) -> tuple[str, str]:
    """Why an approved case does not start, and why its plan is not what would be done now (a hold
    was placed since), in words; empty when it may, and when it is."""
    return _hinders(request, plan) if any_active() else ("", "")


def _hinders(request: ErasureRequest, plan: Plan) -> tuple[str, str]:
    actions, keeps = _actions(plan), keeps_of(request)
    stop, later = stopping(actions, keeps), overtaken(actions, keeps)
    since = f"a hold was placed since: {later.dataset} {later.words}" if later else ""
    return stop.words if stop else "", since


def warnings_of(keeps: Sequence[Keep], drafts: Sequence[Draft]) -> Iterator[str]:
    """What a hold does to the plan, in words."""
    actions = {d.step.dataset.address: d.step.action for d in drafts}
    if keep := stopping(actions, keeps):
        yield f"nothing is done before a hold is released: {keep.words}"
    held = sorted({d.step.dataset.address for d in drafts if stands_still(d.step)})
    if held:
        yield (
            f"on hold, and erased by itself once released: {', '.join(held)}; copies in backups "
            "expire all the same, unless somebody stops their rotation"
        )


def stands_still(step: Step) -> bool:
    """Whether a step waits for a hold, not for a day."""
    return step.held is not None and step.dataset.until is None


def _actions(plan: Plan) -> dict[str, str]:
    """Per dataset the action of its strongest step: one that changes something, if there is."""
    actions: dict[str, str] = {}
    for step in plan.steps.all():
        if step.action not in KEPT or step.dataset not in actions:
            actions[step.dataset] = step.action
    return actions


def refuse_held(run: Run, store: str, steps: Iterable[RunStep]) -> None:
    """Raises StoreError where somebody in the run may not lose what is about to go there."""
    if not any_active():
        return
    acting = {
        s.step.dataset.address for s in steps if s.store == store and s.step.action not in KEPT
    }
    requests = list(run.requests.filter(state__in=("executing", "verifying", "blocked")))
    if active().filter(of_people=True).exists():  # one may have been placed since they were found
        newly_about(requests, journal.open_needles(run, [str(one.pk) for one in requests]))
    for request in requests:
        for keep in keeps_of(request):
            if keep.since and (keep.dataset in acting or (not keep.dataset and acting)):
                place = keep.dataset or store
                raise StoreError(place, f"{keep.words}; it goes on by itself once released")


def released(request: ErasureRequest, steps: Sequence[PlanStep]) -> list[PlanStep]:
    """The steps of a decided case that stood still for a hold which is there no more."""
    standing = [step for step in steps if step.on_hold]
    if not standing:
        return []
    held = {keep.dataset: keep for keep in keeps_of(request) if keep.since}
    if "" in held:
        return []
    # What a hold has taken along goes with what it was about; what another hold is about, or has
    # taken along, waits for that one.
    walked = [edge["reference"] for edge in standing[0].plan.edges]
    spread(held, [(reference["holder"], reference["target"]) for reference in walked])
    return [step for step in standing if step.dataset not in held]


def is_held(request: ErasureRequest, datasets: Collection[str]) -> str:
    """Why something may not go on its date, in words; empty when it may."""
    for keep in keeps_of(request):
        if keep.since and (not keep.dataset or keep.dataset in datasets):
            return keep.words
    return ""
