"""Lists by cursor: a page costs the same however far down it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db.models import Field, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView


class ByDay(CursorPagination):
    """Fifty to a page; up to 200 with ``limit``."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering: str | tuple[str, ...] = ("-received_at", "-id")
    _first: Field[Any, Any]  # a cursor's place is a value of it

    @classmethod
    def of(cls, *ordering: str) -> type[Self]:
        """The same in another order; ties by number."""
        first = ordering[0]
        tie = "-id" if first.startswith("-") else "id"
        return type(cls.__name__, (cls,), {"ordering": (*ordering, tie)})

    def get_ordering(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> tuple[str, ...]:
        """As it stands here; what it begins with is remembered."""
        ordering = tuple(super().get_ordering(request, queryset, view))
        found = queryset.model._meta.get_field(ordering[0].removeprefix("-"))
        assert isinstance(found, Field)  # noqa: S101 - nothing is listed by a relation
        self._first = found
        return ordering

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raises NotFound for a place that no page of ours has named."""
        cursor: Cursor | None = super().decode_cursor(request)
        # It is text, whatever the framework's types say.
        position = None if cursor is None or cursor.position is None else str(cursor.position)
        if position is not None and not _is_place(self._first, position):
            raise NotFound(self.invalid_cursor_message)
        return cursor


def _is_place(field: Field[Any, Any], text: str) -> bool:
    """Whether it reads as a value of the field is written; times are in UTC."""
    try:
        value = field.to_python(text)
        if isinstance(value, datetime):
            value = value.astimezone(UTC)
    except (ValidationError, OverflowError):
        return False
    return str(value) == text and "\x00" not in text


ByPlace = ByDay
