"""Complaints about how a case was handled, to the controller or by way of an authority."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.requests import ErasureRequest


class Complaint(models.Model):
    """One complaint, with its clock. Its words and the answer are sealed under a key of its own."""

    machine: ClassVar[states.Table] = states.COMPLAINT

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(
        ErasureRequest, models.CASCADE, null=True, blank=True, related_name="complaints"
    )
    state = models.CharField(max_length=20, default="received", db_index=True)
    law = models.CharField(max_length=10)
    authority = models.CharField(max_length=100, blank=True, help_text="which handed it on, if any")
    reference = models.CharField(max_length=100, blank=True, help_text="the authority's")
    received_at = models.DateTimeField()
    acknowledge_by = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    answer_by = models.DateTimeField(null=True, blank=True, help_text="set by the authority or us")
    closed_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(max_length=20, blank=True)
    sealed = models.BinaryField(default=b"")
    sealed_answer = models.BinaryField(default=b"")
    opened_by = models.CharField(max_length=150)
    opened_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-received_at", "-id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["state", "answer_by"])]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=~models.Q(state="answered") | ~models.Q(verdict=""),
                name="an_answer_has_a_verdict",
            ),
        ]

    def __str__(self) -> str:
        return f"{str(self.id)[:8]} ({self.state})"
