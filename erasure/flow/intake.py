"""A request is opened: identifiers vaulted under a key of its own, the clock started."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from erasure import vault
from erasure.domain import states
from erasure.domain.errors import UsageError
from erasure.domain.values import canonical
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Identifier
from lineage import selectors

LAWS = ("gdpr", "uk", "ccpa", "lgpd")
_LONGEST = 1000


def open_request(
    identifiers: Sequence[tuple[str, str]],
    *,
    by: str,
    law: str = "gdpr",
    channel: str = "console",
    only_store: str = "",
    replay_of: UUID | None = None,
) -> ErasureRequest:
    """Record a request to be forgotten, or return the open case of the same person.

    ``identifiers``: (identity kind, value) pairs of one person. Raises UsageError and
    UnknownIdentity; then nothing was recorded.
    """
    cleaned = checked(identifiers)
    subject = _subject(cleaned)
    with transaction.atomic():
        existing = _open_case(subject, only_store)
        if existing:
            return existing
        now = timezone.now()
        request = ErasureRequest.objects.create(
            law=law,
            channel=channel,
            opened_by=by,
            subject=subject,
            received_at=now,
            due_at=answer_by(law, now),
            only_store=only_store,
            replay_of=replay_of,
        )
        key = vault.make_key(request.id, "identifiers")
        vault.make_key(request.id, "deferred")  # so that sealing row keys later cannot fail
        for kind, value in cleaned:
            Identifier.objects.create(
                request=request,
                kind=kind,
                keyed_hash=vault.pseudonym(kind, value),
                sealed=vault.seal(key, value.encode(), label=f"identifier:{request.id}:{kind}"),
            )
        kinds = sorted({kind for kind, _ in cleaned})
        ledger.append(
            "intake", {"request": str(request.id), "law": law, "by": by, "identifier_kinds": kinds}
        )
    return request


def checked(identifiers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Identifiers with surplus space removed. Raises UsageError for what cannot be one."""
    if not identifiers:
        raise UsageError("no identifier given; say for example email=person@example.com")
    cleaned: list[tuple[str, str]] = []
    for kind, value in identifiers:
        text = value.strip()
        if not text or len(text) > _LONGEST or not text.isprintable():
            raise UsageError(f"{kind}: the value is empty, too long or has control characters")
        if kind == "email" and not _looks_like_email(text):
            raise UsageError("email: the value is not an email address")
        if (kind, canonical(text, kind)) not in {(k, canonical(v, k)) for k, v in cleaned}:
            cleaned.append((kind, text))
    selectors.identity_start({kind for kind, _ in cleaned})
    return cleaned


def _looks_like_email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    return bool(at and local and domain) and not any(c.isspace() for c in text)


def open_case_of(identifiers: Sequence[tuple[str, str]]) -> ErasureRequest | None:
    """The open case of the person with exactly these identifiers. Raises as open_request."""
    return _open_case(_subject(checked(identifiers)), "")


def _subject(cleaned: Sequence[tuple[str, str]]) -> str:
    """A keyed pseudonym over everything that was given."""
    return vault.keyed_hash("|".join(sorted(vault.pseudonym(k, v) for k, v in cleaned)))


def _open_case(subject: str, only_store: str) -> ErasureRequest | None:
    return (
        ErasureRequest.objects.filter(subject=subject, only_store=only_store)
        .exclude(state__in=states.CLOSED)
        .first()
    )


def answer_by(law: str, received: datetime) -> datetime:
    """The raw deadline of LAW.md's table: one calendar month, 45 days, or 15 days.

    Weekends and holidays are not rolled over yet, so this is never later than the law's date.
    """
    if law == "ccpa":
        return received + timedelta(days=45)
    if law == "lgpd":
        return received + timedelta(days=15)
    year, month = divmod(received.month, 12)
    year, month = received.year + year, month + 1
    day = min(received.day, calendar.monthrange(year, month)[1])
    return received.replace(year=year, month=month, day=day)
