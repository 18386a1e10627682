"""The reasoning behind decisions: free words that may be personal, so they are sealed."""

from __future__ import annotations

from django.utils import timezone

from erasure import vault
from erasure.domain.errors import UsageError
from erasure.models import ErasureRequest, Reasoning

LONGEST = 10_000


def write_down(
    request: ErasureRequest,
    about: str,
    text: str,
    *,
    by: str,
    place: str = "",
    verdict: str = "",
) -> Reasoning:
    """Seal what somebody gave as the reason; joins the caller's transaction. ``place`` and
    ``verdict`` stand in clear. Raises UsageError without a reason."""
    text = text.strip()
    if not text or len(text) > LONGEST or "\x00" in text:
        raise UsageError(f"request {request.id}: give the reason, in at most {LONGEST} characters")
    key = vault.make_key(request.id, "record")
    return Reasoning.objects.create(
        request=request,
        about=about,
        place=place,
        verdict=verdict,
        sealed=vault.seal(key, text.encode(), label=_label(request, about)),
        by=by,
        at=timezone.now(),
    )


def read(reasoning: Reasoning) -> str:
    """The words. Raises KeyDestroyed once the record's own retention has ended."""
    request = reasoning.request
    key = vault.open_key(request.id, "record")
    return vault.unseal(key, reasoning.sealed, label=_label(request, reasoning.about)).decode()


def _label(request: ErasureRequest, about: str) -> str:
    return f"reasoning:{request.id}:{about}"
