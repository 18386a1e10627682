"""Letters of a case, or about a complaint of no case: what was written to whom, and the hash of
what was sent."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from erasure.domain import states
from erasure.models.complaints import Complaint
from erasure.models.requests import ErasureRequest
from erasure.models.runs import Notice


class Letter(models.Model):
    """Address and text are sealed under the record key of its case, or of its complaint, and go
    with that record.

    ``sha256`` is of the exact message that was handed to the mail server, or, for a letter by
    hand, of subject, an empty line and text as UTF-8; empty as long as neither has happened.
    """

    machine: ClassVar[states.Table] = states.LETTER

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(
        ErasureRequest, models.CASCADE, null=True, blank=True, related_name="letters"
    )
    complaint = models.ForeignKey(
        Complaint, models.CASCADE, null=True, blank=True, related_name="letters"
    )
    notice = models.ForeignKey(
        Notice, models.CASCADE, null=True, blank=True, related_name="letters"
    )
    code = models.CharField(max_length=40)
    version = models.PositiveSmallIntegerField(help_text="of the template")
    language = models.CharField(max_length=10)
    state = models.CharField(max_length=20, default="drafted")
    sealed_to = models.BinaryField()
    subject = models.CharField(max_length=200, help_text="holds no person's data")
    sealed = models.BinaryField()
    blocks = models.JSONField(default=list, help_text="names of the blocks that were written anew")
    sha256 = models.CharField(max_length=64, blank=True)
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField()
    sent_by = models.CharField(max_length=150, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True, help_text="when it was first sent off")
    again_at = models.DateTimeField(
        null=True, blank=True, help_text="when whoever is sending it now is taken for dead"
    )
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["made_at", "id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["state", "again_at"])]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=models.Q(request=None) ^ models.Q(complaint=None),
                name="a_letter_is_of_a_case_or_a_complaint",
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.state})"

    @property
    def owner(self) -> uuid.UUID:
        """Whose record it is part of."""
        found = self.request_id or self.complaint_id
        assert found is not None  # noqa: S101 - the constraint says so
        return found

    @property
    def about(self) -> dict[str, str]:
        """How the ledger names that."""
        return {"request" if self.request_id else "complaint": str(self.owner)}
