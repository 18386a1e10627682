"""Webhooks of a case: that a recipient is told, and what came of it."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.runs import Notice


class Call(models.Model):
    """One message to a recipient. The body is sealed under a key of its own, which is destroyed
    once it was taken, or given up."""

    machine: ClassVar[states.Table] = states.CALL

    class Kind(models.TextChoices):
        """What it says."""

        ERASURE = "erasure"
        REMINDER = "reminder"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    notice = models.ForeignKey(Notice, models.CASCADE, related_name="calls")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    state = models.CharField(max_length=20, default="queued")
    sealed = models.BinaryField(null=True, help_text="empty once it was taken, or given up")
    sha256 = models.CharField(max_length=64, help_text="of the body")
    tries = models.PositiveSmallIntegerField(default=0)
    made_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="when it is sent, or sent again")
    taken_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["made_at", "id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["state", "due_at"])]

    def __str__(self) -> str:
        return f"{self.kind} ({self.state})"
