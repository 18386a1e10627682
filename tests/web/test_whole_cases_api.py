"""Whole cases by the API alone, each to its end: what the law knows a request can come to."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from erasure.advance import due_jobs, finish_keys, perform
from erasure.models import ApiToken, ErasureRequest, LedgerLeaf, Letter
from lineage.models import Dataset
from tests.scenarios.small_shop import EMAIL, dump
from tests.web.api_cast import Caller, caller
from tests.web.conftest import everything_written

MAIL = {"kind": "email", "value": EMAIL}
LATER = str(timezone.localdate() + timedelta(days=400))
HOLD: dict[str, Any] = {
    "code": "legal_claims",
    "legal_reference": "Art. 17(3)(e)",
    "because": "claim 17",
}
WHY: dict[str, Any] = {"because": "somebody has looked at it"}


class Desk:
    """An officer and an approver with one case, and a worker beside them."""

    def __init__(self) -> None:
        self.olga, self.arne = caller("officer", name="olga"), caller("approver", name="arne")
        self.case = ""

    def opens(self, **more: Any) -> Any:
        answer = self.olga.post("/requests", {"identifiers": [MAIL], **more})
        assert answer.status_code == 201, answer.content
        self.case = f"/requests/{answer.json()['id']}"
        return answer.json()

    def does(self, deed: str, who: Caller | None = None, **body: Any) -> Any:
        """A deed that is taken; the case as it is then, once the worker has gone on."""
        answer = (who or self.olga).post(f"{self.case}/{deed}", body)
        assert answer.status_code == 200, answer.content
        self.works()
        return self.now()

    def refused(self, deed: str, who: Caller | None = None, **body: Any) -> str:
        """A deed that is not, and changes nothing; returns what is said of it."""
        before = everything_written()
        answer = (who or self.olga).post(f"{self.case}/{deed}", body)
        assert answer.status_code in (400, 403, 409, 422), answer.content
        assert everything_written() == before
        assert EMAIL not in answer.content.decode()
        return str(answer.json())

    def works(self) -> None:
        for _ in range(3):
            finish_keys()
            for job in list(due_jobs()):
                jobs = [job]
                while jobs:
                    jobs += perform(jobs.pop(0))

    def now(self) -> Any:
        return self.olga.get(self.case).json()

    def planned(self, **more: Any) -> str:
        """Opened, identified and planned; the digest."""
        self.opens(**more)
        assert self.does("identify", method="rang back")["state"] == "planned"
        return self.digest()

    def digest(self) -> str:
        plans = self.olga.get(f"{self.case}/plans").json()["results"]
        return str(next(plan["digest"] for plan in plans if plan["state"] == "draft"))

    def approves(self, **more: Any) -> Any:
        return self.does("approve", self.arne, digest=self.digest(), **more)


@pytest.fixture
def desk(transactional_db: None) -> Desk:
    return Desk()


@pytest.fixture
def shop(desk: Desk, shop: Path) -> Path:
    return shop


def test_granted_partly_with_an_invoice_under_tax_law(desk: Desk, shop: Path) -> None:
    desk.planned()
    assert desk.approves()["state"] == "partly_granted"
    assert [row[0] for row in dump(shop)["invoice"]] == [1, 2]


def test_granted(desk: Desk, shop: Path) -> None:
    with sqlite3.connect(shop) as connection:
        connection.execute("DELETE FROM invoice WHERE id = 1")
    desk.planned()
    assert desk.approves()["state"] == "completed"


def test_refused_and_told_so_by_letter(desk: Desk, shop: Path) -> None:
    before = dump(shop)
    desk.planned()
    assert "because" in desk.refused("refuse")
    assert "code" in desk.refused("refuse", because="no", code="mood")
    assert desk.does("refuse", because="unfounded", code="unfounded")["state"] == "refused"
    letter: dict[str, Any] = {"code": "refusal", "to": "", "language": "en"}
    letter["blocks"] = {"greeting": "Dear Ann", "reasons": "We may not."}
    assert desk.olga.post(f"{desk.case}/letters", letter).status_code == 201
    assert dump(shop) == before


def test_unidentifiable(desk: Desk, shop: Path) -> None:
    desk.opens()
    desk.does("ask-identity", doubt="another name")
    assert desk.does("unidentifiable", **WHY)["state"] == "unidentifiable"


def test_a_fee_is_asked_for_and_paid(desk: Desk, shop: Path) -> None:
    digest = desk.planned()
    assert "because" in desk.refused("ask-fee")
    desk.does("ask-fee", because="the tenth time")
    assert "fee" in desk.refused("approve", desk.arne, digest=digest)
    desk.does("fee-paid")
    assert desk.approves()["state"] == "partly_granted"


def test_withdrawn_in_the_middle(desk: Desk, shop: Path) -> None:
    before = dump(shop)
    desk.planned()
    assert desk.does("withdraw")["state"] == "withdrawn"
    desk.refused("withdraw")
    assert dump(shop) == before


def test_extended_on_day_29_and_refused_on_day_32(
    desk: Desk, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = datetime(2026, 3, 2, 9, tzinfo=UTC)
    real = timezone.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: received + timedelta(days=29))
    desk.opens(received_at=received.isoformat())
    ErasureRequest.objects.update(opened_at=received)
    ApiToken.objects.update(expires_at=real + timedelta(days=9999))
    assert desk.does("extend", because="many stores")["due_at"].startswith("2026-06-0")
    monkeypatch.setattr("django.utils.timezone.now", lambda: received + timedelta(days=32))
    assert "no second time" in desk.refused("extend", because="more stores")
    assert desk.does("refuse", because="unfounded", code="unfounded")["state"] == "refused"


def test_an_extension_outside_its_window_is_refused(
    desk: Desk, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.opens(received_at=(timezone.now() - timedelta(days=40)).isoformat())
    assert "time to extend ended" in desk.refused("extend", because="many stores")
    assert "because" in desk.refused("extend")


def test_held_and_released(desk: Desk, shop: Path) -> None:
    before = dump(shop)
    desk.planned()
    placed = desk.olga.post("/holds", {**HOLD, "person": [MAIL]}).json()
    desk.works()
    assert desk.approves()["state"] == "approved"
    assert dump(shop) == before
    released = desk.olga.post(f"/holds/{placed['id']}/release", {"because": "settled"})
    assert released.status_code == 200
    desk.works()
    assert desk.now()["state"] == "partly_granted"


def test_a_guardian_for_a_child(desk: Desk, shop: Path) -> None:
    desk.opens(asked_by="guardian", child=True)
    assert "mandate" in desk.refused("identify", method="rang back")
    desk.does("identify", method="rang back", mandate="birth record seen")
    desk.does("ground", ground="child")
    assert desk.approves()["state"] == "partly_granted"


def test_an_objection_to_direct_marketing(desk: Desk, shop: Path) -> None:
    desk.planned()
    assert desk.does("ground", ground="direct_marketing")["ground"] == "direct_marketing"
    assert "ground" in desk.refused("ground", ground="mood")
    assert desk.approves()["state"] == "partly_granted"


def test_a_ground_that_is_not_met(desk: Desk, shop: Path) -> None:
    Dataset.objects.update(purpose="fraud prevention", legal_basis="legitimate_interests")
    desk.planned()
    refusal: dict[str, Any] = {"because": "overriding interests", "code": "ground_not_met"}
    assert "ground" in desk.refused("refuse", **refusal)
    desk.does("ground", ground="objection")
    assert "balanced" in desk.refused("refuse", **refusal)
    dataset = Dataset.objects.filter(address__endswith=".orders").get().address
    desk.does("balance", dataset=dataset, whose="controller", because="a fraud")
    met = {
        one["dataset"]: one["finding"] for one in desk.olga.get(f"{desk.case}/ground/met").json()
    }
    assert met[dataset] == "to_decide"
    reasons = desk.olga.get(f"{desk.case}/reasons").json()
    assert [(r["about"], r["place"], r["because"]) for r in reasons] == [
        ("balancing", dataset, "a fraud")
    ]
    assert LedgerLeaf.objects.filter(kind="reasons_seen").count() == 1
    assert desk.arne.get(f"{desk.case}/reasons").status_code == 200
    assert caller("auditor").get(f"{desk.case}/reasons").status_code == 403
    assert desk.does("refuse", **refusal)["refused_for"] == "ground_not_met"


def test_two_people_behind_one_mailbox(desk: Desk, shop: Path) -> None:
    with sqlite3.connect(shop) as connection:
        connection.execute("UPDATE customer SET email = 'ann.archer@EXAMPLE.com' WHERE id = 1")
    digest = desk.planned()
    said = desk.refused("approve", desk.arne, digest=digest)
    assert "people:" in said
    (finding,) = desk.olga.get(f"{desk.case}/plans").json()["results"][0]["findings"]
    assert "several people" in finding["words"]
    assert desk.does("refuse", because="ask anew by what is yours alone")["state"] == "refused"


def test_california_confirms_within_ten_business_days_and_never_waits(
    desk: Desk, shop: Path
) -> None:
    made = desk.opens(law="ccpa", received_at="2026-03-02T12:00:00Z")
    assert made["acknowledge_by"].startswith("2026-03-16")
    assert made["due_at"].startswith("2026-04-1")
    assert desk.does("ask-identity", doubt="another name")["due_at"] == made["due_at"]
    assert desk.does("acknowledge")["acknowledged_at"]
    desk.refused("acknowledge")


def test_the_british_month_waits_for_identity(desk: Desk, shop: Path) -> None:
    made = desk.opens(law="uk", received_at=(timezone.now() - timedelta(days=20)).isoformat())
    assert desk.does("ask-identity", doubt="another name")["due_at"] is None
    known = desk.does("identify", method="rang back")
    assert known["due_at"] > made["due_at"]
    assert desk.approves()["state"] == "partly_granted"


@pytest.mark.parametrize(
    ("deed", "body", "field"),
    [
        ("except", {"code": "legal_claims", "legal_reference": "x", "until": LATER}, "because"),
        ("except", {**HOLD, "until": "2020-01-01"}, "until"),
        ("except", {**HOLD, "until": LATER, "code": "mood"}, "code"),
        ("except", {**HOLD, "until": LATER, "legal_reference": "a\nb"}, "legal_reference"),
        ("advise", {"digest": "0" * 64, "advice": "agrees", "because": "x"}, "advise"),
        ("forward", {"to": "sales\nBcc: x", "because": "theirs"}, "to"),
        ("forward", {"to": "sales", "because": EMAIL}, "because"),
        ("identify", {"method": " "}, "method"),
        ("reopen", {"identifiers": [MAIL], "why": "mood", "because": "x"}, "why"),
        ("duplicate", {"of": "me"}, "of"),
        ("letters", {"code": "clarification", "to": "", "blocks": {}}, "question"),
    ],
)
def test_what_cannot_be_is_refused_by_field_and_nothing_is_half_done(
    desk: Desk, shop: Path, deed: str, body: dict[str, Any], field: str
) -> None:
    desk.planned()
    dataset = Dataset.objects.filter(address__endswith=".orders").get().address
    assert field in desk.refused(deed, **{"dataset": dataset, **body} if deed == "except" else body)


def test_nobody_approves_their_own_plan_or_a_stale_one(desk: Desk, shop: Path) -> None:
    both = caller("officer", "approver", name="both")
    desk.olga = both
    digest = desk.planned()
    assert "another officer" in desk.refused("approve", both, digest=digest)
    assert "changed" in desk.refused("approve", desk.arne, digest="0" * 64)


@pytest.mark.parametrize("right", ["rectification", "restriction", "objection"])
def test_another_right_is_answered_with_what_was_done(desk: Desk, shop: Path, right: str) -> None:
    before = dump(shop)
    desk.opens(right=right)
    desk.refused("answer", because="the street was corrected")
    assert desk.does("identify", method="rang back")["state"] == "identified"
    assert "because" in desk.refused("answer")
    assert "because" in desk.refused("answer", because=" ")
    for nobody in ("approver", "auditor", "dpo"):
        said = caller(nobody).post(f"{desk.case}/answer", {"because": "x"})
        assert said.status_code == 403
    assert desk.does("answer", because="the street was corrected")["state"] == "answered"
    desk.refused("answer", because="twice")
    letter: dict[str, Any] = {"to": "", "language": "en", "blocks": {}}
    assert "does not fit" in desk.refused("letters", code="completion", **letter)
    assert desk.olga.post(f"{desk.case}/letters", {"code": "answer", **letter}).status_code == 201
    said = desk.olga.get(f"/letters/{Letter.objects.get().pk}/text").json()
    assert "the street was corrected" in str(said)
    assert dump(shop) == before


def test_what_is_carried_out_here_is_not_answered_by_hand(desk: Desk, shop: Path) -> None:
    desk.planned()
    assert "answered by its plan" in desk.refused("answer", because="done")


def test_a_letter_with_a_header_in_a_line_is_refused(desk: Desk, shop: Path) -> None:
    desk.planned()
    desk.does("refuse", because="unfounded", code="unfounded")
    text = {"greeting": "Dear Ann\nBcc: everybody@example.com", "reasons": "No."}
    letter: dict[str, Any] = {"code": "refusal", "to": "", "language": "en", "blocks": text}
    assert "greeting" in desk.refused("letters", **letter)
    letter = {**letter, "to": "a@example.com\nBcc: b@example.com", "blocks": {"reasons": "No."}}
    assert "to" in desk.refused("letters", **letter)
    assert not Letter.objects.exists()
