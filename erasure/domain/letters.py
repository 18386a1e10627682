"""The letters of a case: whom each is for, when it fits, and which blocks a person fills in. Pure.

What each has to say is the law's: GDPR Art. 11(2), 12(3) to (6), 17(2), 18(3) and 19, and the
like of 11 CCR 7021 and 7022 and of LGPD Art. 18.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from erasure.domain.errors import UsageError
from erasure.domain.identity import HANDLED, LINKED, RIGHTS
from erasure.domain.states import REQUEST, SETTLED

Addressee = Literal["person", "recipient", "controller", "staff"]
LANGUAGES = ("en", "de", "fr", "es")
LONGEST_LINE = 200
LONGEST_TEXT = 10_000

_EVERY = frozenset(REQUEST)
_OPEN = _EVERY - SETTLED - {"undone"}
# Nothing has been erased yet, and the person can still be asked.
_EARLY = _OPEN & {
    "received",
    "confirmed",
    "identity_required",
    "identified",
    "planned",
    "gathering",
    "reopened",
}
# The live data are gone and that was verified.
VERIFIED = frozenset({"awaiting_copies", "partly_granted", "completed"})
_GRANTED = VERIFIED | {
    "approved",
    "executing",
    "verifying",
    "awaiting_window",
    "awaiting_rescan",
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part that a person may write anew. ``required``: it may not stay empty; ``one_line``: it
    is a line, as a name or an amount is."""

    name: str
    required: bool = False
    one_line: bool = False


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What decides which letters fit. ``right``: what was asked for. ``to_tell``: this recipient
    has not been told; ``to_remind``: they were, and have not answered; both False where no
    recipient is meant. ``complaint``: one about the case is open; ``answered``: one was answered;
    ``ended``: the record of the case, under whose key its letters were sealed."""

    state: str
    right: str = "erasure"
    extended: bool = False
    replay: bool = False
    to_tell: bool = False
    to_remind: bool = False
    complaint: bool = False
    answered: bool = False
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One letter. ``number``: as in the law's list, and beyond it for those about complaints and
    the answer to another right than erasure; ``states``: of a request, in which it fits."""

    number: int
    code: str
    to: Addressee
    states: frozenset[str]
    own: tuple[Block, ...] = ()

    @property
    def blocks(self) -> Mapping[str, Block]:
        """Its own blocks, and those that every letter has."""
        return {block.name: block for block in (_GREETING, *self.own, _MORE)}


_GREETING = Block(name="greeting", required=True, one_line=True)
_MORE = Block(name="more")


def _text(name: str) -> Block:
    return Block(name=name, required=True)


def _line(name: str) -> Block:
    return Block(name=name, required=True, one_line=True)


def _kind(
    number: int, code: str, states: frozenset[str], *own: Block, to: Addressee = "person"
) -> Kind:
    return Kind(number=number, code=code, to=to, states=states, own=own)


KINDS: Mapping[str, Kind] = {
    kind.code: kind
    for kind in (
        _kind(1, "confirm_email", LINKED, _line("link")),
        _kind(2, "acknowledgment", _OPEN),
        _kind(
            3,
            "identity_request",
            frozenset({"identity_required"}),
            _text("reasons"),
            _text("proof"),
        ),
        _kind(4, "clarification", _EARLY | {"blocked"}, _text("question")),
        _kind(5, "extension", _OPEN, _text("reasons")),
        _kind(6, "refusal", frozenset({"refused"}), _text("reasons")),
        _kind(7, "partial", frozenset({"partly_granted"})),
        _kind(8, "fee", _EARLY, _text("reasons"), _line("amount"), _text("payment")),
        _kind(9, "unidentifiable", frozenset({"unidentifiable"}), _text("reasons")),
        _kind(10, "completion", frozenset({"completed", "awaiting_copies"})),
        _kind(11, "no_data", frozenset({"no_data"})),
        _kind(12, "recipient_notice", VERIFIED, _text("person"), to="recipient"),
        _kind(13, "controller_notice", _GRANTED, _text("published"), to="controller"),
        _kind(14, "reminder", VERIFIED, _text("person"), to="recipient"),
        _kind(
            15,
            "restriction_lifted",
            _EVERY - {"received", "confirmed"},
            _text("restricted"),
            _line("day"),
            _text("reasons"),
        ),
        _kind(16, "restore_alert", _EVERY, to="staff"),
        _kind(17, "complaint_receipt", _EVERY),
        _kind(18, "complaint_answer", _EVERY, _text("answer")),
        _kind(19, "answer", frozenset({"answered"}), _text("answer")),
    )
}

