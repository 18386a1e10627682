"""A request goes on elsewhere: in another case of the same person, or with whom it concerns."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.domain.roles import Actor, deed
from erasure.domain.states import CLOSED
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Identifier, SuppressionEntry
from erasure.runs import case, given
from erasure.transitions import move

_LONGEST = 500


@deed("route")
def link_duplicate(request: ErasureRequest, *, of: ErasureRequest, by: Actor) -> ErasureRequest:
    """The same person has asked twice: this case ends, the open one goes on. Raises UsageError
    when they have no identifier in common, or the other is closed; WrongState once it is approved.
    """
    shared = set(request.identifiers.values_list("keyed_hash", flat=True))
    shared &= set(of.identifiers.values_list("keyed_hash", flat=True))
    if of.pk == request.pk or of.right != request.right or not shared:
        raise UsageError("of: is not another case of the same person about the same right")
    if of.state in CLOSED:
        raise UsageError("of: is closed; answer this one by itself")
    closing = {"closed_at": timezone.now(), "duplicate_of": of.pk}
    with ledger.together():
        move(request, "duplicate", by=by, because=f"goes on in case {of.pk}", also=closing)
    case.forget_identifiers(request)
    return request


@deed("route")
def forward_request(request: ErasureRequest, *, to: str, because: str, by: Actor) -> ErasureRequest:
    """It is for somebody else to answer, inside or outside the house, and was handed on. ``to``
    and the reason stand in clear. Raises UsageError, and WrongState once a plan is approved."""
    for field, text in (("to", to), ("because", because)):
        if not text.strip() or len(text) > _LONGEST or not text.isprintable():
            raise UsageError(f"{field}: say it in one line of at most {_LONGEST} characters")
        if case.repeats_identifier(request, text):
            raise UsageError(f"{field}: repeats what the person is known by; leave that out")
    told = f"to {to.strip()}: {because.strip()}"
    with ledger.together():
        move(request, "forwarded", by=by, because=told, also={"closed_at": timezone.now()})
        ledger.record("forwarded", {"request": str(request.id), "right": request.right, "by": by})
    case.forget_identifiers(request)
    return request


@deed("route")
def find_cases(identifiers: Sequence[tuple[str, str]], *, by: Actor) -> list[ErasureRequest]:
    """Every case, open or closed, that knows one of the identifiers which a person gives now, as
    given then or as found and erased; the newest first. They are compared as keyed pseudonyms; who
    has looked is on record. Raises UsageError for what cannot be an identifier."""
    cleaned = given.tidied(identifiers)
    by_kind: dict[str, set[str]] = {}
    for kind, keyed in given.keyed(cleaned):
        by_kind.setdefault(kind, set()).add(keyed)
    found: set[UUID] = set()
    for kind, hashes in by_kind.items():
        same = {"kind": kind, "keyed_hash__in": hashes}
        found |= set(Identifier.objects.filter(**same).values_list("request_id", flat=True))
        erased = SuppressionEntry.objects.filter(**same)
        found |= set(erased.values_list("request_id", flat=True))
    listed = list(ErasureRequest.objects.filter(pk__in=found).order_by("-received_at"))
    kinds = sorted(by_kind)
    ledger.record("looked_up", {"by": by, "identifier_kinds": kinds, "found": len(listed)})
    return listed
