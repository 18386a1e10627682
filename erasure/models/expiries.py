"""Data whose retention has run out, although nobody has asked: no person stands behind these."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.runs import Run


class StandingApproval(models.Model):
    """Somebody has approved beforehand what the retention of one dataset asks for, as long as its
    steps are the same and no more rows than this are over at once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.CharField(max_length=255, db_index=True)
    shape = models.CharField(max_length=64, help_text="of the steps: other steps are not covered")
    most_rows = models.PositiveIntegerField()
    because = models.TextField(help_text="holds no person's data")
    approved_by = models.CharField(max_length=150)
    approved_at = models.DateTimeField()
    revoked_by = models.CharField(max_length=150, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["dataset", "-approved_at"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["dataset"],
                condition=models.Q(revoked_at=None),
                name="one_standing_approval_per_dataset",
            )
        ]

    def __str__(self) -> str:
        return self.dataset


class Expiry(models.Model):
    """Rows of one dataset that are past their date: the plan for them, and what became of it."""

    machine: ClassVar[states.Table] = states.EXPIRY

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=20, default="planned", db_index=True)
    dataset = models.CharField(max_length=255, db_index=True)
    store = models.CharField(max_length=100)
    rule = models.CharField(max_length=255)
    basis = models.CharField(max_length=255, blank=True)
    rows = models.PositiveIntegerField(help_text="of the dataset itself")
    since = models.DateField(null=True, blank=True, help_text="when the first of them was over")
    sealed_keys = models.BinaryField(help_text="of the rows that the digest is about")
    steps = models.JSONField(default=list)
    left = models.JSONField(default=list, help_text="rows that are over and stay, and why")
    limits = models.JSONField(default=list, help_text="copies that this does not reach")
    findings = models.JSONField(default=list)
    accepted = models.JSONField(default=list)
    fingerprints = models.JSONField(default=dict)
    shape = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.CharField(max_length=150, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    standing = models.ForeignKey(
        StandingApproval, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    run = models.OneToOneField(Run, models.SET_NULL, null=True, blank=True, related_name="expiry")
    blocked_because = models.TextField(blank=True)
    because = models.TextField(blank=True, help_text="why it was declined")
    not_before = models.DateField(
        null=True, blank=True, help_text="declined: nothing is planned there before this day"
    )
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-made_at"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["dataset"],
                condition=models.Q(state__in=["planned", "approved", "executing", "blocked"]),
                name="one_open_expiry_per_dataset",
            )
        ]
        verbose_name = "retention plan"
        verbose_name_plural = "retention plans"

    def __str__(self) -> str:
        return f"{self.dataset} ({self.rows} rows)"


class RetentionLook(models.Model):
    """When a dataset with a retention was last looked at, what of it is over and stays, and why it
    could not be told."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.CharField(max_length=255, unique=True)
    on = models.DateField(null=True, blank=True, help_text="the last day it was looked at")
    left = models.JSONField(default=list)
    more = models.PositiveBigIntegerField(
        default=0, help_text="past their date beyond the plan, when it was last looked at"
    )
    again = models.BooleanField(default=False, help_text="to be looked at once more today")
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["dataset"]
        verbose_name = "dataset with a retention"
        verbose_name_plural = "datasets with a retention"

    def __str__(self) -> str:
        return self.dataset


class StayingRow(models.Model):
    """A row that stays anonymised after its date, known by a keyed hash of key and date, so that
    the sweep does not find it again."""

    dataset = models.CharField(max_length=255)
    keyed_hash = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.dataset
