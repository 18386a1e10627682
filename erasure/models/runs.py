"""Runs: one execution of the steps of one or many approved plans, and its journal."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.requests import ErasureRequest


class Run(models.Model):
    """A store is passed over once for everybody in the run."""

    machine: ClassVar[states.Table] = states.RUN

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=20, default="opened", db_index=True)
    sealed_seed = models.BinaryField()
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    rounds = models.PositiveSmallIntegerField(default=0, help_text="searches so far")
    steps = models.JSONField(default=list, help_text="the merged steps, in order")

    def __str__(self) -> str:
        return str(self.id)


class StoreRun(models.Model):
    """The part of a run that concerns one store; a dead bucket does not stop the databases."""

    machine: ClassVar[states.Table] = states.STORE_RUN

    run = models.ForeignKey(Run, models.CASCADE, related_name="stores")
    store = models.CharField(max_length=100)
    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=20, default="pending", db_index=True)
    residue = models.CharField(max_length=20, blank=True)
    until = models.DateField(null=True, blank=True)
    note = models.TextField(blank=True)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["run", "store"], name="store_once_per_run")
        ]

    def __str__(self) -> str:
        return f"{self.store} ({self.state})"


class Lease(models.Model):
    """Who carries a run's store, a model's job or an export now. Every takeover raises the epoch;
    every write tests it."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="leases", null=True, blank=True)
    job = models.OneToOneField(
        "erasure.ModelJob", models.CASCADE, related_name="lease", null=True, blank=True
    )
    export = models.OneToOneField(
        "erasure.Export", models.CASCADE, related_name="lease", null=True, blank=True
    )
    store = models.CharField(max_length=100, blank=True, help_text="empty: the run itself")
    epoch = models.PositiveIntegerField(default=0)
    holder = models.CharField(max_length=200, blank=True)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["run", "store"], name="one_lease_per_store")
        ]

    def __str__(self) -> str:
        return f"{self.store or 'run'} epoch {self.epoch}"


class Batch(models.Model):
    """Keys of one target transaction, and its journal entry: found → intent → done.

    The keys of each person are a segment of ``sealed`` under that person's deferred key;
    ``directory`` maps request id → [offset, length], so that one case can be shredded alone.
    """

    machine: ClassVar[states.Table] = states.BATCH

    run = models.ForeignKey(Run, models.CASCADE, related_name="batches")
    store = models.CharField(max_length=100)
    round = models.PositiveSmallIntegerField(default=0)
    ordinal = models.PositiveIntegerField()
    state = models.CharField(max_length=20, default="found")
    directory = models.JSONField(default=dict)
    sealed = models.BinaryField()
    receipts = models.JSONField(default=dict, help_text="request id → step → counts")

    class Meta:
        ordering: ClassVar[list[str]] = ["ordinal"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["run", "ordinal"], name="batch_ordinal_once")
        ]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"{self.store} #{self.ordinal} ({self.state})"


class SealedNeedles(models.Model):
    """A person's needles in a run, sealed before the first delete."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="needles")
    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="needles")
    sealed = models.BinaryField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["run", "request"], name="needles_once")
        ]
        verbose_name_plural = "sealed needles"

    def __str__(self) -> str:
        return f"{self.count} needles"


class ScanResult(models.Model):
    """What the re-scan saw of one person in one place: counts, never values."""

    class Verdict(models.TextChoices):
        """``residue`` blocks; ``shared`` is somebody else's equal value; ``retained`` by law."""

        RESIDUE = "residue"
        SHARED = "shared"
        RETAINED = "retained"

    run = models.ForeignKey(Run, models.CASCADE, related_name="scan_results")
    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="scan_results")
    store = models.CharField(max_length=100)
    collection = models.CharField(max_length=255)
    field = models.CharField(max_length=255)
    verdict = models.CharField(max_length=20, choices=Verdict.choices)
    count = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["run", "request", "store", "collection", "field", "verdict"],
                name="scan_result_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.store}.{self.collection}.{self.field}"


class StoreScan(models.Model):
    """That a store was read to its end, and how much of it."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="scans")
    store = models.CharField(max_length=100)
    collections = models.PositiveIntegerField()
    fields = models.PositiveIntegerField()
    rows = models.PositiveBigIntegerField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["run", "store"], name="store_scan_once")
        ]

    def __str__(self) -> str:
        return f"{self.store}: {self.rows} rows"


class Notice(models.Model):
    """A recipient to tell, by letter or otherwise (Art. 19). No identifier in it."""

    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="notices")
    store = models.CharField(max_length=100)
    dataset = models.CharField(max_length=255)
    made_at = models.DateTimeField(auto_now_add=True)
    told_at = models.DateTimeField(null=True, blank=True)
    told_by = models.CharField(max_length=150, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(
        null=True, blank=True, help_text="when the recipient answered"
    )
    acknowledged_by = models.CharField(
        max_length=150, blank=True, help_text="who recorded the answer"
    )

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["request", "dataset"], name="notice_once")
        ]

    def __str__(self) -> str:
        return f"tell {self.store}"
