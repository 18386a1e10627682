"""What lineage events told, in the database: the raw events, and what was learnt from them.

Kept apart from the catalogue, which people write: an event never changes a row of theirs, and
what was learnt can be thrown away and learnt again from the stored events.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from lineage.naming import LONGEST

KEY = 300
CHOICES = ("rebuild", "anonymous", "drop")


class LineageKey(models.Model):
    """Whoever holds the token of this digest may send events. The token itself is nowhere."""

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token")
    made_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class StoredEvent(models.Model):
    """An event as it came, compressed. ``digest`` is over its canonical JSON: sent twice, it is
    stored once. ``key``: what it is merged by."""

    digest = models.CharField(max_length=64, unique=True)
    key = models.CharField(max_length=KEY, db_index=True)
    event_time = models.DateTimeField()
    received_at = models.DateTimeField(auto_now_add=True)
    body = models.BinaryField(help_text="zlib over JSON")
    processed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = "lineage event"
        verbose_name_plural = "lineage events"
        indexes = (
            models.Index(
                fields=["event_time", "id"],
                name="event_waiting",
                condition=Q(processed_at__isnull=True),
            ),
            models.Index(fields=["received_at"], name="event_received"),
        )

    def __str__(self) -> str:
        return self.digest[:12]


class Turn(models.Model):
    """One row: whoever holds its lock learns from events, and nobody beside them. ``gone_until``:
    events of before then have gone, so that what they told cannot be learnt again."""

    gone_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return "turn"


class Revision(models.Model):
    """One row: what changes with every change of the catalogue (``written``) and of what events
    and decisions tell beside it (``heard``). Never a count: a transaction that is rolled back
    would leave the next one with a number that somebody has read already."""

    written = models.CharField(max_length=32)
    heard = models.CharField(max_length=32)

    def __str__(self) -> str:
        return f"{self.written[:8]}/{self.heard[:8]}"


class HeardRun(models.Model):
    """The events of one run, merged: which datasets it read and wrote, and how columns flowed."""

    key = models.CharField(max_length=KEY, unique=True)
    job = models.CharField(max_length=LONGEST, blank=True, db_index=True)
    parent = models.CharField(max_length=KEY, blank=True)
    state = models.CharField(max_length=20, blank=True)
    first_at = models.DateTimeField("first heard of")
    last_at = models.DateTimeField("last heard of")
    facts = models.JSONField(default=dict)

    class Meta:
        verbose_name = "run of a pipeline"
        verbose_name_plural = "runs of pipelines"

    def __str__(self) -> str:
        return self.key


class HeardDataset(models.Model):
    """A dataset, or a job between datasets (``kind`` JOB), as events tell of it.

    ``emptied_at``: when it was last dropped or truncated; what flowed in before is gone.
    """

    address = models.CharField(max_length=LONGEST, db_index=True)
    kind = models.CharField(max_length=50, blank=True)
    fields = models.JSONField(default=list, help_text="[name, type]")
    tags = models.JSONField(default=list, help_text="[field or empty, key, value]")
    owners = models.JSONField(default=list)
    others = models.JSONField(default=list, help_text="names of facets that nobody reads")
    version = models.TextField(blank=True)
    personal = models.BooleanField("tagged as personal", default=False)
    first_at = models.DateTimeField("first heard of")
    last_at = models.DateTimeField("last heard of")
    emptied_at = models.DateTimeField(null=True, blank=True)
    emptied_how = models.CharField(max_length=20, blank=True)

    class Meta:
        verbose_name = "dataset of lineage events"
        verbose_name_plural = "datasets of lineage events"
        indexes = (models.Index(fields=["id"], name="heard_personal", condition=Q(personal=True)),)

    def __str__(self) -> str:
        return self.address


class HeardName(models.Model):
    """A name of a dataset: its own, an alias, or one it had ``until`` it was renamed."""

    address = models.CharField(max_length=LONGEST)
    dataset = models.ForeignKey(HeardDataset, models.CASCADE, related_name="names")
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["address"], condition=Q(until__isnull=True), name="heard_name_once"
            ),
            models.UniqueConstraint(fields=["address", "until"], name="heard_former_name_once"),
        )

    def __str__(self) -> str:
        return self.address


class HeardFlow(models.Model):
    """Data of ``upstream`` went into ``downstream``; not ``direct``: it only decided which rows.

    ``columns``: [mine, theirs, how, masking], see :class:`lineage.importers.facets.Column`.
    ``jobs``: those that did it, and whether they ever told the columns.
    """

    upstream = models.ForeignKey(HeardDataset, models.CASCADE, related_name="flows_out")
    downstream = models.ForeignKey(HeardDataset, models.CASCADE, related_name="flows_in")
    direct = models.BooleanField(default=True)
    columns = models.JSONField(default=list)
    jobs = models.JSONField(default=dict)
    first_at = models.DateTimeField("first heard of")
    last_at = models.DateTimeField("last heard of")

    class Meta:
        verbose_name = "flow"
        verbose_name_plural = "flows"
        constraints = (
            models.UniqueConstraint(fields=["upstream", "downstream"], name="heard_flow_once"),
            models.CheckConstraint(
                condition=~Q(upstream=F("downstream")), name="heard_flow_to_another"
            ),
        )

    def __str__(self) -> str:
        return f"{self.upstream_id} ⇒ {self.downstream_id}"


class Decision(models.Model):
    """What a person decided for a dataset that events told of: rebuild it without the person, it
    is anonymous (assessed, with reason and day), or drop it."""

    address = models.CharField(max_length=LONGEST, unique=True)
    choice = models.CharField(max_length=20)
    because = models.TextField()
    by = models.CharField(max_length=150)
    decided_on = models.DateField()
    made_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "decision on what is made"
        verbose_name_plural = "decisions on what is made"
        constraints = (
            models.CheckConstraint(
                condition=Q(choice__in=CHOICES) & ~Q(because="") & ~Q(by=""),
                name="decision_known_and_justified",
            ),
        )

    def __str__(self) -> str:
        return f"{self.address}: {self.choice}"


class KeptGraph(models.Model):
    """The catalogue that a decision was made on, by its hash."""

    version = models.CharField(max_length=64, unique=True)
    body = models.BinaryField(help_text="zlib over JSON")
    kept_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.version[:12]


class OutgoingEvent(models.Model):
    """An event of ours, until the lineage backend has taken it. ``key`` makes it once only."""

    key = models.CharField(max_length=KEY, unique=True)
    body = models.JSONField()
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        indexes = (
            models.Index(
                fields=["due_at"], name="outgoing_waiting", condition=Q(sent_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return self.key
