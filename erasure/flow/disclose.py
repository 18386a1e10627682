"""What names a person is shown: who has looked at what is on record, the value is not."""

from __future__ import annotations

from django.db import transaction

from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import Complaint, ErasureRequest, Hold, Letter
from erasure.runs import case, complaints, letters, reasoning, tokens


@deed("see_identifiers")
def show_identifiers(request: ErasureRequest, *, by: Actor) -> list[tuple[str, str]]:
    """The (kind, value) pairs that the person gave. Raises KeyDestroyed after their date; then
    nothing was seen, and nothing is recorded."""
    with transaction.atomic():
        (given,) = case.given_by([request], proved=False).values()
        kinds = sorted({kind for kind, _ in given})
        ledger.record(
            "identifiers_seen", {"request": str(request.id), "by": by, "identifier_kinds": kinds}
        )
    return list(given)


@deed("see_letters")
def read_letter(letter: Letter, *, by: Actor) -> tuple[str, str]:
    """Address and text of a letter, without the secret of a link: it proves a mailbox, which is not
    that of whoever reads here. Raises KeyDestroyed as :func:`show_identifiers` does."""
    with transaction.atomic():
        to, text = letters.read(letter)
        ledger.record(
            "letter_seen",
            {**letter.about, "letter": str(letter.id), "by": by},
        )
    return to, tokens.masked(text) if letter.code == "confirm_email" else text


@deed("see_reasons")
def read_reasons(request: ErasureRequest, *, by: Actor) -> list[tuple[reasoning.Given, str]]:
    """Every reason on record with its words, those given with a move too. Raises
    KeyDestroyed as :func:`show_identifiers` does."""
    with transaction.atomic():
        read = reasoning.read_all(request)
        about = sorted({one.about for one, _ in read})
        ledger.record("reasons_seen", {"request": str(request.id), "by": by, "about": about})
    return read


@deed("see_reasons")
def read_complaint(complaint: Complaint, *, by: Actor) -> tuple[str, str]:
    """Words and answer of a complaint. Raises KeyDestroyed as :func:`show_identifiers`."""
    with transaction.atomic():
        content = complaints.read(complaint)
        about = {"request": str(complaint.request_id)} if complaint.request_id else {}
        ledger.record("complaint_seen", {**about, "complaint": str(complaint.id), "by": by})
    return content


@deed("see_reasons")
def read_hold(hold: Hold, *, by: Actor) -> tuple[str, str]:
    """Why a hold was placed, and why it was released; empty as long as it was not."""
    ledger.record("reasons_seen", {"hold": str(hold.id), "by": by, "about": ["hold"]})
    return hold.because, hold.released_because
