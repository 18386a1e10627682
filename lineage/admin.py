"""The catalogue on the desk: to look at and to search. It is written by importing files, so that
what is decided stands where it is reviewed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from lineage import models

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
    _Inline = admin.TabularInline[Any, Any]
else:
    _Admin = admin.ModelAdmin
    _Inline = admin.TabularInline

_PASSWORD = re.compile(r"(?<=:)(?!//)(?!\$\{)[^:/@]+(?=@)")
_ACTIONS: Mapping[str, str] = {
    "delete": "rows are deleted",
    "anonymize": "rows stay, anonymised",
    "retain": "rows are kept: the law asks for it",
    "restrict": "rows are restricted",
    "redact": "the person's values are blacked out",
    "rebuild": "built anew without the person",
    "ignore": "nothing: no personal data",
}
# What a store of that kind does where its dataset says nothing.
_OF_ITSELF: Mapping[str, str] = {
    "backups": "copies expire",
    "model_registry": "models are retrained",
    "mlflow": "models are retrained",
    "manual": "recipients are told by hand",
}
_NOTHING = "–"
_DERIVATIONS: Mapping[str, str] = {"backed_up": "backed up"}


class _ReadOnly:
    """Whoever may view may view; nobody adds, changes or deletes here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _plain(code: str) -> str:
    return code.replace("_", " ")


def _listed(pairs: Mapping[str, Any]) -> str:
    """``period 8y; starts last order``: a small mapping as a line of words."""
    return "; ".join(f"{_plain(str(name))} {_value(value)}" for name, value in pairs.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_listed(value)})"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@admin.register(models.Store)
class StoreAdmin(_ReadOnly, _Admin):
    """Stores with their addresses as written: ``${NAME}`` is never resolved for the screen."""

    list_display = ("name", "what", "role", "address", "datasets")
    list_filter = ("kind", "role")
    search_fields = ("name",)
    fields = ("name", "what", "address", "role", "settings")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of datasets."""
        counted: QuerySet[Any] = super().get_queryset(request).annotate(held=Count("datasets"))
        return counted

    @admin.display(description="kind", ordering="kind")
    def what(self, row: models.Store) -> str:
        """The kind in words."""
        return _plain(row.kind)

    @admin.display(description="address")
    def address(self, row: models.Store) -> str:
        """The url; a password that somebody wrote into it is not shown."""
        return _PASSWORD.sub("…", row.url)

    @admin.display(description="options")
    def settings(self, row: models.Store) -> str:
        """The options in words."""
        return _listed(row.options) or _NOTHING

    @admin.display(ordering="held")
    def datasets(self, row: Any) -> int:
        """How many datasets lie in it."""
        return int(row.held)


class _FieldWords:
    """Columns that a field is shown with, on its own list and on its dataset's page."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what a field refers to."""
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        return rows.prefetch_related("references_out__target__dataset")

    @admin.display(description="data")
    def holds(self, row: models.Field) -> str:
        """The data categories."""
        return ", ".join(row.categories) or ("personal" if row.personal else _NOTHING)

    @admin.display(description="part it plays")
    def part(self, row: models.Field) -> str:
        """Key, identity, reference, free text."""
        said = ["key"] if row.primary_key else []
        said += [f"identity: {row.identity}"] if row.identity else []
        said += [f"refers to {reference.target}" for reference in row.references_out.all()]
        said += ["free text, searched by value"] if row.free_text else []
        return "; ".join(said) or _NOTHING

    @admin.display(description="made anonymous by")
    def masked(self, row: models.Field) -> str:
        """The method, where one was chosen."""
        return _listed({k: v for k, v in row.method.items() if v is not None}) or _NOTHING


class FieldInline(_ReadOnly, _FieldWords, _Inline):
    """The fields of a dataset."""

    model = models.Field
    fields = readonly_fields = ("name", "holds", "part", "masked")
    ordering = ("position", "id")


