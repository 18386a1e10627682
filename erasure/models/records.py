"""What belongs to a case's record: the pauses of its clock, and the reasoning behind decisions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from erasure.models.requests import ErasureRequest


class Pause(models.Model):
    """The controller waits for the person; whether the clock waits too is the law's rule."""

    class Why(models.TextChoices):
        """What is waited for."""

        IDENTITY = "identity"
        FEE = "fee"

    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="pauses")
    why = models.CharField(max_length=10, choices=Why.choices)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["since", "id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["request", "why"],
                condition=models.Q(until=None),
                name="one_open_pause_per_cause",
            ),
            models.CheckConstraint(
                condition=models.Q(until=None) | models.Q(until__gte=models.F("since")),
                name="pause_ends_after_it_began",
            ),
        ]

    def __str__(self) -> str:
        return self.why


class Reasoning(models.Model):
    """Why something was decided, in the decider's words: sealed under the case's record key."""

    class About(models.TextChoices):
        """Which decision."""

        IDENTITY_DOUBT = "identity_doubt"
        UNIDENTIFIABLE = "unidentifiable"
        EXTENSION = "extension"
        EXCEPTION = "exception"
        BALANCING = "balancing"
        OPINION = "opinion"
        FEE = "fee"
        REOPENING = "reopening"
        ANSWER = "answer"

    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="reasoning")
    about = models.CharField(max_length=20, choices=About.choices)
    place = models.CharField(max_length=255, blank=True, help_text="a dataset, or a plan")
    verdict = models.CharField(max_length=20, blank=True, help_text="what it comes to")
    sealed = models.BinaryField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["at", "id"]
        verbose_name_plural = "reasoning"

    def __str__(self) -> str:
        return self.about


class Token(models.Model):
    """A secret that proves something once; only its keyed hash is here."""

    request = models.ForeignKey(
        ErasureRequest, models.CASCADE, null=True, blank=True, related_name="tokens"
    )
    keyed_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"until {self.expires_at:%d %b %Y}"
