"""Affected models: queued once per model for everybody in the run, retrained, the old retired.

Runs after the data are clean, so that a recipe can only see what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction

from erasure.connect import open_store
from erasure.domain.plan import MODEL_ACTIONS
from erasure.models import ModelJob, Run
from erasure.runs import case, journal
from erasure.runs.journal import RunStep
from erasure.runs.lease import lease
from erasure.stores.base import ReportsModels
from erasure.transitions import move, move_all

_BY = "run"


def advance_models(run: Run) -> list[str]:
    """Queue the run's model jobs, or take their results; returns the stores that wait for a
    worker. When none is left the run moves to ``verifying``, or is blocked."""
    with lease(run.id):
        run.refresh_from_db()
        if run.state != "models":
            return []
        steps = [s for s in journal.run_steps(run) if s.step.action in MODEL_ACTIONS]
        _queue(run, steps)
        stores = run.stores.filter(store__in={s.store for s in steps}).order_by("store")
        waiting = [s.store for s in stores if s.state == "pending"]
        if waiting:
            return waiting
        blocked = [s for s in stores if s.state == "blocked"]
        reports = _reports(run, steps, {s.store for s in blocked})
        with transaction.atomic():
            _take_results(reports)
            if blocked:
                _block(run, "; ".join(s.error for s in blocked))
            else:
                _verify(run)
        return []


def _queue(run: Run, steps: list[RunStep]) -> None:
    known = {
        ordinal: people
        for ordinal, people in _people_by_step(run).items()
        if ordinal in {s.ordinal for s in steps}
    }
    for step in steps:
        people = known.get(step.ordinal)
        if people:
            ModelJob.objects.get_or_create(
                run=run,
                dataset=step.step.dataset.address,
                defaults={"store": step.store, "people": len(people)},
            )


def _people_by_step(run: Run) -> dict[int, set[str]]:
    people: dict[int, set[str]] = {}
    for entry in journal.read_run(run, {str(member.id) for member in case.members(run)}):
        people.setdefault(entry.ordinal, set()).update(entry.people)
    return people


def _reports(
    run: Run, steps: list[RunStep], blocked: Collection[str]
) -> dict[ModelJob, dict[str, Any] | None]:
    """What became of each queued model; None where its store is blocked."""
    by_dataset = {s.step.dataset.address: s.step.dataset for s in steps}
    reports: dict[ModelJob, dict[str, Any] | None] = {}
    for job in run.model_jobs.filter(state="queued"):
        reports[job] = None
        if job.store not in blocked:
            with open_store(job.store) as store:
                reports[job] = (
                    store.report(by_dataset[job.dataset])
                    if isinstance(store, ReportsModels)
                    else {}
                )
    return reports


def _take_results(reports: Mapping[ModelJob, dict[str, Any] | None]) -> None:
    for job, report in reports.items():
        if report is None:
            move(job, "blocked", by=_BY)
        else:
            move(job, "done", by=_BY, also={"report": report})


def _block(run: Run, why: str) -> None:
    move(run, "blocked", by=_BY, because=why)
    requests = list(run.requests.filter(state="executing"))
    move_all(requests, "blocked", by=_BY, because=why, also={"blocked_because": why})


def _verify(run: Run) -> None:
    move(run, "verifying", by=_BY)
    move_all(list(run.requests.filter(state="executing")), "verifying", by=_BY)
