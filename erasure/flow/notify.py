"""A recipient without an interface is told by a person, who confirms it here."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from erasure.domain.errors import WrongState
from erasure.evidence import ledger
from erasure.models import Notice


def confirm_told(notice: Notice, *, by: str) -> Notice:
    """Record that ``by`` has told the recipient, once. Raises WrongState when it was recorded
    before. The caller's object is updated."""
    now = timezone.now()
    with transaction.atomic():
        waiting = Notice.objects.filter(pk=notice.pk, told_at=None)
        if not waiting.update(told_at=now, told_by=by):
            raise WrongState(f"{notice.dataset}: was confirmed before; nothing is left to do")
        ledger.append(
            "told",
            {
                "request": str(notice.request_id),
                "store": notice.store,
                "dataset": notice.dataset,
                "by": by,
            },
        )
    notice.told_at, notice.told_by = now, by
    return notice
