"""Letters are drafted, looked at, and sent by a person; what was begun is sent on by the sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from erasure.domain.errors import LetheError, UsageError, WrongState
from erasure.domain.roles import Actor, deed
from erasure.evidence import ledger
from erasure.models import Complaint, ErasureRequest, Event, Letter, Notice
from erasure.runs import clock, complaints, letters, mailing, notices, tokens
from erasure.transitions import move

TRIES = 12
# The wait doubles from a minute to four hours: a mail server that is away for a day loses nothing.
_LONGEST_WAIT = timedelta(hours=4)


@deed("write_letter")
def preview_letter(
    request: ErasureRequest,
    *,
    code: str,
    language: str,
    blocks: Mapping[str, str],
    by: Actor,
    notice: Notice | None = None,
) -> letters.Written:
    """A letter as it would be sent, with the case's own data; what has to be written still may be
    empty. Who has looked is on record. Raises UsageError by field."""
    written = letters.write(request, code, language, blocks, notice, whole=False)
    ledger.record("letter_previewed", {"request": str(request.id), "code": code, "by": by})
    return written


@deed("write_letter")
def draft_letter(
    request: ErasureRequest,
    *,
    code: str,
    language: str,
    blocks: Mapping[str, str],
    to: str | None,
    by: Actor,
    notice: Notice | None = None,
) -> Letter:
    """Write a letter and send nothing; it takes the place of an earlier draft of the same.

    ``to``: one mailbox, empty for a letter by hand, None for the address known of the person.
    Raises UsageError by field for a letter that does not fit the case, a block that is missing,
    and an address that is none; nothing was written then.
    """
    with transaction.atomic():
        request = ErasureRequest.objects.select_for_update().get(pk=request.pk)
        letters.checked_fit(request, code, notice)
        linked = {**blocks, **_link(request, code, blocks, to)}
        written = letters.write(request, code, language, linked, notice)
        address = letters.checked_address(letters.address_of(request, code) if to is None else to)
        request.letters.filter(code=code, notice=notice, state="drafted").delete()
        letter = Letter(request=request, notice=notice, code=code, language=language, made_by=by)
        return _drafted(letter, address, written, blocks)


def _link(
    request: ErasureRequest, code: str, blocks: Mapping[str, str], to: str | None
) -> dict[str, str]:
    """The block with a new link that confirms the mailbox, unless somebody has written one."""
    if code != "confirm_email" or blocks.get("link") or not settings.LETHE_CONFIRM_URL:
        return {}
    if to is not None:
        raise UsageError("to: the link proves the mailbox that was given; it goes nowhere else")
    return {"link": tokens.link(tokens.issue(request))}


def _drafted(
    letter: Letter, address: str, written: letters.Written, blocks: Mapping[str, str]
) -> Letter:
    letter.version, letter.subject = written.version, written.subject
    letter.blocks, letter.made_at = sorted(blocks), timezone.now()
    for column, sealed in letters.sealed_copy(letter, address, written.body).items():
        setattr(letter, column, sealed)
    letter.save(force_insert=True)
    return letter


@deed("write_letter")
def draft_about(
    complaint: Complaint,
    *,
    code: str,
    language: str,
    blocks: Mapping[str, str],
    to: str | None,
    by: Actor,
) -> Letter:
    """As :func:`draft_letter`, to somebody who complained about no case, or about one of which the
    record has ended. ``to``: None for where the
    last letter about it went. Raises KeyDestroyed after the record of the complaint."""
    with transaction.atomic():
        complaint = Complaint.objects.select_for_update().get(pk=complaint.pk)
        written = letters.write_about(complaint, code, language, blocks)
        address = letters.checked_address(letters.address_about(complaint) if to is None else to)
        complaint.letters.filter(code=code, state="drafted").delete()
        letter = Letter(complaint=complaint, code=code, language=language, made_by=by)
        return _drafted(letter, address, written, blocks)


@deed("send_letter")
def send_letter(letter: Letter, *, by: Actor) -> Letter:
    """Send a draft, or again what was blocked, by mail. That it is being sent is committed before
    the mail server sees it, so that a crash in between loses nothing: the sweep sends it again,
    the same bytes under the same Message-ID.

    Raises UsageError by field when the case has moved on since it was written, or it has no
    address; WrongState when it is not there to be sent. Nothing was sent then. Never called inside
    a transaction.
    """
    with transaction.atomic(durable=True):
        letter = _unsent(letter)
        letters.checked_still(letter)
        if not letters.read(letter)[0]:
            raise UsageError("to: this letter has no address; send it by hand, or write it again")
        now = timezone.now()
        _refuse_moved(letter, now)
        letter.begun_at = letter.begun_at or now
        move(
            letter,
            "sending",
            by=by,
            also={
                "begun_at": letter.begun_at,
                "sent_by": by,
                "tries": 1,
                "again_at": _taken_for_dead(now),
                "error": "",
                "sha256": _sha256(mailing.bytes_of(mailing.mail_of(letter))),
            },
        )
    _attempt(letter)
    return letter


def send_again(letter_id: UUID) -> None:
    """What the sweep does with a letter whose sender died, or whose mail server was away. Nothing
    happens where somebody else is at it."""
    now = timezone.now()
    waiting = Letter.objects.filter(pk=letter_id, state="sending", again_at__lte=now)
    if waiting.update(again_at=_taken_for_dead(now), tries=F("tries") + 1):
        _attempt(Letter.objects.get(pk=letter_id))


def due(now: datetime) -> list[UUID]:
    """Letters that were begun and have to be sent on."""
    waiting = Letter.objects.filter(state="sending", again_at__lte=now)
    return list(waiting.order_by("again_at").values_list("id", flat=True))


@deed("send_letter")
def mark_sent_by_hand(letter: Letter, *, by: Actor, at: datetime | None = None) -> Letter:
    """Record that ``by`` has sent a draft, or what was blocked, on paper or otherwise by hand.

    Raises UsageError by field when the case had moved on by ``at`` (now, unless said), or that
    lies in the future or before it was written; WrongState when it went out before.
    """
    now = timezone.now()
    with transaction.atomic():
        letter = _unsent(letter)
        if at and not letter.made_at <= at <= now:
            raise UsageError("sent: the day lies in the future, or before the letter was written")
        _refuse_moved(letter, at or now)
        text = f"{letter.subject}\n\n{letters.read(letter)[1]}"
        also = {"sent_by": by, "sent_at": at or now, "error": "", "sha256": _sha256(text.encode())}
        move(letter, "by_hand", by=by, also=also)
        _follow(letter)
    return letter


def _unsent(letter: Letter) -> Letter:
    """The letter, locked. Raises WrongState when it went out, is going out, or was replaced."""
    found = Letter.objects.select_for_update().filter(pk=letter.pk).first()
    if found is None:
        raise WrongState(f"letter {letter.id}: a newer draft took its place; send that one")
    letter = found
    if letter.state not in ("drafted", "blocked"):
        raise WrongState(f"letter {letter.id}: is {letter.state}; write a new one")
    return letter


def _refuse_moved(letter: Letter, until: datetime) -> None:
    """What a letter says has to hold when it goes out. Raises UsageError by field."""
    told_of = [str(letter.owner)]
    if letter.request and letter.code in letters.ABOUT:
        told_of += map(str, letter.request.complaints.values_list("pk", flat=True))
    if Event.objects.filter(subject_id__in=told_of, at__range=(letter.made_at, until)).exists():
        raise UsageError("letter: the case has moved on since it was written; write it again")


def _attempt(letter: Letter) -> None:
    try:
        mail = mailing.mail_of(letter)
    except LetheError as error:
        move(letter, "blocked", by="run", also={"error": str(error)})
        return
    sha256 = _sha256(mailing.bytes_of(mail))
    if sha256 != letter.sha256:  # the sender's address was changed since: tell what is sent now
        Letter.objects.filter(pk=letter.pk).update(sha256=sha256)
        letter.sha256 = sha256
    fault = mailing.deliver(mail)
    if fault is None:
        with transaction.atomic():
            move(letter, "sent", by=letter.sent_by, also={"sent_at": timezone.now(), "error": ""})
            _follow(letter)
    elif fault.permanent or letter.tries >= TRIES:
        tried = "" if fault.permanent else f", tried {letter.tries} times"
        move(letter, "blocked", by="run", also={"error": f"{fault.words}{tried}"})
    else:
        wait = min(timedelta(minutes=2 ** (letter.tries - 1)), _LONGEST_WAIT)
        letter.again_at = timezone.now() + wait
        letter.error = f"{fault.words}; it is tried again"
        Letter.objects.filter(pk=letter.pk, state="sending").update(
            again_at=letter.again_at, error=letter.error
        )


def _follow(letter: Letter) -> None:
    """What a letter that went out brings about, in the transaction that says so."""
    assert letter.sent_at is not None  # noqa: S101 - it was sent
    ledger.record(
        "letter",
        {
            **letter.about,
            "letter": str(letter.id),
            "code": letter.code,
            "version": letter.version,
            "language": letter.language,
            "sha256": letter.sha256,
            "by": letter.sent_by,
        },
    )
    with suppress(WrongState):  # somebody recorded it meanwhile; the letter went out all the same
        if letter.code == "acknowledgment" and letter.request:
            clock.acknowledge(letter.request, by=letter.sent_by, at=letter.sent_at)
        if letter.code == "complaint_receipt" and (complaint := complaints.confirmed_by(letter)):
            complaints.acknowledge(complaint, by=letter.sent_by, at=letter.sent_at)
        if letter.notice is not None and letter.code == "recipient_notice":
            notices.record_told(letter.notice, by=letter.sent_by, at=letter.sent_at)
        if letter.notice is not None and letter.code == "reminder":
            notices.record_reminded(letter.notice, by=letter.sent_by, at=letter.sent_at)


def _taken_for_dead(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.LETHE_LEASE_SECONDS)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
