"""Letters at the desk: written, looked at, kept, sent; and the answers of recipients."""

from __future__ import annotations

import json
import re

import pytest
from django.core import mail

from erasure.flow import letters as flow
from erasure.models import ErasureRequest, LedgerLeaf, Letter, Notice
from erasure.runs import letters
from tests.flow.cast import OLGA
from tests.web.conftest import LIST, Person, everything_written, page

OTHER = "somebody@example.net"
LINE = "We also found your letter of May."


def writing(case: ErasureRequest, code: str = "acknowledgment", **more: object) -> str:
    query = "&".join(f"{k}={v}" for k, v in {"code": code, "language": "en", **more}.items())
    return f"{LIST}{case.pk}/letters/?{query}"


def typed(officer: Person, address: str) -> dict[str, str]:
    """The form as the page shows it."""
    text = officer.get(address).content.decode()
    fields = dict(re.findall(r'<input type="text" name="(\w+)" value="([^"]*)"', text))
    areas = re.findall(r'<textarea name="(\w+)"[^>]*>\s*(.*?)</textarea>', text, re.DOTALL)
    return {**fields, **dict(areas), "where": "known"}


def kept(officer: Person, case: ErasureRequest, **form: str) -> Letter:
    """A draft of an acknowledgment."""
    address = writing(case)
    officer.post(address, **{**typed(officer, address), **form}, draft="1")
    return case.letters.get()


def test_an_officer_writes_looks_keeps_and_sends(officer: Person, planned: ErasureRequest) -> None:
    assert "Write a letter" in officer.case(planned)
    address = writing(planned)
    form = {**typed(officer, address), "block_more": LINE}
    looked = officer.post(address, **form).content.decode()
    assert LINE in looked[looked.index("Preview") :]
    assert not Letter.objects.exists()
    looks = LedgerLeaf.objects.filter(kind="letter_previewed", request=str(planned.pk))
    assert [json.loads(one.payload)["by"] for one in looks] == ["olga", "olga"]
    answer = officer.post(address, **form, draft="1")
    letter = planned.letters.get()
    assert answer["Location"] == f"{LIST}{planned.pk}/letters/{letter.pk}/"
    assert looks.count() == 2  # nothing was shown to whoever kept it
    assert (letter.state, letter.blocks, mail.outbox) == ("drafted", ["more"], [])
    assert LINE in officer.get(answer["Location"]).content.decode()
    officer.post(f"{answer['Location']}send/")
    letter.refresh_from_db()
    assert letter.state == "sent"
    assert [m.to for m in mail.outbox] == [[letters.read(letter)[0]]]
    shown = officer.case(planned)
    assert "Request received" in shown
    assert 'badge-done">sent<' in shown
    assert letter.sha256 in officer.get(answer["Location"]).content.decode()


def test_a_letter_in_another_language_keeps_it_for_the_next(
    officer: Person, planned: ErasureRequest
) -> None:
    flow.draft_letter(planned, code="acknowledgment", language="de", blocks={}, to=None, by=OLGA)
    assert '<option value="de" selected>' in officer.case(planned)


def test_another_address_is_used_and_shown_nowhere(
    officer: Person, planned: ErasureRequest
) -> None:
    letter = kept(officer, planned, where="other", to=OTHER)
    assert letters.read(letter)[0] == OTHER
    officer.case(planned)
    officer.get(f"{LIST}{planned.pk}/letters/{letter.pk}/")
    assert not [answer for answer in officer.answers if OTHER in answer]


def test_a_letter_on_paper_has_no_address_and_is_recorded_by_hand(
    officer: Person, planned: ErasureRequest
) -> None:
    letter = kept(officer, planned, where="hand")
    place = f"{LIST}{planned.pk}/letters/{letter.pk}/"
    assert "Send by email" not in officer.get(place).content.decode()
    officer.post(f"{place}by-hand/")
    letter.refresh_from_db()
    assert (letter.state, letter.sent_by, mail.outbox) == ("by_hand", "olga", [])


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"where": "other", "to": "a@example.org\nBcc: b@example.org"}, "control character"),
        ({"where": "other", "to": "nobody"}, "not the address of one mailbox"),
        ({"where": "other", "to": ""}, "not the address of one mailbox"),
        ({"where": "anywhere"}, "Select a valid choice"),
        ({"block_greeting": "Hello\nBcc: b@example.org"}, "control character"),
        ({"block_greeting": ""}, "is missing"),
        ({"block_more": "a\x07b"}, "control character"),
    ],
)
def test_what_does_not_fit_is_marked_at_its_field_and_nothing_is_kept(
    officer: Person, planned: ErasureRequest, form: dict[str, str], said: str
) -> None:
    address = writing(planned)
    shown = typed(officer, address)
    before, looks = everything_written(), LedgerLeaf.objects.count()
    answer = officer.post(address, **{**shown, **form}, draft="1")
    text = answer.content.decode()
    assert said in text
    assert 'class="errorlist' in text
    assert 'value="a@example.org' not in text
    assert LedgerLeaf.objects.latest("index").kind == "letter_previewed"  # the page has shown it
    *cases, leaves, logged = everything_written()
    assert (*cases, leaves, logged) == (*before[:-2], looks + 1, before[-1])


