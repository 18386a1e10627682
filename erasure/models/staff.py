"""Who of the house was trained on what: the training log that authorities ask for."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class StaffTraining(models.Model):
    """Somebody was trained; corrected by a later entry, never changed."""

    who = models.CharField(max_length=150, help_text="an account, or a name as the house uses it")
    topic = models.CharField(max_length=200)
    on = models.DateField(db_index=True)
    next_due = models.DateField(null=True, blank=True, help_text="empty: once is enough")
    recorded_by = models.CharField(max_length=150)
    recorded_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-on", "who", "topic"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["who", "topic", "on"], name="trained_once_a_day"),
            models.CheckConstraint(
                condition=models.Q(next_due=None) | models.Q(next_due__gt=models.F("on")),
                name="next_training_is_later",
            ),
        ]
        verbose_name_plural = "staff training"

    def __str__(self) -> str:
        return f"{self.topic} ({self.on})"
