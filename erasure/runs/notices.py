"""That a recipient was told, reminded, or has answered (Art. 19): recorded once, in the ledger."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from erasure.domain.errors import WrongState
from erasure.evidence import ledger
from erasure.models import Notice


def record_told(notice: Notice, *, by: str, at: datetime) -> Notice:
    """``by`` has told the recipient, once. Raises WrongState when it was recorded before. The
    caller's object is updated."""
    with transaction.atomic():
        waiting = Notice.objects.filter(pk=notice.pk, told_at=None)
        if not waiting.update(told_at=at, told_by=by):
            raise WrongState(f"{notice.dataset}: was confirmed before; nothing is left to do")
        _note("told", notice, by)
    notice.told_at, notice.told_by = at, by
    return notice


def tell_again(notice: Notice) -> None:
    """More was erased that the recipient has: what was recorded of the first time stays in the
    ledger alone. Nothing happens where they were not told yet. The caller's object is updated."""
    afresh = {
        "told_at": None, "told_by": "", "reminded_at": None,
        "acknowledged_at": None, "acknowledged_by": "",
    }  # fmt: skip
    with transaction.atomic():
        if Notice.objects.filter(pk=notice.pk).exclude(told_at=None).update(**afresh):
            _note("to_tell_again", notice, "run")
    for name, value in afresh.items():
        setattr(notice, name, value)


def record_reminded(notice: Notice, *, by: str, at: datetime) -> None:
    """``by`` has reminded the recipient; the last time counts."""
    with transaction.atomic():
        Notice.objects.filter(pk=notice.pk).update(reminded_at=at)
        _note("reminded", notice, by)
    notice.reminded_at = at


def record_answer(notice: Notice, *, by: str, at: datetime) -> Notice:
    """The recipient has answered on that day, and ``by`` says so; once. Raises WrongState before
    it was told, and when it was recorded before. The caller's object is updated."""
    with transaction.atomic():
        waiting = Notice.objects.filter(pk=notice.pk, acknowledged_at=None, told_at__lte=at)
        if not waiting.update(acknowledged_at=at, acknowledged_by=by):
            raise WrongState(
                f"{notice.dataset}: was not told by then, or its answer is recorded already"
            )
        _note("recipient_answered", notice, by)
    notice.acknowledged_at, notice.acknowledged_by = at, by
    return notice


def _note(kind: str, notice: Notice, by: str) -> None:
    ledger.record(
        kind,
        {
            "request": str(notice.request_id),
            "store": notice.store,
            "dataset": notice.dataset,
            "by": by,
        },
    )
