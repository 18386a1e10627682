"""Legal holds stop what they touch, and let it run by itself; exceptions keep until a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from erasure.advance import finish_keys
from erasure.domain.errors import UsageError, WrongState
from erasure.flow import decide, exempt, hold, planning, watch
from erasure.models import DataKey, ErasureRequest, Hold, LedgerLeaf
from tests.flow.beside import body_of
from tests.flow.cast import ANN, APPROVER, BEN, NEIGHBOUR, OFFICER, SUBJECT, Shop
from tests.flow.deeds import approved, identified, planned, started, sweep, work_off

WHY = {"code": "legal_claims", "legal_reference": "Art. 17(3)(e)", "because": "claim 17 of 2026"}


def placed(**what: Any) -> Hold:
    return hold.place_hold(by=OFFICER, **(WHY | what))


def approve(request: ErasureRequest) -> ErasureRequest:
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    return request


def test_a_dataset_on_hold_stays_while_the_rest_goes_and_goes_by_itself_when_released(
    shop: Shop,
) -> None:
    before = shop.everything()
    held = placed(datasets=["shop.orders"], matter="Claim 17")
    request = planned(SUBJECT)
    step = request.plans.get().steps.get(dataset="shop.orders")
    assert (step.action, step.on_hold) == ("retain", True)
    assert step.reason == f"on hold since {timezone.localdate()} (legal_claims)"
    work_off(approve(request))
    assert request.state == "partly_granted"
    assert shop.rows("orders") == before["shop_db.orders"]
    # What the held rows refer to stays with them; what hangs on them has gone.
    assert shop.row("customer", ANN) == before["shop_db.customer"][ANN]
    assert [row["order_id"] for row in shop.rows("line")] == [3]
    told = {(e["dataset"], e["reason"]) for e in body_of(request)["decision"]["exceptions"]}
    assert ("shop.orders", "legal_claims") in told
    sweep()
    assert shop.rows("orders") == before["shop_db.orders"]
    hold.release_hold(held, by=OFFICER, because="settled")
    sweep()
    request.refresh_from_db()
    assert [row["customer_id"] for row in shop.rows("orders")] == [BEN]
    ann = shop.row("customer", ANN)
    assert ann is not None
    assert not [v for v in ann.values() if "Ann" in str(v) or "5550001" in str(v)]
    assert shop.row("customer", BEN) == before["shop_db.customer"][BEN]
    assert request.state == "partly_granted"  # the invoice stays until its own day
    finish_keys()
    assert not DataKey.objects.filter(
        owner=request.id, purpose="identifiers", destroyed_at=None
    ).exists()


def test_a_hold_on_a_person_keeps_an_approved_case_from_starting(memory_shop: Shop) -> None:
    before = memory_shop.everything()
    request = approved(SUBJECT)
    held = placed(person=[("email", SUBJECT)])
    work_off(request)
    sweep()
    request.refresh_from_db()
    assert request.state == "approved"
    assert memory_shop.everything() == before
    other = approved(NEIGHBOUR)
    work_off(other)
    assert other.state == "partly_granted"
    hold.release_hold(held, by=OFFICER, because="settled")
    sweep()
    request.refresh_from_db()
    assert request.state == "partly_granted"
    assert memory_shop.rows("orders") == []


def test_a_person_on_hold_is_recognised_by_any_identifier(
    memory_shop: Shop,
) -> None:
    placed(person=[("phone", "030 5550001")])
    request = planned(SUBJECT)
    assert "nothing is done before a hold is released" in request.plans.get().warnings[0]
    work_off(approve(request))
    assert request.state == "approved"


def test_a_hold_that_comes_after_approval_makes_it_another_plan(memory_shop: Shop) -> None:
    request = approved(SUBJECT)
    placed(datasets=["shop.message"])
    before = memory_shop.rows("message")
    work_off(request)
    assert request.state == "planned"
    assert memory_shop.rows("message") == before
    assert request.plans.get(state="draft").steps.filter(on_hold=True).exists()


def test_a_plan_that_waits_is_made_anew_when_a_hold_comes_or_goes(memory_shop: Shop) -> None:
    request = planned(SUBJECT)
    held = placed(datasets=["shop.message"])
    request.refresh_from_db()
    assert request.state == "identified"
    planning.make_plan(request, by=OFFICER)
    hold.release_hold(held, by=OFFICER, because="settled")
    request.refresh_from_db()
    assert request.state == "identified"


def test_a_hold_in_the_middle_of_a_run_stops_the_store_and_its_release_goes_on(
    shop: Shop,
) -> None:
    request = started(approved(SUBJECT))
    held = placed(datasets=["crm.lead"])
    before = shop.rows("lead", "crm_db")
    work_off(request)
    assert request.state == "blocked"
    assert "on hold since" in request.blocked_because
    assert "legal_claims" in request.blocked_because
    assert shop.rows("lead", "crm_db") == before
    sweep()
    request.refresh_from_db()
    assert request.state == "blocked"
    hold.release_hold(held, by=OFFICER, because="settled")
    sweep()
    request.refresh_from_db()
    assert request.state == "partly_granted"
    assert len(shop.rows("lead", "crm_db")) == 1


def test_a_hold_outranks_the_day_on_which_a_retained_row_would_go(memory_shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    held = placed(datasets=["shop.invoice"])
    late = datetime(2040, 1, 1, tzinfo=UTC)
    watch.act_on_dates(request, now=late)
    assert len(memory_shop.rows("invoice")) == 2
    assert "on hold since" in request.dates.get().error
    hold.release_hold(held, by=OFFICER, because="settled")
    watch.act_on_dates(request, now=late)
    assert [row["customer_id"] for row in memory_shop.rows("invoice")] == [BEN]


def test_an_exception_keeps_a_dataset_until_its_day_and_then_lets_it_go(shop: Shop) -> None:
    before = shop.rows("message")
    request = planned(SUBJECT)
    until = timezone.localdate() + timedelta(days=30)
    exempt.add_exception(
        request, dataset="shop.message", code="legal_claims", legal_reference="Art. 17(3)(e)",
        until=until, because="a dispute about order 1", by=OFFICER,
    )  # fmt: skip
    assert request.state == "identified"
    planning.make_plan(request, by=OFFICER)
    step = request.plans.get(state="draft").steps.get(dataset="shop.message", via="deep")
    assert (step.action, step.on_hold) == ("retain", False)
    work_off(approve(request))
    assert request.state == "partly_granted", request.blocked_because
    assert shop.rows("message") == before
    kept, *_ = (e for e in body_of(request)["decision"]["exceptions"] if "message" in e["dataset"])
    assert kept == {
        "dataset": "shop.message", "reason": "legal_claims", "legal_reference": "Art. 17(3)(e)",
        "until": until.isoformat(),
    }  # fmt: skip
    sweep()
    assert shop.rows("message") == before
    watch.act_on_dates(request, now=timezone.now() + timedelta(days=32))
    assert [row["author_id"] for row in shop.rows("message")] == [2, BEN]
    assert "Ann" not in str(shop.rows("message"))


def excepted_and_held(request: ErasureRequest, days: int) -> Hold:
    """The messages of a case are excepted for some days, and on hold; everything else has gone."""
    exempt.add_exception(
        request, dataset="shop.message", code="legal_claims", legal_reference="Art. 17(3)(e)",
        until=timezone.localdate() + timedelta(days=days), because="a dispute", by=OFFICER,
    )  # fmt: skip
    held = placed(datasets=["shop.message"])
    planning.make_plan(request, by=OFFICER)
    work_off(approve(request))
    assert request.state == "partly_granted", request.blocked_because
    return held


def test_what_is_excepted_and_on_hold_stays_until_the_exception_s_day_when_released_before(
    shop: Shop,
) -> None:
    before, request = shop.rows("message"), planned(SUBJECT)
    held = excepted_and_held(request, 30)
    until = timezone.localdate() + timedelta(days=30)
    step = request.plans.get(state="carried_out").steps.get(dataset="shop.message", via="deep")
    assert step.reason == (
        f"on hold since {timezone.localdate()} (legal_claims); "
        f"then kept until {until} (legal_claims: Art. 17(3)(e))"
    )
    told = [e for e in body_of(request)["decision"]["exceptions"] if "message" in e["dataset"]]
    assert {e["until"] for e in told} == {None, until.isoformat()}
    hold.release_hold(held, by=OFFICER, because="settled")
    for days in (0, 30):
        watch.act_on_dates(request, now=timezone.now() + timedelta(days=days))
        assert shop.rows("message") == before
    due = set(request.dates.filter(dataset="shop.message").values_list("on", flat=True))
    assert due == {until}
    step.refresh_from_db()
    assert (step.on_hold, step.until) == (False, until)
    watch.act_on_dates(request, now=timezone.now() + timedelta(days=32))
    assert [row["author_id"] for row in shop.rows("message")] == [2, BEN]
    assert "Ann" not in str(shop.rows("message"))


def test_an_exception_whose_day_has_passed_waits_for_the_hold_and_then_lets_it_go(
    memory_shop: Shop,
) -> None:
    before, request = memory_shop.rows("message"), planned(SUBJECT)
    held = excepted_and_held(request, 3)
    later = timezone.now() + timedelta(days=9)
    watch.act_on_dates(request, now=later)
    assert memory_shop.rows("message") == before
    hold.release_hold(held, by=OFFICER, because="settled")
    watch.act_on_dates(request, now=later)
    assert [row["author_id"] for row in memory_shop.rows("message")] == [2, BEN]
    leaves = LedgerLeaf.objects.filter(kind="dates").count()
    watch.act_on_dates(request, now=later)
    assert LedgerLeaf.objects.filter(kind="dates").count() == leaves


def test_of_two_holds_on_a_dataset_the_one_that_is_left_still_holds_it(memory_shop: Shop) -> None:
    before = memory_shop.rows("orders")
    one, other = placed(datasets=["shop.orders"]), placed(datasets=["shop.orders"])
    request = planned(SUBJECT)
    work_off(approve(request))
    later = timezone.now() + timedelta(days=2)
    for held in (one, other):
        watch.act_on_dates(request, now=later)
        assert memory_shop.rows("orders") == before
        hold.release_hold(held, by=OFFICER, because="settled")
    watch.act_on_dates(request, now=later)
    assert [row["customer_id"] for row in memory_shop.rows("orders")] == [BEN]


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"because": " "}, "give the reason"),
        ({"code": "because I say so"}, "code:"),
        ({"legal_reference": ""}, "legal_reference:"),
        ({"legal_reference": f"see {SUBJECT}"}, "legal_reference:"),
        ({"until": timezone.now().date()}, "until:"),
        ({"dataset": "shop.nowhere"}, "dataset:"),
    ],
)
def test_an_exception_that_lacks_something_is_refused(
    memory_shop: Shop, what: dict[str, Any], field: str
) -> None:
    request = planned(SUBJECT)
    good: dict[str, Any] = {
        "dataset": "shop.message", "code": "legal_claims", "legal_reference": "Art. 17(3)(e)",
        "until": timezone.localdate() + timedelta(days=30), "because": "a dispute",
    }  # fmt: skip
    leaves = LedgerLeaf.objects.count()
    with pytest.raises(UsageError, match=field):
        exempt.add_exception(request, by=OFFICER, **(good | what))
    request.refresh_from_db()
    assert (request.state, LedgerLeaf.objects.count()) == ("planned", leaves)
    assert not request.exceptions.exists()


def test_nothing_is_excepted_once_the_plan_is_approved(memory_shop: Shop) -> None:
    request = approved(SUBJECT)
    with pytest.raises(WrongState, match="before approval"):
        exempt.add_exception(
            request, dataset="shop.message", code="legal_claims", legal_reference="Art. 17(3)",
            until=timezone.localdate() + timedelta(days=3), because="a dispute", by=OFFICER,
        )  # fmt: skip


def test_what_is_kept_cannot_refer_to_what_goes(memory_shop: Shop) -> None:
    request = planned(SUBJECT)
    kept = exempt.add_exception(
        request, dataset="shop.line", code="legal_claims", legal_reference="Art. 17(3)(e)",
        until=timezone.localdate() + timedelta(days=30), because="a dispute", by=OFFICER,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"shop\.line.*shop\.orders.*kept as well"):
        planning.make_plan(request, by=OFFICER)
    exempt.lift_exception(kept, by=OFFICER)
    assert planning.make_plan(request, by=OFFICER) is not None
    with pytest.raises(WrongState, match="lifted before"):
        exempt.lift_exception(kept, by=OFFICER)


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({}, "name a person"),
        ({"datasets": ["shop.nowhere"]}, "datasets:"),
        ({"datasets": ["shop.orders"], "because": ""}, "because:"),
        ({"datasets": ["shop.orders"], "code": "x"}, "code:"),
        ({"datasets": ["shop.orders"], "legal_reference": " "}, "legal_reference:"),
        ({"person": [("email", SUBJECT)], "because": f"of {SUBJECT.upper()}"}, "repeat"),
        ({"person": [("email", SUBJECT)], "matter": SUBJECT}, "repeat"),
    ],
)
def test_a_hold_that_lacks_something_is_refused(
    memory_shop: Shop, what: dict[str, Any], field: str
) -> None:
    with pytest.raises(UsageError, match=field) as refused:
        placed(**what)
    assert SUBJECT not in str(refused.value).casefold()
    assert not Hold.objects.exists()


def test_a_matter_is_released_as_one_and_only_once(memory_shop: Shop) -> None:
    placed(datasets=["shop.orders"], matter="Claim 17")
    placed(person=[("email", SUBJECT)], matter="Claim 17")
    placed(datasets=["shop.line"])
    assert len(hold.release_matter("Claim 17", by=OFFICER, because="settled")) == 2
    assert Hold.objects.filter(released_at=None).count() == 1
    with pytest.raises(UsageError, match="no hold of that matter"):
        hold.release_matter("Claim 17", by=OFFICER, because="settled")
    with pytest.raises(WrongState, match="released before"):
        hold.release_hold(Hold.objects.filter(matter="Claim 17")[0], by=OFFICER, because="x")


def test_a_hold_keeps_no_readable_identifier(memory_shop: Shop) -> None:
    request = identified(("email", SUBJECT))
    placed(request=request)
    assert SUBJECT not in str([list(Hold.objects.values()), list(LedgerLeaf.objects.values())])


def test_of_two_holds_in_one_case_each_lets_its_own_dataset_go(shop: Shop) -> None:
    orders, messages = placed(datasets=["shop.orders"]), placed(datasets=["shop.message"])
    request = approved(SUBJECT)
    before = shop.everything()
    work_off(request)
    sweep()
    assert shop.rows("orders") == before["shop_db.orders"]
    hold.release_hold(orders, by=OFFICER, because="settled")
    sweep()
    assert [row["customer_id"] for row in shop.rows("orders")] == [BEN]
    # The messages stay, and whom they refer to.
    assert shop.row("customer", ANN) == before["shop_db.customer"][ANN]
    assert [row["author_id"] for row in shop.rows("message")].count(ANN) == 1
    request.refresh_from_db()
    assert request.state == "partly_granted"
    hold.release_hold(messages, by=OFFICER, because="settled")
    sweep()
    assert [row["author_id"] for row in shop.rows("message")].count(ANN) == 0
    ann = shop.row("customer", ANN)
    assert ann is not None
    assert ann["email"] is None
