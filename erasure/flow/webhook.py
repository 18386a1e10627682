"""Recipients are told by webhook, at least once, and their acknowledgment is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from erasure import calling
from erasure.domain.errors import CallFailed, LetheError, WrongState
from erasure.domain.hooks import Hook
from erasure.models import Call
from erasure.runs import notices, webhooks
from erasure.transitions import move
from lineage.errors import LineageError

TRIES = 30  # some four days
_LONGEST_WAIT = timedelta(hours=4)
_TIMEOUT = 10.0
# Longer than a call can take; who dies while calling is replaced after it.
_CLAIM = timedelta(minutes=2)
_PASSING = frozenset({408, 425, 429})
_BY = "Lethe"  # nobody else's name


def send(call_id: UUID) -> None:
    """Send a message that is due; nothing happens where somebody else is at it. What does not pass
    is tried again, the same bytes under the same number; what is refused, or was tried too often,
    is for a person, and forgotten here."""
    now = timezone.now()
    mine = Call.objects.filter(pk=call_id, state="queued", due_at__lte=now)
    if not mine.update(due_at=now + _CLAIM, tries=F("tries") + 1):
        return
    call = Call.objects.select_related("notice__request").get(pk=call_id)
    try:
        hook = webhooks.hook_of(call.notice.store)
        if hook is None:
            raise CallFailed(call.notice.store, "has no webhook any more", permanent=True)
        _post(call, hook)
    except CallFailed as error:
        _failed(call, str(error), again=not error.permanent)
    except (LetheError, LineageError) as error:
        _failed(call, str(error), again=False)
    else:
        _taken(call, hook)


def _post(call: Call, hook: Hook) -> None:
    body, at = webhooks.content(call), timezone.now()
    headers = {
        "Content-Type": "application/json",
        "Lethe-Delivery": str(call.id),
        **calling.sign(hook.secret, body, at),
    }
    answer = calling.post(hook.url, body, headers=headers, timeout=_TIMEOUT)
    if not answer.taken:
        passing = answer.status in _PASSING or answer.status >= 500
        raise CallFailed(
            call.notice.store, f"the webhook answered {answer.status}", permanent=not passing
        )


def _taken(call: Call, hook: Hook) -> None:
    now = timezone.now()
    with transaction.atomic():
        move(call, "sent", by=_BY, also={"taken_at": now, "error": ""})
        with suppress(WrongState):  # a person was faster; it was taken all the same
            if call.kind == "reminder":
                notices.record_reminded(call.notice, by=_BY, at=now)
            else:
                notices.record_told(call.notice, by=_BY, at=now)
        if hook.acknowledges == "answer":
            with suppress(WrongState):
                notices.record_answer(call.notice, by=_BY, at=now)
    webhooks.forget(call)


def _failed(call: Call, why: str, *, again: bool) -> None:
    if again and call.tries < TRIES:
        wait = min(timedelta(minutes=2 ** min(call.tries - 1, 12)), _LONGEST_WAIT)
        error = f"{why}; it is tried again"
        waiting = Call.objects.filter(pk=call.pk, state="queued")
        waiting.update(due_at=timezone.now() + wait, error=error)
        return
    tried = f", tried {call.tries} times" if again else ""
    move(call, "blocked", by=_BY, also={"error": f"{why}{tried}; write to them instead"})
    webhooks.forget(call)


def acknowledge(notice: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """A recipient says, signed with the secret of both sides, that it has done what it was told:
    recorded with its day, once. False for whatever is not that; nothing tells what was wrong."""
    try:
        call = Call.objects.select_related("notice").get(pk=UUID(notice), kind="erasure")
        hook = webhooks.hook_of(call.notice.store)
    except (ValueError, Call.DoesNotExist, LetheError, LineageError):
        return False
    now = timezone.now()
    if hook is None or not calling.is_signed(hook.secret, body, headers, now=now):
        return False
    with suppress(WrongState):  # said twice, or recorded by hand
        notices.record_answer(call.notice, by=_BY, at=now)
    return True


def clear(now: datetime) -> None:
    """Ask again where nobody has answered, and forget what a crash has left of a body."""
    for notice in webhooks.silent(now):
        webhooks.remind(notice, now)
    for call in Call.objects.exclude(state="queued").exclude(sealed=None):
        webhooks.forget(call)