@pytest.mark.parametrize(
    "address", ["code=completion", "code=../x", "code=reminder", "code=acknowledgment&language=nl"]
)
def test_a_letter_that_does_not_fit_cannot_be_opened(
    officer: Person, planned: ErasureRequest, address: str
) -> None:
    before = everything_written()
    answer = officer.get(f"{LIST}{planned.pk}/letters/?{address}")
    assert answer["Location"] == page(planned)
    assert 'class="error"' in officer.told(planned)
    assert everything_written() == before


@pytest.mark.parametrize("who", ["auditor", "intruder", "stranger"])
def test_who_may_not_decide_neither_reads_nor_writes_nor_sends(
    who: str, officer: Person, planned: ErasureRequest, request: pytest.FixtureRequest
) -> None:
    person: Person = request.getfixturevalue(who)
    letter = kept(officer, planned, block_more=LINE)
    notice = Notice.objects.create(request=planned, dataset="m.r", store="m")
    place = f"{LIST}{planned.pk}/letters/{letter.pk}/"
    before = everything_written()
    denied = 302 if who == "stranger" else 403
    for address in (place, writing(planned)):
        assert person.get(address).status_code == denied, address
    for address in (
        *(writing(planned), f"{place}send/", f"{place}by-hand/"),
        f"{LIST}{planned.pk}/answered/{notice.pk}/",
    ):
        answer = person.post(address, where="hand", block_greeting="Hello", draft="1")
        assert answer.status_code == denied, address
    assert everything_written() == before
    assert mail.outbox == []
    if who == "auditor":
        shown = person.case(planned)
        assert "Request received" in shown
        assert LINE not in shown
        assert "Write a letter" not in shown


def test_a_letter_of_another_case_is_not_there(officer: Person, planned: ErasureRequest) -> None:
    letter = kept(officer, planned)
    other = ErasureRequest.objects.create(subject="x", received_at=planned.received_at)
    assert officer.get(f"{LIST}{other.pk}/letters/{letter.pk}/").status_code == 404
    assert officer.post(f"{LIST}{other.pk}/letters/{letter.pk}/send/").status_code == 404
    assert mail.outbox == []


@pytest.mark.parametrize("deed", ["send", "by-hand"])
def test_nothing_is_sent_by_opening_an_address(
    officer: Person, planned: ErasureRequest, deed: str
) -> None:
    letter = kept(officer, planned)
    before = everything_written()
    place = f"{LIST}{planned.pk}/letters/{letter.pk}/{deed}/"
    assert officer.get(place).status_code == 405
    assert everything_written() == before


def test_a_recipient_is_told_by_letter_reminded_and_answers(
    officer: Person, planned: ErasureRequest
) -> None:
    ErasureRequest.objects.filter(pk=planned.pk).update(state="completed")
    notice = Notice.objects.create(request=planned, dataset="courier.addresses", store="courier")
    for code, button in (("recipient_notice", "Write to them"), ("reminder", "Remind them")):
        assert button in officer.case(planned)
        address = writing(planned, code, notice=notice.pk)
        form = {**typed(officer, address), "block_person": "your number 4711"}
        answer = officer.post(address, **{**form, "where": "other", "to": OTHER}, draft="1")
        officer.post(f"{answer['Location']}send/")
    notice.refresh_from_db()
    assert notice.told_at is not None
    assert notice.reminded_at is not None
    assert (notice.told_by, len(mail.outbox)) == ("olga", 2)
    officer.post(f"{LIST}{planned.pk}/answered/{notice.pk}/")
    notice.refresh_from_db()
    assert notice.acknowledged_by == "olga"
    shown = officer.case(planned)
    assert "answered" in shown
    assert "Remind them" not in shown
    before = everything_written()
    officer.post(f"{LIST}{planned.pk}/answered/{notice.pk}/")
    assert everything_written() == before


def test_a_recipient_who_was_not_told_has_nothing_to_answer(
    officer: Person, planned: ErasureRequest
) -> None:
    notice = Notice.objects.create(request=planned, dataset="courier.addresses", store="courier")
    before = everything_written()
    officer.post(f"{LIST}{planned.pk}/answered/{notice.pk}/")
    assert "was not told" in officer.told(planned)
    assert everything_written() == before


def test_a_letter_that_was_not_sent_is_on_the_first_page(
    officer: Person, planned: ErasureRequest
) -> None:
    letter = kept(officer, planned)
    assert "letter not sent" not in officer.get("/admin/").content.decode()
    Letter.objects.filter(pk=letter.pk).update(
        state="blocked", error="the mail server refused the recipient (550)"
    )
    assert "letter not sent" in officer.get("/admin/").content.decode()
    listed = officer.get("/admin/erasure/letter/?state__exact=blocked").content.decode()
    assert "refused the recipient (550)" in listed
    assert "refused the recipient (550)" in officer.case(planned)
