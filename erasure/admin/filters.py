"""What the list of requests can be narrowed to, in words, and the order it stands in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import timezone

from erasure.admin import words
from erasure.advance import DUE
from erasure.domain import states
from erasure.models import ErasureRequest
from erasure.runs import dues

# What is answered needs nobody: it stands below what is still due.
ANSWERED_LAST = Case(When(state__in=states.SETTLED, then=Value(1)), default=Value(0))


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
        """What hurts first."""
        return (
            ("overdue", "Overdue"),
            ("soon", "Within a week"),
            ("confirm", "Receipt to be confirmed"),
            ("still", "Waiting for the person"),
            ("running", "Running now"),
            ("open", "Everything open"),
        )

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ErasureRequest]
    ) -> QuerySet[ErasureRequest]:
        """The chosen part."""
        now = timezone.now()
        if self.value() == "overdue":
            return dues.overdue(queryset, now)
        if self.value() == "soon":
            return dues.overdue(queryset, now) | dues.due_soon(queryset, now)
        if self.value() == "confirm":
            return dues.unacknowledged(queryset, now)
        if self.value() == "still":
            return dues.standing_still(queryset)
        if self.value() == "running":
            return running(queryset)
        return dues.unanswered(queryset) if self.value() == "open" else queryset
