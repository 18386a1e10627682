"""What the list of requests can be narrowed to, in words, and the order it stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import timezone

from erasure.admin import words
from erasure.advance import DUE
from erasure.domain import states
from erasure.models import ErasureRequest, Hold
from erasure.runs import dues

# What is answered needs nobody: it stands below what is still due.
ANSWERED_LAST = Case(When(state__in=states.SETTLED, then=Value(1)), default=Value(0))


def running(requests: QuerySet[ErasureRequest]) -> QuerySet[ErasureRequest]:
    """Those that go on by themselves."""
    by_itself = requests.filter(state__in=(*DUE, "undoing"))
    return by_itself.exclude(pk__in=dues.to_hand_on(requests))


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


def worded(name: str, said: Mapping[str, str], title: str = "") -> type[SimpleListFilter]:
    """A filter by a field whose codes are told in words; only those that occur are offered."""

    class Worded(SimpleListFilter):
        """See above."""

        parameter_name = name

        def lookups(
            self, request: HttpRequest, model_admin: ModelAdmin[Any]
        ) -> list[tuple[str, str]]:
            """In the order of the words."""
            records = model_admin.model._default_manager.order_by()
            there = set(records.values_list(name, flat=True).distinct())
            return [(code, text) for code, text in said.items() if code in there]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            """The chosen ones."""
            return queryset.filter(**{name: self.value()}) if self.value() else queryset

    Worded.title = title or name
    return Worded


class ReleasedFilter(SimpleListFilter):
    """By whether a hold is in force."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Both."""
        return [("in_force", "in force"), ("released", "released")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        """The chosen ones."""
        if self.value() is None:
            return queryset
        return queryset.filter(released_at__isnull=self.value() == "in_force")


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
            ("identify", "Identity to be checked"),
            ("hand_over", "Copy to be handed over"),
            ("hand_on", "To be answered by hand"),
            ("extended", "To be told of more time"),
            ("still", "Waiting for the person"),
            ("running", "Running now"),
            ("open", "Everything open"),
        )

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ErasureRequest]
    ) -> QuerySet[ErasureRequest]:
        """The chosen part."""
        now = timezone.now()
        parts: Mapping[str, Callable[[QuerySet[ErasureRequest]], QuerySet[ErasureRequest]]] = {
            "overdue": lambda every: dues.overdue(every, now),
            "soon": lambda every: dues.overdue(every, now) | dues.due_soon(every, now),
            "confirm": lambda every: dues.unacknowledged(every, now),
            "identify": dues.to_identify,
            "hand_over": dues.to_hand_over,
            "hand_on": dues.to_hand_on,
            "extended": dues.to_tell_extended,
            "still": dues.standing_still,
            "running": running,
            "open": dues.unanswered,
        }
        chosen = parts.get(self.value() or "")
        return chosen(queryset) if chosen else queryset
