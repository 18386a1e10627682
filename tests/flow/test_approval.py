"""Nothing is done but what was approved, and what was approved is what the world still is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from erasure.advance import Job, perform
from erasure.domain.errors import IdentityConflict, StalePlan, StoreError, WrongState
from erasure.evidence import ledger
from erasure.flow import decide, intake, planning
from erasure.inline import approve, open_case, run_inline
from erasure.models import ErasureRequest, Event, LedgerLeaf, Plan
from erasure.transitions import move
from tests.flow.cast import (
    ANN,
    APPROVER,
    AUDITOR,
    BEN,
    CATALOGUE,
    EMPLOYEE,
    EVE,
    FAY,
    NEIGHBOUR,
    NOBODY,
    OFFICER,
    OLGA,
    SUBJECT,
    Shop,
)
from tests.flow.deeds import approved, identified, planned, work_off
from tests.flow.spied import Spied


def test_nothing_is_executed_before_approval(shop: Shop) -> None:
    before = shop.everything()
    request = planned(SUBJECT)
    work_off(request)
    assert request.state == "planned"
    assert request.run is None
    assert shop.everything() == before
    assert {what for _, what in Spied.asked} == {"find"}


def test_an_approved_plan_is_carried_out_and_certified(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted"
    ann = shop.row("customer", ANN)
    assert ann is not None
    assert ann["email"] is None
    assert ann["remark"] == "[erased] likes tea"
    assert [row["id"] for row in shop.rows("orders")] == [3]
    plan = request.plans.get()
    assert (plan.state, plan.approved_by) == ("carried_out", APPROVER)


def test_the_neighbour_is_left_as_they_were(shop: Shop) -> None:
    neighbours = {
        "customer": shop.row("customer", BEN),
        "address": shop.row("address", 1),
        "orders": shop.row("orders", 3),
        "invoice": shop.row("invoice", 2),
        "message": shop.row("message", 3),
    }
    work_off(approved(SUBJECT))
    for table, row in neighbours.items():
        assert row is not None
        assert shop.row(table, row["id"]) == row


def test_approving_another_digest_is_refused_and_nothing_happened(shop: Shop) -> None:
    before = shop.everything()
    request = planned(SUBJECT)
    leaves, events = LedgerLeaf.objects.count(), Event.objects.count()
    with pytest.raises(StalePlan, match="look at it again"):
        decide.approve_plan(request, digest="0" * 64, by=APPROVER)
    request.refresh_from_db()
    plan = request.plans.get()
    assert (request.state, plan.state, plan.approved_by) == ("planned", "draft", "")
    assert (LedgerLeaf.objects.count(), Event.objects.count()) == (leaves, events)
    work_off(request)
    assert shop.everything() == before


def test_a_plan_approved_twice_is_not_said_to_have_changed(shop: Shop) -> None:
    request = planned(SUBJECT)
    digest = request.plans.get().digest
    decide.approve_plan(request, digest=digest, by=APPROVER)
    leaves, events = LedgerLeaf.objects.count(), Event.objects.count()
    with pytest.raises(WrongState, match="approved already"):
        decide.approve_plan(request, digest=digest, by=OLGA)
    assert request.plans.get().approved_by == APPROVER
    assert (LedgerLeaf.objects.count(), Event.objects.count()) == (leaves, events)


def test_the_digest_of_an_earlier_plan_approves_nothing(shop: Shop) -> None:
    request = planned(SUBJECT)
    earlier = request.plans.get().digest
    move(request, "identified", by=AUDITOR, because="look again")
    for number in range(300):
        shop.insert("orders", {"id": 100 + number, "customer_id": ANN, "wish": None})
    planning.make_plan(request, by=OFFICER)
    with pytest.raises(StalePlan):
        decide.approve_plan(request, digest=earlier, by=APPROVER)
    assert request.plans.get().state == "draft"


def test_the_digest_covers_steps_roots_and_ceilings_and_holds_still(shop: Shop) -> None:
    request = planned(SUBJECT)
    first = request.plans.get().digest
    move(request, "identified", by=AUDITOR, because="look again")
    planning.make_plan(request, by=OFFICER)
    assert request.plans.get().digest == first
    other = planned(NEIGHBOUR).plans.get()
    assert other.shape == request.plans.get().shape
    assert other.digest != first


def another_catalogue(shop: Shop) -> None:
    shop.describe(CATALOGUE.read_text().replace("nothing refers to who left", "they left"))


def another_schema(shop: Shop) -> None:
    shop.widen("orders", "gift")


def another_root_row(shop: Shop) -> None:
    shop.change("customer", BEN, email=SUBJECT)


def many_more_rows(shop: Shop) -> None:
    for number in range(planning.SLACK + 2 * planning.GROWTH + 1):
        shop.insert("orders", {"id": 100 + number, "customer_id": ANN, "wish": None})


def many_more_mentions(shop: Shop) -> None:
    for number in range(planning.SLACK + planning.GROWTH + 1):
        body = f"{number}: Ann Archer again"
        shop.insert("message", {"id": 100 + number, "author_id": BEN, "body": body})


CHANGES = [another_catalogue, another_schema, another_root_row, many_more_rows, many_more_mentions]


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_goes_stale_when_the_world_moves(shop: Shop, change: Callable[[Shop], None]) -> None:
    request = approved(SUBJECT)
    change(shop)
    before = shop.everything()
    perform(Job("advance", request.id))
    request.refresh_from_db()
    assert (request.state, request.run_id) == ("identified", None)
    assert request.plans.get().state == "stale"
    assert shop.everything() == before
    assert "act" not in {what for _, what in Spied.asked}


def test_a_stale_plan_is_made_anew_and_waits_for_an_officer(shop: Shop) -> None:
    request = approved(SUBJECT)
    another_root_row(shop)
    work_off(request)
    assert request.state == "planned"
    assert sorted(p.state for p in request.plans.all()) == ["draft", "stale"]


def test_a_little_growth_does_not_make_a_plan_stale(shop: Shop) -> None:
    request = approved(SUBJECT)
    shop.insert("orders", {"id": 50, "customer_id": ANN, "wish": None})
    work_off(request)
    assert request.state == "partly_granted"
    assert shop.row("orders", 50) is None


def test_a_command_does_not_call_a_stale_plan_done(shop: Shop) -> None:
    request = open_case([("email", SUBJECT)], by=OFFICER, method="console")
    approve(request, by=APPROVER, because="console")
    another_root_row(shop)
    with pytest.raises(StalePlan, match="approve"):
        run_inline(request)


def test_withdrawing_an_approved_case_stops_it(shop: Shop) -> None:
    before = shop.everything()
    request = approved(SUBJECT)
    decide.withdraw_request(request, by=OFFICER, because="changed their mind")
    work_off(request)
    assert request.state == "withdrawn"
    assert shop.everything() == before


def test_a_refusal_needs_a_reason(shop: Shop) -> None:
    request = planned(SUBJECT)
    with pytest.raises(WrongState, match="reason"):
        decide.refuse_request(request, by=OFFICER, because="  ")
    request.refresh_from_db()
    assert request.state == "planned"


def test_two_identities_of_two_people_are_refused(shop: Shop) -> None:
    before = shop.everything()
    request = identified(("email", SUBJECT), ("phone", "030 5550002"))
    with pytest.raises(IdentityConflict) as caught:
        planning.make_plan(request, by=OFFICER)
    assert SUBJECT not in str(caught.value)
    assert shop.everything() == before
    assert not request.plans.exists()


def test_two_values_of_one_kind_that_name_two_people_are_refused(shop: Shop) -> None:
    request = identified(("email", SUBJECT), ("email", NEIGHBOUR))
    with pytest.raises(IdentityConflict):
        planning.make_plan(request, by=OFFICER)


def test_a_number_that_the_neighbour_shares_does_not_take_the_neighbour_along(
    shop: Shop,
) -> None:
    shop.change("customer", BEN, phone="030 5550001")
    request = identified(("email", SUBJECT), ("phone", "030 5550001"))
    with pytest.raises(IdentityConflict, match="email and phone"):
        planning.make_plan(request, by=OFFICER)


def test_a_second_account_under_the_same_name_is_the_same_person(shop: Shop) -> None:
    ann = shop.row("customer", ANN)
    assert ann is not None
    shop.insert("customer", {**ann, "id": 7, "email": "ann@example.org"})
    request = identified(("email", SUBJECT), ("phone", "030 5550001"))
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    assert plan.steps.get(dataset="shop.customer", via="deep").counted == 2


def test_an_identity_that_contradicts_the_row_is_refused(shop: Shop) -> None:
    request = identified(("email", SUBJECT), ("phone", "030 5557777"))
    with pytest.raises(IdentityConflict):
        planning.make_plan(request, by=OFFICER)


def test_several_identities_of_one_person_narrow_and_widen_as_one(shop: Shop) -> None:
    shop.insert(
        "customer",
        {
            "id": 7,
            "name": "Ann Archer",
            "email": "ann@example.org",
            "phone": None,
            "address_id": None,
            "rep_id": None,
            "remark": None,
        },
    )
    shop.insert("orders", {"id": 70, "customer_id": 7, "wish": None})
    request = identified(("email", SUBJECT), ("email", "ann@example.org"), ("phone", "030 5550001"))
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    counted = {(s.dataset, s.via): s.counted for s in plan.steps.all()}
    assert counted["shop.customer", "deep"] == 2
    assert counted["shop.orders", "deep"] == 3


def test_the_same_person_asking_twice_has_one_open_case(shop: Shop) -> None:
    first = identified(("email", SUBJECT))
    again = intake.open_request([("email", SUBJECT.upper())], by=OFFICER)
    assert again.pk == first.pk


def test_of_two_who_make_one_move_the_second_is_refused(shop: Shop) -> None:
    request = planned(SUBJECT)
    other = ErasureRequest.objects.get(pk=request.pk)
    plan = request.plans.get()
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    size = ledger.head().size
    with pytest.raises(WrongState, match="somebody else"):
        decide.withdraw_request(other, by=OFFICER)
    assert ledger.head().size == size
    request.refresh_from_db()
    assert request.state == "approved"


def test_a_case_blocked_before_its_run_is_planned_anew(shop: Shop) -> None:
    request = approved(SUBJECT)
    move(request, "blocked", by=AUDITOR, because="the store was away")
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "planned"
    assert sorted(Plan.objects.values_list("state", flat=True)) == ["draft", "stale"]


def test_a_person_nobody_knows_is_no_data_and_never_completed(shop: Shop) -> None:
    request = identified(("email", NOBODY))
    assert planning.make_plan(request, by=OFFICER) is None
    request.refresh_from_db()
    assert request.state == "no_data"


def test_a_reference_that_cannot_be_cut_is_refused_before_anything_is_done(shop: Shop) -> None:
    shop.change("customer", BEN, rep_id=EVE)
    shop.remake("customer", "rep_id", nullable=False)
    request = identified(("email", EMPLOYEE))
    with pytest.raises(StoreError, match=r"shop\.customer\.rep_id: the reference cannot be cut"):
        planning.make_plan(request, by=OFFICER)


def test_a_reference_that_nobody_holds_need_not_be_cut(shop: Shop) -> None:
    shop.change("customer", BEN, rep_id=EVE)
    shop.remake("customer", "rep_id", nullable=False)
    request = approved("gil.green@example.org")
    shop.change("employee", FAY, mentor_id=None)
    work_off(request)
    assert request.state == "completed", request.blocked_because
