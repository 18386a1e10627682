"""What names a person is shown: who has looked at what is on record, the value is not."""

from __future__ import annotations

from django.db import transaction

from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Letter
from erasure.runs import case, letters


@deed("see_identifiers")
def show_identifiers(request: ErasureRequest, *, by: Actor) -> list[tuple[str, str]]:
    """The (kind, value) pairs that the person gave. Raises KeyDestroyed after their date; then
    nothing was seen, and nothing is recorded."""
    with transaction.atomic():
        (given,) = case.given_by([request], proved=False).values()
        kinds = sorted({kind for kind, _ in given})
        ledger.append(
            "identifiers_seen", {"request": str(request.id), "by": by, "identifier_kinds": kinds}
        )
    return list(given)


@deed("see_letters")
def read_letter(letter: Letter, *, by: Actor) -> tuple[str, str]:
    """Address and text of a letter. Raises KeyDestroyed as :func:`show_identifiers` does."""
    with transaction.atomic():
        content = letters.read(letter)
        ledger.append(
            "letter_seen",
            {"request": str(letter.request_id), "letter": str(letter.id), "by": by},
        )
    return content
