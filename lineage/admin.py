"""The catalogue on the desk: to look at and to search. It is written by importing files, so that
what is decided stands where it is reviewed."""

from __future__ import annotations

import re
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


class _ReadOnly:
    """Whoever may view may view; nobody adds, changes or deletes here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(models.Store)
class StoreAdmin(_ReadOnly, _Admin):
    """Stores with their addresses as written: ``${NAME}`` is never resolved for the screen."""

    list_display = ("name", "kind", "role", "address", "datasets")
    list_filter = ("kind", "role")
    search_fields = ("name",)
    fields = ("name", "kind", "address", "role", "options")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of datasets."""
        counted: QuerySet[Any] = super().get_queryset(request).annotate(held=Count("datasets"))
        return counted

    @admin.display(description="address")
    def address(self, row: models.Store) -> str:
        """The url; a password that somebody wrote into it is not shown."""
        return _PASSWORD.sub("…", row.url)

    @admin.display(ordering="held")
    def datasets(self, row: Any) -> int:
        """How many datasets lie in it."""
        return int(row.held)


class FieldInline(_ReadOnly, _Inline):
    """The fields of a dataset."""

    model = models.Field
    fields = ("name", "categories", "identity", "primary_key", "personal", "free_text", "method")
    ordering = ("position", "id")


class UpstreamInline(_ReadOnly, _Inline):
    """What a dataset was made from."""

    model = models.Derivation
    fk_name = "downstream"
    fields = ("upstream", "kind", "columns", "implied")
    verbose_name_plural = "derived from"


@admin.register(models.Dataset)
class DatasetAdmin(_ReadOnly, _Admin):
    """Datasets, what was decided for them, and why."""

    list_display = ("address", "store", "action", "purpose", "legal_basis", "because")
    list_filter = ("store", "action", "legal_basis")
    list_select_related = ("store",)
    search_fields = ("address", "owner", "purpose")
    inlines = (FieldInline, UpstreamInline)


@admin.register(models.Field)
class FieldAdmin(_ReadOnly, _Admin):
    """Every field, to find where a category or an identity lies."""

    list_display = ("name", "dataset", "categories", "identity", "personal", "free_text", "method")
    list_filter = ("personal", "free_text", "identity", "dataset__store")
    list_select_related = ("dataset",)
    search_fields = ("name", "dataset__address", "identity")


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

    list_display = ("upstream", "downstream", "kind", "implied")
    list_filter = ("kind", "implied")
    list_select_related = ("upstream", "downstream")
    search_fields = ("upstream__address", "downstream__address")
