"""What the list of requests can be narrowed to, in words, and the order it stands in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import timezone

from erasure.admin import words
from erasure.advance import DUE
from erasure.domain import states
from erasure.models import ErasureRequest

_SOON = timedelta(days=7)
# What is answered needs nobody: it stands below what is still due.
ANSWERED_LAST = Case(When(state__in=states.SETTLED, then=Value(1)), default=Value(0))


def overdue(requests: QuerySet[ErasureRequest]) -> QuerySet[ErasureRequest]:
    """Those that should have been answered by now."""
    return requests.exclude(state__in=states.SETTLED).filter(due_at__lt=timezone.now())


def running(requests: QuerySet[ErasureRequest]) -> QuerySet[ErasureRequest]:
    """Those that go on by themselves."""
    return requests.filter(state__in=(*DUE, "undoing"))


class StateFilter(SimpleListFilter):
    """By state; only those that occur are offered."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Every state there is, in the order of a request's walk."""
        there = set(ErasureRequest.objects.order_by().values_list("state", flat=True).distinct())
        return [(code, words.state(code)) for code in words.STATES if code in there]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ErasureRequest]
    ) -> QuerySet[ErasureRequest]:
        """The chosen state's."""
        return queryset.filter(state=self.value()) if self.value() else queryset


class DueFilter(SimpleListFilter):
    """By what has to be done when."""

    title = "what is due"
    parameter_name = "due"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> Iterable[tuple[str, str]]:
        """Overdue, soon, running, answered."""
        return (
            ("overdue", "Overdue"),
            ("soon", "Within a week"),
            ("running", "Running now"),
            ("open", "Everything open"),
        )

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ErasureRequest]
    ) -> QuerySet[ErasureRequest]:
        """The chosen part."""
        unanswered = queryset.exclude(state__in=states.SETTLED)
        if self.value() == "overdue":
            return overdue(queryset)
        if self.value() == "soon":
            return unanswered.filter(due_at__lt=timezone.now() + _SOON)
        if self.value() == "running":
            return running(queryset)
        return unanswered if self.value() == "open" else queryset
