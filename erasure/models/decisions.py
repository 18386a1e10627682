"""What stands in the way of an erasure: legal holds, and exceptions of one case."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from erasure.models.records import Reasoning
from erasure.models.requests import ErasureRequest


class Hold(models.Model):
    """Something may not go while a claim is open: datasets (none: everywhere) of people (none:
    everybody), in a matter. People are known by keyed pseudonyms alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    matter = models.CharField(max_length=100, blank=True, db_index=True)
    datasets = models.JSONField(default=list, help_text="addresses; empty: everywhere")
    of_people = models.BooleanField(default=False, help_text="whether it is about certain people")
    code = models.CharField(max_length=40, help_text="reason code")
    legal_reference = models.CharField(max_length=200)
    because = models.TextField(help_text="holds no person's data")
    placed_by = models.CharField(max_length=150)
    placed_at = models.DateTimeField()
    released_by = models.CharField(max_length=150, blank=True)
    released_at = models.DateTimeField(null=True, blank=True, db_index=True)
    released_because = models.TextField(blank=True)
    cases = models.ManyToManyField(
        ErasureRequest, blank=True, related_name="+", help_text="found to be about its people"
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-placed_at"]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=models.Q(of_people=True) | ~models.Q(datasets=[]),
                name="hold_has_a_target",
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} since {self.placed_at:%d %b %Y}"


class HeldPerson(models.Model):
    """A keyed pseudonym by which a hold knows a person."""

    hold = models.ForeignKey(Hold, models.CASCADE, related_name="people")
    kind = models.CharField(max_length=100)
    keyed_hash = models.CharField(max_length=64, db_index=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["hold", "kind", "keyed_hash"], name="held_once")
        ]
        verbose_name_plural = "held people"

    def __str__(self) -> str:
        return self.kind


class KeptDataset(models.Model):
    """An exception of Art. 17(3): one dataset of one case, or some fields of it, is kept until a
    day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="exceptions")
    dataset = models.CharField(max_length=255)
    fields = models.JSONField(default=list, blank=True, help_text="empty: all of it")
    code = models.CharField(max_length=40)
    legal_reference = models.CharField(max_length=200)
    until = models.DateField()
    reasoning = models.ForeignKey(Reasoning, models.SET_NULL, null=True, related_name="+")
    decided_by = models.CharField(max_length=150)
    decided_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=150, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["dataset", "decided_at"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["request", "dataset"],
                condition=models.Q(lifted_at=None),
                name="one_exception_per_dataset",
            )
        ]
        verbose_name = "exception"

    def __str__(self) -> str:
        return f"{self.dataset} until {self.until:%d %b %Y}"
