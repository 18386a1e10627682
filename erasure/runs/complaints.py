"""The words of a complaint and of its answer, sealed under the complaint's own record key; and
what letters tell of them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.utils import timezone

from erasure import vault
from erasure.domain.errors import KeyDestroyed, WrongState
from erasure.domain.saying import LONGEST, said
from erasure.models import Complaint, ErasureRequest, Letter
from erasure.transitions import move


def sealed(complaint: Complaint, part: str, text: str) -> bytes:
    """``part``: ``words`` or ``answer``. Raises UsageError where there is nothing to seal."""
    text = said(text, f"because: say it in words, in at most {LONGEST} characters")
    key = vault.make_key(complaint.id, "record")
    return vault.seal(key, text.encode(), label=_label(complaint, part))


def read(complaint: Complaint) -> tuple[str, str]:
    """What was complained of, and the answer; empty as long as there is none. Raises KeyDestroyed
    after the record's date."""
    key = vault.open_key(complaint.id, "record")
    words, answer = (
        vault.unseal(key, held, label=_label(complaint, part)).decode() if held else ""
        for part, held in (("words", complaint.sealed), ("answer", complaint.sealed_answer))
    )
    return words, answer


def acknowledge(complaint: Complaint, *, by: str, at: datetime) -> Complaint:
    """Whoever complained was told that it has come in; once. Raises WrongState."""
    if at < complaint.received_at:
        raise WrongState(f"complaint {complaint.id}: cannot be confirmed before it was received")
    return move(complaint, "acknowledged", by=by, also={"acknowledged_at": at})


def has_letters(complaint: Complaint) -> bool:
    """Whether its letters are its own, sealed under its key: it is about no case, or about one of
    which the record has ended."""
    return complaint.request is None or complaint.request.record_ended_at is not None


def open_of(request: ErasureRequest, before: datetime | None = None) -> Complaint | None:
    """The newest complaint about a case that is open: the one that its receipt is about.
    ``before``: that was recorded by then."""
    found = request.complaints.filter(closed_at=None)
    return (found.filter(opened_at__lte=before) if before else found).first()


def confirmed_by(letter: Letter) -> Complaint | None:
    """The complaint whose receipt a letter confirms."""
    if letter.request:
        return open_of(letter.request, letter.made_at)
    return letter.complaint


def told_of(request: ErasureRequest) -> dict[str, Any]:
    """What the templates of letters can name: the newest that is open as ``complaint``, and the
    one that was answered last as ``answered``, with the words of the answer."""
    answered = request.complaints.filter(state="answered").order_by("closed_at").last()
    told = _told(answered)
    if answered:
        try:
            told["words"] = read(answered)[1]
        except KeyDestroyed:
            told["words"] = ""
    return {"complaint": _told(open_of(request)), "answered": told}


def _told(complaint: Complaint | None) -> dict[str, Any]:
    if complaint is None:
        return dict.fromkeys(
            ("received", "answer_by", "authority", "reference", "verdict", "law", "words"), ""
        )
    return {
        "received": _day(complaint.received_at),
        "answer_by": _day(complaint.answer_by),
        "authority": complaint.authority,
        "reference": complaint.reference,
        "verdict": complaint.verdict,
        "law": complaint.law,
        "words": "",
    }


def _day(moment: datetime | None) -> date | None:
    return timezone.localdate(moment, timezone.get_default_timezone()) if moment else None


def _label(complaint: Complaint, part: str) -> str:
    return f"complaint:{complaint.id}:{part}"


def told_about(complaint: Complaint) -> dict[str, Any]:
    """The same of one that has letters of its own. Raises KeyDestroyed after the record's date."""
    told = _told(complaint)
    return {
        "number": str(complaint.request_id or complaint.pk)[:8],
        "no_case": complaint.request_id is None,
        "complaint": told,
        "answered": {**told, "words": read(complaint)[1]},
    }
