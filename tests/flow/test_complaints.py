"""Complaints: recorded with their clock, confirmed and answered in time, sealed, and ended."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from erasure.advance import due_jobs, finish_keys, perform
from erasure.domain.errors import Denied, KeyDestroyed, UsageError, WrongState
from erasure.domain.letters import fitting
from erasure.evidence.audit import audit_ledger
from erasure.evidence.signing import pinned_keys
from erasure.flow import complain, decide, digest, disclose, end_records, extend, letters, reopen
from erasure.models import Complaint, ErasureRequest, LedgerLeaf, Letter, Reasoning
from erasure.runs import complaints, dues, records
from erasure.runs import letters as run_letters
from tests.flow.cast import DPO, OFFICER, SUBJECT, MemoryShop
from tests.flow.deeds import planned
from tests.flow.inbox import Inbox, free_port, mail_through, serving
from tests.flow.test_roles import everything

pytestmark = pytest.mark.usefixtures("memory_shop")

WORDS = f"{SUBJECT} says that nobody has answered"
RECEIVED = datetime(2026, 3, 2, 9, tzinfo=UTC)


def complained(law: str = "uk", **more: Any) -> Complaint:
    request = planned(SUBJECT)
    return complain.open_complaint(
        request=request, because=WORDS, law=law, received_at=RECEIVED, by=OFFICER, **more
    )


def test_in_the_united_kingdom_the_receipt_is_confirmed_within_thirty_days() -> None:
    complaint = complained()
    assert complaint.acknowledge_by is not None
    assert timezone.localdate(complaint.acknowledge_by) == date(2026, 4, 1)
    on_time, late = RECEIVED + timedelta(days=30), RECEIVED + timedelta(days=31)
    assert list(dues.complaints_overdue(on_time)) == []
    assert list(dues.complaints_due(on_time)) == [complaint]
    assert list(dues.complaints_overdue(late)) == [complaint]
    complain.acknowledge_complaint(complaint, by=OFFICER, at=on_time)
    assert list(dues.complaints_due(late)) == []
    assert list(dues.open_complaints()) == [complaint]


def test_one_that_an_authority_hands_on_has_its_reference_and_its_date() -> None:
    with pytest.raises(UsageError, match="reference:"):
        complained("gdpr", authority="A state authority")
    complaint = complain.open_complaint(
        request=ErasureRequest.objects.get(),
        because=WORDS,
        authority="A state authority",
        reference="12-345",
        received_at=RECEIVED,
        answer_by=date(2026, 3, 20),
        by=OFFICER,
    )
    assert (complaint.law, complaint.acknowledge_by) == ("gdpr", None)
    assert list(dues.complaints_overdue(RECEIVED + timedelta(days=20))) == [complaint]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"because": " "}, "because"),
        ({"law": "roman"}, "law"),
        ({"reference": "1"}, "authority"),
        ({"authority": "x", "reference": SUBJECT}, "reference"),
        ({"authority": "x\nBcc: y", "reference": "1"}, "authority"),
        ({"received_at": timezone.now() + timedelta(days=1)}, "received"),
        ({"answer_by": date(2026, 3, 1)}, "answer_by"),
    ],
)
def test_one_that_cannot_be_is_refused_by_field(wrong: dict[str, object], field: str) -> None:
    request = planned(SUBJECT)
    before = everything()
    given = {"because": WORDS, "received_at": RECEIVED, "request": request, **wrong}
    with pytest.raises(UsageError, match=f"^{field}:"):
        complain.open_complaint(by=OFFICER, **given)  # type: ignore[arg-type]
    assert everything() == before


def test_an_answer_says_what_it_comes_to_and_nothing_follows_it() -> None:
    complaint = complained()
    with pytest.raises(UsageError, match="verdict:"):
        complain.answer_complaint(complaint, verdict="perhaps", because="x", by=OFFICER)
    complain.answer_complaint(complaint, verdict="upheld", because="we were late", by=OFFICER)
    assert (complaint.state, complaint.verdict) == ("answered", "upheld")
    assert list(dues.open_complaints()) == []
    with pytest.raises(WrongState):
        complain.withdraw_complaint(complaint, by=OFFICER)
    with pytest.raises(WrongState):
        complain.acknowledge_complaint(complaint, by=OFFICER)


def test_its_words_are_sealed_and_every_look_at_them_is_on_record() -> None:
    complaint = complained()
    complain.answer_complaint(complaint, verdict="not_upheld", because="we did", by=OFFICER)
    assert disclose.read_complaint(complaint, by=DPO) == (WORDS, "we did")
    assert WORDS.encode() not in bytes(Complaint.objects.get().sealed)
    leaves = LedgerLeaf.objects.filter(request=str(complaint.request_id)).values_list(
        "kind", "payload"
    )
    assert "complaint_seen" in {kind for kind, _ in leaves}
    assert not [payload for _, payload in leaves if SUBJECT in payload]


def test_the_digest_tells_of_what_is_to_be_confirmed_or_answered() -> None:
    complaint = complained()
    text, _ = digest.compose(RECEIVED + timedelta(days=40))
    assert "Complaints to confirm or to answer: 1" in text
    assert str(complaint.id)[:8] in text
    assert SUBJECT not in text


def test_an_open_complaint_keeps_the_record_of_its_case_and_ends_with_its_own(
    settings: LazySettings,
) -> None:
    complaint = complained()
    request = ErasureRequest.objects.get()
    extend.extend_deadline(request, because="much to do", by=OFFICER)
    decide.refuse_request(request, by=OFFICER, because="not a customer")
    long_ago = timezone.now() - timedelta(days=31 * settings.LETHE_RECORD_MONTHS)
    ErasureRequest.objects.update(closed_at=long_ago)
    finish_keys()
    assert Reasoning.objects.exists()
    request.refresh_from_db()
    assert records.kept_until(request) is None
    Complaint.objects.update(received_at=long_ago)
    complaint.refresh_from_db()
    complain.answer_complaint(
        complaint, verdict="upheld", because="late", by=OFFICER, at=long_ago + timedelta(days=9)
    )
    finish_keys()
    complaint.refresh_from_db()
    assert (bytes(complaint.sealed), bytes(complaint.sealed_answer)) == (b"", b"")
    assert not Reasoning.objects.exists()
    with pytest.raises(KeyDestroyed):
        complaints.read(complaint)
    assert complaint.reference == ""
    assert complaint.verdict == "upheld"  # what it came to stays, for the statistics
    with pytest.raises(KeyDestroyed):
        disclose.read_complaint(complaint, by=OFFICER)
    assert not LedgerLeaf.objects.filter(kind="complaint_seen").exists()


def test_a_complaint_about_no_case_is_recorded_too(memory_shop: MemoryShop) -> None:
    complaint = complain.open_complaint(because=WORDS, law="uk", by=OFFICER)
    assert complaint.request is None
    assert complaints.read(complaint) == (WORDS, "")


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_the_letters_about_a_complaint_of_no_case_read_as_they_should(
    memory_shop: MemoryShop, language: str
) -> None:
    complaint = complain.open_complaint(because=WORDS, law="uk", by=OFFICER)
    how: dict[str, Any] = {"language": language, "blocks": {}, "by": OFFICER}
    receipt = complain.write_letter(complaint, code="complaint_receipt", **how)
    assert str(complaint.pk)[:8] in receipt.text
    assert WORDS not in receipt.text
    before = everything()
    for wrong in ({"code": "complaint_answer"}, {"code": "refusal"}, {"language": "xx"}):
        with pytest.raises(UsageError):
            complain.write_letter(complaint, **{"code": "complaint_receipt", **how, **wrong})
    again = {**how, "blocks": {"greeting": "Dear\nBcc: x"}}
    with pytest.raises(UsageError, match="greeting"):
        complain.write_letter(complaint, code="complaint_receipt", **again)
    with pytest.raises(Denied):
        complain.write_letter(complaint, code="complaint_receipt", **{**how, "by": DPO})
    assert everything() == before
    complain.answer_complaint(complaint, verdict="upheld", because="we will", by=OFFICER)
    answer = complain.write_letter(complaint, code="complaint_answer", **how)
    assert "we will" in answer.text
    # Nobody has asked for anything there, so nothing was "handled".
    for said in ("your request", "Ihren Antrag", "votre demande", "su solicitud", "your case"):
        assert said not in receipt.text + answer.text
    assert LedgerLeaf.objects.filter(kind="letter_previewed").count() == 2


def about_nothing(**more: Any) -> Complaint:
    return complain.open_complaint(because=WORDS, law="uk", by=OFFICER, **more)


def drafted_about(complaint: Complaint, code: str = "complaint_receipt", **more: Any) -> Letter:
    given: dict[str, Any] = {"language": "en", "blocks": {}, "to": SUBJECT, "by": OFFICER}
    return letters.draft_about(complaint, code=code, **{**given, **more})


def test_a_letter_about_no_case_goes_through_the_mail_server_and_confirms_the_receipt(
    inbox: Inbox,
) -> None:
    complaint = about_nothing()
    with pytest.raises(UsageError, match="to: no address is known"):
        drafted_about(complaint, to=None)
    letter = letters.send_letter(drafted_about(complaint), by=OFFICER)
    complaint.refresh_from_db()
    assert (letter.state, complaint.state) == ("sent", "acknowledged")
    assert complaint.acknowledged_at == letter.sent_at
    ((to, text),) = inbox.mails
    assert to == [SUBJECT]
    assert hashlib.sha256(inbox.raw[0]).hexdigest() == letter.sha256
    assert f"Message-ID: <letter.{letter.id}@" in text
    leaf = LedgerLeaf.objects.get(kind="letter").payload
    assert str(complaint.pk) in leaf
    assert letter.sha256 in leaf
    complain.answer_complaint(complaint, verdict="upheld", because="we will", by=OFFICER)
    # The answer goes where the confirmation went.
    letters.send_letter(drafted_about(complaint, "complaint_answer", to=None), by=OFFICER)
    assert inbox.mails[1][0] == [SUBJECT]
    assert "we will" in inbox.mails[1][1]
    kept = str([everything(), *LedgerLeaf.objects.values_list("payload")])
    for private in (SUBJECT, "we will", "We look into"):
        assert private not in kept
    assert list(audit_ledger(pinned_keys())) == []


def test_a_crash_or_a_mail_server_that_is_away_loses_no_letter_about_no_case(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    mail_through(settings, port)
    letter = letters.send_letter(drafted_about(about_nothing()), by=OFFICER)
    assert letter.state == "sending"
    assert "cannot be reached" in letter.error
    Letter.objects.update(again_at=timezone.now())
    with serving(port, Inbox()) as inbox:
        for job in list(due_jobs()):
            perform(job)
    letter.refresh_from_db()
    assert (letter.state, len(inbox.mails)) == ("sent", 1)
    assert hashlib.sha256(inbox.raw[0]).hexdigest() == letter.sha256
    assert Complaint.objects.get().state == "acknowledged"


def test_the_copies_end_with_the_record_of_the_complaint(
    inbox: Inbox, settings: LazySettings
) -> None:
    complaint = about_nothing()
    letter = letters.send_letter(drafted_about(complaint), by=OFFICER)
    other = drafted_about(about_nothing(), to="")
    complain.withdraw_complaint(Complaint.objects.get(pk=complaint.pk), by=OFFICER)
    finish_keys()
    assert disclose.read_letter(letter, by=OFFICER)[0] == SUBJECT
    long_ago = timezone.now() - timedelta(days=31 * settings.LETHE_RECORD_MONTHS)
    Complaint.objects.filter(pk=complaint.pk).update(closed_at=long_ago)
    finish_keys()
    assert list(Letter.objects.all()) == [other]
    with pytest.raises(KeyDestroyed):
        run_letters.read(letter)
    before = everything()
    Complaint.objects.filter(pk=complaint.pk).update(state="received")
    with pytest.raises(UsageError, match="has ended and takes no letter"):
        drafted_about(Complaint.objects.get(pk=complaint.pk))
    Complaint.objects.filter(pk=complaint.pk).update(state="withdrawn")
    assert everything() == before


def test_a_letter_about_no_case_that_went_on_meanwhile_is_not_sent(inbox: Inbox) -> None:
    complaint = about_nothing()
    letter = drafted_about(complaint)
    complain.acknowledge_complaint(complaint, by=OFFICER)
    before = everything()
    with pytest.raises(UsageError, match="moved on"):
        letters.send_letter(letter, by=OFFICER)
    with pytest.raises(UsageError, match="moved on"):
        letters.mark_sent_by_hand(letter, by=OFFICER)
    for wrong, field in (({"to": "a@b.c, d@e.f"}, "to:"), ({"code": "complaint_answer"}, "code:")):
        with pytest.raises(UsageError, match=field):
            drafted_about(complaint, **wrong)
    with pytest.raises(Denied):
        drafted_about(complaint, by=DPO)
    of_a_case = complained()
    now = everything()
    with pytest.raises(UsageError, match="about a case"):
        drafted_about(of_a_case)
    assert everything() == now
    assert inbox.mails == []
    assert len(before) == len(now)


# letters


def drafted(request: ErasureRequest, code: str) -> Letter:
    return letters.draft_letter(request, code=code, language="en", blocks={}, to="", by=OFFICER)


def test_sending_the_confirmation_records_that_the_receipt_was_confirmed() -> None:
    complaint = complained()
    request = ErasureRequest.objects.get()
    letter = drafted(request, "complaint_receipt")
    second = complain.open_complaint(request=request, because="again", law="uk", by=OFFICER)
    letters.mark_sent_by_hand(letter, by=OFFICER)
    for one in (complaint, second):
        one.refresh_from_db()
    assert (complaint.state, second.state) == ("acknowledged", "received")
    assert complaint.acknowledged_at == Letter.objects.get().sent_at
    assert SUBJECT not in str(list(LedgerLeaf.objects.values_list("payload")))


def test_a_letter_about_a_complaint_that_went_on_meanwhile_is_not_sent() -> None:
    complaint = complained()
    request = ErasureRequest.objects.get()
    letter = drafted(request, "complaint_receipt")
    with pytest.raises(UsageError, match="code:"):
        drafted(request, "complaint_answer")
    complain.answer_complaint(complaint, verdict="upheld", because="we were late", by=OFFICER)
    before = everything()
    with pytest.raises(UsageError, match="moved on"):
        letters.mark_sent_by_hand(letter, by=OFFICER)
    assert everything() == before
    answer = drafted(request, "complaint_answer")
    assert "we were late" in disclose.read_letter(answer, by=OFFICER)[1]
    letters.mark_sent_by_hand(answer, by=OFFICER)


def ended() -> ErasureRequest:
    """A refused case, told so by letter, whose record has ended."""
    request = planned(SUBJECT)
    decide.refuse_request(request, by=OFFICER, because="not a customer")
    drafted(request, "refusal")
    ErasureRequest.objects.update(closed_at=timezone.now() - timedelta(days=4000))
    end_records.end_records(timezone.now())
    request.refresh_from_db()
    assert request.record_ended_at
    return request


def test_a_case_whose_record_has_ended_takes_no_letter_and_says_what_to_do() -> None:
    request = ended()
    complain.open_complaint(request=request, because=WORDS, law="uk", by=OFFICER)
    before = everything()
    with pytest.raises(
        UsageError, match="record of this case has ended; write it with the complaint"
    ):
        drafted(request, "complaint_receipt")
    with pytest.raises(UsageError, match="record of this case has ended; write it by hand"):
        drafted(request, "refusal")
    assert everything() == before
    assert fitting(run_letters.situation_of(request)) == []


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_a_complaint_about_a_case_whose_record_has_ended_is_clocked_confirmed_and_answered(
    inbox: Inbox, language: str
) -> None:
    request = ended()
    complaint = complain.open_complaint(
        request=request, because=WORDS, law="uk", received_at=RECEIVED, by=OFFICER
    )
    assert complaint.acknowledge_by is not None
    assert list(dues.complaints_overdue(RECEIVED + timedelta(days=31))) == [complaint]
    with pytest.raises(UsageError, match="to: no address is known"):
        drafted_about(complaint, to=None)
    letters.send_letter(drafted_about(complaint, language=language), by=OFFICER)
    complaint.refresh_from_db()
    assert complaint.state == "acknowledged"
    complain.answer_complaint(complaint, verdict="upheld", because="we were wrong", by=OFFICER)
    answer = drafted_about(complaint, "complaint_answer", to=None, language=language)
    assert letters.send_letter(answer, by=OFFICER).state == "sent"
    receipt, told = (text for _, text in inbox.mails)
    for said in (receipt, told):
        assert str(request.pk)[:8] in said
        assert str(complaint.pk)[:8] not in said
    handled = {"en": "your request", "de": "Ihren Antrag", "fr": "demande", "es": "solicitud"}
    assert handled[language] in receipt
    assert "we were wrong" in told
    assert {letter.owner for letter in Letter.objects.all()} == {complaint.pk}
    request.refresh_from_db()
    assert request.record_ended_at  # nothing of it comes back to be read


def test_a_letter_about_a_complaint_is_not_sent_once_its_case_was_reopened(inbox: Inbox) -> None:
    request = ended()
    complaint = complain.open_complaint(request=request, because=WORDS, law="uk", by=OFFICER)
    letter = drafted_about(complaint)
    reopen.reopen_case(
        request, identifiers=[("email", SUBJECT)], why="mistake", because="x", by=OFFICER
    )
    with pytest.raises(UsageError, match="about a case; write the letter there"):
        letters.send_letter(letter, by=OFFICER)
    complaint.refresh_from_db()
    assert (complaint.state, inbox.mails) == ("received", [])
    assert drafted(request, "complaint_receipt").owner == request.pk
