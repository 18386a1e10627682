"""Cases: the request, its sealed identifiers, its data keys and everything that happened."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from erasure.domain import states


class ErasureRequest(models.Model):
    """One person's case, from receipt to certificate. Holds no readable identifier."""

    machine: ClassVar[states.Table] = states.REQUEST

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=20, default="received", db_index=True)
    right = models.CharField(
        max_length=20, default="erasure", help_text="others are recorded, clocked and handed on"
    )
    law = models.CharField(max_length=10, default="gdpr")
    channel = models.CharField(max_length=20, default="console")
    opened_by = models.CharField(max_length=150, blank=True)
    subject = models.CharField(max_length=64, help_text="keyed pseudonym")
    opened_at = models.DateTimeField(default=timezone.now, editable=False)
    received_at = models.DateTimeField()
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="empty while the clock stands still"
    )
    extended_at = models.DateTimeField(null=True, blank=True)
    acknowledge_by = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    identity_check = models.CharField(max_length=200, blank=True)
    asked_by = models.CharField(
        max_length=10, default="self", help_text="the person, or an agent or guardian for them"
    )
    mandate = models.CharField(max_length=200, blank=True)
    child = models.BooleanField(
        default=False, help_text="whether the data were collected from a child"
    )
    ground = models.CharField(
        max_length=20, blank=True, help_text="of Art. 17(1), as stated; nobody has to name one"
    )
    refused_for = models.CharField(max_length=20, blank=True)
    only_store = models.CharField(
        max_length=100, blank=True, help_text="a replay after a restore looks at this store alone"
    )
    undoable = models.BooleanField(
        default=True, help_text="whether the installation's undo window is used, if it has one"
    )
    duplicate_of = models.UUIDField(null=True, blank=True)
    follows = models.UUIDField(
        null=True,
        blank=True,
        db_index=True,
        help_text="the case that was reopened as this one, and waits for its own dates",
    )
    reopened_at = models.DateTimeField(
        null=True, blank=True, help_text="the time to answer counts from here then"
    )
    reopened_by = models.CharField(max_length=150, blank=True)
    reopened_for = models.CharField(max_length=20, blank=True)
    replay_of = models.UUIDField(null=True, blank=True)
    run = models.ForeignKey(
        "erasure.Run", null=True, blank=True, on_delete=models.SET_NULL, related_name="requests"
    )
    blocked_because = models.TextField(blank=True)
    record_ended_at = models.DateTimeField(
        null=True, blank=True, help_text="since when nothing of it can be read any more"
    )
    reasons_emptied = models.BooleanField(
        default=False,
        help_text="whether the reasons in clear were, too: earlier versions left them",
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-received_at"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["state", "due_at"]),
            models.Index(fields=["-received_at", "-id"], name="requests_newest_first"),
            models.Index(fields=["state", "-received_at", "-id"], name="requests_of_a_state"),
            models.Index(
                fields=["closed_at"],
                condition=models.Q(record_ended_at=None),
                name="requests_with_a_record",
            ),
            models.Index(
                fields=["record_ended_at"],
                condition=models.Q(record_ended_at__isnull=False, reasons_emptied=False),
                name="requests_with_reasons_left",
            ),
        ]
        verbose_name = "request"

    def __str__(self) -> str:
        return str(self.id)


class Identifier(models.Model):
    """What the person gave to be found by: sealed under the case's identifiers key."""

    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="identifiers")
    kind = models.CharField(max_length=100)
    sealed = models.BinaryField()
    keyed_hash = models.CharField(max_length=64, db_index=True)
    proved_by = models.CharField(
        max_length=10, blank=True, help_text="empty: it is not searched by"
    )

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["request", "kind", "keyed_hash"], name="identifier_once_per_request"
            )
        ]

    def __str__(self) -> str:
        return self.kind


class DataKey(models.Model):
    """That a data key exists, and until when; the wrapped key itself lives outside the database."""

    class Purpose(models.TextChoices):
        """What a key opens; each is destroyed at its own date."""

        IDENTIFIERS = "identifiers"
        DEFERRED = "deferred"
        RECORD = "record"
        RUN = "run"
        UNDO = "undo"
        ROWS = "model rows"
        EXPORT = "export"
        CALL = "call"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.UUIDField(db_index=True, help_text="the request, the run, or what it seals")
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["owner", "purpose"], name="one_key_per_purpose")
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.owner}"


class Event(models.Model):
    """A move of state, written in the same transaction as the move. No foreign key: the event
    outlives what it tells of."""

    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64, db_index=True)
    from_state = models.CharField(max_length=20)
    to_state = models.CharField(max_length=20)
    by = models.CharField(max_length=150)
    because = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return f"{self.subject_kind}: {self.from_state} → {self.to_state}"


class SuppressionEntry(models.Model):
    """A keyed hash that recognises the person again after the data are gone."""

    request_id = models.UUIDField(db_index=True)
    kind = models.CharField(max_length=100)
    keyed_hash = models.CharField(max_length=64, db_index=True)
    hash_key_id = models.CharField(max_length=16)
    normaliser = models.PositiveSmallIntegerField()
    erased_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["request_id", "kind", "keyed_hash"], name="suppression_once"
            )
        ]
        verbose_name_plural = "suppression entries"

    def __str__(self) -> str:
        return self.kind
