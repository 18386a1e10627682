"""Lists by cursor: a page costs the same however far down it is."""

from __future__ import annotations

from typing import Self

from rest_framework.pagination import CursorPagination


class ByDay(CursorPagination):
    """Fifty to a page; up to 200 with ``limit``."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering: str | tuple[str, ...] = ("-received_at", "-id")

    @classmethod
    def of(cls, *ordering: str) -> type[Self]:
        """The same in another order; ties by number."""
        first = ordering[0]
        tie = "-id" if first.startswith("-") else "id"
        return type(cls.__name__, (cls,), {"ordering": (*ordering, tie)})


ByPlace = ByDay
