"""A recipient is told by hand, or answers: a person says so here. Letters tell them otherwise."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.domain.roles import Actor, deed
from erasure.models import Notice
from erasure.runs import notices


@deed("tell")
def confirm_told(notice: Notice, *, by: Actor) -> Notice:
    """Record that ``by`` has told the recipient, once. Raises WrongState when it was recorded
    before. The caller's object is updated."""
    return notices.record_told(notice, by=by, at=timezone.now())


@deed("tell")
def confirm_answer(notice: Notice, *, by: Actor, at: datetime | None = None) -> Notice:
    """Record that the recipient has acknowledged, ``at`` (now, unless said) and once. Raises
    UsageError for the future, and WrongState before it was told or when it was recorded before."""
    now = timezone.now()
    if at and at > now:
        raise UsageError("answered: the day lies in the future")
    return notices.record_answer(notice, by=by, at=at or now)
