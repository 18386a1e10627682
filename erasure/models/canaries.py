"""Rounds of synthetic people who are sent through everything and forgotten."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone


class CanaryRound(models.Model):
    """One round of ``count``. ``people``: what was made up, until it is over; nobody has these
    addresses. ``state``: planted, asked, then clean, alarm or unmeasured (of a model nobody
    knows whether it forgot them); a round that is not over goes on with the next look."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, default="planted", db_index=True)
    planted_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    people = models.JSONField(default=list)
    count = models.PositiveSmallIntegerField(default=0)
    places = models.JSONField(default=list, help_text="datasets that they were put into")
    requests = models.JSONField(default=list)
    findings = models.JSONField(default=list, help_text="what was wrong, in words")

    class Meta:
        ordering: ClassVar[list[str]] = ["-planted_at"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["state"],
                condition=models.Q(state__in=["planted", "asked"]),
                name="one_canary_round_in_each_open_state",
            )
        ]

    def __str__(self) -> str:
        return f"{self.planted_at:%d %b %Y} {self.state}"
