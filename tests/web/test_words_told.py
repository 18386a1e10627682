"""What the desk tells after a deed: the truth, in the words of its pages."""

from __future__ import annotations

import re

import pytest

from erasure.admin import words
from erasure.advance import Job, perform
from erasure.domain.errors import UsageError
from erasure.flow import identify, intake
from erasure.models import ErasureRequest, Export
from tests.flow.cast import OLGA
from tests.scenarios.small_shop import EMAIL
from tests.web.conftest import FORM, LIST, Person, everything_written, page
from tests.web.test_holds import UNTIL, WHY


def told(text: str) -> list[str]:
    """The messages of a page."""
    start = text.find('<ul class="messagelist">')
    return re.findall(r"<li[^>]*>(.*?)</li>", text[start : text.find("</ul>", start)], re.DOTALL)


@pytest.mark.parametrize(
    ("right", "next_"),
    [
        ("erasure", "The plan is being made."),
        ("access", "Its places are being looked for; then the copy is gathered."),
        ("portability", "Its places are being looked for; then the copy is gathered."),
        (
            "objection",
            "Nothing here carries it out: record what was done, or hand it on and say to whom.",
        ),
    ],
)
def test_what_comes_next_is_said_by_what_is_asked_for(
    officer: Person, shop: object, right: str, next_: str
) -> None:
    officer.post(f"{LIST}add/", **FORM, right=right)
    assert told(officer.case(ErasureRequest.objects.get())) == [f"Recorded. {next_}"]


def test_no_erasure_goes_on_where_a_copy_was_all_that_was_asked_for(
    officer: Person, shop: object
) -> None:
    case = intake.open_request([("email", EMAIL)], by=OLGA, right="access")
    identify.confirm_identity(case, by=OLGA, method="rang back")
    perform(Job("advance", case.pk))
    made = Export.objects.get()
    perform(Job("gather", made.pk))
    officer.post(f"{LIST}{case.pk}/exports/{made.pk}/hand-over/")
    assert told(officer.case(case)) == ["Recorded: the person has their data. The case is closed."]


def test_a_field_that_was_refused_is_named_as_on_the_page(
    officer: Person, planned: ErasureRequest
) -> None:
    before = everything_written()
    form = {**WHY, **UNTIL, "dataset": "shop.orders"}
    officer.post(page(planned, "except"), **{**form, "legal_reference": ""})
    assert told(officer.case(planned)) == [
        "Provision: name the provision, in at most 200 characters."
    ]
    officer.post(page(planned, "except"), **{**form, "until": ""})
    (said,) = told(officer.case(planned))
    assert said.startswith("Last day: ")
    officer.post(page(planned, "refuse"), because="")
    assert told(officer.case(planned)) == ["A refusal needs a reason."]
    officer.post(page(planned, "retry"))
    assert told(officer.case(planned)) == [
        "It is “Waiting for approval”, not blocked; nothing to retry."
    ]
    assert everything_written() == before


def test_a_deed_that_comes_too_late_is_refused_by_the_words_of_the_badge(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "withdraw"), because="rang and said so")
    officer.case(planned)
    before = everything_written()
    officer.post(page(planned, "refuse"), because="not a customer")
    assert told(officer.case(planned)) == ["It is “Withdrawn”; that cannot be done now."]
    assert everything_written() == before


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "Complaint {}: cannot go from answered to withdrawn",
            "It is “Answered”; that cannot be done now.",
        ),
        (
            "Letter {}: cannot go from by_hand to sending",
            "It is “by hand”; that cannot be done now.",
        ),
        (
            "ErasureRequest {}: is no longer planned; somebody else moved it",
            "It is no longer “Waiting for approval”: somebody was faster; look at it again.",
        ),
        (
            "identifiers: Line 1: write KIND=VALUE.",
            "What the person gives now: Line 1: write KIND=VALUE.",
        ),
        ("shop.orders: is kept until 2027-06-30", "shop.orders: is kept until 30 Jun 2027."),
    ],
)
def test_a_refusal_is_said_in_words(error: str, said: str) -> None:
    number = "c7eb2965-d311-4203-aea6-88b7c0cce28b"
    assert words.refused(error.format(number), number) == said


def test_the_name_of_a_dataset_is_left_as_it_is_at_the_beginning_of_a_sentence(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "except"), dataset="shop.orders", **WHY, **UNTIL)
    officer.post(page(planned, "except"), dataset="shop.orders", **WHY, **UNTIL)
    assert told(officer.case(planned))[-1] == (
        "Dataset: shop.orders has an exception already; lift that first."
    )
    kept = planned.exceptions.get()
    lift = f"{LIST}{planned.pk}/except/{kept.pk}/lift/"
    officer.post(lift)
    officer.case(planned)
    officer.post(lift)
    assert told(officer.case(planned)) == ["shop.orders: its exception was lifted before."]


def test_a_request_that_is_on_record_is_not_said_to_be_lost_where_what_follows_is_refused(
    officer: Person, shop: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: ErasureRequest, **_: object) -> None:
        raise UsageError(f"request {request.pk}: the words repeat what the person is known by")

    monkeypatch.setattr(identify, "confirm_identity", refuse)
    answer = officer.post(f"{LIST}add/", **FORM)
    case = ErasureRequest.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, page(case))
    assert case.state == "received"
    text = officer.case(case)
    assert told(text) == ["Recorded.", "The words repeat what the person is known by."]
    assert "It is this person, checked by" in text


@pytest.mark.parametrize("right", ["access", "objection"])
def test_a_copy_before_the_erasure_is_offered_with_an_erasure_alone(
    officer: Person, shop: object, right: str
) -> None:
    before = everything_written()
    answer = officer.post(f"{LIST}add/", **FORM, right=right, export_first="on")
    assert "Only before an erasure" in answer.content.decode()
    assert everything_written() == before


def form_of(text: str, case: ErasureRequest, deed: str) -> str:
    """The form of a deed, with what it is folded into."""
    at = text.index(f'action="{page(case, deed)}"')
    return text[max(text.rfind("<details", 0, at), 0) : text.index("</form>", at)]


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("except", "Provision: name the provision, in at most 200 characters."),
        ("hold", "Provision: name the provision"),
        ("refuse", "A refusal needs a reason."),
    ],
)
def test_what_was_refused_is_said_in_its_form_once_and_to_nobody_else(
    officer: Person, approver: Person, planned: ErasureRequest, deed: str, said: str
) -> None:
    assert "<details" not in form_of(officer.case(planned), planned, "refuse")
    officer.post(page(planned, deed), dataset="shop.orders", code="legal_claims", **UNTIL)
    assert said not in approver.case(planned)
    form = form_of(officer.case(planned), planned, deed)
    assert f'role="alert">{said}' in form
    assert deed == "refuse" or form.startswith('<details class="keep" open>')
    again = officer.case(planned)
    assert said not in again
    assert '<details class="keep">' in again
