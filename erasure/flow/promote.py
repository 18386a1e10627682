"""The owner's answer to a proposed version, or to one that has just taken the old one's place."""

from __future__ import annotations

from django.db import transaction

from erasure.connect import open_store
from erasure.domain.errors import WrongState
from erasure.domain.roles import Actor, deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import ModelJob
from erasure.runs import modelling, pipelines
from erasure.runs.lease import job_lease
from erasure.stores.trained import TrainsModels
from erasure.transitions import move


@deed("promote")
def accept(job: ModelJob, *, by: Actor) -> ModelJob:
    """The proposed version takes the old one's place as soon as a trainer looks: that one and no
    other; where it has gone by then, another is proposed. Raises WrongState where none waits for an
    answer."""
    with transaction.atomic():
        waits = ModelJob.objects.select_for_update().filter(pk=job.pk, state="proposed")
        found = waits.filter(accepted_by="").first()
        if found is None:
            raise WrongState(f"{job.dataset}: no version waits for an answer")
        version = str(found.report["proposed"])
        waits.update(accepted_by=by, report={**found.report, "accepted": version})
        told = {"job": str(job.id), "model": job.dataset, "version": version, "by": by}
        ledger.record("model_accepted", told)
    job.refresh_from_db()
    return job


@deed("promote")
def decline(job: ModelJob, *, by: Actor, because: str) -> ModelJob:
    """The new version is retired and the old one stays, or is served again while its rollback
    window is open; whoever waits is blocked, with this reason: they are still in it.

    Raises UsageError without a reason, WrongState where nothing can be declined any more,
    StoreError where the old version is gone.
    """
    because = said(because, f"{job.dataset}: say why the version is declined")
    with job_lease(job.id):
        job.refresh_from_db()
        if job.state not in ("proposed", "window") or (job.state == "proposed" and job.accepted_by):
            raise WrongState(f"{job.dataset}: is {job.state}; there is nothing to decline")
        _people, models = modelling.people_of(job)
        if not models:
            raise WrongState(f"{job.dataset}: nobody waits any more")
        dataset = modelling.dataset_of(job, next(iter(models.values())).dataset)
        new, old = str(job.report.get("new", "")), str(job.report.get("old", ""))
        with open_store(job.store) as store:
            assert isinstance(store, TrainsModels)  # noqa: S101 - or there would be no version
            store.take_back(dataset, new=new, old=old)
        if job.state == "window":
            told = {"model": job.dataset, "version": old, "replaces": new}
            pipelines.tell_endpoints(dataset, told, f"{job.id}.{new}.back")
        why = f"{job.dataset}: its owner declined version {new}: {because}"
        ledger.record(
            "model_declined",
            {"job": str(job.id), "model": job.dataset, "version": new, "by": by},
        )
        return move(job, "blocked", by=by, because=because, also={"error": why})
