"""Which revision of the catalogue stands in the database: one row, renewed by whoever writes.

Renewed last in the writer's transaction, so that its lock is short and nobody who takes it waits
for anything else.
"""

from __future__ import annotations

from uuid import uuid4

from lineage.event_models import Revision
from lineage.prepared import Prepared

_ROW = 1
_CURRENT = Prepared(lambda: Revision.objects.filter(pk=_ROW).values_list("written", "heard"))


def current() -> tuple[str, str] | None:
    """What the catalogue (first) and what was heard (second) can be recognised by, in one
    statement; None where nobody ever wrote."""
    return _CURRENT.first()


def renew_written() -> None:
    """The catalogue has changed in this transaction."""
    _renew("written")


def renew_heard() -> None:
    """What was learnt from events, or a decision, has changed in this transaction."""
    _renew("heard")


def _renew(part: str) -> None:
    fresh = uuid4().hex
    if not Revision.objects.filter(pk=_ROW).update(**{part: fresh}):
        both = {"written": uuid4().hex, "heard": uuid4().hex}
        _, made = Revision.objects.get_or_create(pk=_ROW, defaults=both)
        if not made:  # somebody made it in between
            Revision.objects.filter(pk=_ROW).update(**{part: fresh})
