"""Evidence: the ledger's leaves and signed heads, and what was certified.

No foreign key leads out of here: evidence outlives requests, plans and catalogue. Rows are
written once by ``erasure.evidence`` and never changed; only the ledger's tip moves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NoReturn

from django.db import models
from django.db.models import F, Q

from erasure.domain.errors import EvidenceError

HASH_TEXT = 64
SIGNATURE_TEXT = 128
KEY_ID_TEXT = 16
# Kinds of leaves that say who looked at what names a person.
LOOKS = (
    "identifiers_seen", "reasons_seen", "letter_seen", "complaint_seen", "looked_up",
    "export_read", "export_passphrase_shown", "letter_previewed",
)  # fmt: skip


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Rows can be read and added; whatever would change or remove one raises EvidenceError."""

    def _refuse(self) -> NoReturn:
        name = self.model._meta.verbose_name_plural
        raise EvidenceError(f"{name}: are append-only; write a new entry instead")

    def update(self, **kwargs: Any) -> NoReturn:
        """Refused."""
        self._refuse()

    def delete(self) -> NoReturn:
        """Refused."""
        self._refuse()

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused."""
        self._refuse()

    def update_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused."""
        self._refuse()

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Any]:
        """Add rows; a conflict is an error, never ignored or overwritten."""
        if ignore_conflicts or update_conflicts:
            self._refuse()
        return super().bulk_create(objs, batch_size)


class AppendOnly(models.Model):
    """A row that is written once."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert. Raises EvidenceError on a row that is there, IntegrityError on a taken key."""
        if not self._state.adding:
            self._refuse()
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise EvidenceError(
            f"{self._meta.verbose_name} {self.pk}: is append-only; write a new entry instead"
        )


class LedgerLeaf(AppendOnly):
    """One entry of the Merkle log. ``payload`` is canonical JSON (RFC 8785) without personal data;
    ``request`` repeats its ``request``, so that one case's entries are found."""

    index = models.BigIntegerField(primary_key=True)
    # Every leaf but the first points at the one before it: the database itself forbids gaps,
    # and lets nobody delete a leaf that has a successor.
    previous = models.OneToOneField(
        "self", null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    kind = models.CharField(max_length=60)
    request = models.CharField(max_length=100, blank=True, db_index=True)
    payload = models.TextField()
    leaf_hash = models.CharField(max_length=HASH_TEXT)
    created_at = models.DateTimeField()

    class Meta(AppendOnly.Meta):
        verbose_name = "ledger leaf"
        verbose_name_plural = "ledger leaves"
        ordering = ("index",)
        indexes = (
            models.Index(fields=["-index"], condition=Q(kind__in=LOOKS), name="ledger_looks"),
        )
        constraints = (
            models.CheckConstraint(
                name="ledger_has_no_gap",
                condition=Q(index=0, previous__isnull=True)
                | Q(index__gt=0, previous__isnull=False, index=F("previous") + 1),
            ),
        )

    def __str__(self) -> str:
        return f"{self.index} {self.kind}"


class LedgerHead(AppendOnly):
    """A signed tree head that was shown to somebody: the ledger must contain it for ever."""

    size = models.BigIntegerField(primary_key=True)
    root = models.CharField(max_length=HASH_TEXT)
    signature = models.CharField(max_length=SIGNATURE_TEXT)
    key_id = models.CharField(max_length=KEY_ID_TEXT)
    created_at = models.DateTimeField()

    class Meta(AppendOnly.Meta):
        verbose_name = "ledger head"
        ordering = ("size",)

    def __str__(self) -> str:
        return f"{self.size} {self.root[:16]}"


class LedgerTip(models.Model):
    """The one row that moves: where the next leaf goes. Locking it serialises appends; its
    signature leaves no moment at which the end of the ledger could be rewritten unseen."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    size = models.BigIntegerField()
    peaks = models.TextField(blank=True)
    root = models.CharField(max_length=HASH_TEXT)
    signature = models.CharField(max_length=SIGNATURE_TEXT)
    key_id = models.CharField(max_length=KEY_ID_TEXT)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "ledger tip"
        constraints = (
            models.CheckConstraint(name="ledger_has_one_tip", condition=Q(id=1)),
            models.CheckConstraint(name="ledger_size_not_negative", condition=Q(size__gte=0)),
        )

    def __str__(self) -> str:
        return f"{self.size} {self.root[:16]}"


class Certificate(AppendOnly):
    """A sealed certificate file. ``digest`` is SHA-256 of the canonical body; ``path`` is relative
    to LETHE_HOME; ``leaf`` is the ledger index of its own entry."""

    class Kind(models.TextChoices):
        """What the file is."""

        CERTIFICATE = "certificate"
        ADDENDUM = "addendum"
        REPLAY = "replay"
        RETENTION = "retention"

    id = models.CharField(primary_key=True, max_length=100)
    request = models.CharField(max_length=100, db_index=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    digest = models.CharField(max_length=HASH_TEXT)
    path = models.CharField(max_length=200)
    leaf = models.BigIntegerField(unique=True)
    issued_at = models.DateTimeField()

    class Meta(AppendOnly.Meta):
        verbose_name = "certificate"
        ordering = ("issued_at", "id")

    def __str__(self) -> str:
        return self.id
