"""Rows that come, go and change hands between the search and the act."""

from __future__ import annotations

import itertools

import pytest

from erasure.flow import decide
from tests.flow.beside import accepting, plan_of
from tests.flow.cast import (
    ANN,
    BEN,
    CLEO,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    Row,
    Shop,
    SqliteShop,
)
from tests.flow.deeds import act, approved, planned, started, work_off
from tests.flow.spied import Spied

NEWCOMER: Row = {
    "id": ANN,
    "name": "Nora Newcomer",
    "email": "nora.newcomer@example.com",
    "phone": "030 5550077",
    "address_id": None,
    "rep_id": None,
    "remark": None,
}


def order(number: int, customer: int = ANN, wish: str | None = None) -> Row:
    return {"id": number, "customer_id": customer, "wish": wish}


def test_a_child_added_to_a_parent_that_goes_is_found_and_goes_with_it(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    shop.insert("line", {"id": 50, "order_id": 1, "engraving": None})
    act(request)
    assert shop.row("line", 50) is None
    assert shop.row("orders", 1) is None
    work_off(request)
    assert request.state == "partly_granted"
    lines = request.plans.get().steps.get(dataset="shop.line", via="deep")
    assert lines.rows == 2


@pytest.mark.parametrize("on_delete", ["CASCADE", "SET NULL"])
def test_a_late_child_is_written_down_before_its_parent_would_take_it_along(
    shop: Shop, on_delete: str
) -> None:
    """Nothing in that table was the person's when the run began, yet the plan names it."""
    shop.remake("line", "order_id", on_delete=on_delete)
    shop.delete("line", 1)
    request = started(approved(SUBJECT))
    shop.insert("line", {"id": 50, "order_id": 1, "engraving": "030 5558888"})
    act(request)
    assert shop.row("line", 50) is None
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert request.plans.get().steps.get(dataset="shop.line", via="deep").rows == 1


def test_a_child_added_after_the_act_is_found_by_the_settling_search(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    act(request)
    shop.insert("orders", order(50))
    shop.insert("line", {"id": 51, "order_id": 50, "engraving": None})
    work_off(request)
    assert request.state == "partly_granted"
    assert shop.row("orders", 50) is None
    assert shop.row("line", 51) is None


def test_a_late_row_at_the_key_of_one_that_went_is_found_too(shop: Shop) -> None:
    """SQLite gives the highest keys out again as soon as their rows have gone."""
    request = started(approved(SUBJECT))
    act(request)
    assert shop.row("orders", 2) is None
    shop.insert("orders", order(2, wish="once more"))
    work_off(request)
    assert request.state == "partly_granted"
    assert shop.row("orders", 2) is None


def test_a_late_rows_own_values_are_looked_for_and_redacted(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    shop.insert("line", {"id": 50, "order_id": 1, "engraving": "030 5558888"})
    shop.insert("message", {"id": 50, "author_id": BEN, "body": "ask 030 5558888 for Ann"})
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    message = shop.row("message", 50)
    assert message is not None
    assert message["body"] == "ask [erased] for Ann"


def test_rows_that_keep_being_added_end_blocked_as_still_active(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    numbers = itertools.count(100)
    Spied.before["crm_db", "find"] = lambda: shop.insert("orders", order(next(numbers)))
    work_off(request)
    assert request.state == "blocked"
    assert "still active" in request.blocked_because
    run = request.run
    assert run is not None
    assert (run.state, run.rounds) == ("blocked", 3)


def test_a_case_that_was_still_active_goes_on_once_the_writers_pause(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    numbers = itertools.count(100)
    Spied.before["crm_db", "find"] = lambda: shop.insert("orders", order(next(numbers)))
    work_off(request)
    del Spied.before["crm_db", "find"]
    decide.retry_blocked(request, by=OFFICER)
    shop.insert("orders", order(90))
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert [row["id"] for row in shop.rows("orders")] == [3]


def test_a_child_added_at_every_delete_blocks_its_store_as_still_active(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    numbers = itertools.count(100)
    Spied.before["shop_db", "act"] = lambda: shop.insert(
        "line", {"id": next(numbers), "order_id": 1, "engraving": None}
    )
    work_off(request)
    assert request.state == "blocked"
    assert "still active" in request.blocked_because
    assert shop.row("orders", 1) is not None


def hand_over(shop: Shop) -> None:
    """The application deletes Ann's account and gives its key to a newcomer."""
    for table in ("message", "invoice", "line", "orders"):
        for row in shop.rows(table):
            if row.get("customer_id", row.get("author_id", row.get("order_id"))) in (ANN,):
                shop.delete(table, row["id"])
    shop.delete("line", 1)
    shop.delete("customer", ANN)
    shop.insert("customer", NEWCOMER)
    shop.insert("orders", order(60, wish="a newcomer's"))
    shop.insert("line", {"id": 60, "order_id": 60, "engraving": None})
    shop.insert("message", {"id": 60, "author_id": ANN, "body": "I am new"})


def assert_newcomer_untouched(shop: Shop) -> None:
    assert shop.row("customer", ANN) == NEWCOMER
    assert shop.row("orders", 60) is not None
    assert shop.row("line", 60) is not None
    assert shop.row("message", 60) is not None


def test_a_key_given_out_again_is_left_alone_and_so_are_the_newcomers_children(
    shop: Shop,
) -> None:
    request = started(approved(SUBJECT))
    hand_over(shop)
    work_off(request)
    assert_newcomer_untouched(shop)
    customer = request.plans.get().steps.get(dataset="shop.customer", via="deep")
    assert customer.rows == 0
    assert customer.note == "1 left alone: no longer the row that was found"


def test_a_search_for_late_rows_leaves_the_newcomers_children_alone(shop: Shop) -> None:
    """It runs while nothing of the batch has been done yet."""
    request = started(approved(SUBJECT), approved(NEIGHBOUR))
    hand_over(shop)
    shop.insert("line", {"id": 61, "order_id": 3, "engraving": None})  # the neighbour's, late
    work_off(request)
    assert_newcomer_untouched(shop)
    assert shop.row("line", 61) is None
    assert shop.row("orders", 3) is None


def test_a_deleted_childs_key_given_to_a_neighbour_is_left_alone(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    shop.delete("line", 1)
    shop.delete("orders", 1)
    shop.insert("orders", order(1, BEN, "mine"))
    shop.insert("line", {"id": 70, "order_id": 1, "engraving": None})
    work_off(request)
    assert shop.row("orders", 1) == order(1, BEN, "mine")
    assert shop.row("line", 70) is not None


def test_a_text_that_mentions_the_person_again_is_redacted_again(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    act(request)
    shop.change("message", 2, body="Ann Archer, once more")
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    message = shop.row("message", 2)
    assert message is not None
    assert message["body"] == "[erased], once more"


def test_an_anonymised_persons_text_that_names_them_again_is_redacted(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    act(request)
    shop.change("customer", ANN, remark="was Ann Archer")
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    customer = shop.row("customer", ANN)
    assert customer is not None
    assert customer["remark"] == "was [erased]"


def test_a_mention_that_appears_between_search_and_act_is_redacted(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    shop.insert("message", {"id": 80, "author_id": CLEO, "body": "Archer, Ann says hello"})
    work_off(request)
    message = shop.row("message", 80)
    assert message is not None
    assert message["body"] == "[erased] says hello"


def test_a_reference_that_the_catalogue_does_not_follow_is_not_taken_for_late_rows(
    sqlite_shop: SqliteShop,
) -> None:
    sqlite_shop.execute("shop_db", "CREATE TABLE visit (guest INTEGER REFERENCES orders)")
    sqlite_shop.execute("shop_db", "INSERT INTO visit VALUES (1)")
    request = planned(SUBJECT)
    warnings = [w for w in plan_of(request).warnings if w.startswith("shop_db.visit: no search")]
    assert len(warnings) == 1
    accepting(request)
    started(request)
    work_off(request)
    assert request.state == "blocked"
    assert request.blocked_because.startswith("shop_db.visit: rows refer to what is to go")
    assert sqlite_shop.row("orders", 1) is not None
