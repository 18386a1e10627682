"""Who is asking? What was proved, and how, is recorded before anything is searched for.

What a check does not prove is not searched by: see ``domain.identity``.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.identity import UNPROVED, Proof, proved_kinds, refuse_without_mandate
from erasure.domain.roles import Actor, deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Identifier
from erasure.runs import case, clock, exporting, given, reasoning, tokens
from erasure.transitions import move

_WORDS = 200


@deed("identify")
def ask_identity(
    request: ErasureRequest, *, by: Actor, doubt: str, at: datetime | None = None
) -> ErasureRequest:
    """Ask for what proves who asks, on a reasonable doubt that is recorded (Art. 12(6)).

    The clock waits where the law lets it. Raises UsageError without a doubt.
    """
    case.refuse_begun(request)
    asked, also = "asked for what proves who asks", {"blocked_because": ""}
    with ledger.together():
        move(request, "identity_required", by=by, because=asked, also=also)
        reasoning.write_down(request, "identity_doubt", doubt, by=by)
        request.identifiers.exclude(proved_by="mailbox").update(proved_by="")
        clock.pause(request, "identity", at=at or timezone.now())
    return request


@deed("identify")
def confirm_identity(
    request: ErasureRequest,
    *,
    by: Actor,
    method: str,
    proves: Collection[str] | None = None,
    mandate: str = "",
    at: datetime | None = None,
) -> ErasureRequest:
    """Record how an officer has checked who asks, and move the request to ``identified``.

    ``proves``: the kinds of identifiers that the check has shown to be the person's; all, unless
    told. ``mandate``: how an agent's or a guardian's was checked. Both texts stand in clear. Raises
    UsageError when one is missing or repeats what the person is known by, WrongState where identity
    was checked already.
    """
    _refuse_proved(request)
    known = given.readable(request)
    kinds = proved_kinds(known.values_list("kind", flat=True), proves)
    proved = known.filter(kind__in=kinds)
    return _identified(request, proved, "officer", by, method, mandate, at or timezone.now())


def confirm_by_login(
    request: ErasureRequest, assertion: str, *, now: datetime | None = None
) -> ErasureRequest:
    """The controller's own login vouches for the person: what it names and the request holds is
    theirs. Raises WrongState where identity was checked already, and UsageError, also when the two
    have nothing in common; nothing was changed then, but the assertion is used up."""
    _refuse_proved(request)
    now = now or timezone.now()
    vouched = {vault.pseudonym(k, v) for k, v in tokens.asserted(assertion, now=now)}
    proved = given.readable(request).filter(keyed_hash__in=vouched)
    if not proved.exists():
        raise UsageError(f"request {request.id}: was not made for whoever has logged in")
    return _identified(request, proved, "account", "the person", "logged in", "", now)


def _refuse_proved(request: ErasureRequest) -> None:
    # A plan and a run go back to ``identified`` too: the table of moves does not tell them apart.
    if request.state not in UNPROVED:
        raise WrongState(
            f"request {request.id}: is {request.state}, its identity is not to be checked now; "
            "where that is in doubt, ask for a proof first"
        )


def _identified(
    request: ErasureRequest,
    proved: QuerySet[Identifier],
    proof: Proof,
    by: str,
    method: str,
    mandate: str,
    at: datetime,
) -> ErasureRequest:
    place = f"request {request.id}"
    said(method, f"{place}: say how identity was checked, in at most {_WORDS} characters", _WORDS)
    if mandate.strip():
        said(mandate, f"mandate: say how it was checked, in at most {_WORDS} characters", _WORDS)
    refuse_without_mandate(request.asked_by, mandate)
    if case.repeats_identifier(request, f"{method}\n{mandate}"):
        raise UsageError(f"{place}: the words repeat what the person is known by; leave that out")
    first = request.state == "received"
    with ledger.together():
        also = {"identity_check": method, "mandate": mandate}
        move(request, "identified", by=by, because=method, also=also)
        proved.update(proved_by=proof)
        if not first:  # until then nothing is gathered
            exporting.begin_anew(request, by=by, now=at)
        clock.resume(request, "identity", at=at)
    return request


def confirm_mailbox(token: str, *, now: datetime | None = None) -> ErasureRequest:
    """Somebody who reads that mailbox has followed the link: the address is theirs, nothing else.

    The request waits for an officer, unless LETHE_MAILBOX_SUFFICES says that this address may be
    searched by, and no officer has asked for a proof. Raises UsageError, alike for whatever is
    wrong with a token.
    """
    with ledger.together():
        request = tokens.redeem(token, now=now or timezone.now())
        doubted = request.state != "received"  # an officer decides on what an officer has asked
        move(request, "confirmed", by="the person", because="mailbox confirmed")
        emails = request.identifiers.filter(kind="email")
        emails.update(proved_by="mailbox")
        if settings.LETHE_MAILBOX_SUFFICES and request.asked_by == "self" and not doubted:
            at = now or timezone.now()
            _identified(request, emails, "mailbox", "the person", "mailbox confirmed", "", at)
    return request


@deed("identify")
def give_up_identifying(request: ErasureRequest, *, by: Actor, because: str) -> ErasureRequest:
    """The controller shows that it cannot tell who asks (Art. 11(2)); what was given is shredded.

    Raises UsageError without a reason.
    """
    with ledger.together():
        move(
            request,
            "unidentifiable",
            by=by,
            because="cannot be identified",
            also={"closed_at": timezone.now()},
        )
        reasoning.write_down(request, "unidentifiable", because, by=by)
    case.forget_identifiers(request)
    return request
