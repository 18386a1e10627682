"""Whole cases by law, each from its receipt to its end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from erasure.advance import due_jobs, finish_keys, perform
from erasure.domain.errors import KeyDestroyed, UsageError, WrongState
from erasure.flow import (
    charge,
    decide,
    exempt,
    extend,
    identify,
    intake,
    letters,
    planning,
    route,
    weigh,
)
from erasure.models import ErasureRequest, LedgerLeaf
from erasure.runs import case, dues
from lineage.models import Dataset
from tests.flow.beside import body_of
from tests.flow.cast import APPROVER, DPO, NEIGHBOUR, OFFICER, SUBJECT, MemoryShop
from tests.flow.deeds import approved, identified, planned, work_off

RECEIVED = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def berlin(settings: LazySettings, memory_shop: MemoryShop) -> MemoryShop:
    """The controller sits in Berlin."""
    settings.TIME_ZONE = "Europe/Berlin"
    settings.LETHE_ESTABLISHMENT = "DE-BE"
    return memory_shop


def shredded(request: ErasureRequest) -> bool:
    """Whether nothing that was given can be read any more."""
    try:
        case.given_by([request])
    except KeyDestroyed:
        return True
    return False


def by_hand(request: ErasureRequest, code: str, **blocks: str) -> None:
    """The letter that fits goes out on paper."""
    letter = letters.draft_letter(
        request, code=code, language="en", blocks=blocks, to="", by=OFFICER
    )
    letters.mark_sent_by_hand(letter, by=OFFICER)


def untouched(shop: MemoryShop) -> bool:
    """Whether nothing of the subject has gone."""
    return len(shop.rows("orders")) == 3 and len(shop.rows("message")) == 3


def test_partly_granted_with_an_invoice_under_tax_law(memory_shop: MemoryShop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    by_hand(request, "partial")
    (kept,) = body_of(request)["decision"]["exceptions"]
    assert (kept["dataset"], kept["reason"]) == ("shop.invoice", "legal_obligation")
    assert (kept["legal_reference"], kept["until"]) == ("tax law", "2034-12-31")
    assert request.state == "partly_granted"


def test_refused_with_the_authority_in_the_letter(memory_shop: MemoryShop) -> None:
    request = planned(SUBJECT)
    decide.refuse_request(request, by=OFFICER, because="a claim is pending", code="exempt")
    by_hand(request, "refusal", reasons="A claim is pending.")
    assert (request.state, request.refused_for, shredded(request)) == ("refused", "exempt", True)
    assert untouched(memory_shop)


def test_unidentifiable_after_proof_was_asked_for(memory_shop: MemoryShop) -> None:
    request = intake.open_request([("email", SUBJECT)], by=OFFICER, received_at=RECEIVED)
    identify.ask_identity(request, by=OFFICER, doubt="another street", at=RECEIVED)
    assert request.due_at is None
    identify.give_up_identifying(request, by=OFFICER, because="nothing came")
    by_hand(request, "unidentifiable", reasons="Nothing tells you from others.")
    assert (request.state, shredded(request)) == ("unidentifiable", True)


def test_a_fee_that_is_not_paid_ends_in_a_refusal(memory_shop: MemoryShop) -> None:
    request = planned(SUBJECT)
    with pytest.raises(UsageError, match="no fee is waited for"):
        decide.refuse_request(request, by=OFFICER, because="unpaid", code="fee_unpaid")
    with pytest.raises(UsageError, match="give the reason"):
        charge.ask_fee(request, because=" ", by=OFFICER)
    charge.ask_fee(request, because="the tenth time this month", by=OFFICER)
    by_hand(request, "fee", reasons="The tenth this month.", amount="10 EUR", payment="By bank.")
    with pytest.raises(WrongState, match="waits for a fee"):
        decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    decide.refuse_request(request, by=OFFICER, because="unpaid", code="fee_unpaid")
    assert (request.state, untouched(memory_shop)) == ("refused", True)


def test_a_fee_that_is_paid_lets_the_case_go_on(memory_shop: MemoryShop) -> None:
    request = planned(SUBJECT)
    charge.ask_fee(request, because="the tenth time this month", by=OFFICER)
    charge.fee_paid(request, by=OFFICER)
    with pytest.raises(WrongState, match="no fee is waited for"):
        charge.fee_paid(request, by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted"


def test_withdrawn_in_the_middle_is_possible_until_the_run_begins(memory_shop: MemoryShop) -> None:
    request = approved(SUBJECT)
    decide.withdraw_request(request, by=OFFICER, because="changed their mind")
    assert [job for job in due_jobs() if perform(job)] == []
    assert (request.state, untouched(memory_shop)) == ("withdrawn", True)
    late = approved(NEIGHBOUR)
    work_off(late)
    with pytest.raises(WrongState):
        decide.withdraw_request(late, by=OFFICER)


def test_extended_on_day_29_and_refused_on_day_32() -> None:
    request = intake.open_request([("email", SUBJECT)], by=OFFICER, received_at=RECEIVED)
    at = RECEIVED + timedelta(days=29)
    extend.extend_deadline(request, by=OFFICER, because="many stores", at=at)
    request.refresh_from_db()
    assert timezone.localdate(request.due_at) == date(2026, 6, 2)
    later = RECEIVED + timedelta(days=32)
    with pytest.raises(WrongState, match="no second time"):
        extend.extend_deadline(request, by=OFFICER, because="more stores", at=later)
    assert not dues.overdue(ErasureRequest.objects.all(), later).exists()
    decide.refuse_request(request, by=OFFICER, because="unfounded", code="unfounded")
    assert request.state == "refused"


def test_a_guardian_asks_for_a_child(memory_shop: MemoryShop) -> None:
    request = intake.open_request([("email", SUBJECT)], by=OFFICER, asked_by="guardian", child=True)
    with pytest.raises(UsageError, match="mandate"):
        identify.confirm_identity(request, by=OFFICER, method="rang back")
    identify.confirm_identity(request, by=OFFICER, method="rang back", mandate="birth record seen")
    weigh.state_ground(request, ground="child", by=OFFICER)
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    assert {met.finding for met in weigh.findings(request)} == {"met"}
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted"


def test_an_objection_to_direct_marketing_is_absolute_and_only_that() -> None:
    Dataset.objects.filter(address="shop.message").update(purpose="direct marketing")
    Dataset.objects.filter(address="shop.orders").update(purpose="delivery", legal_basis="contract")
    request = planned(SUBJECT)
    weigh.state_ground(request, ground="direct_marketing", by=OFFICER)
    found = {met.dataset: met.finding for met in weigh.findings(request)}
    assert (found["shop.message"], found["shop.orders"]) == ("met", "not_met")
    assert found["shop.customer"] == "to_decide"


def test_a_ground_that_is_not_met_refuses_only_after_the_interests_were_balanced() -> None:
    Dataset.objects.update(purpose="fraud prevention", legal_basis="legitimate interests")
    request = planned(SUBJECT)
    refusing: dict[str, Any] = {
        "by": OFFICER,
        "because": "overriding interests",
        "code": "ground_not_met",
    }
    with pytest.raises(UsageError, match="on which ground"):
        decide.refuse_request(request, **refusing)
    weigh.state_ground(request, ground="objection", by=OFFICER)
    with pytest.raises(UsageError, match="balanced"):
        decide.refuse_request(request, **refusing)
    told: dict[str, Any] = {
        "dataset": "shop.orders",
        "because": "a fraud is being looked into",
        "by": OFFICER,
    }
    weigh.record_balance(request, whose="person", **told)
    with pytest.raises(UsageError, match="balanced"):
        decide.refuse_request(request, **refusing)
    weigh.record_balance(request, whose="controller", **told)
    weigh.record_balance(request, whose="person", **{**told, "dataset": "shop.customer"})
    with pytest.raises(UsageError, match="erase there"):  # the newest of each dataset counts
        decide.refuse_request(request, **refusing)
    weigh.record_balance(request, whose="controller", **{**told, "dataset": "shop.customer"})
    decide.refuse_request(request, **refusing)
    assert request.refused_for == "ground_not_met"
    with pytest.raises(WrongState, match="nothing is weighed"):
        weigh.state_ground(request, ground="unlawful", by=OFFICER)


def test_the_dpo_advises_on_the_plan_that_stands_and_on_no_other() -> None:
    request = planned(SUBJECT)
    digest = request.plans.get().digest
    weigh.advise(request, digest=digest, advice="objects", because="too much", by=DPO)
    with pytest.raises(UsageError, match="digest"):
        weigh.advise(request, digest="0" * 64, advice="agrees", because="fine", by=DPO)
    assert request.reasoning.get().verdict == "objects"
    decide.approve_plan(request, digest=digest, by=APPROVER)
    assert request.plans.get().approved_by == "approver"


def test_another_right_is_recorded_clocked_and_handed_on_but_never_erased(
    memory_shop: MemoryShop,
) -> None:
    erasure = identified(("email", SUBJECT))
    access = intake.open_request(
        [("email", SUBJECT)], by=OFFICER, right="rectification", received_at=RECEIVED
    )
    assert access.pk != erasure.pk
    assert timezone.localdate(access.due_at) == date(2026, 4, 2)
    identify.confirm_identity(access, by=OFFICER, method="rang back")
    for job in due_jobs():
        perform(job)
    access.refresh_from_db()
    assert access.state == "identified"
    with pytest.raises(UsageError, match="not for erasure"):
        planning.make_plan(access, by=OFFICER)
    with pytest.raises(UsageError, match="to:"):
        route.forward_request(access, to=SUBJECT, because="theirs", by=OFFICER)
    route.forward_request(access, to="customer service", because="they answer those", by=OFFICER)
    assert (access.state, shredded(access), untouched(memory_shop)) == ("forwarded", True, True)
    with pytest.raises(UsageError, match="right:"):
        intake.open_request([("email", SUBJECT)], by=OFFICER, right="everything")


def test_a_duplicate_is_linked_to_the_open_case_of_the_same_person() -> None:
    first = identified(("email", SUBJECT), ("phone", "030 5550001"))
    second = identified(("email", SUBJECT))
    stranger = identified(("email", NEIGHBOUR))
    with pytest.raises(UsageError, match="of:"):
        route.link_duplicate(second, of=stranger, by=OFFICER)
    route.link_duplicate(second, of=first, by=OFFICER)
    assert (second.state, second.duplicate_of, shredded(second)) == ("duplicate", first.pk, True)
    assert not shredded(first)


def test_a_closed_case_is_found_by_an_identifier_that_the_person_gives_now() -> None:
    request = approved(SUBJECT)
    work_off(request)
    finish_keys()
    assert route.find_cases([("email", f" {SUBJECT.upper()} ")], by=OFFICER) == [request]
    assert route.find_cases([("email", "somebody.new@example.com")], by=OFFICER) == []
    assert SUBJECT not in LedgerLeaf.objects.filter(kind="looked_up")[0].payload


def test_an_exception_and_a_refusal_leave_their_reasons_sealed() -> None:
    request = planned(SUBJECT)
    exempt.add_exception(
        request, dataset="shop.message", code="legal_claims", legal_reference="Art. 17(3)(e)",
        until=timezone.localdate() + timedelta(days=9), because="dispute of Ann", by=OFFICER,
    )  # fmt: skip
    assert b"dispute" not in bytes(request.reasoning.get().sealed)
