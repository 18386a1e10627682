"""Who decides on data past their date, and what they decided: by digest, beforehand, not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db.models import F
from django.utils import timezone

from erasure.domain.errors import Denied, StalePlan, StoreError, UsageError, WrongState
from erasure.flow import dispose, expire
from erasure.models import Expiry, LedgerLeaf, RetentionLook, StandingApproval
from tests.flow.aging import OLD, RULE, aging, approve, catalogue, orders, plan
from tests.flow.cast import APPROVER, AUDITOR, CONSOLE, OFFICER, OLGA, SqliteShop
from tests.flow.deeds import sweep
from tests.flow.spied import Spied

ORDER = {"customer_id": 1, "wish": None}


@pytest.fixture
def aged(sqlite_shop: SqliteShop) -> SqliteShop:
    """Orders go three years after they were placed: Ann's first and Ben's are over."""
    return aging(sqlite_shop)


def test_a_plan_is_approved_by_its_digest_by_somebody_else(aged: SqliteShop) -> None:
    made = plan(by=OLGA)
    with pytest.raises(UsageError, match="another officer"):
        approve(made, by=OLGA)
    with pytest.raises(StalePlan):
        dispose.approve_expired(made, digest="0" * 64, by=APPROVER)
    with pytest.raises(UsageError, match="accept"):
        approve(made, accept=["trigger:shop_db.orders.audit"])
    for nobody in (OFFICER, AUDITOR):
        with pytest.raises(Denied):
            approve(made, by=nobody)
    made.refresh_from_db()
    assert made.state == "planned"
    aged.execute("shop_db", "update orders set placed_on = ? where id = 2", [OLD])
    assert plan(by=OLGA).rows == 3  # made anew
    made.refresh_from_db()
    assert made.state == "stale"
    with pytest.raises(WrongState):
        approve(made)
    assert orders(aged) == [1, 2, 3]


def test_nobody_tries_again_what_waits_for_its_approval(aged: SqliteShop) -> None:
    made = plan()
    with pytest.raises(WrongState, match="is planned, not blocked"):
        dispose.retry_expired(made, by=OFFICER)
    sweep()
    made.refresh_from_db()
    assert (made.state, made.approved_by) == ("planned", "")
    assert orders(aged) == [1, 2, 3]


@pytest.mark.parametrize("state", ["approved", "blocked", "executing", "declined"])
def test_only_a_plan_that_waits_for_it_is_approved(aged: SqliteShop, state: str) -> None:
    made = plan()
    Expiry.objects.update(state=state)
    made.refresh_from_db()
    with pytest.raises(WrongState, match=f"its plan is {state}"):
        approve(made)
    made.refresh_from_db()
    assert (made.state, made.approved_by) == (state, "")


def test_that_whoever_made_a_plan_has_approved_it_is_on_record(
    aged: SqliteShop, settings: LazySettings
) -> None:
    approve(plan(by=OLGA))
    settings.LETHE_FOUR_EYES = False
    Expiry.objects.update(state="stale")
    approve(plan(by=CONSOLE), by=CONSOLE)
    told = LedgerLeaf.objects.filter(kind="expiry_approved").order_by("pk")
    assert ["four_eyes" in leaf.payload for leaf in told] == [False, True]


def test_a_plan_is_stale_when_the_catalogue_says_something_else_by_then(aged: SqliteShop) -> None:
    made = approve(plan())
    aged.describe(catalogue(RULE.replace("action: delete", "action: anonymize")))
    sweep()
    made.refresh_from_db()
    assert made.state == "stale"
    assert orders(aged) == [1, 2, 3]


def test_what_was_approved_beforehand_goes_without_another_look(aged: SqliteShop) -> None:
    made = plan()
    because = "warranty is over: decided by the board"
    standing = dispose.approve_standing(
        made, digest=made.digest, most_rows=10, because=because, by=APPROVER
    )
    sweep()
    assert orders(aged) == [2]
    aged.execute("shop_db", "update orders set placed_on = ?", [OLD])
    second = plan()
    assert (second.state, second.approved_by, second.standing) == ("approved", "approver", standing)
    dispose.revoke_standing(standing, by=OFFICER)
    with pytest.raises(WrongState):
        dispose.revoke_standing(standing, by=OFFICER)
    sweep()
    assert orders(aged) == []
    aged.insert("orders", {"id": 5, "customer_id": 2, "wish": None, "placed_on": OLD})
    assert plan().state == "planned"


def test_a_standing_approval_covers_no_other_steps_and_no_more_rows(aged: SqliteShop) -> None:
    made = plan()
    with pytest.raises(UsageError, match="because"):
        dispose.approve_standing(made, digest=made.digest, most_rows=1, because=" ", by=APPROVER)
    with pytest.raises(UsageError, match="most_rows"):
        dispose.approve_standing(made, digest=made.digest, most_rows=0, because="x", by=APPROVER)
    with pytest.raises(Denied):
        dispose.approve_standing(made, digest=made.digest, most_rows=1, because="x", by=OFFICER)
    assert not StandingApproval.objects.exists()
    dispose.approve_standing(made, digest=made.digest, most_rows=1, because="small", by=APPROVER)
    sweep()
    aged.execute("shop_db", "update orders set placed_on = ? where id = 2", [OLD])
    for number in (6, 7):
        aged.insert("orders", {"id": number, "customer_id": 2, "wish": None, "placed_on": OLD})
    assert plan().state == "planned"  # three rows are more than one
    aged.describe(catalogue(RULE.replace("3y", "2y")))
    aged.execute("shop_db", "delete from orders where id > 2")
    assert plan().state == "planned"  # another rule


def test_one_plan_follows_the_other_until_the_rows_of_the_day_are_spent(
    aged: SqliteShop, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    for number in range(4, 10):
        aged.insert("orders", {**ORDER, "id": number, "placed_on": OLD})
    monkeypatch.setattr(expire, "AT_ONCE", 2)
    settings.LETHE_RETENTION_ROWS = 5
    made = plan()
    look = RetentionLook.objects.get(dataset="shop.orders")
    assert (made.rows, look.more) == (2, 6)
    dispose.approve_standing(made, digest=made.digest, most_rows=5, because="x", by=APPROVER)
    sweep()
    look.refresh_from_db()
    # Two plans are covered; with the third there would be more in a day than was approved.
    assert list(Expiry.objects.order_by("made_at").values_list("state", flat=True)) == [
        "completed",
        "completed",
        "planned",
    ]
    assert (len(orders(aged)), look.more) == (5, 2)
    third = Expiry.objects.get(state="planned")
    approve(third)
    sweep()
    look.refresh_from_db()
    # The day's rows are spent: what is left is told, and waits.
    assert not Expiry.objects.filter(state__in=expire.OPEN).exists()
    assert (len(orders(aged)), look.more, look.again) == (3, 2, False)
    Expiry.objects.update(closed_at=F("closed_at") - timedelta(days=1))
    RetentionLook.objects.update(on=timezone.localdate() - timedelta(days=1))
    sweep()
    look.refresh_from_db()
    assert (orders(aged), look.more) == ([2], 0)


def test_rows_without_a_date_are_told_and_left(aged: SqliteShop) -> None:
    for number, day in ((4, None), (5, "soon"), (6, "1500112233")):
        aged.insert("orders", {**ORDER, "id": number, "placed_on": day})
    made = approve(plan())
    reason = "no date in placed_on, or none that can be read: left alone"
    assert made.left == [{"dataset": "shop.orders", "rows": 3, "reason": reason}]
    sweep()
    assert orders(aged) == [2, 4, 5, 6]


def test_declined_rows_are_left_until_the_day_that_was_said(aged: SqliteShop) -> None:
    made, today = plan(), timezone.localdate()
    with pytest.raises(UsageError, match="because"):
        dispose.decline_expired(made, because="", by=OFFICER)
    for day in (today, today + timedelta(days=400)):
        with pytest.raises(UsageError, match="not_before"):
            dispose.decline_expired(made, because="audit", not_before=day, by=OFFICER)
    dispose.decline_expired(made, because="an audit is going on", by=OFFICER)
    assert made.state == "declined"
    assert expire.plan_expired("shop.orders", by=OFFICER) is None
    Expiry.objects.update(not_before=today)
    assert plan().state == "planned"
    assert orders(aged) == [1, 2, 3]


def test_what_cannot_go_on_is_blocked_and_tried_again(aged: SqliteShop) -> None:
    made = approve(plan())

    def refuse() -> None:
        raise StoreError("shop_db.orders", "the table is read-only; ask its owner")

    Spied.before["shop_db", "act"] = refuse
    sweep()
    made.refresh_from_db()
    assert (made.state, made.blocked_because) == (
        "blocked",
        "shop_db.orders: the table is read-only; ask its owner",
    )
    assert orders(aged) == [1, 2, 3]
    Spied.before.clear()
    with pytest.raises(Denied):
        dispose.retry_expired(made, by=AUDITOR)
    dispose.retry_expired(made, by=OFFICER)
    sweep()
    assert orders(aged) == [2]


def test_a_rule_that_nothing_can_go_by_is_told_and_nothing_is_planned(aged: SqliteShop) -> None:
    aged.describe(catalogue(RULE.replace("starts: placed_on", "starts: warranty_end")))
    sweep()
    look = RetentionLook.objects.get(dataset="shop.orders")
    assert look.error.startswith("shop.orders: its retention starts with 'warranty_end'")
    assert not Expiry.objects.exists()


def test_the_console_may_do_both_and_is_recorded_as_such(aged: SqliteShop) -> None:
    made = approve(plan(by=CONSOLE), by=CONSOLE, four_eyes=False)
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert made.approved_by.startswith("console operator")
