"""Plans: the frozen answer to "what will be done", approved by its digest."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.requests import ErasureRequest


class Plan(models.Model):
    """Ordered steps for one request. Datasets are text: evidence outlives catalogue edits."""

    machine: ClassVar[states.Table] = states.PLAN

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="plans")
    state = models.CharField(max_length=20, default="draft")
    digest = models.CharField(max_length=64)
    shape = models.CharField(
        max_length=64, db_index=True, help_text="people with equal shapes share a run"
    )
    catalogue_version = models.CharField(max_length=64)
    fingerprints = models.JSONField(default=dict, help_text="store → schema fingerprint")
    roots = models.CharField(max_length=64, help_text="keyed hash of the person's root rows")
    edges = models.JSONField(default=list, help_text="the references walked")
    seeds = models.JSONField(default=dict, help_text="dataset → identity fields")
    warnings = models.JSONField(default=list)
    findings = models.JSONField(
        default=list, help_text="what the stores would set off beside the steps: to be accepted"
    )
    accepted = models.JSONField(default=list, help_text="which findings were, by whom and when")
    undo_seconds = models.PositiveIntegerField(
        default=0, help_text="for how long after its run began it can be undone; 0: not at all"
    )
    made_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.CharField(max_length=150, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-made_at"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["request"],
                condition=models.Q(state__in=["draft", "approved"]),
                name="one_live_plan_per_request",
            )
        ]

    def __str__(self) -> str:
        return self.digest[:12]


class PlanStep(models.Model):
    """One action on one dataset, with its reason and the path that led there."""

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="steps")
    ordinal = models.PositiveIntegerField()
    store = models.CharField(max_length=100)
    store_kind = models.CharField(max_length=40)
    dataset = models.CharField(max_length=255)
    action = models.CharField(max_length=20)
    via = models.CharField(max_length=20)
    spec = models.JSONField(help_text="the store's step, without any value of a person")
    path = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    counted = models.PositiveIntegerField(default=0, help_text="rows found when the plan was made")
    ceiling = models.PositiveIntegerField(default=0, help_text="more rows than this is stale")
    explained = models.JSONField(
        default=dict, help_text="how the store would do it: statement, index, locks, what stays"
    )
    rows = models.PositiveIntegerField(null=True, blank=True)
    residue = models.CharField(max_length=20, default="present")
    until = models.DateField(null=True, blank=True)
    note = models.TextField(blank=True)
    on_hold = models.BooleanField(
        default=False, help_text="stands still until a hold is released, then goes on by itself"
    )
    along = models.JSONField(
        default=dict, help_text="rows that no step names and that went along, by finding"
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["ordinal"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["plan", "ordinal"], name="step_ordinal_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["plan"], condition=models.Q(on_hold=True), name="steps_on_hold")
        ]

    def __str__(self) -> str:
        return f"{self.ordinal}. {self.action} {self.dataset}"

    @staticmethod
    def write_results(steps: Sequence[PlanStep]) -> None:
        """What became of them, in one statement: ``bulk_update`` takes a CASE per row and field."""
        results = ["rows", "residue", "until", "note", "along"]
        PlanStep.objects.bulk_create(
            steps, update_conflicts=True, unique_fields=["id"], update_fields=results
        )
