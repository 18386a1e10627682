"""Who asks, by the API: the controller's own login, and the link in a mail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import mail

from erasure.models import ErasureRequest, LedgerLeaf, Letter, Token
from tests.flow.account import PUBLIC, assertion
from tests.flow.cast import NEIGHBOUR
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import caller
from tests.web.conftest import everything_written
from tests.web.test_whole_cases_api import MAIL, WHY, Desk

PAGE = "https://privacy.example/confirm#{token}"
LETTER: dict[str, Any] = {"code": "confirm_email"}


@pytest.fixture
def desk(transactional_db: None, settings: LazySettings) -> Desk:
    settings.LETHE_ACCOUNT_KEY, settings.LETHE_CONFIRM_URL = PUBLIC, PAGE
    return Desk()


@pytest.fixture
def shop(desk: Desk, shop: Path) -> Path:
    return shop


def vouched(person: str = EMAIL, **changes: Any) -> str:
    return assertion(identifiers={"email": person}, **changes)


def sent(desk: Desk, **more: Any) -> str:
    """The letter with the link goes out; the secret in it."""
    letter = desk.olga.post(f"{desk.case}/letters", {**LETTER, **more})
    assert letter.status_code == 201, letter.content
    answer = desk.olga.post(f"/letters/{letter.json()['id']}/send")
    assert answer.json()["state"] == "sent"
    assert mail.outbox[-1].to == [EMAIL]
    (secret,) = re.findall(r"https://privacy\.example/confirm#(\S+)\n", str(mail.outbox[-1].body))
    return str(secret)


# --- the controller's own login ---


@pytest.mark.usefixtures("shop")
def test_the_controllers_login_vouches_and_the_plan_is_made(desk: Desk) -> None:
    desk.opens()
    site = caller("officer", name="site", scopes=["intake"])
    said = vouched()
    assert desk.does("vouch", site, assertion=said)["state"] == "planned"
    request = ErasureRequest.objects.get()
    assert request.identity_check == "logged in"
    assert list(request.identifiers.values_list("proved_by", flat=True)) == ["account"]
    assert "is planned" in desk.refused("vouch", assertion=vouched(jti="2"))


@pytest.mark.usefixtures("shop")
def test_a_login_that_vouches_for_somebody_else_changes_nothing(desk: Desk) -> None:
    desk.opens()
    assert "whoever has logged in" in desk.refused("vouch", assertion=vouched(NEIGHBOUR))
    assert "is refused" in desk.refused("vouch", assertion="no token")
    reader = caller("officer", name="reader", scopes=["read"])
    assert "intake" in desk.refused("vouch", reader, assertion=vouched(jti="2"))
    assert "officer" in desk.refused("vouch", caller("auditor"), assertion=vouched(jti="2"))
    assert desk.now()["state"] == "received"


# --- a mailbox ---


@pytest.mark.usefixtures("shop")
def test_whoever_follows_the_link_has_proved_the_mailbox(desk: Desk) -> None:
    desk.opens()
    secret = sent(desk)
    answer = desk.olga.post("/mailbox", {"token": secret})
    assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
    assert EMAIL not in answer.content.decode()
    before = everything_written()
    again = desk.olga.post("/mailbox", {"token": secret})
    assert again.status_code == 422
    assert "not valid any more" in again.json()["detail"]
    assert everything_written() == before
    shown = desk.olga.get(f"/letters/{Letter.objects.get().pk}/text").json()["body"]
    assert PAGE.format(token="…") in shown
    assert secret not in shown
    assert secret not in str(list(Letter.objects.values())) + str(list(LedgerLeaf.objects.values()))


@pytest.mark.usefixtures("shop")
def test_where_policy_lets_it_the_link_is_enough_for_a_plan(
    desk: Desk, settings: LazySettings
) -> None:
    settings.LETHE_MAILBOX_SUFFICES = True
    desk.opens()
    assert desk.olga.post("/mailbox", {"token": sent(desk)}).status_code == 200
    desk.works()
    assert desk.now()["state"] == "planned"


@pytest.mark.usefixtures("shop")
def test_a_link_goes_only_to_the_mailbox_that_it_proves(desk: Desk) -> None:
    desk.opens()
    receipt = {"code": "acknowledgment", "to": "elsewhere@example.org"}
    letter = desk.olga.post(f"{desk.case}/letters", receipt).json()
    assert desk.olga.post(f"/letters/{letter['id']}/send").status_code == 200
    for where in ("elsewhere@example.org", ""):
        assert "goes nowhere else" in desk.refused("letters", **LETTER, to=where)
    assert not Token.objects.exists()
    sent(desk)  # not to where the last letter went


@pytest.mark.usefixtures("shop")
def test_what_is_looked_at_beforehand_has_no_secret(desk: Desk) -> None:
    desk.opens()
    shown = desk.olga.post(f"{desk.case}/letters/preview", LETTER).json()
    assert shown["blocks"]["link"] == PAGE.format(token="…")
    assert not Token.objects.exists()


@pytest.mark.usefixtures("shop")
def test_a_newer_letter_makes_the_older_link_void(desk: Desk) -> None:
    desk.opens()
    old, new = sent(desk), sent(desk)
    assert desk.olga.post("/mailbox", {"token": old}).status_code == 422
    assert desk.olga.post("/mailbox", {"token": new}).status_code == 200


@pytest.mark.usefixtures("shop")
def test_without_a_page_or_one_mailbox_there_is_no_link(desk: Desk, settings: LazySettings) -> None:
    desk.opens(identifiers=[MAIL, {"kind": "email", "value": NEIGHBOUR}])
    assert "no one mailbox" in desk.refused("letters", **LETTER)
    settings.LETHE_CONFIRM_URL = ""
    assert "blocks.link" in desk.refused("letters", **LETTER)
    own = {"link": "https://shop.example/yes"}
    letter = desk.olga.post(f"{desk.case}/letters", {**LETTER, "blocks": own})
    assert letter.status_code == 201
    assert not Token.objects.exists()


@pytest.mark.usefixtures("shop")
def test_a_link_of_a_request_that_has_ended_proves_nothing(desk: Desk) -> None:
    desk.opens()
    secret = sent(desk)
    desk.does("refuse", **WHY)
    before = everything_written()
    assert desk.olga.post("/mailbox", {"token": secret}).status_code in (409, 422)
    assert everything_written() == before
