"""A complaint about how a case was handled: recorded, confirmed within its time, answered."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from erasure.domain import clocks
from erasure.domain.complaints import acknowledge_by, checked_authority, checked_verdict
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import Complaint, ErasureRequest
from erasure.runs import case, complaints, letters
from erasure.runs.letters import Written
from erasure.transitions import move

_LONGEST = timedelta(days=3660)


@deed("complain")
def open_complaint(
    *,
    because: str,
    by: Actor,
    request: ErasureRequest | None = None,
    law: str = "",
    authority: str = "",
    reference: str = "",
    received_at: datetime | None = None,
    answer_by: date | None = None,
) -> Complaint:
    """Record a complaint and start its clock. ``because``: its words, sealed; ``law``: the case's,
    unless told; ``authority`` and ``reference`` stand in clear; ``answer_by``: the last day that
    the authority or the house has set. Raises UsageError by field; then nothing was recorded."""
    now = timezone.now()
    received_at = received_at or now
    law = law or (request.law if request else "")
    if law not in clocks.LAWS:
        raise UsageError(f"law: must be one of {', '.join(clocks.LAWS)}")
    authority, reference = checked_authority(authority, reference)
    if request and case.repeats_identifier(request, f"{authority}\n{reference}"):
        raise UsageError("reference: repeats what the person is known by; leave that out")
    clocks.refuse_receipt(received_at, now)
    zone = timezone.get_default_timezone()
    received_on = timezone.localtime(received_at, zone).date()
    if answer_by is not None and not received_on <= answer_by <= received_on + _LONGEST:
        raise UsageError("answer_by: lies before the day of receipt, or too far away")
    confirm_by = acknowledge_by(law, received_on)
    complaint = Complaint(
        id=uuid.uuid4(),
        request=request,
        law=law,
        authority=authority,
        reference=reference,
        received_at=received_at,
        acknowledge_by=confirm_by and clocks.last_moment(confirm_by, zone),
        answer_by=answer_by and clocks.last_moment(answer_by, zone),
        opened_by=by,
        opened_at=now,
    )
    with transaction.atomic():
        complaint.sealed = complaints.sealed(complaint, "words", because)
        complaint.save()
        told = {"request": str(request.id)} if request else {}
        ledger.record("complaint", {"complaint": str(complaint.id), "law": law, "by": by, **told})
    return complaint


@deed("complain")
def acknowledge_complaint(
    complaint: Complaint, *, by: Actor, at: datetime | None = None
) -> Complaint:
    """Whoever complained was told that it has come in; once. Raises WrongState."""
    return complaints.acknowledge(complaint, by=by, at=at or timezone.now())


@deed("complain")
def answer_complaint(
    complaint: Complaint, *, verdict: str, because: str, by: Actor, at: datetime | None = None
) -> Complaint:
    """Record the answer that was given, and what it comes to; its words are sealed. What an upheld
    one asks for (reopening the case) is a decision of its own. Raises UsageError and WrongState."""
    checked_verdict(verdict)
    at = at or timezone.now()
    if at < complaint.received_at:
        raise WrongState(f"complaint {complaint.id}: cannot be answered before it was received")
    with transaction.atomic():
        answer = complaints.sealed(complaint, "answer", because)
        closing = {"closed_at": at, "verdict": verdict, "sealed_answer": answer}
        move(complaint, "answered", by=by, because=verdict, also=closing)
    return complaint


@deed("write_letter")
def write_letter(
    complaint: Complaint, *, code: str, language: str, by: Actor, blocks: Mapping[str, str]
) -> Written:
    """The letter to somebody who complained about no case, or about one of which the record has
    ended, as it would be sent; that it was looked at is on record, and nothing of it is kept.
    Raises UsageError by field."""
    written = letters.write_about(complaint, code, language, blocks)
    ledger.append("letter_previewed", {"complaint": str(complaint.id), "code": code, "by": by})
    return written


@deed("complain")
def withdraw_complaint(complaint: Complaint, *, by: Actor) -> Complaint:
    """Whoever complained no longer does. Raises WrongState once it was answered."""
    return move(complaint, "withdrawn", by=by, also={"closed_at": timezone.now()})
