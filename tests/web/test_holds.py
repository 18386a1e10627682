"""Holds, exceptions, grounds and fees at the desk."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from erasure.models import ErasureRequest, Hold, LedgerLeaf, Reasoning
from tests.scenarios.small_shop import EMAIL
from tests.web.conftest import Person, everything_written, page, person, plan_of

WHY = {"code": "legal_claims", "legal_reference": "Art. 17(3)(e)", "because": "claim 17"}
UNTIL = {"until": str(timezone.localdate() + timedelta(days=30))}


def test_an_exception_is_decided_on_the_page_of_the_case_and_taken_back_there(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "except"), dataset="shop.orders", **WHY, **UNTIL)
    assert "The plan is being made again" in officer.told(planned)
    kept = planned.exceptions.get()
    shown = officer.case(plan_of(planned))
    assert "What stands in the way" in shown
    assert "Why a dataset is kept (shop.orders)" in shown
    officer.post(f"/admin/erasure/erasurerequest/{planned.pk}/except/{kept.pk}/lift/")
    planned.refresh_from_db()
    assert planned.state == "identified"
    assert "What stands in the way" not in officer.case(plan_of(planned))


@pytest.mark.parametrize("missing", ["because", "until", "legal_reference"])
def test_an_exception_that_lacks_something_is_not_recorded(
    officer: Person, planned: ErasureRequest, missing: str
) -> None:
    before = everything_written()
    officer.post(page(planned, "except"), dataset="shop.orders", **{**WHY, **UNTIL, missing: ""})
    assert everything_written() == before
    assert "errorlist" not in officer.told(planned)
    assert not planned.exceptions.exists()


def test_a_hold_is_placed_shown_with_its_date_and_reason_and_released(
    officer: Person, planned: ErasureRequest
) -> None:
    answer = officer.post("/admin/erasure/hold/add/", person=f"email={EMAIL}", matter="M1", **WHY)
    assert answer.status_code == 302
    shown = officer.case(plan_of(planned))
    assert "Nothing is done before a hold is released" in shown
    assert f"on hold since {timezone.localdate():%d %b %Y} (legal claims)" in shown
    held = Hold.objects.get()
    assert (
        "known by pseudonym"
        in officer.get(f"/admin/erasure/hold/{held.pk}/change/").content.decode()
    )
    officer.post(f"/admin/erasure/hold/{held.pk}/release/", because="settled")
    assert "What stands in the way" not in officer.case(plan_of(planned))
    assert officer.get("/admin/erasure/hold/").status_code == 200
    own = f"/admin/erasure/hold/{held.pk}"
    assert "claim 17" not in officer.get(f"{own}/change/").content.decode()
    assert officer.get(f"{own}/reasons/").status_code == 405
    assert not LedgerLeaf.objects.filter(kind="reasons_seen").exists()
    read = officer.client.post(f"{own}/reasons/").content.decode()
    assert "claim 17" in read
    assert "settled" in read
    assert LedgerLeaf.objects.filter(kind="reasons_seen").count() == 1


def test_what_was_typed_of_a_person_is_not_shown_again(officer: Person, shop: object) -> None:
    answer = officer.post("/admin/erasure/hold/add/", person=f"email={EMAIL}", code="legal_claims")
    assert answer.status_code == 200
    assert b"This field is required" in answer.content
    assert not Hold.objects.exists()


def test_ground_balance_fee_and_opinion_are_recorded(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "ground"), ground="objection")
    assert "Ground: Objection" in officer.case(planned)
    officer.post(page(planned, "balance"), dataset="shop.orders", whose="controller", because="x")
    officer.post(page(planned, "fee"), because="the tenth time this month")
    assert "waited for since" in officer.case(planned)
    officer.post(page(planned, "paid"))
    dpo = person("dora", "dpo")
    digest = planned.plans.get().digest
    dpo.post(page(planned, "advise"), digest=digest, advice="objects", because="too much is kept")
    about = list(Reasoning.objects.values_list("about", "place", "verdict", "by"))
    assert about == [
        ("balancing", "shop.orders", "controller", "olga"),
        ("fee", "", "", "olga"),
        ("opinion", f"plan {digest[:12]}", "objects", "dora"),
    ]
    assert "too much is kept" in officer.reasons(planned)


@pytest.mark.parametrize("deed", ["hold", "except", "ground", "balance", "advise", "fee", "paid"])
def test_an_auditor_sees_what_stands_in_the_way_and_changes_nothing(
    auditor: Person, planned: ErasureRequest, deed: str
) -> None:
    before = everything_written()
    assert auditor.post(page(planned, deed), **WHY).status_code == 403
    assert auditor.post("/admin/erasure/hold/add/", **WHY).status_code == 403
    held = Hold.objects.create(code="x", placed_at=timezone.now(), of_people=True)
    before = everything_written()
    assert auditor.post(f"/admin/erasure/hold/{held.pk}/reasons/").status_code == 403
    assert auditor.get("/admin/erasure/hold/").status_code == 200
    assert everything_written() == before
