"""What the API remembers: its tokens, and the keys that make a repeated call one call."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from erasure.models.requests import ErasureRequest


class ApiToken(models.Model):
    """A secret that stands for an account; only its keyed hash is here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="what it is for")
    keyed_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-made_at"]

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """A call that has opened a request; who repeats it gets the same one."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    keyed_hash = models.CharField(max_length=64)
    body_hash = models.CharField(max_length=64)
    request = models.ForeignKey(ErasureRequest, models.CASCADE, related_name="+")
    made_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["user", "keyed_hash"], name="idempotency_key_once")
        ]

    def __str__(self) -> str:
        return f"{self.made_at:%d %b %Y}"
