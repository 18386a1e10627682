"""The reasoning behind decisions: free words that may be personal, so they are sealed, or, where a
move or a hold has them in clear, emptied with the record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from erasure import vault
from erasure.domain.saying import LONGEST, said
from erasure.models import ErasureRequest, Event, Hold, Reasoning

# Moves of a case whose reason somebody types, beside the phrases that the flow has of its own.
TYPED = frozenset({"approved", "refused", "withdrawn", "forwarded", "undoing"})
# Stands where a reason stood in clear, once the record it belonged to has ended.
ENDED = "ended with the record"


@dataclass(frozen=True, kw_only=True)
class Given:
    """That a reason was given: for which decision, by whom and when; not its words."""

    about: str
    by: str
    at: datetime
    place: str = ""
    verdict: str = ""


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
    text = said(text, f"request {request.id}: give the reason, in at most {LONGEST} characters")
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


def typed_of(cases: Collection[UUID]) -> QuerySet[Event]:
    """The moves of these cases with which somebody gave a reason, which stands there in clear and
    can still be read."""
    moves = Event.objects.filter(
        subject_kind="ErasureRequest", subject_id__in=map(str, cases), to_state__in=TYPED
    )
    return moves.exclude(by="run").exclude(because__in=("", ENDED))


def given_in(request: ErasureRequest) -> list[Given]:
    """Every reason on record, the oldest first; a look at none of them."""
    return [one for one, _ in _found(request)]


def read_all(request: ErasureRequest) -> list[tuple[Given, str]]:
    """Every reason on record with its words. Raises KeyDestroyed as :func:`read` does."""
    return [
        (one, entry.because if isinstance(entry, Event) else read(entry))
        for one, entry in _found(request)
    ]


def _found(request: ErasureRequest) -> list[tuple[Given, Event | Reasoning]]:
    sealed = [
        (Given(about=e.about, by=e.by, at=e.at, place=e.place, verdict=e.verdict), e)
        for e in request.reasoning.select_related("request")
    ]
    clear = [(Given(about=e.to_state, by=e.by, at=e.at), e) for e in typed_of([request.pk])]
    return sorted([*sealed, *clear], key=lambda found: found[0].at)


def empty_holds(holds: Collection[UUID]) -> None:
    """Take the words from holds that are over; what they held, when and by whom stays."""
    gone = {"because": ENDED, "released_because": ENDED, "matter": ""}
    Hold.objects.filter(pk__in=holds).update(**gone)
