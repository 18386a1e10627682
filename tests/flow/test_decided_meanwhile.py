"""What somebody decides while somebody else, or a worker, is at the same case: neither is lost, and
no request ends because each of two cases was said to go on in the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from erasure.advance import Job, perform
from erasure.domain import clocks
from erasure.domain.errors import UsageError, WrongState
from erasure.flow import (
    decide,
    exempt,
    export,
    extend,
    hold,
    identify,
    intake,
    planning,
    reopen,
    route,
    watch,
)
from erasure.models import ErasureRequest, Hold, Run
from tests.flow.cast import APPROVER, OFFICER, SUBJECT, MemoryShop, Shop
from tests.flow.deeds import approved, identified, planned, started, sweep, work_off
from tests.flow.spied import Spied
from tests.flow.test_at_once import at_once


def meanwhile(deed: Callable[[], object], asked: str = "find") -> None:
    """Done by somebody else, once, while the shop is being asked."""

    def once() -> None:
        del Spied.before["shop_db", asked]
        deed()

    Spied.before["shop_db", asked] = once


def again(request: ErasureRequest) -> ErasureRequest:
    """As somebody else reads it now."""
    return ErasureRequest.objects.get(pk=request.pk)


def keep_messages(request: ErasureRequest) -> None:
    exempt.add_exception(
        request, dataset="shop.message", code="legal_claims", legal_reference="Art. 17(3)(e)",
        until=timezone.localdate() + timedelta(days=30), because="a dispute", by=OFFICER,
    )  # fmt: skip


def carried_out(request: ErasureRequest) -> None:
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(request)


def test_what_is_excepted_while_the_plan_is_being_made_is_in_it(shop: Shop) -> None:
    request = identified(("email", SUBJECT))
    meanwhile(lambda: keep_messages(again(request)))
    planning.make_plan(request, by=OFFICER)
    carried_out(request)
    assert [row["id"] for row in shop.rows("message")] == [1, 2, 3]
    assert request.state == "partly_granted", request.blocked_because


def test_what_is_no_longer_excepted_is_not_in_a_plan_that_is_just_being_made(shop: Shop) -> None:
    request = identified(("email", SUBJECT))
    keep_messages(request)
    kept = request.exceptions.get()
    meanwhile(lambda: exempt.lift_exception(kept, by=OFFICER))
    planning.make_plan(request, by=OFFICER)
    carried_out(request)
    assert [row["id"] for row in shop.rows("message")] == [2, 3]


def test_an_exception_by_whoever_has_read_the_case_before_its_plan_was_made_is_in_it(
    memory_shop: Shop,
) -> None:
    stale = identified(("email", SUBJECT))
    request = again(stale)
    planning.make_plan(request, by=OFFICER)
    keep_messages(stale)
    assert again(request).state == "identified"
    with pytest.raises(WrongState):
        decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)


def test_an_exception_after_the_approval_is_refused_to_whoever_has_read_it_before(
    memory_shop: Shop,
) -> None:
    stale = identified(("email", SUBJECT))
    planning.make_plan(request := again(stale), by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    with pytest.raises(WrongState, match="before approval"):
        keep_messages(stale)
    assert not request.exceptions.exists()


def test_a_copy_that_is_ordered_while_the_run_is_being_opened_comes_first(shop: Shop) -> None:
    request = approved(SUBJECT)
    before = shop.everything()
    meanwhile(lambda: export.order_export(again(request), by=OFFICER))
    perform(Job("advance", request.pk))
    assert again(request).state == "approved"
    assert not Run.objects.exclude(state="abandoned").exists()
    sweep()
    made = request.exports.get()
    assert (made.state, again(request).state) == ("ready", "approved")
    assert shop.everything() == before
    export.hand_over(made, by=OFFICER)
    sweep()
    assert again(request).state == "partly_granted"


def closed_and_waiting() -> ErasureRequest:
    """Her case, of which the invoice waits for its day."""
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    return request


def test_a_case_that_two_reopen_at_once_goes_on_as_one(
    memory_shop: MemoryShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = closed_and_waiting()
    how: dict[str, Any] = {
        "identifiers": [("email", SUBJECT)], "why": "asked_again", "because": "x", "by": OFFICER,
    }  # fmt: skip
    now = timezone.now

    def meanwhile_by_another() -> datetime:
        monkeypatch.setattr(timezone, "now", now)
        reopen.reopen_case(again(first), **how)
        return now()

    monkeypatch.setattr(timezone, "now", meanwhile_by_another)
    with pytest.raises(UsageError, match="has an open case already"):
        reopen.reopen_case(first, **how)
    assert ErasureRequest.objects.filter(follows=first.pk).count() == 1


def two(memory_shop: Shop) -> tuple[ErasureRequest, ErasureRequest]:
    """She has asked twice, by two identifiers and then by one."""
    one = intake.open_request([("email", SUBJECT), ("phone", "030 5550001")], by=OFFICER)
    return one, intake.open_request([("email", SUBJECT)], by=OFFICER)


def test_of_two_cases_that_are_said_to_go_on_in_each_other_one_goes_on(memory_shop: Shop) -> None:
    one, other = two(memory_shop)
    route.link_duplicate(again(other), of=again(one), by=OFFICER)
    with pytest.raises(UsageError, match="of: is closed"):
        route.link_duplicate(one, of=other, by=OFFICER)
    assert (again(one).state, again(other).state) == ("received", "duplicate")


def test_a_case_does_not_go_on_in_one_that_was_withdrawn_meanwhile(memory_shop: Shop) -> None:
    one, other = two(memory_shop)
    decide.withdraw_request(again(one), by=OFFICER)
    with pytest.raises(UsageError, match="of: is closed"):
        route.link_duplicate(other, of=one, by=OFFICER)
    assert again(other).state == "received"


def test_a_case_does_not_go_on_in_one_that_has_more_time_or_knows_less_of_the_person(
    memory_shop: Shop,
) -> None:
    one, other = two(memory_shop)
    with pytest.raises(UsageError, match="of: came in later, and has more time"):
        route.link_duplicate(one, of=other, by=OFFICER)
    ErasureRequest.objects.filter(pk=other.pk).update(received_at=one.received_at)
    with pytest.raises(UsageError, match="of: was not given phone; answer both"):
        route.link_duplicate(one, of=again(other), by=OFFICER)
    assert (again(one).state, again(other).state) == ("received", "received")
    assert one.identifiers.exclude(sealed=b"").count() == 2


def test_the_time_that_was_extended_stays_extended_when_identity_is_confirmed_meanwhile(
    memory_shop: Shop,
) -> None:
    request = intake.open_request([("email", SUBJECT)], by=OFFICER)
    identify.ask_identity(request, by=OFFICER, doubt="another name")
    stale, now = again(request), timezone.now()
    request.pauses.update(until=now)  # proved by another officer just now, who extends it as well
    extend.extend_deadline(again(request), because="much to do", by=OFFICER)
    extended = again(request).due_at
    request.pauses.update(until=None)
    identify.confirm_identity(stale, by=OFFICER, method="rang back", at=now)
    assert (again(request).due_at, stale.due_at) == (extended, extended)


def test_who_sends_the_form_twice_at_once_has_one_case(memory_shop: Shop) -> None:
    def ask() -> None:
        with suppress(WrongState):
            intake.open_request([("email", SUBJECT)], by=OFFICER)

    for _ in range(3):
        at_once(*[ask] * 4)
    assert ErasureRequest.objects.count() == 1


def test_a_plan_that_two_approve_at_once_is_approved_once(memory_shop: Shop) -> None:
    request = planned(SUBJECT)
    digest, refused = request.plans.get().digest, []

    def approve() -> None:
        try:
            decide.approve_plan(again(request), digest=digest, by=APPROVER)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at below
            refused.append(type(error).__name__)

    at_once(*[approve] * 3)
    assert len(refused) == 2
    assert set(refused) <= {"WrongState", "StalePlan"}
    assert request.plans.get().state == "approved"
    assert again(request).state == "approved"


def test_the_last_hour_is_the_last_where_it_comes_twice() -> None:
    """In Santiago the clocks go back from 24:00 to 23:00: the day ends with the second 23:59:59."""
    day = datetime(2027, 4, 3, tzinfo=UTC).date()
    end = clocks.last_moment(day, ZoneInfo("America/Santiago"))
    assert end.astimezone(UTC) == datetime(2027, 4, 4, 3, 59, 59, tzinfo=UTC)


def hold_by_phone() -> None:
    hold.place_hold(
        person=[("phone", "030 5550001")], code="legal_claims", legal_reference="Art. 17(3)(e)",
        because="claim 17", by=OFFICER,
    )  # fmt: skip


def test_a_hold_on_somebody_known_otherwise_stops_a_plan_that_was_approved_before(
    shop: Shop,
) -> None:
    request = approved(SUBJECT)
    before = shop.everything()
    hold_by_phone()  # the case was given her email alone: nothing tells yet that it is about her
    work_off(request)
    assert again(request).state in ("identified", "planned")
    sweep()
    assert again(request).state == "planned"
    assert "nothing is done before a hold is released" in str(again(request).plans.first().warnings)  # type: ignore[union-attr]
    assert shop.everything() == before


def test_a_hold_that_is_placed_while_the_run_is_being_opened_stops_it(shop: Shop) -> None:
    request = approved(SUBJECT)
    before = shop.everything()
    meanwhile(hold_by_phone)
    work_off(request)
    sweep()
    assert again(request).state in ("planned", "approved", "blocked")
    assert shop.everything() == before


def test_a_hold_that_is_placed_while_a_run_is_at_work_stops_what_has_not_gone_yet(
    memory_shop: Shop,
) -> None:
    request = started(approved(SUBJECT))
    hold_by_phone()
    before = memory_shop.everything()
    work_off(request)
    assert again(request).state == "blocked"
    assert "on hold since" in again(request).blocked_because
    assert memory_shop.everything() == before
    hold.release_hold(Hold.objects.get(), because="settled", by=OFFICER)
    sweep()
    assert again(request).state == "partly_granted"


def test_what_waits_for_its_day_stays_under_a_hold_on_somebody_known_otherwise(shop: Shop) -> None:
    request = closed_and_waiting()
    hold_by_phone()
    long_after = timezone.now() + timedelta(days=4000)
    watch.act_on_dates(request, now=long_after)
    assert shop.row("invoice", 1) is not None
    assert "on hold since" in request.dates.get(dataset="shop.invoice").error
    hold.release_hold(Hold.objects.get(), because="settled", by=OFFICER)
    watch.act_on_dates(again(request), now=long_after)
    assert shop.row("invoice", 1) is None
