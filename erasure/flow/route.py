"""A request goes on elsewhere: in another case of the same person, or with whom it concerns; or it
was carried out there, and is answered here."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.domain.identity import HANDLED
from erasure.domain.roles import Actor, deed
from erasure.domain.states import CLOSED
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Identifier, SuppressionEntry
from erasure.runs import case, given, reasoning
from erasure.transitions import move

_LONGEST = 500


@deed("route")
def link_duplicate(request: ErasureRequest, *, of: ErasureRequest, by: Actor) -> ErasureRequest:
    """The same person has asked twice: this case ends, the open one goes on. Raises UsageError
    when they have no identifier in common, or the other is closed, came in later, or knows less of
    the person; WrongState once it is approved.
    """
    shared = set(request.identifiers.values_list("keyed_hash", flat=True))
    shared &= set(of.identifiers.values_list("keyed_hash", flat=True))
    if of.pk == request.pk or of.right != request.right or not shared:
        raise UsageError("of: is not another case of the same person about the same right")
    if of.only_store != request.only_store:
        raise UsageError("of: looks in other stores; answer both by themselves")
    case.refuse_begun(request)
    closing = {"closed_at": timezone.now(), "duplicate_of": of.pk, "blocked_because": ""}
    with ledger.together():
        case.hold_still([request.pk, of.pk])
        of.refresh_from_db(fields=("state",))  # each may be linked to the other just now
        if of.state in CLOSED:
            raise UsageError("of: is closed; answer this one by itself")
        if (of.reopened_at or of.received_at) > (request.reopened_at or request.received_at):
            raise UsageError("of: came in later, and has more time; link that one to this")
        if missing := _unknown_to(of, request):
            raise UsageError(f"of: was not given {', '.join(missing)}; answer both by themselves")
        move(request, "duplicate", by=by, because=f"goes on in case {of.pk}", also=closing)
    case.forget_identifiers(request)
    return request


def _unknown_to(of: ErasureRequest, request: ErasureRequest) -> list[str]:
    """The kinds of what the person is known by here, as far as that was proved where any was, and
    not there: it would be searched by no more."""
    known = of.identifiers.values("keyed_hash")
    proved = request.identifiers.exclude(proved_by="")
    mine = proved if proved.exists() else request.identifiers.all()
    return sorted(set(mine.exclude(keyed_hash__in=known).values_list("kind", flat=True)))


@deed("route")
def forward_request(request: ErasureRequest, *, to: str, because: str, by: Actor) -> ErasureRequest:
    """It is for somebody else to answer, inside or outside the house, and was handed on. ``to``
    and the reason stand in clear. Raises UsageError, and WrongState once a plan is approved."""
    for field, text in (("to", to), ("because", because)):
        if not text.strip() or len(text) > _LONGEST or not text.isprintable():
            raise UsageError(f"{field}: say it in one line of at most {_LONGEST} characters")
        if case.repeats_identifier(request, text):
            raise UsageError(f"{field}: repeats what the person is known by; leave that out")
    case.refuse_begun(request)
    told = f"to {to.strip()}: {because.strip()}"
    closing = {"closed_at": timezone.now(), "blocked_because": ""}
    with ledger.together():
        move(request, "forwarded", by=by, because=told, also=closing)
        ledger.record("forwarded", {"request": str(request.id), "right": request.right, "by": by})
    case.forget_identifiers(request)
    return request


@deed("route")
def answer_request(request: ErasureRequest, *, by: Actor, because: str) -> ErasureRequest:
    """What nothing here carries out was done, or decided, where the data are looked after.
    ``because``: what was done, as the person is told; it is kept sealed. Raises UsageError without
    it and for a right that is carried out here, and WrongState before it is known who asks."""
    if request.right in HANDLED:
        how = "its plan" if request.right == "erasure" else "its copy, handed over"
        raise UsageError(f"request {request.id}: asks for {request.right}; it is answered by {how}")
    with ledger.together():
        reasoning.write_down(request, "answer", because, by=by)
        closing = {"closed_at": timezone.now()}
        move(request, "answered", by=by, because="what was done is on record", also=closing)
        ledger.record("answered", {"request": str(request.id), "right": request.right, "by": by})
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
