"""Somebody who watches a model tells that its answers drift, or that new data wait: where its
policy takes that for enough, whoever waits is taken along by the training that is due anyway."""

from __future__ import annotations

import math

from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.domain.models import policy_of
from erasure.domain.queueing import SIGNALS, enough
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import ModelJob
from lineage import selectors


@deed("train")
def signal(model: str, *, what: str, figure: float, by: Actor) -> ModelJob | None:
    """``what``: drift or new_data; ``figure``: how much, as ``model.batch`` of the catalogue counts
    it. Returns the job that begins now, None where nobody waits or it is not enough.

    Raises UsageError for another word, a figure that is none, or what is no model; CatalogueError
    for an unknown address.
    """
    dataset = selectors.dataset(model)
    if what not in SIGNALS:
        raise UsageError(f"{model}: tell one of {', '.join(SIGNALS)}")
    if not dataset.model or not math.isfinite(figure) or figure < 0:
        raise UsageError(f"{model}: tell a figure of zero or more, of a model of the catalogue")
    why = enough(what, figure, policy_of(dataset.model))
    if not why:
        return None
    with transaction.atomic():
        queued = ModelJob.objects.select_for_update().filter(dataset=model, state="queued")
        job = queued.filter(filtered_until=None).first()
        if job is None:
            return None
        now = timezone.now()
        told = {"signal": why, "signalled_at": now, "due_at": now, "due_why": why}
        ModelJob.objects.filter(pk=job.pk).update(**told)
        ledger.record("model_signal", {"job": str(job.id), "model": model, "what": what, "by": by})
    job.refresh_from_db()
    return job
