"""The clock of a case: receipt, pauses, extension, what is due, and the digest of the day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from erasure.advance import finish_keys
from erasure.domain.errors import KeyDestroyed, UsageError, WrongState
from erasure.flow import decide, digest, extend, identify, intake, letters
from erasure.models import DataKey, ErasureRequest, Event, LedgerLeaf, Reasoning
from erasure.runs import dues, reasoning
from erasure.tasks import digest_of_the_day
from tests.flow.cast import NEIGHBOUR, OFFICER, SUBJECT
from tests.flow.inbox import Inbox

pytestmark = pytest.mark.usefixtures("memory_shop")
RECEIVED = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
DOUBT = "The letter names another street than the account does"


@pytest.fixture(autouse=True)
def berlin(settings: LazySettings) -> None:
    """The controller sits in Berlin."""
    settings.TIME_ZONE = "Europe/Berlin"
    settings.LETHE_ESTABLISHMENT = "DE-BE"


def received(law: str = "gdpr", at: datetime = RECEIVED, email: str = SUBJECT) -> ErasureRequest:
    """A request that came by post on that day."""
    return intake.open_request(
        [("email", email)], by=OFFICER, law=law, channel="post", received_at=at
    )


def due(request: ErasureRequest) -> date | None:
    """The last day to answer, as stored."""
    request.refresh_from_db()
    return timezone.localdate(request.due_at) if request.due_at else None


def everything() -> tuple[Any, ...]:
    """What a refused deed may not have changed."""
    return (
        list(ErasureRequest.objects.order_by("pk").values()),
        Reasoning.objects.count(),
        Event.objects.count(),
        LedgerLeaf.objects.count(),
    )


def test_the_time_to_answer_counts_from_the_true_day_of_receipt() -> None:
    request = received()
    assert due(request) == date(2026, 4, 2)
    assert request.due_at == datetime(2026, 4, 2, 21, 59, 59, tzinfo=UTC)


def test_who_has_asked_before_by_a_letter_opened_later_is_answered_from_then() -> None:
    request = received(at=RECEIVED + timedelta(days=10))
    assert received() == request
    assert (due(request), request.received_at) == (date(2026, 4, 2), RECEIVED)
    entries = LedgerLeaf.objects.count()
    assert received(at=RECEIVED + timedelta(days=5)) == request
    assert (due(request), LedgerLeaf.objects.count()) == (date(2026, 4, 2), entries)


def test_an_earlier_receipt_leaves_out_no_pause() -> None:
    """Ten days were waited for proof."""
    request = received(at=RECEIVED + timedelta(days=1))
    asked = RECEIVED + timedelta(days=2)
    identify.ask_identity(request, by=OFFICER, doubt=DOUBT, at=asked)
    ten = timedelta(days=10)
    identify.confirm_identity(request, by=OFFICER, method="identity card", at=asked + ten)
    received()
    assert due(request) == date(2026, 4, 13)  # the 12th is a Sunday


def test_a_receipt_in_the_future_is_refused() -> None:
    with pytest.raises(UsageError, match="future"):
        received(at=timezone.now() + timedelta(minutes=5))
    assert not ErasureRequest.objects.exists()


def test_the_clock_stands_still_while_proof_is_asked_for() -> None:
    request = received()
    identify.ask_identity(request, by=OFFICER, doubt=DOUBT, at=RECEIVED + timedelta(days=1))
    assert (request.state, due(request)) == ("identity_required", None)
    assert list(dues.standing_still(ErasureRequest.objects.all())) == [request]
    identify.confirm_identity(
        request, by=OFFICER, method="identity card", at=RECEIVED + timedelta(days=11)
    )
    assert (request.state, due(request)) == ("identified", date(2026, 4, 13))  # Sunday is rolled


def test_the_british_month_begins_with_the_proof() -> None:
    request = received("uk")
    identify.ask_identity(request, by=OFFICER, doubt=DOUBT, at=RECEIVED + timedelta(days=2))
    assert due(request) is None
    identify.confirm_identity(request, by=OFFICER, method="card", at=RECEIVED + timedelta(days=9))
    assert due(request) == date(2026, 4, 13)  # from 11 March; the 11th of April is a Saturday


def test_california_never_waits_and_wants_the_receipt_confirmed(settings: LazySettings) -> None:
    settings.LETHE_ESTABLISHMENT = "US-CA"
    settings.TIME_ZONE = "America/Los_Angeles"
    request = received("ccpa")
    identify.ask_identity(request, by=OFFICER, doubt=DOUBT, at=RECEIVED)
    assert due(request) == date(2026, 4, 16)
    assert request.acknowledge_by is not None
    assert timezone.localdate(request.acknowledge_by) == date(2026, 3, 16)
    late = request.acknowledge_by + timedelta(hours=1)
    assert list(dues.unacknowledged(ErasureRequest.objects.all(), late)) == [request]
    intake.acknowledge(request, by=OFFICER)
    assert not dues.unacknowledged(ErasureRequest.objects.all(), late).exists()
    before = everything()
    with pytest.raises(WrongState):
        intake.acknowledge(request, by=OFFICER)
    assert everything() == before


def test_an_extension_on_day_29_moves_the_date_and_is_on_record() -> None:
    request = received()
    day_29 = RECEIVED + timedelta(days=29)
    extend.extend_deadline(request, by=OFFICER, because="Eleven systems", at=day_29)
    assert due(request) == date(2026, 6, 2)
    entry = Reasoning.objects.get()
    assert (entry.about, reasoning.read(entry)) == ("extension", "Eleven systems")
    assert b"Eleven" not in bytes(entry.sealed)
    assert LedgerLeaf.objects.filter(kind="extended").count() == 1


@pytest.mark.parametrize(
    ("law", "day", "because", "why"),
    [
        ("gdpr", 32, "Eleven systems", "ended on 2026-04-02"),
        ("gdpr", -1, "Eleven systems", "before it was received"),
        ("gdpr", 5, "  ", "give the reason"),
        ("gdpr", 5, "x" * 10_001, "give the reason"),
        ("lgpd", 5, "Eleven systems", "knows no extension"),
    ],
)
def test_an_extension_outside_its_rules_changes_nothing(
    law: str, day: int, because: str, why: str
) -> None:
    request = received(law)
    before = everything()
    with pytest.raises((WrongState, UsageError), match=why):
        extend.extend_deadline(
            request, by=OFFICER, because=because, at=RECEIVED + timedelta(days=day)
        )
    assert everything() == before


def test_a_second_extension_and_one_of_a_decided_case_are_refused() -> None:
    request = received()
    at = RECEIVED + timedelta(days=3)
    extend.extend_deadline(request, by=OFFICER, because="Eleven systems", at=at)
    with pytest.raises(WrongState, match="extended before"):
        extend.extend_deadline(request, by=OFFICER, because="Twelve systems", at=at)
    other = received(email=NEIGHBOUR)
    decide.refuse_request(other, by=OFFICER, because="not a customer")
    with pytest.raises(WrongState, match="nothing left to extend"):
        extend.extend_deadline(other, by=OFFICER, because="Eleven systems", at=at)


@pytest.mark.parametrize("doubt", ["", " \n"])
def test_no_proof_is_asked_for_without_a_doubt(doubt: str) -> None:
    request = received()
    before = everything()
    with pytest.raises(UsageError, match="give the reason"):
        identify.ask_identity(request, by=OFFICER, doubt=doubt)
    assert everything() == before
    request.refresh_from_db()
    assert (request.state, due(request)) == ("received", date(2026, 4, 2))


def test_who_cannot_be_identified_leaves_nothing_behind_but_the_reason() -> None:
    request = received()
    identify.ask_identity(request, by=OFFICER, doubt=DOUBT)
    identify.give_up_identifying(request, by=OFFICER, because="No answer in four weeks")
    assert request.state == "unidentifiable"
    assert request.closed_at is not None
    purposes = DataKey.objects.filter(owner=request.id, destroyed_at=None)
    assert {key.purpose for key in purposes} == {"record"}


@pytest.mark.parametrize("method", ["", f"wrote from {SUBJECT}"])
def test_a_check_that_says_nothing_or_too_much_is_none(method: str) -> None:
    request = received()
    before = everything()
    with pytest.raises(UsageError):
        identify.confirm_identity(request, by=OFFICER, method=method)
    assert everything() == before


def test_the_reasons_end_with_the_record(settings: LazySettings) -> None:
    request = received()
    extend.extend_deadline(request, by=OFFICER, because="x", at=RECEIVED + timedelta(days=1))
    entry = Reasoning.objects.get()
    decide.refuse_request(request, by=OFFICER, because="not a customer")
    finish_keys()
    assert reasoning.read(entry) == "x"
    long_ago = timezone.now() - timedelta(days=31 * settings.LETHE_RECORD_MONTHS)
    ErasureRequest.objects.update(closed_at=long_ago)
    finish_keys()
    assert not Reasoning.objects.exists()
    with pytest.raises(KeyDestroyed):
        reasoning.read(entry)


@pytest.fixture
def officers(settings: LazySettings, inbox: Inbox) -> Inbox:
    """The officers' mailbox."""
    settings.LETHE_DIGEST_TO = ["officers@example.org"]
    return inbox


