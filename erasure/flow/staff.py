"""The training log: who was trained on what, and when again."""

from __future__ import annotations

from datetime import date

from django.db import IntegrityError, transaction
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import StaffTraining


@deed("record_training")
def record_training(
    *, who: str, topic: str, on: date, by: Actor, next_due: date | None = None
) -> StaffTraining:
    """Somebody of the house was trained. Raises UsageError by field."""
    for field, text, longest in (("who", who, 150), ("topic", topic, 200)):
        if not text.strip() or len(text) > longest or not text.isprintable():
            raise UsageError(f"{field}: say it in one line of at most {longest} characters")
    if on > timezone.localdate():
        raise UsageError("on: lies in the future")
    if next_due is not None and next_due <= on:
        raise UsageError("next_due: lies before the training")
    entry = StaffTraining(
        who=who.strip(),
        topic=topic.strip(),
        on=on,
        next_due=next_due,
        recorded_by=by,
        recorded_at=timezone.now(),
    )
    try:
        with transaction.atomic():
            entry.save()
            ledger.record("staff_trained", {"on": on.isoformat(), "by": by})
    except IntegrityError:
        raise UsageError("who: this training is on record already") from None
    return entry
