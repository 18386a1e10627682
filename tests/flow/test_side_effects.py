"""What a plan would set off beside its steps is found before, accepted or refused, and owned up to:
cascades to rows that no step names, and triggers."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from erasure.domain.errors import StalePlan, UsageError
from erasure.flow import decide, planning
from erasure.inline import approve, replay
from erasure.models import Event, LedgerLeaf
from tests.flow.beside import (
    LABELS,
    PARCELS,
    WATCH,
    accepting,
    add_parcels,
    add_trigger,
    beside,
    body_of,
    plan_of,
)
from tests.flow.cast import (
    APPROVER,
    CATALOGUE,
    CONSOLE,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    SqliteShop,
)
from tests.flow.deeds import approved, identified, planned, work_off
from tests.flow.spied import Spied

# --- found, refused, accepted --------------------------------------------------------------------


def test_a_plan_names_what_would_go_along_and_how_many_rows(sql_shop: SqliteShop) -> None:
    add_parcels(sql_shop)
    plan = plan_of(planned(SUBJECT))
    assert {f["code"]: f["rows"] for f in plan.findings} == {PARCELS: 2, LABELS: 1}
    assert {f["place"] for f in plan.findings} == {"shop_db.parcel", "shop_db.label"}
    step = plan.steps.get(dataset="shop.orders", via="deep")
    assert step.spec["along"] == [LABELS, PARCELS]
    assert step.explained["effects"] == [PARCELS, LABELS]
    others = plan.steps.exclude(pk=step.pk)
    assert not any(s.spec["along"] or s.explained["effects"] for s in others)


@pytest.mark.parametrize("accept", [(), (PARCELS,), (LABELS,), (PARCELS, LABELS, WATCH)])
def test_a_plan_is_approved_with_exactly_what_it_names_or_not_at_all(
    sql_shop: SqliteShop, accept: tuple[str, ...]
) -> None:
    add_parcels(sql_shop)
    request = planned(SUBJECT)
    before = beside(sql_shop), LedgerLeaf.objects.count(), Event.objects.count()
    with pytest.raises(
        UsageError,
        match=r"must be accepted with the plan|to be accepted there is: cascade:",
    ):
        accepting(request, *accept)
    request.refresh_from_db()
    plan = plan_of(request)
    assert (request.state, plan.approved_by, plan.accepted) == ("planned", "", [])
    work_off(request)
    assert (beside(sql_shop), LedgerLeaf.objects.count(), Event.objects.count()) == before
    assert "act" not in {what for _, what in Spied.asked}


def test_what_was_accepted_goes_along_exactly_and_is_owned_up_to(sql_shop: SqliteShop) -> None:
    add_parcels(sql_shop)
    request = accepting(planned(SUBJECT), PARCELS, LABELS)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert sql_shop.rows("parcel") == [{"id": 3, "order_id": 3}]
    assert sql_shop.rows("label") == []
    assert [row["id"] for row in sql_shop.rows("orders")] == [3]
    plan = request.plans.get()
    assert [(a["code"], a["by"]) for a in plan.accepted] == [
        (LABELS, APPROVER),
        (PARCELS, APPROVER),
    ]
    step = plan.steps.get(dataset="shop.orders", via="deep")
    assert (step.rows, step.along) == (2, {PARCELS: 2, LABELS: 1})
    assert f"2 that no step names went along ({PARCELS})" in step.note
    limits = {limit["dataset"]: limit for limit in body_of(request)["limits"]}
    assert limits["shop_db.parcel"]["rows"] == 2
    assert limits["shop_db.label"]["rows"] == 1
    said = limits["shop_db.parcel"]["statement"]
    assert f"rows that no step names went along, accepted by {APPROVER} ({PARCELS})" in said
    assert "what they held was not searched for elsewhere" in said
    leaf = LedgerLeaf.objects.get(kind="approved")
    assert json.loads(leaf.payload)["accepted"] == [LABELS, PARCELS]


def test_a_reference_that_is_emptied_by_itself_is_accepted_like_a_cascade(
    sql_shop: SqliteShop,
) -> None:
    add_parcels(sql_shop, "SET NULL")
    request = accepting(planned(SUBJECT), "set_null:shop_db.parcel.order_id")
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert [row["order_id"] for row in sql_shop.rows("parcel")] == [None, None, 3]
    assert len(sql_shop.rows("label")) == 1


def test_a_declared_table_is_no_side_effect(sql_shop: SqliteShop) -> None:
    add_parcels(sql_shop)
    collection = """
      - name: TABLE
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: FIELD
            fides_meta: {references: [{dataset: shop, field: TARGET.id, direction: from}]}
