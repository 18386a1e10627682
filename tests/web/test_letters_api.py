"""Letters by the API: looked at with the real data, written, sent; and what recipients answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from erasure.flow import extend, hold
from erasure.models import ErasureRequest, LedgerLeaf, Letter, Notice
from tests.flow.cast import OFFICER
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import Caller, caller
from tests.web.conftest import everything_written


@pytest.fixture
def olga(db: None) -> Caller:
    return caller("officer", name="olga-by-api")


def said(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.content
    return answer.json()


def test_a_letter_is_looked_at_written_and_sent(olga: Caller, planned: ErasureRequest) -> None:
    case = f"/requests/{planned.pk}"
    body = {"code": "acknowledgment", "language": "de", "blocks": {"more": "Bis bald."}}
    shown = said(olga.post(f"{case}/letters/preview", body), 200)
    assert "Bis bald." in shown["body"]
    assert shown["blocks"]["more"] == "Bis bald."
    assert LedgerLeaf.objects.get(kind="letter_previewed").request == str(planned.pk)
    assert not Letter.objects.exists()
    letter = said(olga.post(f"{case}/letters", body), 201)
    assert letter["state"] == "drafted"
    text = said(olga.get(f"/letters/{letter['id']}/text"), 200)
    assert text == {"subject": shown["subject"], "body": shown["body"]}
    assert LedgerLeaf.objects.filter(kind="letter_seen").count() == 1
    assert said(olga.post(f"/letters/{letter['id']}/send"), 200)["state"] == "sent"
    assert len(mail.outbox) == 1
    assert EMAIL not in str(shown) + str(letter) + str(text)


def test_a_missing_block_is_refused_by_field_and_nothing_is_kept(
    olga: Caller, planned: ErasureRequest
) -> None:
    extend.extend_deadline(planned, because="many stores", by=OFFICER)
    case, body = f"/requests/{planned.pk}", {"code": "extension", "blocks": {"reasons": " "}}
    preview = said(olga.post(f"{case}/letters/preview", body), 200)  # to be looked at all the same
    assert preview["blocks"]["reasons"] == ""
    problem = said(olga.post(f"{case}/letters", body), 422)
    assert problem["errors"][0]["field"] == "blocks.reasons"
    for wrong, field in (
        ({"code": "completion"}, "code"),
        ({"code": "acknowledgment", "blocks": {"sum": "1"}}, "blocks"),
        ({"code": "acknowledgment", "to": "a@example.com\r\nBcc: b@example.com"}, "to"),
        ({"code": "acknowledgment", "blocks": {"more": "a\u202eb"}}, "blocks.more"),
    ):
        problem = said(olga.post(f"{case}/letters", wrong), 422)
        assert problem["errors"][0]["field"] == field
        assert "Bcc" not in str(problem)
    assert not Letter.objects.exists()


def test_who_may_not_write_or_read_letters_changes_nothing(
    olga: Caller, planned: ErasureRequest
) -> None:
    case, body = f"/requests/{planned.pk}", {"code": "acknowledgment", "to": ""}
    letter = said(olga.post(f"{case}/letters", body), 201)["id"]
    notice = Notice.objects.create(request=planned, dataset="partner.list", store="partner")
    auditor, approver = caller("auditor"), caller("approver")
    before = everything_written()
    for someone in (auditor, approver):
        for path in (f"{case}/letters", f"{case}/letters/preview"):
            said(someone.post(path, body), 403)
        said(someone.post(f"/letters/{letter}/send"), 403)
        said(someone.post(f"/letters/{letter}/by-hand"), 403)
        said(someone.post(f"/notices/{notice.pk}/told"), 403)
        said(someone.get(f"{case}/letters"), 200)
    said(auditor.get(f"/letters/{letter}/text"), 403)
    assert everything_written() == before
    said(approver.get(f"/letters/{letter}/text"), 200)


def test_a_recipient_is_told_by_hand_and_answers(olga: Caller, planned: ErasureRequest) -> None:
    notice = Notice.objects.create(request=planned, dataset="partner.list", store="partner")
    (listed,) = said(olga.get(f"/requests/{planned.pk}/notices"), 200)["results"]
    assert listed["dataset"] == "partner.list"
    one = f"/notices/{notice.pk}"
    said(olga.post(f"{one}/answered"), 409)
    assert said(olga.post(f"{one}/told"), 200)["told_by"] == "olga-by-api"
    said(olga.post(f"{one}/answered", {"at": "2999-01-01T00:00:00Z"}), 422)
    assert said(olga.post(f"{one}/answered"), 200)["acknowledged_by"] == "olga-by-api"


def test_why_a_hold_was_placed_is_read_on_record_by_those_who_may(
    olga: Caller, planned: ErasureRequest
) -> None:
    placed = hold.place_hold(
        datasets=["shop.orders"], code="legal_claims", legal_reference="ZPO",
        because="a quarrel over a bill", by=OFFICER,
    )  # fmt: skip
    own = f"/holds/{placed.pk}"
    released = olga.post(f"{own}/release", {"because": "settled"})
    for listed in (released, olga.get(own), olga.get("/holds")):
        assert "quarrel" not in str(said(listed, 200))
        assert "settled" not in str(said(listed, 200))
    looks = LedgerLeaf.objects.filter(kind="reasons_seen")
    assert caller("auditor").get(f"{own}/reasons").status_code == 403
    assert not looks.exists()
    assert said(olga.get(f"{own}/reasons"), 200) == {
        "because": "a quarrel over a bill", "released_because": "settled",
    }  # fmt: skip
    assert looks.count() == 1
