"""Events of ours on their way to a lineage backend: kept here until it has taken them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings
from django.utils import timezone

from lineage.event_models import OutgoingEvent

_TIMEOUT = 10
_SOME = 100
_LONGEST = timedelta(hours=6)
# Longer than sending can take; who dies while sending is replaced after it.
_CLAIM = timedelta(minutes=1)


def put(key: str, body: Mapping[str, Any]) -> bool:
    """Keep an event to be sent; False where that key is kept already, whatever it says."""
    row = {"body": dict(body), "due_at": timezone.now()}
    return OutgoingEvent.objects.get_or_create(key=key, defaults=row)[1]


def known(keys: Iterable[str]) -> set[str]:
    """Which of these keys are kept, sent or not."""
    return set(OutgoingEvent.objects.filter(key__in=list(keys)).values_list("key", flat=True))


def due() -> list[int]:
    """Events whose time to be sent, or sent again, has come; the first in order."""
    if not settings.LETHE_OPENLINEAGE_URL:
        return []
    rows = OutgoingEvent.objects.filter(sent_at=None, due_at__lte=timezone.now()).order_by("id")
    return list(rows.values_list("pk", flat=True)[:_SOME])


def send(outgoing_id: int) -> bool:
    """Send an event, or say why not and when it is tried again; True once it was taken. Of several
    who are at it, one sends; no transaction is open meanwhile."""
    now = timezone.now()
    mine = OutgoingEvent.objects.filter(pk=outgoing_id, sent_at=None, due_at__lte=now)
    if not settings.LETHE_OPENLINEAGE_URL or not mine.update(due_at=now + _CLAIM):
        return False
    row = OutgoingEvent.objects.get(pk=outgoing_id)
    row.attempts += 1
    row.error = _post(row.body)
    if row.error:
        wait = timedelta(seconds=2 ** min(row.attempts, 20))
        row.due_at = timezone.now() + min(wait, _LONGEST)
    else:
        row.sent_at = timezone.now()
    row.save(update_fields=["attempts", "error", "due_at", "sent_at"])
    return not row.error


class _NoRedirect(HTTPRedirectHandler):
    """The key goes where the setting says, and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Never followed."""


def _post(body: Mapping[str, Any]) -> str:
    """Empty when it was taken, else why not."""
    headers = {"Content-Type": "application/json"}
    if settings.LETHE_OPENLINEAGE_KEY:
        headers["Authorization"] = f"Bearer {settings.LETHE_OPENLINEAGE_KEY}"
    request = Request(  # noqa: S310 - the setting allows http and https only
        settings.LETHE_OPENLINEAGE_URL,
        data=json.dumps(body).encode(),
        headers=headers,
        method="POST",
    )
    try:
        build_opener(_NoRedirect()).open(request, timeout=_TIMEOUT).close()
    except HTTPError as error:
        with error:
            return f"the lineage backend answered {error.code}"
    except (URLError, OSError):
        return "the lineage backend cannot be reached"
    return ""
