"""What lineage events told, on the desk: to look at and to search, never to edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from lineage import event_models as models
from lineage.admin import _Admin, _Inline, _ReadOnly

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

_HOW = {True: "data", False: "influence only"}


class FlowInInline(_ReadOnly, _Inline):
    """What flowed into a dataset."""

    model = models.HeardFlow
    fk_name = "downstream"
    fields = readonly_fields = ("upstream", "what", "by", "first_at", "last_at")
    verbose_name_plural = "made from"

    @admin.display(description="what")
    def what(self, row: models.HeardFlow) -> str:
        """Data or influence, and which column became which."""
        named = [f"{mine or 'all'} from {theirs} ({how})" for mine, theirs, how, _ in row.columns]
        return "; ".join([_HOW[row.direct], *named[:20]])

    @admin.display(description="by")
    def by(self, row: models.HeardFlow) -> str:
        """The jobs that did it."""
        return ", ".join(job.removeprefix("job:") or "others" for job in row.jobs)


@admin.register(models.HeardDataset)
class HeardDatasetAdmin(_ReadOnly, _Admin):
    """Datasets that events told of."""

    list_display = ("address", "kind", "owned_by", "personal", "last_at")
    list_filter = ("personal", "kind")
    search_fields = ("address", "names__address")
    fields = ("address", "also", "kind", "owned_by", "personal", "columns", "first_at", "last_at")
    inlines = (FlowInInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the jobs between them."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.exclude(kind="JOB")

    @admin.display(description="other names")
    def also(self, row: models.HeardDataset) -> str:
        """Aliases, and former names with their end."""
        names = row.names.exclude(address=row.address).order_by("address")
        return (
            ", ".join(
                f"{n.address} until {n.until:%Y-%m-%d}" if n.until else n.address for n in names
            )
            or "–"
        )

    @admin.display(description="owner")
    def owned_by(self, row: models.HeardDataset) -> str:
        """As the events say."""
        return ", ".join(row.owners) or "–"

    @admin.display(description="columns")
    def columns(self, row: models.HeardDataset) -> str:
        """Names and types."""
        return ", ".join(f"{name} {kind}".strip() for name, kind in row.fields) or "–"


@admin.register(models.Decision)
class DecisionAdmin(_ReadOnly, _Admin):
    """What was decided for datasets that only events know."""

    list_display = ("address", "choice", "because", "by", "decided_on")
    list_filter = ("choice",)
    search_fields = ("address", "because")


@admin.register(models.StoredEvent)
class StoredEventAdmin(_ReadOnly, _Admin):
    """Events as they came; their bodies stay in the database."""

    list_display = ("key", "event_time", "received_at", "processed_at", "error")
    list_filter = (("error", admin.EmptyFieldListFilter),)
    search_fields = ("key", "digest")
    fields = ("key", "digest", "event_time", "received_at", "processed_at", "error")
    show_full_result_count = False
