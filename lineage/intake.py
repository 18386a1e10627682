"""Takes events in: checked, stored once each, and left for the task that learns from them."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lineage.errors import CatalogueError
from lineage.event_models import KEY, StoredEvent
from lineage.importers import openlineage
from lineage.naming import short

# Real plans of Spark are a few dozen levels deep.
DEEPEST = 200
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
    rows: list[StoredEvent] = []
    for index, plain in enumerate(events):
        try:
            row = _row(plain)
        except CatalogueError as error:
            taken.refused.append((index, str(error)))
            continue
        rows.append(row)
        taken.digests.append(row.digest)
    for start in range(0, len(rows), _PART):
        # What is there already was sent again: nothing to do, and no error.
        StoredEvent.objects.bulk_create(rows[start : start + _PART], ignore_conflicts=True)
    return taken


def _row(plain: Any) -> StoredEvent:
    _refuse_deep(plain)
    event = openlineage.read(plain)
    # ASCII, so that halves of surrogate pairs survive; sorted, so that a client's order of keys
    # makes no other event of it.
    body = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    return StoredEvent(
        digest=hashlib.sha256(body).hexdigest(),
        key=short(event.key)[:KEY],
        event_time=event.at,
        body=zlib.compress(body, 1),
    )


def decoded(row: StoredEvent) -> Any:
    """The event as it was sent."""
    return json.loads(zlib.decompress(bytes(row.body)))


def _refuse_deep(plain: Any) -> None:
    level, depth = [plain], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise CatalogueError("event", f"is nested more than {DEEPEST} levels deep")
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        level = [one for one in inner if isinstance(one, dict | list)]
