"""Data past their date go without a request: planned by the sweep, approved, carried out, asked
again; and what may not go stays."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import (
    KeyDestroyed,
    StoreError,
)
from erasure.flow import decide, exempt, expire, hold
from erasure.models import Expiry, LedgerLeaf, RetentionLook
from tests.flow.aging import (
    HOLD,
    OLD,
    YOUNG,
    aging,
    approve,
    body,
    catalogue,
    lines,
    orders,
    plan,
    widened,
)
from tests.flow.cast import (
    APPROVER,
    BEN,
    EVE,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    SqliteShop,
)
from tests.flow.deeds import planned, sweep, work_off
from tests.flow.spied import Spied


@pytest.fixture
def aged(sqlite_shop: SqliteShop) -> SqliteShop:
    """Orders go three years after they were placed: Ann's first and Ben's are over."""
    return aging(sqlite_shop)


@pytest.fixture
def aged_sql(sql_shop: SqliteShop) -> SqliteShop:
    """The same, on PostgreSQL as well."""
    return aging(sql_shop)


def test_the_sweep_lists_plans_and_once_approved_erases_what_is_over_and_nothing_else(
    aged_sql: SqliteShop,
) -> None:
    before = aged_sql.everything()
    sweep()
    made = Expiry.objects.get()
    assert (made.state, made.rows, made.since) == ("planned", 2, date(2018, 6, 30))
    assert aged_sql.everything() == before
    sweep()  # a day has one look
    assert Expiry.objects.get().pk == made.pk
    approve(made)
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert orders(aged_sql) == [2]
    assert lines(aged_sql) == []
    now = aged_sql.everything()
    for table in ("customer", "invoice", "message", "address", "employee"):
        assert now[f"shop_db.{table}"] == before[f"shop_db.{table}"]
    found = body()
    assert "subject" not in found
    assert [(p["dataset"], p["rows"], p["action"]) for p in found["locations"]] == [
        ("shop.line", 2, "delete"),
        ("shop.orders", 2, "delete"),
    ]
    assert found["decision"]["approved_by"] == "approver"
    with pytest.raises(KeyDestroyed):
        vault.open_key(made.id, "deferred")
    assert made.run is not None
    assert made.run.state == "finished"


def test_no_key_or_date_of_a_row_stands_in_clear(aged: SqliteShop) -> None:
    aged.execute("shop_db", "update orders set id = 770077 where id = 3")
    aged.execute("shop_db", "update line set order_id = 770077 where order_id = 3")
    made = approve(plan())
    sweep()
    kept = [*LedgerLeaf.objects.values_list("payload", flat=True)]
    kept += [str(row) for row in Expiry.objects.values()]
    assert made.rows == 2
    assert not any("770077" in text for text in kept)


def test_a_row_whose_last_day_is_today_or_yesterday_is_not_over(aged: SqliteShop) -> None:
    today = timezone.localdate()
    last = today.replace(year=today.year - 3)
    for number, days in ((1, 0), (2, 1), (3, 2)):
        day = (last - timedelta(days=days)).isoformat()
        aged.execute("shop_db", "update orders set placed_on = ? where id = ?", [day, number])
    made = plan()
    assert made.rows == 1
    approve(made)
    sweep()
    assert orders(aged) == [1, 2]


def test_a_row_that_was_renewed_since_the_plan_stays_with_its_parts(aged: SqliteShop) -> None:
    made = approve(plan())
    aged.execute("shop_db", "update orders set placed_on = ? where id = 1", [YOUNG])
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert orders(aged) == [1, 2]
    assert lines(aged) == [1]


def test_a_row_that_is_renewed_between_look_and_lock_takes_the_whole_transaction_back(
    aged_sql: SqliteShop,
) -> None:
    made = approve(plan())

    def renew() -> None:
        Spied.before.clear()
        aged_sql.execute("shop_db", "update orders set placed_on = ? where id = 1", [YOUNG])

    Spied.before["shop_db", "act"] = renew
    with pytest.raises(StoreError) as told:
        expire.carry_out(made.id)
    assert not told.value.permanent
    assert orders(aged_sql) == [1, 2, 3]
    assert sorted(lines(aged_sql)) == [1, 3]
    expire.carry_out(made.id)
    made.refresh_from_db()
    assert made.state == "completed"
    assert orders(aged_sql) == [1, 2]
    assert lines(aged_sql) == [1]
    assert {r["dataset"]: r["rows"] for r in body()["residual"]} == {
        "shop.line": 1,
        "shop.orders": 1,
    }


class Killed(BaseException):
    """The process dies there."""


@pytest.mark.parametrize("where", ["find", "act", "acted"])
def test_a_sweep_that_is_killed_goes_on_where_it_stopped(aged_sql: SqliteShop, where: str) -> None:
    made = approve(plan())

    def die() -> None:
        Spied.before.clear()
        raise Killed

    Spied.before["shop_db", where] = die
    with pytest.raises(Killed):
        expire.carry_out(made.id)
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert orders(aged_sql) == [2]
    assert lines(aged_sql) == []
    assert sum(p["rows"] for p in body()["locations"]) == 4


def test_a_part_that_was_added_meanwhile_goes_with_its_row(aged: SqliteShop) -> None:
    made = approve(plan())

    def add() -> None:
        Spied.before.clear()
        aged.insert("line", {"id": 9, "order_id": 3, "engraving": None})

    Spied.before["shop_db", "act"] = add
    expire.carry_out(made.id)
    made.refresh_from_db()
    assert made.state == "completed"
    assert lines(aged) == []


def test_what_is_on_hold_stays_and_goes_once_released(aged: SqliteShop) -> None:
    held = hold.place_hold(by=OFFICER, datasets=["shop.orders"], **HOLD)
    assert expire.plan_expired("shop.orders", by=OFFICER) is None
    hold.release_hold(held, by=OFFICER, because="settled")
    approve(plan())
    sweep()
    assert orders(aged) == [2]


def test_a_hold_on_what_would_go_along_keeps_the_row_as_well(aged: SqliteShop) -> None:
    hold.place_hold(by=OFFICER, datasets=["shop.line"], **HOLD)
    assert expire.plan_expired("shop.orders", by=OFFICER) is None


def test_rows_of_a_person_on_hold_stay_and_those_of_others_go(aged_sql: SqliteShop) -> None:
    hold.place_hold(by=OFFICER, person=[("email", NEIGHBOUR)], **HOLD)
    made = plan()
    assert made.rows == 1
    assert made.left == [{"dataset": "shop.orders", "rows": 1, "reason": "about people on hold"}]
    approve(made)
    sweep()
    assert orders(aged_sql) == [2, 3]
    assert lines(aged_sql) == [3]


def test_a_hold_that_is_placed_after_the_approval_is_kept_to(aged: SqliteShop) -> None:
    made = approve(plan())
    hold.place_hold(by=OFFICER, person=[("email", NEIGHBOUR)], **HOLD)
    sweep()
    made.refresh_from_db()
    assert made.state == "completed"
    assert orders(aged) == [2, 3]


def test_what_a_case_keeps_until_its_own_day_is_left_to_the_case(aged: SqliteShop) -> None:
    request = planned(SUBJECT)
    until = timezone.localdate() + timedelta(days=400)
    for dataset in ("shop.orders", "shop.customer"):
        exempt.add_exception(
            request,
            dataset=dataset,
            code="legal_claims",
            legal_reference="Art. 17(3)(e)",
            because="a claim is open",
            until=until,
            by=OFFICER,
        )
    assert plan().rows == 1  # Ben's: Ann's case is open, and keeps hers
    Expiry.objects.all().delete()
    work_off(request)
    draft = request.plans.get(state="draft")
    decide.approve_plan(request, digest=draft.digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted"
    made = approve(plan())
    sweep()
    made.refresh_from_db()
    assert made.rows == 1
    assert orders(aged) == [1, 2]


def test_a_row_to_which_rows_refer_that_stay_is_left(aged: SqliteShop) -> None:
    rule = "erasure: {action: delete, because: nothing refers to who left}"
    text = catalogue().replace(
        rule,
        "erasure: {action: delete, because: left, retention: {period: 1y, starts: left_on}}",
    )
    text = widened(text, "          - name: boss_id\n", "left_on")
    aged.widen("employee", "left_on")
    aged.execute("shop_db", "update employee set left_on = ?", [OLD])
    aged.describe(text)
    made = plan("shop.employee")
    # Eve serves customers; Fay, whose boss she is, can go, and with Fay her mentor Gil.
    stays = {"rows": 1, "reason": "rows of shop.customer refer to them and stay"}
    assert made.left == [{"dataset": "shop.employee", **stays}]
    assert RetentionLook.objects.get(dataset="shop.employee").left == made.left
    approve(made)
    sweep()
    assert [row["id"] for row in aged.rows("employee")] == [EVE]


def test_rows_that_stay_are_anonymized_once(aged: SqliteShop) -> None:
    text = catalogue().replace(
        "erasure: {action: anonymize, because: an invoice that is kept refers to it}",
        "erasure: {action: anonymize, because: invoices, retention: {period: 2y, starts: seen_on}}",
    )
    text = widened(text, "          - {name: phone, data", "seen_on")
    aged.widen("customer", "seen_on")
    aged.execute("shop_db", "update customer set seen_on = ? where id = ?", [OLD, BEN])
    aged.describe(text)
    before = aged.everything()["shop_db.customer"]
    made = approve(plan("shop.customer"))
    assert made.rows == 1
    sweep()
    ben = aged.row("customer", BEN)
    assert ben is not None
    assert (ben["name"], ben["email"], ben["phone"]) == (None, None, None)
    assert [r for r in aged.rows("customer") if r["id"] != BEN] == [
        r for r in before if r["id"] != BEN
    ]
    assert expire.plan_expired("shop.customer", by=OFFICER) is None
    assert body()["locations"][0]["residue"] == "anonymized"


def test_a_retained_row_goes_when_its_last_day_and_its_retention_have_passed(
    aged: SqliteShop,
) -> None:
    law = "          legal_reference: tax law\n"
    rule = "          retention: {period: 1y, starts: issued_on}\n"
    aged.describe(catalogue().replace(law, law + rule))
    assert expire.plan_expired("shop.invoice", by=OFFICER) is None  # of 2026: kept until 2034
    aged.execute("shop_db", "update invoice set issued_on = ? where id = 1", ["2010-01-01"])
    approve(plan("shop.invoice"))
    sweep()
    assert [row["id"] for row in aged.rows("invoice")] == [2]