_ALL = frozenset(RIGHTS)
# code → the rights that a letter speaks of; every other letter names what was asked for, or none
_RIGHTS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("partial", "completion", "recipient_notice", "controller_notice", "reminder"),
        frozenset({"erasure"}),
    ),
    "no_data": HANDLED,
    "restriction_lifted": frozenset({"erasure", "restriction"}),
    "answer": _ALL - {"erasure"},
}
# code → the fact of a situation without which a letter does not fit, and what is said then
_NEEDS: Mapping[str, tuple[str, str]] = {
    "extension": ("extended", "fits only once the time to answer was extended"),
    "recipient_notice": ("to_tell", "needs a recipient who has not been told yet"),
    "reminder": ("to_remind", "needs a recipient who was told and has not answered"),
    "complaint_receipt": ("complaint", "needs a complaint about the case that is open"),
    "complaint_answer": ("answered", "needs a complaint about the case that was answered"),
}


def why_not(kind: Kind, situation: Situation) -> str:
    """Why a letter does not fit a case as it stands; empty when it does."""
    fact, words = _NEEDS.get(kind.code, ("", ""))
    if situation.ended:
        where = "with the complaint" if fact in ("complaint", "answered") else "by hand"
        return f"cannot be kept, the record of this case has ended; write it {where}"
    alert = kind.code == "restore_alert"
    if situation.replay and not alert:
        return "does not fit a case that a restore has opened; nobody has asked for it"
    if alert and not situation.replay:
        return "fits only a case that a restore has opened"
    if situation.right not in _RIGHTS.get(kind.code, _ALL):
        return f"does not fit a case about {situation.right}"
    if situation.state not in kind.states:
        return f"does not fit a case that is {situation.state}"
    return words if fact and not getattr(situation, fact) else ""


def kind_of(code: str) -> Kind:
    """The letter of that code. Raises UsageError by field."""
    if code not in KINDS:
        raise UsageError(f"code: no such letter; there are {', '.join(KINDS)}")
    return KINDS[code]


def fitting(situation: Situation) -> list[Kind]:
    """The letters that fit, by their number."""
    return [kind for kind in KINDS.values() if not why_not(kind, situation)]


def checked_blocks(kind: Kind, given: Mapping[str, str]) -> dict[str, str]:
    """What was written into blocks, without surplus space. Raises UsageError by field."""
    unknown = set(given) - set(kind.blocks)
    if unknown:
        known = ", ".join(kind.blocks)
        raise UsageError(f"blocks: {kind.code} has no such block; it has {known}")
    return {
        name: checked_text(f"blocks.{name}", text, one_line=kind.blocks[name].one_line)
        for name, text in given.items()
    }


def missing_blocks(kind: Kind, texts: Mapping[str, str]) -> None:
    """Raises UsageError by field for the first required block that is empty."""
    for block in kind.blocks.values():
        if block.required and not texts.get(block.name, "").strip():
            raise UsageError(f"blocks.{block.name}: is missing; this letter has to say it")


def checked_text(field: str, text: str, *, one_line: bool = False) -> str:
    """A text without surplus space. Raises UsageError where it is too long, or holds what could
    end a line early, hide or turn what is read: control, format and private characters."""
    text = text.replace("\r\n", "\n").replace("\t", " ").strip()
    longest = LONGEST_LINE if one_line else LONGEST_TEXT
    if len(text) > longest:
        raise UsageError(f"{field}: is longer than {longest} characters")
    if any(_odd(c) for c in (text if one_line else text.replace("\n", ""))):
        where = "a line end or a control character" if one_line else "a control character"
        raise UsageError(f"{field}: has {where}; write it again without")
    return text


def _odd(character: str) -> bool:
    # Soft hyphens and zero-width joiners belong to ordinary words.
    return (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        and character not in "\u00ad\u200c\u200d"
    )
