"""The desk's part in a case's clock: receipt, doubt, proof, extension."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from erasure.models import ErasureRequest
from tests.scenarios.small_shop import EMAIL
from tests.web.conftest import FORM, LIST, Person, everything_written, page

DOUBT = "The letter names another street"
DEEDS = ("extend", "doubt", "proved", "unidentifiable", "acknowledge")


def doubted(officer: Person, **form: str) -> ErasureRequest:
    """A request recorded with a doubt."""
    officer.post(f"{LIST}add/", **{**FORM, "identity_check": "", "doubt": DOUBT, **form})
    return ErasureRequest.objects.get()


@pytest.mark.usefixtures("shop")
def test_a_request_by_post_keeps_its_true_day(officer: Person) -> None:
    day = timezone.localdate() - timedelta(days=9)
    officer.post(f"{LIST}add/", **FORM, channel="post", received=day.isoformat())
    case = ErasureRequest.objects.get()
    assert (case.channel, timezone.localdate(case.received_at)) == ("post", day)
    assert "by post, by olga" in officer.case(case)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"received": "2999-01-01"}, "lies in the future"),
        ({"received": "yesterday"}, "Enter a valid date"),
        ({"identity_check": ""}, "Say either"),
        ({"doubt": DOUBT}, "Say either"),
        ({"channel": "dream"}, "Select a valid choice"),
    ],
)
def test_a_form_that_contradicts_itself_records_nothing(
    officer: Person, form: dict[str, str], said: str
) -> None:
    answer = officer.post(f"{LIST}add/", **{**FORM, **form})
    assert said in answer.content.decode()
    assert DOUBT not in answer.content.decode()
    assert not ErasureRequest.objects.exists()


@pytest.mark.usefixtures("shop")
def test_a_doubt_stops_clock_and_search_until_identity_is_proved(officer: Person) -> None:
    case = doubted(officer)
    shown = officer.case(case)
    assert "the clock waits for the person" in shown
    assert DOUBT not in shown
    assert DOUBT in officer.reasons(case)
    assert not case.plans.exists()
    officer.post(page(case, "proved"), method="identity card shown, then destroyed", proves="email")
    case.refresh_from_db()
    assert (case.state, case.due_at is None) == ("identified", False)
    assert "identity card shown" in officer.case(case)


@pytest.mark.usefixtures("shop")
def test_the_method_may_not_repeat_what_the_person_is_known_by(officer: Person) -> None:
    case = doubted(officer)
    officer.post(page(case, "proved"), method=f"wrote from {EMAIL}", proves="email")
    case.refresh_from_db()
    assert case.state == "identity_required"
    assert "leave that out" in officer.told(case)


@pytest.mark.usefixtures("shop")
def test_what_is_not_ticked_as_proved_is_not_searched_by(officer: Person) -> None:
    case = doubted(officer)
    officer.post(page(case, "proved"), method="identity card shown")
    case.refresh_from_db()
    assert case.state == "identity_required"
    assert "proves none" in officer.told(case)
    assert "not proved, so not searched by" in officer.case(case)


@pytest.mark.usefixtures("shop")
def test_an_agent_is_asked_for_the_mandate(officer: Person) -> None:
    answer = officer.post(f"{LIST}add/", **FORM, asked_by="agent")
    assert "Say how the mandate was checked" in answer.content.decode()
    assert not ErasureRequest.objects.exists()
    officer.post(f"{LIST}add/", **FORM, asked_by="agent", mandate="power of attorney seen")
    case = ErasureRequest.objects.get()
    assert (case.asked_by, case.mandate) == ("agent", "power of attorney seen")
    assert "an agent of the person, mandate: power of attorney seen" in officer.case(case)


@pytest.mark.usefixtures("shop")
def test_a_person_who_cannot_be_identified_is_told_so(officer: Person) -> None:
    case = doubted(officer)
    officer.post(page(case, "unidentifiable"), because="no answer")
    case.refresh_from_db()
    assert case.state == "unidentifiable"
    assert "Cannot be identified" in officer.case(case)


def test_an_extension_is_offered_once_with_its_last_day(
    officer: Person, planned: ErasureRequest
) -> None:
    assert "Extend the time to answer" in officer.case(planned)
    officer.post(page(planned, "extend"), because="eleven systems")
    shown = officer.case(planned)
    assert "extended on" in shown
    assert "eleven systems" in officer.reasons(planned)
    assert "Extend the time to answer" not in shown


def test_the_receipt_of_a_californian_request_is_confirmed(officer: Person, shop: object) -> None:
    officer.post(f"{LIST}add/", **{**FORM, "law": "ccpa"})
    case = ErasureRequest.objects.get()
    assert "must be confirmed by" in officer.case(case)
    officer.post(page(case, "acknowledge"))
    assert "must be confirmed by" not in officer.case(case)
    assert f"{LIST}?due=confirm" not in officer.case(case)


@pytest.mark.parametrize("deed", DEEDS)
def test_who_may_not_decide_changes_no_clock(
    auditor: Person, intruder: Person, planned: ErasureRequest, deed: str
) -> None:
    before = everything_written()
    for somebody in (auditor, intruder):
        answer = somebody.post(page(planned, deed), because="mine", method="mine")
        assert answer.status_code in (302, 403)
    assert everything_written() == before


def test_only_those_who_decide_read_the_reasons(
    officer: Person, auditor: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "extend"), because="a reason about the person")
    assert "a reason about the person" in officer.reasons(planned)
    assert "a reason about the person" not in auditor.case(planned)
    assert auditor.post(page(planned, "reasons")).status_code == 403
