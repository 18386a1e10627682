"""What lineage events told, on the desk: to look at and to search, never to edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Concat

from lineage import event_models as models
from lineage.admin import _Admin, _Inline, _ReadOnly

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

_MOST = 500
_STATES = {
    "COMPLETE": "completed",
    "FAIL": "failed: what it wrote may be there",
    "ABORT": "aborted: what it wrote may be there",
    "START": "not ended yet",
    "RUNNING": "not ended yet",
}
_SHOWN = 20
_WAYS = {
    "IDENTITY": "unchanged",
    "TRANSFORMATION": "changed",
    "AGGREGATION": "summed up",
    "INDIRECT": "decided which rows",
}
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
        named = [
            f"{mine or 'all'} from {theirs} ({_WAYS.get(how, how)}{', masked' if masking else ''})"
            for mine, theirs, how, masking in row.columns
        ]
        more = [f"and {len(named) - _SHOWN} more"] if len(named) > _SHOWN else []
        return "; ".join([_HOW[row.direct], *named[:_SHOWN], *more])

    @admin.display(description="by")
    def by(self, row: models.HeardFlow) -> str:
        """The jobs that did it, and what those are a part of."""
        rows = models.HeardRun.objects.filter(job__in=[job for job in row.jobs if job])
        above: dict[str, Sequence[str]] = {}
        for run in rows.order_by("-last_at")[:_MOST]:
            above[run.job] = above.get(run.job) or run.facts.get("above", ())
        return "; ".join(_job(job, above.get(job, ())) for job in row.jobs)


def _job(address: str, above: Sequence[str] = ()) -> str:
    """A job, and the jobs it is a part of."""
    names = [one.removeprefix("job:") for one in (address, *above)]
    return " in ".join(name for name in names if name) or "others"


class EndFilter(admin.SimpleListFilter):
    """By how a run ended."""

    title = "how it ended"
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """In words."""
        return [("well", "completed"), ("badly", "failed or aborted"), ("not", "not ended yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The chosen ones."""
        states = {"well": ["COMPLETE"], "badly": ["FAIL", "ABORT"], "not": ["START", "RUNNING"]}
        chosen = states.get(self.value() or "")
        return queryset.filter(state__in=chosen) if chosen else queryset


@admin.register(models.HeardRun)
class HeardRunAdmin(_ReadOnly, _Admin):
    """Runs that events told of, failed ones too: what they wrote may be there all the same."""

    list_display = ("what", "ended", "whole", "inputs", "outputs", "last_at")
    list_filter = (EndFilter,)
    search_fields = ("job", "key", "parent")
    fields = ("what", "key", "ended", "whole", "reads", "writes", "first_at", "last_at")
    show_full_result_count = False
    ordering = ("-last_at",)

    @admin.display(description="job")
    def what(self, row: models.HeardRun) -> str:
        """The job, and what it is a part of."""
        return _job(row.job, row.facts.get("above", ()))

    @admin.display(description="ended", ordering="state")
    def ended(self, row: models.HeardRun) -> str:
        """Its last state in words."""
        return _STATES.get(row.state, row.state.lower() or "–")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With how the run ended that each is a part of."""
        rows: QuerySet[Any] = super().get_queryset(request)
        parent = models.HeardRun.objects.filter(key=Concat(Value("run:"), OuterRef("parent")))
        told: QuerySet[Any] = rows.annotate(above=Subquery(parent.values("state")[:1]))
        return told

    @admin.display(description="the whole")
    def whole(self, row: Any) -> str:
        """How the run ended that it is a part of, where events told of that."""
        if not row.parent:
            return "–"
        return _STATES.get(row.above, "not ended yet") if row.above else "not told"

    @admin.display(description="reads")
    def inputs(self, row: models.HeardRun) -> int:
        """How many datasets."""
        return len(row.facts.get("inputs", ()))

    @admin.display(description="writes")
    def outputs(self, row: models.HeardRun) -> int:
        """How many datasets."""
        return len(row.facts.get("outputs", ()))

    @admin.display(description="reads")
    def reads(self, row: models.HeardRun) -> str:
        """Which datasets."""
        return ", ".join(sorted(row.facts.get("inputs", ()))[:_MOST]) or "–"

    @admin.display(description="writes")
    def writes(self, row: models.HeardRun) -> str:
        """Which datasets."""
        return ", ".join(sorted(row.facts.get("outputs", ()))[:_MOST]) or "–"


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
