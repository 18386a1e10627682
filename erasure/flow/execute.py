"""A run: find → keys and needles sealed → children first → receipts, until nothing new turns up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.errors import (
    Fenced,
    KeyDestroyed,
    LetheError,
    StalePlan,
    StoreError,
    WrongState,
)
from erasure.domain.plan import MODEL_ACTIONS
from erasure.domain.steps import step_from_json
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, PlanStep, Run, StoreRun
from erasure.runs import acting, case, explaining, exporting, holding, journal, modelling, opening
from erasure.runs.lease import Fence, lease
from erasure.runs.once import looked_up_once
from erasure.runs.rounds import search_again
from erasure.runs.searching import Stores
from erasure.transitions import move, move_all
from lineage.errors import LineageError
from lineage.prepared import Prepared, Slot, attach

COALESCED = 1000
ROUNDS = 3
_BY = "run"


def _shaped() -> QuerySet[Plan]:
    same = Plan.objects.filter(
        state="approved",
        shape=Slot("shape"),
        request__state="approved",
        request__only_store=Slot("only_store"),
    ).exclude(request__exports__state__in=exporting.AWAITED)
    light = same.defer("edges", "seeds", "warnings", "findings", "accepted", "fingerprints")
    return light.select_related("request").order_by("request__received_at")[:COALESCED]


_SHAPED = Prepared(_shaped)
_APPROVED = Prepared(lambda: Plan.objects.filter(request=Slot("request"), state="approved"))
_STEPS = Prepared(lambda: PlanStep.objects.filter(plan=Slot("plan")))
_STORE_RUNS = Prepared(lambda: StoreRun.objects.filter(run=Slot("run")).order_by("store"))
_CEILINGS = Prepared(
    lambda: PlanStep.objects.filter(plan__in=Slot("plans")).values_list(
        "plan", "ordinal", "dataset", "ceiling"
    )
)
_STORE_RUN = Prepared(
    lambda: StoreRun.objects.filter(run=Slot("run"), store=Slot("store")).select_related("run")
)


@looked_up_once()
def start_run(request: ErasureRequest) -> Run | None:
    """Open a run for an approved request and everybody approved with the same plan shape.

    A request whose plan went stale goes back to be planned anew; None when nobody is left, or a
    hold stands in the way. Where somebody's identifiers cannot be opened, the others do not wait
    for them.
    """
    plan = _approved_plan(request)
    if _on_hold(request, plan):
        return None
    requests, plans = _same_shape(request, plan)
    if not requests:
        return None  # a copy was ordered meanwhile, and comes first
    try:
        given = case.given_by(requests)
    except KeyDestroyed:
        given = case.given_by([request])
        requests = [member for member in requests if member.pk == request.pk]
    steps = [
        journal.RunStep(
            ordinal=s.ordinal,
            store=s.store,
            kind=s.store_kind,
            step=step_from_json(s.spec),
        )
        for s in plan.steps.all()
    ]
    with Stores() as stores:
        if moved := _moved(plan, steps, stores):
            _send_back(requests, moved)
            return None
        task = opening.task_of(plan, steps, given)
        found = opening.search(task, steps, given, stores, packed={s.store for s in steps})
        sets = opening.set_entries(steps, set(given), stores)
    entries = opening.entries_of(found, steps)
    ceilings = _ceilings(plan, plans.values())
    stale = opening.stale_members(requests, plans, ceilings, given, found, entries)
    held = [member.id for member in holding.newly_about(requests, found.needles)]
    stale |= dict.fromkeys(held, "a hold was placed on this person since")
    if stale:
        for member in requests:
            if member.id in stale:
                _send_back([member], stale[member.id])
        left = [member for member in requests if member.id not in stale]
        return start_run(left[0]) if left else None
    return opening.write_run(plan, steps, requests, found, [*entries, *sets], by=_BY)


def _moved(plan: Plan, steps: Sequence[journal.RunStep], stores: Stores) -> str:
    """What is not as it was when the plan was made, in words; empty where everything is."""
    if changed := opening.schema_changed(plan, steps, stores):
        return f"the schema of {changed} has changed"
    if other := explaining.changed(plan, steps, stores):
        return f"what would change beside the plan is not the same: {other}"
    return ""


def _on_hold(request: ErasureRequest, plan: Plan) -> bool:
    """Whether a hold stands in the way; one that makes it another plan sends the request back."""
    waits, changed = holding.hinders(request, plan)
    if changed and not waits:
        _send_back([request], changed)
    return bool(waits or changed)


def _same_shape(
    request: ErasureRequest, plan: Plan
) -> tuple[list[ErasureRequest], dict[UUID, Plan]]:
    """Everybody approved whose plan has the same steps, oldest first, with their plans."""
    plans = _SHAPED.all(shape=plan.shape, only_store=request.only_store)
    others = [other for other in plans if other.pk != plan.pk]
    if others and holding.any_active():  # asked once: a thousand people may be waiting
        read = ("plan_id", "dataset", "action")
        prefetch_related_objects(others, Prefetch("steps", PlanStep.objects.only(*read)))
        held = {p.pk for p in others if any(holding.hinders(p.request, p))}
        plans = [p for p in plans if p.pk not in held]
    by_request = {p.request_id: plan if p.pk == plan.pk else p for p in plans}
    return [p.request for p in plans], by_request


def _ceilings(plan: Plan, plans: Iterable[Plan]) -> opening.Ceilings:
    found: opening.Ceilings = {p.pk: [] for p in plans}
    found[plan.pk] = [(s.ordinal, s.dataset, s.ceiling) for s in plan.steps.all()]
    others = found.keys() - {plan.pk}
    for of, ordinal, dataset, ceiling in _CEILINGS.all(plans=others) if others else ():
        found[of].append((ordinal, dataset, ceiling))
    return found


def _approved_plan(request: ErasureRequest) -> Plan:
    plan = _APPROVED.first(request=request.pk)
    if plan is None:
        raise StalePlan(f"request {request.id}: has no approved plan; plan and approve it first")
    attach(plan, "steps", _STEPS.all(plan=plan.pk))
    return plan


def _send_back(requests: list[ErasureRequest], why: str) -> None:
    for request in requests:
        with ledger.together():
            move(_approved_plan(request), "stale", by=_BY, because=why)
            move(request, "identified", by=_BY, because=f"stale plan: {why}")


def act_on_store(run_id: UUID, store_name: str) -> None:
    """Carry out a run's batches in one store. A store that refuses, or cannot be gone on with, is
    BLOCKED with its reason; a passing fault is raised as StoreError with ``permanent`` False, for
    the caller to retry."""
    with lease(run_id, store_name, later=True) as fence:
        store_run = _STORE_RUN.first(run=run_id, store=store_name)
        if store_run is None:
            raise StoreRun.DoesNotExist(f"run {run_id}: has no part in {store_name}")
        run = store_run.run
        if store_run.state != "pending" or run.state not in ("acting", "models"):
            return
        try:
            with open_store(store_name) as store:
                acting.carry_out(run, store_run, store, fence)
        except (Fenced, WrongState):
            raise
        except (LetheError, LineageError) as error:
            if isinstance(error, StoreError) and not error.permanent:
                raise
            with ledger.together():
                fence.check()
                block_store(store_run, str(error))


def block_store(store_run: StoreRun, why: str) -> None:
    """Record why a store could not be finished; a person sees it and tries again."""
    store_run.refresh_from_db()
    if store_run.state == "pending":
        move(store_run, "blocked", by=_BY, because=why, also={"error": why})


def settle_run(run: Run) -> Run:
    """Every store has been acted on: search once more for rows that were added meanwhile, and
    move the run on. Three rounds with something new are "still active"."""
    with lease(run.id) as fence:
        run.refresh_from_db()
        if run.state != "acting":
            return run
        stores = _acting_stores(run)
        if any(s.state == "pending" for s in stores):
            return run
        if any(s.state == "blocked" for s in stores):
            return block_run(run, "; ".join(s.error for s in stores if s.state == "blocked"))
        return _search_settling(run, fence)


def _search_settling(run: Run, fence: Fence) -> Run:
    """Killed before what it found was written down, it searches once more."""
    steps = journal.run_steps(run)
    new = search_again(run, steps, fence)
    with ledger.together():
        fence.free()
        if run.state == "acting":
            move(run, "settling", by=_BY)
        if new and run.rounds >= ROUNDS:
            return block_run(
                run, "still active: rows keep being added; pause the writers and retry"
            )
        if new:
            return move(run, "acting", by=_BY, also={"rounds": run.rounds + 1})
        move(run, "models", by=_BY)
        if not any(s.step.action in MODEL_ACTIONS for s in steps):
            modelling.verify(run)
    return run


def resume_settling(run: Run) -> Run:
    """A worker died between the two: search once more."""
    with lease(run.id) as fence:
        run.refresh_from_db()
        return _search_settling(run, fence) if run.state == "settling" else run


def _acting_stores(run: Run) -> list[StoreRun]:
    later = {s["store"] for s in run.steps if s["spec"]["action"] in MODEL_ACTIONS}
    return [s for s in _STORE_RUNS.all(run=run.pk) if s.store not in later]


def due_stores(run: Run) -> list[StoreRun]:
    """Stores of an acting run that wait to be acted on."""
    return [s for s in _acting_stores(run) if s.state == "pending"]


def block_run(run: Run, why: str) -> Run:
    """The run stops where a person can see it; everybody in it is told."""
    with ledger.together():
        move(run, "blocked", by=_BY, because=why)
        for state in ("executing", "verifying"):
            requests = list(run.requests.filter(state=state))
            move_all(requests, "blocked", by=_BY, because=why, also={"blocked_because": why})
    return run


def finish_run(run: Run) -> Run:
    """Everybody was verified: the seed is destroyed and the run is closed."""
    journal.forget_run(run)
    return move(run, "finished", by=_BY, also={"finished_at": timezone.now()})
