"""An officer decides for a version of a model otherwise than the table did."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import UsageError, WrongState
from erasure.domain.models import NEXT_TRAINING, OVERRULING
from erasure.domain.roles import deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import ModelJob


@deed("overrule")
def overrule(
    job: ModelJob, *, version: str, action: str, by: str, because: str, until: date | None = None
) -> ModelJob:
    """An officer decides for a version (``*``: for all that know somebody), with a reason.
    ``until``: the last day of a filter, which erases nothing.

    Raises UsageError for another action, without a reason, or for a filter without an end that is
    near; WrongState once the job is at work or over.
    """
    if action not in OVERRULING:
        raise UsageError(f"{job.dataset}: the action must be one of {', '.join(OVERRULING)}")
    because = said(because, f"{job.dataset}: say why the decision is overruled")
    decision = {"action": action, "by": by, "because": because}
    if action == "filter":
        decision["until"] = _last_day(job, until).isoformat()
    with transaction.atomic():
        fresh = ModelJob.objects.select_for_update().get(pk=job.pk)
        if fresh.state in ("running", "done"):
            raise WrongState(f"{job.dataset}: is {fresh.state}; it is too late to overrule")
        fresh.overruled = {**fresh.overruled, version: decision}
        fresh.save(update_fields=["overruled"])
        ledger.record(
            "model_overruled",
            {"job": str(job.id), "model": job.dataset, "version": version, "action": action,
             "by": by},
        )  # fmt: skip
    job.refresh_from_db()
    return job


def _last_day(job: ModelJob, until: date | None) -> date:
    """Not for ever: a filter forgets nobody."""
    today = timezone.localdate()
    if until is None or not today < until <= today + NEXT_TRAINING:
        told = f"say until when it is filtered: a day within {NEXT_TRAINING.days} days"
        raise UsageError(f"{job.dataset}: {told}; nobody is forgotten by a filter")
    return until