class UpstreamInline(_ReadOnly, _Inline):
    """What a dataset was made from."""

    model = models.Derivation
    fk_name = "downstream"
    fields = readonly_fields = ("upstream", "how", "fields_used")
    verbose_name_plural = "made from"

    @admin.display(description="how")
    def how(self, row: models.Derivation) -> str:
        """The kind in words."""
        return _DERIVATIONS.get(row.kind, row.kind)

    @admin.display(description="fields")
    def fields_used(self, row: models.Derivation) -> str:
        """Which field became which."""
        return ", ".join(f"{there} from {here}" for there, here in row.columns.items()) or _NOTHING


class ActionFilter(admin.SimpleListFilter):
    """By what happens on erasure; only what was decided somewhere is offered."""

    title = "what happens on erasure"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: _Admin) -> list[tuple[str, str]]:
        """The actions in words."""
        decided = models.Dataset.objects.exclude(action="").order_by("action")
        there = decided.values_list("action", flat=True).distinct()
        return [(action, _ACTIONS.get(action, action)) for action in there]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The chosen ones."""
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(models.Dataset)
class DatasetAdmin(_ReadOnly, _Admin):
    """Datasets, what was decided for them, and why."""

    list_display = ("address", "store", "happens", "because", "purpose", "basis")
    list_filter = ("store", ActionFilter)
    list_select_related = ("store",)
    search_fields = ("address", "owner", "purpose")
    fieldsets = (
        (None, {"fields": ("store", "owner", "purpose", "basis", "kept")}),
        ("When somebody is forgotten", {"fields": ("happens", "because", "until", "ground")}),
        ("More", {"fields": ("earlier", "training"), "classes": ("collapse",)}),
    )

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        """What it was made from is shown where it was made from something."""
        made = obj is not None and obj.derived_from.exists()
        return [FieldInline, UpstreamInline] if made else [FieldInline]

    @admin.display(description="on erasure", ordering="action")
    def happens(self, row: models.Dataset) -> str:
        """The action in words."""
        if row.action:
            return _ACTIONS.get(row.action, row.action)
        return _OF_ITSELF.get(row.store.kind, "not decided yet")

    @admin.display(description="legal basis", ordering="legal_basis")
    def basis(self, row: models.Dataset) -> str:
        """The legal basis in words."""
        return _plain(row.legal_basis) or _NOTHING

    @admin.display(description="usual retention")
    def kept(self, row: models.Dataset) -> str:
        """How long it is kept when nobody asks."""
        return _listed(row.retention) or _NOTHING

    @admin.display(description="exception")
    def ground(self, row: models.Dataset) -> str:
        """Why erasure is not owed, and by which rule."""
        said = filter(None, (_plain(row.exception), row.legal_reference))
        return ": ".join(said) or _NOTHING

    @admin.display(description="acted on after")
    def earlier(self, row: models.Dataset) -> str:
        """Datasets that come first."""
        return ", ".join(row.after) or _NOTHING

    @admin.display(description="model")
    def training(self, row: models.Dataset) -> str:
        """How a model was trained."""
        return _listed(row.model) or _NOTHING


@admin.register(models.Field)
class FieldAdmin(_ReadOnly, _FieldWords, _Admin):
    """Every field, to find where a category or an identity lies."""

    list_display = ("name", "dataset", "holds", "part", "masked")
    list_filter = ("personal", "free_text", "identity", "dataset__store")
    list_select_related = ("dataset",)
    search_fields = ("name", "dataset__address", "identity")
    fields = ("dataset", "name", "data_type", "holds", "part", "masked", "because")


@admin.register(models.Reference)
class ReferenceAdmin(_ReadOnly, _Admin):
    """How rows lead to rows."""

    list_display = ("holder", "target", "direction", "on_erase", "ghost")
    list_filter = ("direction", "on_erase")
    list_select_related = ("holder__dataset", "target__dataset")
    search_fields = ("holder__dataset__address", "target__dataset__address")


@admin.register(models.Derivation)
class DerivationAdmin(_ReadOnly, _Admin):
    """What was made from what."""

    list_display = ("upstream", "downstream", "how", "implied")
    list_filter = ("kind", "implied")
    list_select_related = ("upstream", "downstream")
    search_fields = ("upstream__address", "downstream__address")

    @admin.display(description="how", ordering="kind")
    def how(self, row: models.Derivation) -> str:
        """The kind in words."""
        return _DERIVATIONS.get(row.kind, row.kind)
