"""A request is opened: identifiers vaulted under a key of its own, the clock started."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from erasure import vault
from erasure.domain import clocks, states
from erasure.domain.errors import UsageError
from erasure.domain.identity import ASKERS, RIGHTS, Asker
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import ErasureRequest
from erasure.runs import case, clock, given


@deed("open")
def open_request(
    identifiers: Sequence[tuple[str, str]],
    *,
    by: Actor,
    law: str = "gdpr",
    channel: str = "console",
    received_at: datetime | None = None,
    asked_by: Asker = "self",
    child: bool = False,
    right: str = "erasure",
    only_store: str = "",
    replay_of: UUID | None = None,
) -> ErasureRequest:
    """Record a request to be forgotten, or return the open case of the same person, which counts
    from the earlier receipt.

    ``identifiers``: (identity kind, value) pairs of one person; ``received_at``: now, unless it
    came by phone, by post or in person before; ``asked_by``: who asks for the person; ``child``:
    whether the data were collected from one; ``right``: another than erasure is recorded, clocked,
    and waits to be answered by hand. Nothing is searched by these identifiers before they are
    proved. Raises UsageError and UnknownIdentity; then nothing was recorded.
    """
    cleaned, now = given.checked(identifiers), timezone.now()
    if asked_by not in ASKERS:
        raise UsageError(f"asked_by: must be one of {', '.join(ASKERS)}")
    if right not in RIGHTS:
        raise UsageError(f"right: must be one of {', '.join(RIGHTS)}")
    clocks.refuse_receipt(received_at or now, now)
    subject = _subject(cleaned)
    with ledger.together():
        case.alone(subject)
        existing = _open_case(subject, only_store, right)
        if existing:
            clock.came_earlier(existing, received_at or now, by=by)
            return existing
        request = ErasureRequest(
            law=law,
            right=right,
            channel=channel,
            opened_by=by,
            subject=subject,
            received_at=received_at or now,
            asked_by=asked_by,
            child=child,
            only_store=only_store,
            replay_of=replay_of,
        )
        clock.start(request)
        request.save(force_insert=True)
        # The second so that sealing row keys later cannot fail.
        key, _ = vault.new_keys(request.id, ("identifiers", "deferred"))
        given.seal(request, cleaned, key)
        kinds = sorted({kind for kind, _ in cleaned})
        ledger.record(
            "intake", {"request": str(request.id), "law": law, "by": by, "identifier_kinds": kinds}
        )
    return request


@deed("acknowledge")
def acknowledge(
    request: ErasureRequest, *, by: Actor, at: datetime | None = None
) -> ErasureRequest:
    """Record that the person was told that the request has come in; once. Raises WrongState."""
    clock.acknowledge(request, by=by, at=at or timezone.now())
    return request


def open_case_of(identifiers: Sequence[tuple[str, str]]) -> ErasureRequest | None:
    """The open case of the person with exactly these identifiers. Raises as open_request."""
    return _open_case(_subject(given.checked(identifiers)), "", "erasure")


def open_cases_of(people: Sequence[Sequence[tuple[str, str]]]) -> list[bool]:
    """For each of many people, :func:`given.tidied`, whether they have an open case; one query."""
    subjects = [_subject(person) for person in people]
    found = ErasureRequest.objects.filter(subject__in=set(subjects), only_store="", right="erasure")
    known = set(found.exclude(state__in=states.CLOSED).values_list("subject", flat=True))
    return [subject in known for subject in subjects]


def _subject(cleaned: Sequence[tuple[str, str]]) -> str:
    """A keyed pseudonym over everything that was given."""
    return vault.keyed_hash("|".join(sorted(vault.pseudonym(k, v) for k, v in cleaned)))


def _open_case(subject: str, only_store: str, right: str) -> ErasureRequest | None:
    same = ErasureRequest.objects.filter(subject=subject, only_store=only_store, right=right)
    cases = same.exclude(state__in=states.CLOSED)
    return cases.first() if cases.exists() else None
