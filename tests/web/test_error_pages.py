"""Where the desk has no page to show: words, and a way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.test import Client

from erasure.models import ErasureRequest
from tests.scenarios.small_shop import EMAIL
from tests.web.conftest import LIST, Person, everything_written, page
from tests.web.test_for_everybody import audited

WAY_BACK = 'href="/admin/"'
NOWHERE = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("address", [f"/nowhere/{EMAIL}/", f"{LIST}{NOWHERE}/map/"])
def test_a_page_that_is_not_there_leads_back_and_repeats_nothing(
    officer: Person, shop: object, address: str
) -> None:
    answer = officer.client.get(address)
    text = answer.content.decode()
    assert answer.status_code == 404
    assert "There is no such page" in text
    assert WAY_BACK in text
    assert EMAIL not in text


def test_a_deed_that_is_not_allowed_says_so_and_leads_back(
    auditor: Person, planned: ErasureRequest
) -> None:
    before = everything_written()
    answer = auditor.post(page(planned, "refuse"), because="x")
    assert answer.status_code == 403
    assert "This is not yours to do" in answer.content.decode()
    assert WAY_BACK in answer.content.decode()
    assert everything_written() == before


def test_a_form_from_before_a_new_log_in_says_what_to_do(
    officer: Person, planned: ErasureRequest
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = officer.client.cookies
    before = everything_written()
    answer = strict.post(page(planned, "refuse"), {"because": "not ours"})
    assert answer.status_code == 403
    assert "load the page again" in answer.content.decode()
    assert everything_written() == before


def test_these_pages_are_for_everybody(tmp_path: Path) -> None:
    names = ("403.html", "403_csrf.html", "404.html", "500.html")
    assert audited({name: render_to_string(name) for name in names}, tmp_path) == []
