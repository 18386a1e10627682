"""Jobs that forget people in a trained model; waiting people are coalesced per model."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from erasure.domain import states
from erasure.models.runs import Run


class ModelJob(models.Model):
    """One model: forget everybody in it who waits. While it is queued, further runs join it; at
    most one waits for a model, and at most one is at work on it."""

    machine: ClassVar[states.Table] = states.MODEL_JOB

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    runs: models.ManyToManyField[Run, ModelWait] = models.ManyToManyField(
        Run, through="ModelWait", related_name="model_jobs"
    )
    store = models.CharField(max_length=100)
    dataset = models.CharField(max_length=255)
    state = models.CharField(max_length=20, default="queued", db_index=True)
    people = models.PositiveIntegerField(default=0)
    opened_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(null=True, blank=True, db_index=True)
    due_why = models.CharField(max_length=200, blank=True)
    deadline = models.DateTimeField(
        null=True, blank=True, help_text="of the earliest request that waits"
    )
    asked_by = models.CharField(
        max_length=150, blank=True, help_text="who wants it now, whatever its timetable"
    )
    round = models.PositiveSmallIntegerField(
        default=1, help_text="which attempt of a person's it is: a pipeline trains once for each"
    )
    accepted_by = models.CharField(max_length=150, blank=True, help_text="who promoted it")
    window_until = models.DateTimeField(
        null=True, blank=True, help_text="until when the replaced version is kept, not served"
    )
    filtered_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="until when an output filter stands before the model; nobody is forgotten by it",
    )
    signal = models.CharField(
        max_length=200, blank=True, help_text="drift or new data that it is to be trained again on"
    )
    signalled_at = models.DateTimeField(null=True, blank=True)
    pipeline = models.JSONField(
        default=dict, help_text="a training that was begun elsewhere: since when, where to ask"
    )
    cost = models.DecimalField(
        max_digits=14, decimal_places=2, default=0, help_text="of the trainings begun so far"
    )
    cost_forecast = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    decisions = models.JSONField(default=list, help_text="per version: what, why, by whom")
    overruled = models.JSONField(
        default=dict, help_text="version → what an officer decided instead, and why"
    )
    report = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-opened_at"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["dataset"], condition=Q(state="queued"), name="one_waiting_job_per_model"
            ),
            models.UniqueConstraint(
                fields=["dataset"], condition=Q(state="running"), name="one_active_job_per_model"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} ({self.state})"


class ModelWait(models.Model):
    """That a run waits for a job, with how many people and until when."""

    job = models.ForeignKey(ModelJob, models.CASCADE, related_name="waits")
    run = models.ForeignKey(Run, models.CASCADE, related_name="model_waits")
    dataset = models.CharField(max_length=255)
    people = models.PositiveIntegerField()
    deadline = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["run", "dataset"], name="model_once_per_run")
        ]

    def __str__(self) -> str:
        return f"{self.people} people for {self.dataset}"