"""
    declared = CATALOGUE.read_text()
    for table, field, target in (
        ("parcel", "order_id", "orders"),
        ("label", "parcel_id", "parcel"),
    ):
        made = collection.replace("TABLE", table).replace("FIELD", field).replace("TARGET", target)
        declared = declared.replace(
            "  - fides_key: crm\n", f"{made.lstrip(chr(10))}  - fides_key: crm\n"
        )
    sql_shop.describe(declared)
    assert plan_of(planned(SUBJECT)).findings == []
    request = approved(NEIGHBOUR)
    work_off(request)
    assert [row["id"] for row in sql_shop.rows("parcel")] == [1, 2]
    assert body_of(request)["limits"] == []


def test_people_in_one_run_are_told_of_their_own_rows_each(sql_shop: SqliteShop) -> None:
    add_parcels(sql_shop)
    ann, ben = (accepting(planned(who), PARCELS, LABELS) for who in (SUBJECT, NEIGHBOUR))
    work_off(ann, ben)
    assert ann.run == ben.run
    along = [r.plans.get().steps.get(dataset="shop.orders", via="deep").along for r in (ann, ben)]
    assert along == [{PARCELS: 2, LABELS: 1}, {PARCELS: 1}]
    assert sql_shop.rows("parcel") == []


def test_rows_that_the_law_keeps_can_go_along_with_nothing(sql_shop: SqliteShop) -> None:
    """An invoice refers to an order, undeclared, and the law keeps the invoice."""
    sql_shop.execute(
        "shop_db",
        "ALTER TABLE invoice ADD COLUMN order_id INTEGER REFERENCES orders (id) ON DELETE CASCADE",
    )
    request = planned(SUBJECT)
    plan = plan_of(request)
    assert plan.findings == []
    assert any(w.startswith("shop_db.invoice: the law keeps rows here") for w in plan.warnings)
    sql_shop.execute("shop_db", "UPDATE invoice SET order_id = 1 WHERE id = 1")
    before = sql_shop.everything()
    decide.withdraw_request(request, by=OFFICER)
    request = identified(("email", SUBJECT))
    with pytest.raises(UsageError, match=r"shop\.invoice: is retained, and 1 of its rows"):
        planning.make_plan(request, by=OFFICER)
    assert sql_shop.everything() == before


def test_a_row_the_law_keeps_that_came_later_stops_the_store(sql_shop: SqliteShop) -> None:
    sql_shop.execute(
        "shop_db",
        "ALTER TABLE invoice ADD COLUMN order_id INTEGER REFERENCES orders (id) ON DELETE CASCADE",
    )
    request = approved(SUBJECT)
    sql_shop.execute("shop_db", "UPDATE invoice SET order_id = 1 WHERE id = 1")
    before = sql_shop.everything()["shop_db.orders"]
    work_off(request)
    assert request.state == "blocked"
    assert request.blocked_because.startswith("shop_db.invoice: rows refer to what is to go")
    assert sql_shop.everything()["shop_db.orders"] == before
    assert len(sql_shop.rows("invoice")) == 2


def test_rows_of_a_table_of_the_plan_go_along_with_nothing(sql_shop: SqliteShop) -> None:
    """The neighbour's order was made out of the subject's; whose it is says the catalogue."""
    made_from = "INTEGER REFERENCES orders (id) ON DELETE CASCADE"
    sql_shop.execute("shop_db", f"ALTER TABLE orders ADD COLUMN made_from {made_from}")
    plan = plan_of(request := planned(SUBJECT))
    assert plan.findings == []
    assert any(w.startswith("shop_db.orders: rows here go by a step") for w in plan.warnings)
    decide.withdraw_request(request, by=OFFICER)
    sql_shop.execute("shop_db", "UPDATE orders SET made_from = 1 WHERE id = 3")
    before = sql_shop.everything()
    with pytest.raises(UsageError, match=r"shop\.orders: 1 of its rows would go along"):
        planning.make_plan(identified(("email", SUBJECT)), by=OFFICER)
    assert sql_shop.everything() == before


# --- after a restore -----------------------------------------------------------------------------


def test_a_replay_repeats_what_was_accepted_then_and_nothing_else(
    transactional_db: None, tmp_path: Path
) -> None:
    shop = SqliteShop(tmp_path)
    shop.describe()
    add_parcels(shop)
    taken_at = timezone.now() - timedelta(minutes=1)
    backup = tmp_path / "backup.sqlite3"
    shutil.copy(shop.files["shop_db"], backup)
    work_off(accepting(planned(SUBJECT), PARCELS, LABELS))
    shutil.copy(backup, shop.files["shop_db"])
    (done,) = replay("shop_db", taken_at=taken_at, by=CONSOLE)
    assert done.request.state == "partly_granted", done.request.blocked_because
    assert shop.rows("parcel") == [{"id": 3, "order_id": 3}]
    entries = done.request.plans.get().accepted
    assert {entry["by"] for entry in entries} == {APPROVER}

    shutil.copy(backup, shop.files["shop_db"])
    add_trigger(shop)
    before = beside(shop)
    with pytest.raises(UsageError, match=WATCH):
        replay("shop_db", taken_at=taken_at, by=CONSOLE)
    assert beside(shop) == before
    done, *_ = replay("shop_db", taken_at=taken_at, by=CONSOLE, accept=[WATCH])
    assert done.request.state == "partly_granted", done.request.blocked_because
    assert shop.rows("parcel") == [{"id": 3, "order_id": 3}]


def test_a_replay_asks_again_for_a_trigger_with_another_text(
    transactional_db: None, tmp_path: Path
) -> None:
    shop = SqliteShop(tmp_path)
    shop.describe()
    add_trigger(shop)
    taken_at = timezone.now() - timedelta(minutes=1)
    backup = tmp_path / "backup.sqlite3"
    shutil.copy(shop.files["shop_db"], backup)
    work_off(accepting(planned(SUBJECT), WATCH))
    shutil.copy(backup, shop.files["shop_db"])
    add_trigger(shop, "DELETE FROM line WHERE id < 0;")
    before = shop.everything()
    with pytest.raises(UsageError, match=WATCH):
        replay("shop_db", taken_at=taken_at, by=CONSOLE)
    assert shop.everything() == before
    add_trigger(shop)
    (done,) = replay("shop_db", taken_at=taken_at, by=CONSOLE)
    assert done.request.state == "partly_granted", done.request.blocked_because


def test_the_console_approves_side_effects_by_name_too(sql_shop: SqliteShop) -> None:
    add_parcels(sql_shop)
    request = planned(SUBJECT)
    with pytest.raises(UsageError, match=PARCELS):
        approve(request, by=CONSOLE, because="console")
    with pytest.raises(StalePlan):
        decide.approve_plan(request, digest="0" * 64, by=APPROVER, accept=[PARCELS, LABELS])
    approve(request, by=CONSOLE, because="console", accept=[PARCELS, LABELS])
    assert request.state == "approved"
