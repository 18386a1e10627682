"""Jobs that forget people in a trained model; waiting people are coalesced per model."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.runs import Run


class ModelJob(models.Model):
    """One model of one run: retrain without everybody in the run who was in its training."""

    machine: ClassVar[states.Table] = states.MODEL_JOB

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="model_jobs")
    store = models.CharField(max_length=100)
    dataset = models.CharField(max_length=255)
    state = models.CharField(max_length=20, default="queued", db_index=True)
    people = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["run", "dataset"], name="model_once_per_run")
        ]

    def __str__(self) -> str:
        return f"{self.dataset} ({self.state})"
