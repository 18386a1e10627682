"""Letters of a case: written from its data, sent through a real server, sealed, gone with it."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.utils import timezone

from erasure.advance import Job, due_jobs, finish_keys, perform
from erasure.domain.errors import KeyDestroyed, UsageError, WrongState
from erasure.evidence.audit import audit_ledger
from erasure.evidence.certificate import path_of
from erasure.evidence.signing import pinned_keys
from erasure.evidence.verify import verify_certificate
from erasure.flow import decide, identify, intake
from erasure.flow import letters as flow
from erasure.models import Certificate, ErasureRequest, Event, LedgerLeaf, Letter, Notice
from erasure.runs import letters
from tests.flow.beside import body_of
from tests.flow.cast import (
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    MemoryShop,
)
from tests.flow.deeds import approved, planned, work_off
from tests.flow.inbox import Inbox, free_port, mail_through, serving

pytestmark = pytest.mark.usefixtures("memory_shop")
ELSEWHERE = "somebody@example.net"


def received() -> ErasureRequest:
    return intake.open_request([("email", SUBJECT)], by=OFFICER)


def drafted(request: ErasureRequest, code: str = "acknowledgment", **more: Any) -> Letter:
    """A letter in English to the address the person gave."""
    given = {"language": "en", "blocks": {}, "to": None, "by": OFFICER, **more}
    return flow.draft_letter(request, code=code, **given)


def everything() -> tuple[Any, ...]:
    """What a refused deed may not have changed."""
    return (
        list(ErasureRequest.objects.order_by("pk").values()),
        list(Letter.objects.order_by("pk").values()),
        list(Notice.objects.order_by("pk").values()),
        Event.objects.count(),
        LedgerLeaf.objects.count(),
    )


def swept(later: timedelta = timedelta()) -> None:
    """The sweep comes by, after that time."""
    Letter.objects.update(again_at=F("again_at") - later)
    for job in list(due_jobs()):
        if job.name == "send":
            perform(job)


def test_a_draft_is_read_and_nothing_is_sent(inbox: Inbox) -> None:
    letter = drafted(received(), blocks={"more": "We also found your letter of May."})
    to, body = letters.read(letter)
    assert (letter.state, letter.sha256, to) == ("drafted", "", SUBJECT)
    assert "We also found your letter of May." in body
    assert letter.blocks == ["more"]
    assert inbox.mails == []
    swept(timedelta(days=1))
    assert inbox.mails == []


def test_the_hash_is_of_exactly_what_the_mail_server_took(inbox: Inbox) -> None:
    letter = flow.send_letter(drafted(received()), by=OFFICER)
    assert letter.state == "sent"
    ((to, text),) = inbox.mails
    assert to == [SUBJECT]
    assert hashlib.sha256(inbox.raw[0]).hexdigest() == letter.sha256
    assert f"Message-ID: <letter.{letter.id}@" in text
    assert letter.sent_by == OFFICER
    leaf = LedgerLeaf.objects.get(kind="letter")
    assert letter.sha256 in leaf.payload
    for private in (SUBJECT, "received your request"):
        assert private not in leaf.payload
    assert list(audit_ledger(pinned_keys())) == []


def test_an_acknowledgment_that_was_sent_confirms_the_receipt(inbox: Inbox) -> None:
    request = received()
    flow.send_letter(drafted(request), by=OFFICER)
    request.refresh_from_db()
    assert request.acknowledged_at is not None
    flow.send_letter(drafted(request), by=OFFICER)  # a second one is no error
    assert LedgerLeaf.objects.filter(kind="acknowledged").count() == 1


def test_the_sealed_copy_cannot_be_read_in_the_database(inbox: Inbox) -> None:
    secret = "a sentence about the person"
    letter = flow.send_letter(drafted(received(), blocks={"more": secret}), by=OFFICER)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM erasure_letter")
        (row,) = cursor.fetchall()
    stored = b" ".join(
        bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row
    )
    for private in (SUBJECT, secret, "find out where your data"):
        assert private.encode() not in stored
    assert secret in letters.read(letter)[1]
    assert secret in inbox.mails[0][1]


def test_the_copy_ends_with_the_record(inbox: Inbox, settings: LazySettings) -> None:
    request = received()
    letter = flow.send_letter(drafted(request), by=OFFICER)
    decide.refuse_request(request, by=OFFICER, because="not a customer")
    finish_keys()
    assert letters.read(letter)
    long_ago = timezone.now() - timedelta(days=31 * settings.LETHE_RECORD_MONTHS)
    ErasureRequest.objects.update(closed_at=long_ago)
    finish_keys()
    assert not Letter.objects.exists()
    with pytest.raises(KeyDestroyed):
        letters.read(letter)
    with pytest.raises(UsageError, match="record of this case has ended"):
        drafted(request, "refusal", to=ELSEWHERE)
    assert letter.sha256 in LedgerLeaf.objects.get(kind="letter").payload


def test_a_crash_before_the_mail_server_answered_sends_the_same_bytes_again(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = drafted(received())
    send = EmailMessage.send

    def killed_after(mail: EmailMessage, fail_silently: bool = False) -> int:
        send(mail)
        raise KeyboardInterrupt

    monkeypatch.setattr(EmailMessage, "send", killed_after)
    with pytest.raises(KeyboardInterrupt):
        flow.send_letter(letter, by=OFFICER)
    monkeypatch.undo()
    letter.refresh_from_db()
    assert (letter.state, len(inbox.raw)) == ("sending", 1)
    swept()
    perform(Job("send", letter.id))  # an old message comes late
    assert len(inbox.raw) == 1  # who sends it may still be alive
    swept(timedelta(hours=1))
    letter.refresh_from_db()
    assert letter.state == "sent"
    assert inbox.raw[0] == inbox.raw[1]
    assert hashlib.sha256(inbox.raw[1]).hexdigest() == letter.sha256
    swept(timedelta(days=1))
    assert len(inbox.raw) == 2


def test_a_mail_server_that_is_away_is_tried_again(settings: LazySettings) -> None:
    port = free_port()
    mail_through(settings, port)
    letter = flow.send_letter(drafted(received()), by=OFFICER)
    assert (letter.state, letter.tries) == ("sending", 1)
    assert "cannot be reached" in letter.error
    with serving(port, Inbox()) as inbox:
        swept()
        assert inbox.mails == []
        swept(timedelta(minutes=2))
        assert len(inbox.mails) == 1
    letter.refresh_from_db()
    assert (letter.state, letter.error) == ("sent", "")


def test_a_greylisted_letter_is_tried_again_and_given_up_in_the_end(inbox: Inbox) -> None:
    inbox.says = ["451 try later"] * (flow.TRIES + 1)
    letter = flow.send_letter(drafted(received()), by=OFFICER)
    assert "(451)" in letter.error
    for _ in range(flow.TRIES):
        swept(timedelta(days=1))
    letter.refresh_from_db()
    assert (letter.state, len(inbox.says)) == ("blocked", 1)
    assert f"tried {flow.TRIES} times" in letter.error


def test_a_refused_address_blocks_the_letter_in_words_without_it(inbox: Inbox) -> None:
    inbox.says = [f"550 <{SUBJECT}> no such user"]
    letter = flow.send_letter(drafted(received()), by=OFFICER)
    assert letter.state == "blocked"
    assert letter.error == "the mail server refused the recipient (550)"
    assert not LedgerLeaf.objects.filter(kind="letter").exists()
    swept(timedelta(days=1))
    assert inbox.mails == []
    flow.send_letter(letter, by=OFFICER)  # somebody looked, and tries again
    assert Letter.objects.get().state == "sent"


def test_a_letter_by_hand_is_recorded_with_its_day_and_the_hash_of_its_text() -> None:
    letter = drafted(received(), to="")
    with pytest.raises(UsageError, match=r"^to: "):
        flow.send_letter(letter, by=OFFICER)
    letter = flow.mark_sent_by_hand(letter, by=OFFICER)
    text = f"{letter.subject}\n\n{letters.read(letter)[1]}"
    assert letter.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert letter.state == "by_hand"


@pytest.mark.parametrize("days", [-1, 1])
def test_a_letter_was_sent_neither_before_it_was_written_nor_in_the_future(days: int) -> None:
    letter = drafted(received(), to="")
    before = everything()
    with pytest.raises(UsageError, match=r"^sent: "):
        flow.mark_sent_by_hand(letter, by=OFFICER, at=timezone.now() + timedelta(days=days))
    assert everything() == before


def test_what_went_out_cannot_be_sent_twice(inbox: Inbox) -> None:
    letter = flow.send_letter(drafted(received()), by=OFFICER)
    before = everything()
    for deed in (flow.send_letter, flow.mark_sent_by_hand):
        with pytest.raises(WrongState):
            deed(letter, by=OFFICER)
    assert everything() == before
    assert len(inbox.mails) == 1


def test_a_new_draft_takes_the_place_of_the_old_one(inbox: Inbox) -> None:
    request = received()
    old = drafted(request)
    new = drafted(request, language="en", blocks={"more": "A better one."})
    assert list(request.letters.all()) == [new]
    with pytest.raises(WrongState, match="a newer draft took its place"):
        flow.send_letter(old, by=OFFICER)
    assert inbox.mails == []


def test_a_letter_goes_where_the_last_one_went_when_the_mailbox_is_forgotten(inbox: Inbox) -> None:
    request = approved(NEIGHBOUR)
    flow.send_letter(drafted(request, to=ELSEWHERE), by=OFFICER)
    work_off(request)
    assert request.state == "partly_granted"
    assert letters.read(drafted(request, "partial"))[0] == ELSEWHERE
    other = planned(SUBJECT)
    decide.refuse_request(other, by=OFFICER, because="not a customer")
    with pytest.raises(UsageError, match=r"^to: no address is known"):
        drafted(other, "refusal")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"to": "nobody"}, "to"),
        ({"to": "a@example.org, b@example.org"}, "to"),
        ({"to": "a@example.org\nBcc: b@example.org"}, "to"),
        ({"to": "a@example.org\r\nSubject: x"}, "to"),
        ({"to": "Ann <a@example.org>"}, "to"),
        ({"language": "nl"}, "language"),
        ({"language": "../en"}, "language"),
        ({"blocks": {"greeting": "Hello\nBcc: b@example.org"}}, r"blocks\.greeting"),
        ({"blocks": {"price": "5"}}, "blocks"),
        ({"blocks": {"greeting": " "}}, r"blocks\.greeting"),
        ({"code": "no_such"}, "code"),
        ({"code": "completion"}, "code"),
        ({"code": "confirm_email"}, r"blocks\.link"),
        ({"code": "fee", "blocks": {"reasons": "x", "amount": "5 €"}}, r"blocks\.payment"),
    ],
)
def test_what_does_not_fit_is_refused_by_field_and_changes_nothing(
    given: dict[str, Any], field: str
) -> None:
    request = received()
    before = everything()
    with pytest.raises(UsageError, match=f"^{field}: ") as caught:
        drafted(request, **given)
    assert "b@example.org" not in str(caught.value)
    assert everything() == before


def test_a_controller_whose_name_has_two_lines_is_refused(settings: LazySettings) -> None:
    settings.LETHE_CONTROLLER = "Example Ltd\nBcc: b@example.org"
    request = received()
    before = everything()
    with pytest.raises(UsageError, match=r"^LETHE_CONTROLLER: "):
        drafted(request)
    assert everything() == before


def test_a_draft_that_the_case_has_outrun_is_not_sent(inbox: Inbox) -> None:
    request = received()
    letter = drafted(request)
    identify.confirm_identity(request, by=OFFICER, method="mailbox confirmed")
    before = everything()
    for deed in (flow.send_letter, flow.mark_sent_by_hand):
        with pytest.raises(UsageError, match=r"^letter: the case has moved on"):
            deed(letter, by=OFFICER)
    assert everything() == before
    assert inbox.mails == []


def test_what_a_person_writes_is_never_read_as_a_template(inbox: Inbox) -> None:
    text = "{% include 'x' %}{{ number }} <b>&amp;</b> {% endblock %}"
    letter = drafted(received(), blocks={"more": text})
    assert text in letters.read(letter)[1].replace("\n", " ")


def test_the_certificate_names_the_letters_that_went_out(inbox: Inbox) -> None:
    request = approved(SUBJECT)
    sent = flow.send_letter(drafted(request), by=OFFICER)
    drafted(request)  # a draft is no letter yet
    work_off(request)
    assert sent.sent_at is not None
    assert body_of(request)["letters"] == [
        {
            "template": "acknowledgment",
            "version": "2",
            "sent_at": sent.sent_at.isoformat(),
            "hash": sent.sha256,
        }
    ]
    sealed = path_of(Certificate.objects.get()).read_bytes()
    assert verify_certificate(sealed, pinned_keys()).holds


def test_the_command_lists_shows_and_sends(
    inbox: Inbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = received()
    case = str(request.pk)
    call_command("letters", case)
    assert "acknowledgment: greeting (needed), more" in capsys.readouterr().out
    call_command("letters", case, "acknowledgment", "--language", "fr")
    assert "Nous avons reçu votre demande" in capsys.readouterr().out
    assert LedgerLeaf.objects.filter(kind="letter_previewed").count() == 1  # a look like any other
    assert not Letter.objects.exists()
    (tmp_path / "more.txt").write_text("Une phrase de plus, tirée d’un fichier.")
    block = f"more=@{tmp_path / 'more.txt'}"
    call_command("letters", case, "acknowledgment", "--language=fr", "--block", block, "--send")
    assert "tirée d’un fichier" in inbox.mails[0][1]
    call_command("letters", case)
    assert "acknowledgment sent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["completion"], "code: completion does not fit"),
        (["acknowledgment", "--block", "more"], "blocks: write --block NAME=TEXT"),
        (["acknowledgment", "--block", "more=@/no/such/file"], "blocks.more: the file"),
        (["reminder", "--recipient", "courier"], "recipient: no such recipient"),
        (["acknowledgment", "--to", "nobody", "--send"], "to: is not the address"),
    ],
)
def test_the_command_refuses_what_does_not_fit(arguments: list[str], said: str) -> None:
    request = received()
    before = everything()
    with pytest.raises(CommandError, match=said) as caught:
        call_command("letters", str(request.pk), *arguments)
    assert caught.value.returncode == 2
    assert everything() == before


def test_the_command_says_when_the_mail_server_did_not_take_it(inbox: Inbox) -> None:
    inbox.says = ["550 no"]
    with pytest.raises(CommandError, match="refused the recipient") as caught:
        call_command("letters", str(received().pk), "acknowledgment", "--send")
    assert caught.value.returncode == 1


def test_once_somebody_is_identified_no_letter_goes_to_a_mailbox_that_was_not_proved(
    memory_shop: MemoryShop,
) -> None:
    request = intake.open_request([("email", NEIGHBOUR), ("phone", "030 5550001")], by=OFFICER)
    assert letters.read(drafted(request))[0] == NEIGHBOUR  # asks, and tells nothing
    identify.confirm_identity(request, by=OFFICER, method="card", proves=["phone"])
    with pytest.raises(UsageError, match="no address is known"):
        drafted(request, "clarification", blocks={"question": "Which of your orders?"})
    with_address = {"to": ELSEWHERE, "blocks": {"question": "Which of your orders?"}}
    drafted(request, "clarification", **with_address)
    assert letters.address_of(request, "clarification") == ELSEWHERE
