"""A plan explains itself: how every step in a database would be carried out, and no value."""

from __future__ import annotations

import json

from erasure.flow import decide, planning
from erasure.models import ErasureRequest
from tests.flow.beside import (
    add_parcels,
    add_trigger,
    plan_of,
)
from tests.flow.cast import (
    OFFICER,
    ROWS,
    SECRETS,
    SUBJECT,
    MemoryShop,
    SqliteShop,
)
from tests.flow.deeds import identified, planned


def test_the_digest_covers_what_will_happen_and_not_what_is_only_estimated(
    sql_shop: SqliteShop,
) -> None:
    def digest() -> str:
        request = planned(SUBJECT)
        found = plan_of(request).digest
        decide.withdraw_request(request, by=OFFICER)
        return found

    first = digest()
    for number in range(20):
        sql_shop.insert("message", {"id": 100 + number, "author_id": 1, "body": "hello"})
    sql_shop.execute("shop_db", "CREATE INDEX by_author ON message (author_id)")
    assert digest() == first
    add_trigger(sql_shop)
    second = digest()
    assert second != first
    add_trigger(sql_shop, "DELETE FROM line WHERE id < 0;")
    third = digest()
    assert third not in (first, second)
    add_parcels(sql_shop)
    assert digest() not in (first, second, third)


def test_every_step_in_a_database_is_explained_and_holds_no_value(sql_shop: SqliteShop) -> None:
    plan = plan_of(planned(SUBJECT))
    steps = {(s.dataset, s.via): s for s in plan.steps.all()}
    orders = steps["shop.orders", "deep"].explained
    assert (
        orders["statement"] == "DELETE FROM orders WHERE id IN (row keys) AND customer_id = guard"
    )
    assert orders["rows"] == 3
    assert "customer_id: no index serves it, every row is read" in orders["index"]
    assert orders["locks"]
    assert orders["stays"]
    kept = steps["shop.invoice", "deep"].explained
    assert (
        kept["stays"]
        == "the row as it is until end_of_year(issued_on) + 8y (legal_obligation, tax law)"
    )
    assert all(s.explained["statement"] for s in steps.values())
    told = json.dumps([[s.explained for s in steps.values()], plan.warnings, plan.findings])
    values = {
        str(v) for t in ROWS.values() for rows in t.values() for r in rows for v in r.values()
    }
    private = {v.casefold() for v in (*values, *SECRETS) if len(v) > 5}
    assert private
    assert not [value for value in private if value in told.casefold()]


def test_the_searches_that_lead_to_a_row_are_the_ones_explained(sql_shop: SqliteShop) -> None:
    steps = plan_of(planned(SUBJECT)).steps
    customer = steps.get(dataset="shop.customer", via="deep").explained["index"]
    assert [line.partition(":")[0] for line in customer] == ["email"]
    by_phone = identified(("phone", "030 5550001"))
    decide.withdraw_request(ErasureRequest.objects.get(state="planned"), by=OFFICER)
    plan = planning.make_plan(by_phone, by=OFFICER)
    assert plan is not None
    index = plan.steps.get(dataset="shop.customer", via="deep").explained["index"]
    assert [line.partition(":")[0] for line in index] == ["phone"]


def test_rows_without_a_filled_in_reference_are_warned_of(sql_shop: SqliteShop) -> None:
    warnings = plan_of(planned(SUBJECT)).warnings
    (loose,) = [
        w for w in warnings if w.startswith("reached only where the reference is filled in")
    ]
    assert "shop.orders (customer_id)" in loose
    assert "shop.line (order_id)" in loose
    assert "shop.customer" not in loose


def test_a_store_that_cannot_explain_leaves_its_steps_as_they_are(transactional_db: None) -> None:
    made = MemoryShop()
    made.describe()
    plan = plan_of(planned(SUBJECT))
    made.close()
    told = {s.dataset: s.explained for s in plan.steps.all()}
    assert told.pop("shop.invoice") == {"last_day": "2034-12-31"}  # which needs no store
    assert [explained for explained in told.values() if explained] == []
    assert plan.findings == []
