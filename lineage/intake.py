"""Takes events in: checked, stored once each, and left for the task that learns from them."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils import timezone

from lineage.errors import CatalogueError
from lineage.event_models import KEY, StoredEvent
from lineage.importers import openlineage
from lineage.importers.event_texts import without_texts
from lineage.naming import short

# Real plans of Spark are a few dozen levels deep.
DEEPEST = 200
_DEEP = f"is nested more than {DEEPEST} levels deep"
_PART = 500


@dataclass(frozen=True, kw_only=True)
class Taken:
    """``digests``: of the events that are stored now, in order; ``refused``: (index, reason)."""

    digests: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def take(events: Sequence[Any]) -> Taken:
    """Store decoded events; one that is refused does not stop the others. Whoever is told that an
    event was taken can rely on it: it is committed."""
    taken = Taken()
    rows: list[tuple[Any, ...]] = []
    for index, plain in enumerate(events):
        try:
            row = _row(plain)
        except CatalogueError as error:
            taken.refused.append((index, str(error)))
            continue
        rows.append(row)
        taken.digests.append(row[0])
    _insert(rows)
    return taken


def _insert(rows: Sequence[tuple[Any, ...]]) -> None:
    """In one statement per part, which commits by itself: what was sent again is there already,
    and no error. Written by hand: through the ORM it takes three statements and twice the time."""
    time = connection.ops.adapt_datetimefield_value
    now = time(timezone.now())
    for start in range(0, len(rows), _PART):
        part = rows[start : start + _PART]
        values = ", ".join(["(%s, %s, %s, %s, %s, '')"] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(
                _INSERT.format(values),
                [v for digest, key, at, body in part for v in (digest, key, time(at), body, now)],
            )


# Columns only; every value is a parameter. PostgreSQL and SQLite say it alike.
_INSERT = (
    "INSERT INTO lineage_storedevent (digest, key, event_time, body, received_at, error) "
    "VALUES {} ON CONFLICT DO NOTHING"
)


def _row(plain: Any) -> tuple[Any, ...]:
    """digest, key, event_time, body."""
    plain = without_texts(plain)
    try:
        # ASCII, so that halves of surrogate pairs survive; sorted, so that a client's order of
        # keys makes no other event of it.
        body = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    except RecursionError:
        raise CatalogueError("event", _DEEP) from None
    # Most events cannot be too deep: they have not enough brackets.
    if body.count(b"{") + body.count(b"[") > DEEPEST:
        _refuse_deep(plain)
    head = openlineage.check(plain)
    digest = hashlib.sha256(body).hexdigest()
    return digest, short(head.key)[:KEY], head.at, zlib.compress(body, 1)


def decoded(row: StoredEvent) -> Any:
    """The event as it was sent."""
    return json.loads(zlib.decompress(bytes(row.body)))


def _refuse_deep(plain: Any) -> None:
    level, depth = [plain], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise CatalogueError("event", _DEEP)
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        level = [one for one in inner if isinstance(one, dict | list)]
