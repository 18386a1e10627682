"""Rows by thousands of numbers or names at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, QuerySet, TextField
from django.db.models.expressions import RawSQL

BATCH = 20_000


def batched(rows: QuerySet[Any], name: str, values: Collection[Any]) -> Iterator[QuerySet[Any]]:
    """The rows whose ``name`` is among ``values`` (all int or all str), in parts."""
    listed = list(values)
    for start in range(0, len(listed), BATCH):
        yield rows.filter(**{f"{name}__in": _among(listed[start : start + BATCH])})


def in_batches(
    rows: QuerySet[Any], name: str, values: Collection[Any], columns: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """``columns`` of the rows whose ``name`` is among ``values``, in no order."""
    for part in batched(rows.order_by(), name, values):
        yield from part.values_list(*columns)


def _among(values: Sequence[Any]) -> Any:
    """The values as one parameter: thousands of them cost more than the rows they find."""
    whole = isinstance(values[0], int)
    field = BigIntegerField() if whole else TextField()
    if connection.vendor == "postgresql":
        sql = "SELECT unnest(%s::bigint[])" if whole else "SELECT unnest(%s::text[])"
        return RawSQL(sql, [list(values)], field)  # noqa: S611 - constants
    if connection.vendor == "sqlite":
        sql = "SELECT value FROM json_each(%s)"
        return RawSQL(sql, [json.dumps(values)], field)  # noqa: S611 - a constant
    return list(values)