def test_the_digest_tells_officers_what_is_due_and_nothing_about_anybody(officers: Inbox) -> None:
    overdue = received(at=timezone.now() - timedelta(days=60))
    waiting = received(email=NEIGHBOUR, at=timezone.now() - timedelta(days=1))
    identify.ask_identity(waiting, by=OFFICER, doubt=DOUBT)
    digest_of_the_day()
    ((to, mail),) = officers.mails
    assert to == ["officers@example.org"]
    assert "2 need attention" in mail
    for part in ("Overdue: 1", "Waiting for the person: 1", str(overdue.pk)[:8]):
        assert part in mail
    for private in (SUBJECT, NEIGHBOUR, DOUBT, overdue.subject):
        assert private not in mail


def test_an_extension_that_the_person_was_not_told_of_is_listed(inbox: Inbox) -> None:
    request = received(at=timezone.now() - timedelta(days=20))
    extend.extend_deadline(request, by=OFFICER, because="many stores")
    text, told = digest.compose(timezone.now())
    assert (told, "Extended, and the person not told yet: 1" in text) == (1, True)
    letter = letters.draft_letter(
        request, code="extension", language="en", blocks={}, to=None, by=OFFICER
    )
    assert list(dues.to_tell_extended(ErasureRequest.objects.all())) == [request]
    letters.send_letter(letter, by=OFFICER)
    assert digest.compose(timezone.now())[1] == 0


def test_a_day_with_nothing_due_sends_no_digest(officers: Inbox) -> None:
    received(at=timezone.now() - timedelta(hours=1))
    digest_of_the_day()
    assert officers.mails == []


def test_a_long_digest_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        received(email=f"n{n}@example.com", at=timezone.now() - timedelta(days=60))
    monkeypatch.setattr(digest, "LISTED", 2)
    text, told = digest.compose(timezone.now())
    assert "and 1 more" in text
    assert told == 3


def test_a_digest_for_nobody_is_a_usage_error() -> None:
    with pytest.raises(CommandError, match="LETHE_DIGEST_TO"):
        call_command("send_digest")
    call_command("send_digest", "--print")
