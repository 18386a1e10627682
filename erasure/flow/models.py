"""Affected models: every run waits for the job of each model that knows somebody of it.

Runs after the data are clean, so that a recipe can only see what is left. The job itself is
``flow.training``; when it is done, the store is asked to confirm it for this run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.models import policy_of
from erasure.domain.plan import MODEL_ACTIONS
from erasure.evidence import ledger
from erasure.models import ModelJob, Run
from erasure.runs import deciding, journal, modelling
from erasure.runs.journal import RunStep
from erasure.runs.lease import lease
from erasure.stores.trained import TrainsModels
from erasure.transitions import move, move_all

_BY = "run"


@dataclass(kw_only=True)
class Pending:
    """What a run still waits for: jobs that may begin, and stores that have to confirm.
    ``waits``: jobs are queued or at work, and somebody else will say when they are done."""

    jobs: list[UUID] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)
    waits: bool = False


def advance_models(run: Run) -> Pending:
    """Let the run wait for its model jobs, or take their results. When nothing is left to wait
    for, the run moves to ``verifying``, or is blocked."""
    with lease(run.id):
        run.refresh_from_db()
        if run.state != "models":
            return Pending()
        steps = [s for s in journal.run_steps(run) if s.step.action in MODEL_ACTIONS]
        going_on = list(run.model_jobs.filter(state__in=modelling.OPEN))
        jobs = going_on or _join(run, steps)
        going_on = [job for job in jobs if job.state in modelling.OPEN]
        if going_on:
            for job in going_on:
                _forecast(job, timezone.now())
            return Pending(jobs=_due(going_on, timezone.now()), waits=True)
        stopped = [job for job in jobs if job.state in modelling.STOPPED]
        if stopped:
            _block(run, "; ".join(f"{job.dataset}: {job.error or job.state}" for job in stopped))
            return Pending()
        stores = run.stores.filter(store__in={s.store for s in steps}).order_by("store")
        waiting = [s.store for s in stores if s.state == "pending"]
        if waiting:
            return Pending(stores=waiting)
        with ledger.together():
            if blocked := [s.error for s in stores if s.state == "blocked"]:
                _block(run, "; ".join(blocked))
            else:
                modelling.verify(run)
        return Pending()


def _join(run: Run, steps: Sequence[RunStep]) -> list[ModelJob]:
    deadlines = run.requests.exclude(due_at=None).order_by("due_at")
    earliest = deadlines.values_list("due_at", flat=True).first()
    wanted = modelling.wanted_of(run, steps)
    with ledger.together():
        return [modelling.join(run, model, deadline=earliest) for model in wanted.values()]


def _forecast(job: ModelJob, now: datetime) -> None:
    """A queued job that is not due yet: what a training takes, and how many people there are,
    may make it so; and a version that arrived by the ordinary pipeline, without anybody who
    waits, closes it at once."""
    if job.state != "queued" or modelling.is_due(job, now):
        return
    people, models = modelling.people_of(job)
    if not models:
        return
    planned = next(iter(models.values())).dataset
    dataset = modelling.dataset_of(job, planned)
    with open_store(job.store) as store:
        facts = store.facts(dataset, people) if isinstance(store, TrainsModels) else []
    current = next((f for f in facts if f.current), None)
    if current is None:
        return
    if not current.known:
        newer = {"due_at": now, "due_why": "a newer version took their place"}
        ModelJob.objects.filter(pk=job.pk, state="queued").update(**newer)
        job.refresh_from_db()
        return
    modelling.schedule(job, planned, of=current.people, seconds=current.seconds or 0.0)
    deciding.forecast(job, modelling.inferred_from(job.dataset, facts), policy_of(dataset.model))


def _due(jobs: Sequence[ModelJob], now: datetime) -> list[UUID]:
    return [job.id for job in jobs if job.state == "queued" and modelling.is_due(job, now)]


def _block(run: Run, why: str) -> None:
    with ledger.together():
        move(run, "blocked", by=_BY, because=why)
        requests = list(run.requests.filter(state="executing"))
        move_all(requests, "blocked", by=_BY, because=why, also={"blocked_because": why})
