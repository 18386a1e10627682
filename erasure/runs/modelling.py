"""What runs and model jobs share: who waits for which job, when it is due, whom it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import transaction
from django.db.models import Min, Sum
from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.errors import StoreError
from erasure.domain.models import ModelPolicy, VersionFacts, policy_of
from erasure.domain.queueing import Due, Waiting, due
from erasure.models import ErasureRequest, ModelJob, ModelWait, Run
from erasure.runs import case, journal
from erasure.stores.trained import TrainsModels
from erasure.transitions import move, move_all
from lineage import selectors
from lineage.graph import Dataset
from lineage.prepared import Prepared, Slot

OPEN = ("queued", "running", "proposed", "window")
STOPPED = ("blocked", "quarantined", "cancelled")
_EXECUTING = Prepared(lambda: ErasureRequest.objects.filter(run=Slot("run"), state="executing"))
PERSON = "person"  # the second part of a model registry's keys: (version, "person", keyed hash)


@dataclass(kw_only=True)
class Wanted:
    """One model of a run: whose cases, their keyed hashes in its manifests, and its dataset as
    it stands in the plan."""

    dataset: Dataset
    store: str
    cases: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)


def wanted_of(run: Run, steps: Sequence[journal.RunStep]) -> dict[str, Wanted]:
    """By dataset, the models that know somebody of the run. Raises KeyDestroyed."""
    by_ordinal = {s.ordinal: s for s in steps}
    found: dict[str, Wanted] = {}
    for entry in journal.read_run(run, case.people_of(run)):
        step = by_ordinal.get(entry.ordinal)
        if step is None or not entry.text:
            continue
        dataset = step.step.dataset
        one = found.setdefault(dataset.address, Wanted(dataset=dataset, store=step.store))
        one.cases.update(entry.people)
        values = entry.key.values
        if len(values) == 3 and values[1] == PERSON:
            one.hashes.add(str(values[2]))
    return found


def inferred_from(address: str, facts: Sequence[VersionFacts]) -> list[VersionFacts]:
    """A version without a manifest may know whoever stands in what lineage says it learnt from."""
    if not any(f.inferred for f in facts):
        return list(facts)
    trained_on = tuple(selectors.made_of(address))
    return [replace(f, trained_on=trained_on) if f.inferred else f for f in facts]


def dataset_of(job: ModelJob, planned: Dataset) -> Dataset:
    """The model as the catalogue has it now, so that a recipe that was added since counts."""
    found = selectors.entries([job.dataset]).get(job.dataset)
    return found if found is not None and found.store == job.store else planned


def waiting_of(job: ModelJob, policy: ModelPolicy, *, of: int = 0, seconds: float = 0.0) -> Waiting:
    """Everybody who waits for the job."""
    done = ModelJob.objects.filter(dataset=job.dataset, state="done").exclude(pk=job.pk)
    last = done.order_by("-finished_at").values_list("finished_at", flat=True).first()
    return Waiting(
        people=job.people,
        of=of,
        since=job.opened_at,
        deadline=job.deadline,
        last=last,
        seconds=seconds,
        asked=bool(job.asked_by),
        signal=job.signal,
        signalled=job.signalled_at,
    )


def join(run: Run, model: Wanted, *, deadline: datetime | None) -> ModelJob:
    """The run waits for the job that is queued for this model, or for a new one. A run waits for
    a model once; whoever is at work on it already does not see newcomers. Joins the caller's
    transaction."""
    wait = ModelWait.objects.filter(run=run, dataset=model.dataset.address).first()
    if wait is not None:
        return wait.job
    job, _ = ModelJob.objects.get_or_create(
        dataset=model.dataset.address, state="queued", defaults={"store": model.store}
    )
    ModelWait.objects.create(
        job=job,
        run=run,
        dataset=job.dataset,
        people=len(model.cases),
        deadline=deadline,
    )
    return schedule(job, model.dataset)


def schedule(job: ModelJob, planned: Dataset, *, of: int = 0, seconds: float = 0.0) -> ModelJob:
    """Count who waits, and say when the job is due and why then."""
    totals = job.waits.aggregate(people=Sum("people"), deadline=Min("deadline"))
    job.people, job.deadline = totals["people"] or 0, totals["deadline"]
    policy = policy_of(dataset_of(job, planned).model)
    when: Due = due(waiting_of(job, policy, of=of, seconds=seconds), policy)
    if job.filtered_until is not None and not job.asked_by:
        near = job.deadline - policy.margin if job.deadline else job.filtered_until
        if near > timezone.now():  # whoever has come since may have to be answered sooner
            job.filtered_until = min(job.filtered_until, near)
        when = Due(at=job.filtered_until, why="the output filter ends")
    job.due_at, job.due_why = when.at, when.why
    job.save(update_fields=["people", "deadline", "due_at", "due_why", "filtered_until"])
    return job


def is_due(job: ModelJob, now: datetime) -> bool:
    """Whether a queued job may begin."""
    return job.due_at is None or job.due_at <= now


def requeue(job: ModelJob, *, by: str, because: str) -> ModelJob:
    """A stopped job waits again, at once; where another one waits for the same model by now,
    its people join that one."""
    with transaction.atomic():
        other = ModelJob.objects.select_for_update().filter(dataset=job.dataset, state="queued")
        if (heir := other.first()) is not None:
            job.waits.update(job=heir)
            if job.state != "cancelled":
                move(job, "cancelled", by=by, because="its people wait for another job")
            totals = heir.waits.aggregate(people=Sum("people"), deadline=Min("deadline"))
            now = {"people": totals["people"], "deadline": totals["deadline"]}
            ModelJob.objects.filter(pk=heir.pk).update(
                **now, asked_by=by, due_at=timezone.now(), due_why="asked for"
            )
            heir.refresh_from_db()
            return heir
        fresh = {"asked_by": by, "due_at": timezone.now(), "due_why": "asked for", "error": ""}
        anew = {"attempts": 0, "round": job.round + 1, "accepted_by": "", "window_until": None,
                "pipeline": {}, "filtered_until": None}  # fmt: skip
        return move(job, "queued", by=by, because=because, also={**fresh, **anew})


def people_of(job: ModelJob) -> tuple[frozenset[str], Mapping[str, Wanted]]:
    """Keyed hashes of everybody who waits for the job, and the model by run. A case that was
    ended meanwhile is not among them."""
    hashes: set[str] = set()
    models: dict[str, Wanted] = {}
    for run in job.runs.all():
        steps = [s for s in journal.run_steps(run) if s.step.dataset.address == job.dataset]
        for wanted in wanted_of(run, steps).values():
            hashes |= wanted.hashes
            models[str(run.id)] = wanted
    return frozenset(hashes), models


def alarmed() -> list[str]:
    """What is wrong with any model of the catalogue by itself, in words: altered, out of service,
    or trained on somebody who was forgotten. A store that is away is told too."""
    told = []
    for address, dataset in sorted(selectors.models_declared().items()):
        try:
            with open_store(dataset.store) as store:
                found = store.alarms(dataset) if isinstance(store, TrainsModels) else []
        except StoreError as error:
            found = [str(error)]
        told += [f"{address}: {words}" for words in found]
    return told


def verify(run: Run) -> None:
    """No model is waited for, or any more: everybody in the run is looked for again."""
    move(run, "verifying", by="run")
    move_all(_EXECUTING.all(run=run.pk), "verifying", by="run")
