"""A person's own data, gathered for them before they are erased: that it was, not what."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.requests import ErasureRequest


class Export(models.Model):
    """The archive lies sealed in LETHE_HOME under the case's ``export`` key, and goes with it."""

    machine: ClassVar[states.Table] = states.EXPORT

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="exports")
    state = models.CharField(max_length=20, default="ordered", db_index=True)
    ordered_by = models.CharField(max_length=150)
    ordered_at = models.DateTimeField()
    file = models.CharField(max_length=80, blank=True, help_text="its name in LETHE_HOME/exports")
    size = models.PositiveBigIntegerField(default=0, help_text="bytes of the archive")
    rows = models.PositiveBigIntegerField(default=0)
    unread = models.JSONField(default=dict, help_text="datasets that are not in it, and why")
    sealed_passphrase = models.BinaryField(null=True, help_text="empty once it was shown")
    ready_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    handed_by = models.CharField(max_length=150, blank=True)
    handed_at = models.DateTimeField(null=True, blank=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-ordered_at"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["request"],
                condition=~models.Q(state="destroyed"),
                name="one_export_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"export ({self.state})"
