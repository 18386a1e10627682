"""The catalogue in the database: stores, datasets, fields, references, derivations.

Written by ``catalog`` only, read by ``selectors`` only. Texts are empty, not NULL, where a value
of :mod:`lineage.graph` is None.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q

from lineage import event_models as event_models  # its tables are this application's too
from lineage import graph

NAME = 300


def _among(name: str, *words: str) -> Q:
    return Q(**{f"{name}__in": words})


class Store(models.Model):
    """A system that holds data. ``url`` is unresolved."""

    name = models.CharField(max_length=NAME, unique=True)
    kind = models.CharField(max_length=50)
    url = models.TextField(blank=True)
    role = models.CharField(max_length=20, default="controller")
    options = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=_among("role", "controller", "processor", "recipient"),
                name="store_role_known",
            ),
            models.CheckConstraint(condition=~Q(name="") & ~Q(kind=""), name="store_named"),
        )

    def __str__(self) -> str:
        return self.name

    def entry(self) -> graph.StoreEntry:
        """As a plain value."""
        return graph.StoreEntry(
            name=self.name,
            kind=self.kind,
            url=self.url,
            role=self.role,  # type: ignore[arg-type]  # the check constraint holds the words
            options=self.options,
        )


class Dataset(models.Model):
    """What lineage names: a table, a file set, a log stream, a backup set, a model."""

    address = models.CharField(max_length=2 * NAME, unique=True)
    store = models.ForeignKey(Store, on_delete=models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=NAME)
    schema = models.CharField(max_length=NAME, blank=True)
    action = models.CharField(max_length=20, blank=True)
    because = models.TextField(blank=True)
    owner = models.CharField(max_length=NAME, blank=True)
    purpose = models.TextField(blank=True)
    legal_basis = models.CharField(max_length=30, blank=True)
    retention = models.JSONField(default=dict, blank=True)
    until = models.CharField(max_length=NAME, blank=True)
    exception = models.CharField(max_length=30, blank=True)
    legal_reference = models.TextField(blank=True)
    after = models.JSONField(default=list, blank=True)
    model = models.JSONField(default=dict, blank=True)
    quasi_identifiers = models.JSONField(default=list, blank=True)
    k = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ("address",)
        constraints = (
            models.CheckConstraint(
                condition=_among(
                    "action",
                    *("", "delete", "anonymize", "retain", "restrict", "redact", "rebuild"),
                    "ignore",
                ),
                name="dataset_action_known",
            ),
            models.CheckConstraint(
                condition=~Q(action="retain") | (~Q(until="") & ~Q(exception="")),
                name="dataset_retained_with_a_date_and_a_ground",
            ),
            models.CheckConstraint(
                condition=~Q(action="ignore") | ~Q(because=""),
                name="dataset_ignored_with_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(k__isnull=True) | Q(k__gte=2), name="dataset_k_at_least_two"
            ),
        )

    def __str__(self) -> str:
        return self.address

    def entry(self) -> graph.Dataset:
        """As a plain value. Prefetch ``store`` and ``fields`` where there are many."""
        plain = {name: getattr(self, name) for name in DATASET_COLUMNS}
        for name in ("schema", "action", "until", "exception"):
            plain[name] = plain[name] or None
        for name in ("after", "quasi_identifiers"):
            plain[name] = tuple(plain[name])
        fields = tuple(field.entry() for field in self.fields.all())
        return graph.Dataset(store=self.store.name, fields=fields, **plain)


DATASET_COLUMNS = (
    *("address", "name", "schema", "action", "because", "owner", "purpose", "legal_basis"),
    *("retention", "until", "exception", "legal_reference", "after", "model"),
    *("quasi_identifiers", "k"),
)


class Field(models.Model):
    """A column, or a dotted path in a document. ``personal`` is worked out when it is written."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="fields")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=NAME)
    data_type = models.CharField(max_length=50, blank=True)
    categories = models.JSONField(default=list, blank=True)
    identity = models.CharField(max_length=NAME, blank=True, db_index=True)
    primary_key = models.BooleanField(default=False)
    free_text = models.BooleanField(default=False)
    method = models.JSONField(default=dict, blank=True)
    personal_override = models.BooleanField(null=True, blank=True)
    because = models.TextField(blank=True)
    personal = models.BooleanField(default=False)

    class Meta:
        ordering = ("dataset_id", "position", "id")
        constraints = (
            models.UniqueConstraint(fields=("dataset", "name"), name="field_once_per_dataset"),
            models.CheckConstraint(
                condition=Q(personal_override__isnull=True)
                | Q(personal_override=True)
                | ~Q(because=""),
                name="field_not_personal_with_a_reason",
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset.address}.{self.name}"

    def entry(self) -> graph.Field:
        """As a plain value."""
        return graph.Field(
            name=self.name,
            data_type=self.data_type or None,
            categories=tuple(self.categories),
            identity=self.identity or None,
            primary_key=self.primary_key,
            free_text=self.free_text,
            method=graph.Method(**self.method) if self.method else None,
            personal_override=self.personal_override,
            because=self.because,
        )


class Reference(models.Model):
    """``holder`` refers to ``target``, inside or across stores."""

    holder = models.ForeignKey(Field, on_delete=models.CASCADE, related_name="references_out")
    target = models.ForeignKey(Field, on_delete=models.CASCADE, related_name="references_in")
    direction = models.CharField(max_length=4, blank=True)
    on_erase = models.CharField(max_length=10, blank=True)
    ghost = models.BooleanField(default=False)
    also = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ("holder_id", "target_id")
        constraints = (
            models.UniqueConstraint(fields=("holder", "target"), name="reference_once"),
            models.CheckConstraint(
                condition=_among("direction", "", "from", "to"), name="reference_direction_known"
            ),
            models.CheckConstraint(
                condition=_among("on_erase", "", "deep", "refcount", "shallow"),
                name="reference_effect_known",
            ),
            models.CheckConstraint(
                condition=Q(ghost=False) | Q(on_erase="shallow"), name="reference_ghost_is_shallow"
            ),
        )

    def __str__(self) -> str:
        return f"{self.holder} → {self.target}"


class Derivation(models.Model):
    """``downstream`` was made from ``upstream``. ``implied``: follows from what a backup covers."""

    upstream = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="derived")
    downstream = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="derived_from")
    kind = models.CharField(max_length=20, default="derived")
    columns = models.JSONField(default=dict, blank=True)
    implied = models.BooleanField(default=False)

    class Meta:
        ordering = ("upstream_id", "downstream_id", "kind")
        constraints = (
            models.UniqueConstraint(
                fields=("upstream", "downstream", "kind"), name="derivation_once"
            ),
            models.CheckConstraint(
                condition=~Q(upstream=F("downstream")), name="derivation_of_another"
            ),
            models.CheckConstraint(
                condition=_among("kind", "derived", "trained", "backed_up", "logged", "exported"),
                name="derivation_kind_known",
            ),
        )

    def __str__(self) -> str:
        return f"{self.upstream.address} ⇒ {self.downstream.address}"


def reference_entry(row: tuple[Any, ...]) -> graph.Reference:
    """A row of :data:`REFERENCE_COLUMNS` as a plain value."""
    holder, holder_field, target, target_field, direction, on_erase, ghost, also = row
    return graph.Reference(
        holder=holder,
        holder_field=holder_field,
        target=target,
        target_field=target_field,
        direction=direction or None,
        on_erase=on_erase or None,
        ghost=ghost,
        also=tuple((mine, theirs) for mine, theirs in also),
    )


REFERENCE_COLUMNS = (
    "holder__dataset__address",
    "holder__name",
    "target__dataset__address",
    "target__name",
    "direction",
    "on_erase",
    "ghost",
    "also",
)


def derivation_entry(row: tuple[Any, ...]) -> graph.Derivation:
    """A row of :data:`DERIVATION_COLUMNS` as a plain value."""
    upstream, downstream, kind, columns = row
    return graph.Derivation(upstream=upstream, downstream=downstream, kind=kind, columns=columns)


DERIVATION_COLUMNS = ("upstream__address", "downstream__address", "kind", "columns")
