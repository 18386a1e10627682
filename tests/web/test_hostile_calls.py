"""Calls that no client of ours makes: cursors of somebody's own making, bodies nested without end,
days before there were requests. Each is refused like any other that cannot be, and records nothing.
"""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from erasure.models import ErasureRequest
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import ROOT, Caller, caller
from tests.web.conftest import everything_written

LISTS = (
    *("/requests", "/complaints", "/accesses", "/training", "/holds", "/models", "/retention"),
    "/retention/standing",
)
OF_A_CASE = ("plans", "steps", "letters", "notices", "exceptions")
POSITIONS = (
    *("garbage", "\x00", "None", "NaN", "%ff", "99999999999999999999999999", "2026-01-01"),
    *("0001-01-01 00:00:00+14:00", "9999-12-31 23:59:59-14:00"),
)
NEW = {"identifiers": [{"kind": "email", "value": EMAIL}], "channel": "phone"}


@pytest.fixture
def everybody(db: None) -> Caller:
    """One account with every role that reads lists."""
    return caller("officer", "auditor", "model_owner", "approver")


def sent(by: Caller, path: str, body: str, content_type: str = "application/json") -> Any:
    return Client().generic("POST", ROOT + path, body, content_type, headers=by.headers())


def refused(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.content
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("position", POSITIONS)
def test_a_cursor_that_we_never_gave_leads_nowhere(
    everybody: Caller, planned: ErasureRequest, position: str
) -> None:
    made = b64encode(f"p={position}".encode()).decode()
    for path in (*LISTS, *(f"/requests/{planned.pk}/{name}" for name in OF_A_CASE)):
        answer = everybody.get(path, cursor=made)
        if answer.status_code != 200:  # a number is a place in a list of numbers
            refused(answer, 404)
            assert answer.json()["detail"] != position


def test_a_cursor_that_we_gave_leads_on_to_the_last(everybody: Caller, shop: Path) -> None:
    for n in range(5):
        everybody.post("/requests", {"identifiers": [{"kind": "email", "value": f"a{n}@b.com"}]})
        everybody.post("/training", {"who": f"{n}", "topic": "x", "on": f"2026-01-0{n + 1}"})
        everybody.post("/requests/find", {"identifiers": [{"kind": "email", "value": "a@b.com"}]})
    for path in ("/requests", "/training", "/accesses"):
        found, query = [], {"limit": "2"}
        while True:
            page = everybody.get(path, **query).json()
            found += page["results"]
            if page["next"] is None:
                break
            (query["cursor"],) = parse_qs(urlsplit(page["next"]).query)["cursor"]
        assert found == everybody.get(path).json()["results"]
        assert len(found) == 5


@pytest.mark.parametrize("depth", [40, 400, 4000, 40_000])
@pytest.mark.parametrize("opens", ["[", '{"a":'])
def test_a_body_that_is_nested_without_end_is_refused(
    everybody: Caller, shop: Path, opens: str, depth: int
) -> None:
    before = everything_written()
    closes = "]" if opens == "[" else "}"
    deep = f"{opens * depth}1{closes * depth}"
    refused(sent(everybody, "/requests", deep), 400)
    known = json.dumps(NEW).removesuffix("}")
    refused(sent(everybody, "/requests", f'{known}, "more": {deep}}}'), 400)
    assert everything_written() == before


@pytest.mark.parametrize(
    "day", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1970-12-31T00:00:00Z"]
)
def test_a_day_of_receipt_before_there_was_a_law_is_refused(
    everybody: Caller, shop: Path, day: str
) -> None:
    refused(everybody.post("/requests", {**NEW, "received_at": day}), 400, 422)
    assert not ErasureRequest.objects.exists()
