"""What acts by its date: windows in which a case can be undone, the images sealed until they
close, and the days on which retained rows and old copies have to be gone."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from erasure.models.requests import ErasureRequest
from erasure.models.runs import Run


class UndoWindow(models.Model):
    """Until when a case can be undone. Its images are sealed under the case's ``undo`` key."""

    request = models.OneToOneField(ErasureRequest, models.CASCADE, related_name="undo_window")
    run = models.ForeignKey(Run, models.CASCADE, related_name="undo_windows")
    closes_at = models.DateTimeField(db_index=True)
    closed_at = models.DateTimeField(
        null=True, blank=True, help_text="the key is destroyed and the images are gone"
    )
    back_to = models.CharField(
        max_length=20, blank=True, help_text="the state before the undo, if nothing comes of it"
    )
    error = models.TextField(blank=True, help_text="why an undo does not go on")
    report = models.JSONField(default=dict, help_text="table → rows put back and left, and why")

    def __str__(self) -> str:
        return f"until {self.closes_at:%d %b %Y, %H:%M}"


class Capture(models.Model):
    """What one execution of batches took from one person in one store.

    Written before the store commits; ``complete`` once it says how every row was left. A newer
    one is undone before an older one.
    """

    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="captures")
    run = models.ForeignKey(Run, models.CASCADE, related_name="captures")
    store = models.CharField(max_length=100)
    ordinal = models.PositiveIntegerField(help_text="counts the executions in that store")
    batches = models.JSONField(default=list, help_text="ordinals of the batches")
    shared_with = models.JSONField(default=list, help_text="other requests that share rows of it")
    rows = models.PositiveIntegerField(default=0)
    sealed_left = models.BinaryField(default=b"")
    complete = models.BooleanField(default=False)
    put_back_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["store", "ordinal"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["run", "request", "store", "ordinal"], name="capture_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.store} #{self.ordinal}: {self.rows} rows"


class ImageChunk(models.Model):
    """Some images of a capture, sealed together."""

    capture = models.ForeignKey(Capture, models.CASCADE, related_name="chunks")
    ordinal = models.PositiveIntegerField()
    sealed = models.BinaryField()

    class Meta:
        ordering: ClassVar[list[str]] = ["ordinal"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["capture", "ordinal"], name="image_chunk_once")
        ]

    def __str__(self) -> str:
        return f"chunk {self.ordinal}"


class DateDue(models.Model):
    """A day after which something of a decided case has to be gone: retained rows of a step, or
    the last copy of a backup set. Counts, never keys."""

    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="dates")
    store = models.CharField(max_length=100)
    dataset = models.CharField(max_length=255)
    step = models.PositiveIntegerField(help_text="the step's ordinal")
    on = models.DateField(db_index=True, help_text="the last day of keeping it")
    rows = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="why it is not gone yet")

    class Meta:
        ordering: ClassVar[list[str]] = ["on", "step"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["request", "step", "on"], name="date_due_once")
        ]
        verbose_name_plural = "dates due"

    def __str__(self) -> str:
        return f"{self.dataset} until {self.on:%d %b %Y}"
