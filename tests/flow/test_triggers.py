"""A trigger is accepted once per plan shape; a plan that would set off something else is stale."""

from __future__ import annotations

from typing import Any

import pytest

from erasure.advance import Job, perform
from erasure.domain.errors import UsageError
from erasure.domain.roles import Actor
from erasure.flow import decide
from erasure.models import Certificate, Event
from tests.flow.beside import (
    COPYING,
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
    NEIGHBOUR,
    SUBJECT,
    SqliteShop,
)
from tests.flow.deeds import approved, planned, work_off

# --- triggers ------------------------------------------------------------------------------------


def test_a_trigger_is_accepted_once_for_all_plans_of_a_shape(sql_shop: SqliteShop) -> None:
    add_trigger(sql_shop)
    request = planned(SUBJECT)
    (finding,) = plan_of(request).findings
    assert (finding["code"], finding["rows"]) == (WATCH, None)
    with pytest.raises(UsageError, match=WATCH):
        accepting(request)
    work_off(accepting(request, WATCH))
    assert request.state == "partly_granted", request.blocked_because
    (limit,) = body_of(request)["limits"]
    assert limit["dataset"] == "shop_db.orders"
    assert (
        f"a trigger ran on the rows that were acted on, accepted by {APPROVER}"
        in limit["statement"]
    )
    other = planned(NEIGHBOUR)
    plan = plan_of(other)
    assert plan.findings
    assert decide.to_accept(plan) == []
    accepting(other, by=Actor("somebody", ["approver"]))
    (entry,) = other.plans.get().accepted
    assert (entry["code"], entry["by"]) == (WATCH, APPROVER)
    work_off(other)
    assert other.state == "partly_granted", other.blocked_because
    assert f"accepted by {APPROVER}" in body_of(other)["limits"][0]["statement"]


def test_a_cascade_is_accepted_with_every_plan(sql_shop: SqliteShop) -> None:
    add_parcels(sql_shop)
    accepting(planned(SUBJECT), PARCELS, LABELS)
    other = planned(NEIGHBOUR)
    assert {f["code"] for f in decide.to_accept(plan_of(other))} == {PARCELS, LABELS}
    with pytest.raises(UsageError, match=PARCELS):
        accepting(other)


def test_a_trigger_with_another_text_is_asked_for_again(sql_shop: SqliteShop) -> None:
    add_trigger(sql_shop)
    work_off(accepting(planned(SUBJECT), WATCH))
    sql_shop.execute("shop_db", "CREATE TABLE audit (id INTEGER PRIMARY KEY, was TEXT)")
    add_trigger(sql_shop, COPYING)
    other = planned(NEIGHBOUR)
    assert [f["code"] for f in decide.to_accept(plan_of(other))] == [WATCH]


def test_a_trigger_that_copies_the_old_row_is_caught_by_the_re_scan(sql_shop: SqliteShop) -> None:
    sql_shop.execute("shop_db", "CREATE TABLE audit (id INTEGER PRIMARY KEY, was TEXT)")
    sql_shop.execute("shop_db", "UPDATE orders SET wish = '030 5550001 at noon' WHERE id = 1")
    add_trigger(sql_shop, COPYING)
    request = accepting(planned(SUBJECT), WATCH)
    work_off(request)
    assert request.state == "blocked"
    assert "shop_db.audit.was" in request.blocked_because
    assert not Certificate.objects.exists()


def test_a_trigger_of_an_undeclared_table_that_rows_go_along_in_is_named(
    sql_shop: SqliteShop,
) -> None:
    add_parcels(sql_shop)
    add_trigger(sql_shop, table="parcel")
    codes = [f["code"] for f in plan_of(planned(SUBJECT)).findings]
    assert codes == [PARCELS, LABELS, "trigger:shop_db.parcel.watch"]


# --- stale ---------------------------------------------------------------------------------------


def another_cascade(sql_shop: SqliteShop) -> None:
    sql_shop.execute(
        "shop_db",
        "CREATE TABLE seal (id INTEGER PRIMARY KEY, "
        "label_id INTEGER REFERENCES label (id) ON DELETE CASCADE)",
    )


def a_trigger(sql_shop: SqliteShop) -> None:
    add_trigger(sql_shop)


def a_trigger_where_rows_go_along(sql_shop: SqliteShop) -> None:
    add_trigger(sql_shop, table="label")


@pytest.mark.parametrize("change", [another_cascade, a_trigger, a_trigger_where_rows_go_along])
def test_a_plan_whose_side_effects_are_others_now_is_stale(
    sql_shop: SqliteShop, change: Any
) -> None:
    add_parcels(sql_shop)
    request = accepting(planned(SUBJECT), PARCELS, LABELS)
    change(sql_shop)
    before = beside(sql_shop)
    perform(Job("advance", request.id))
    request.refresh_from_db()
    assert (request.state, request.run_id) == ("identified", None)
    assert request.plans.get().state == "stale"
    assert beside(sql_shop) == before
    work_off(request)
    assert request.state == "planned"
    assert decide.to_accept(plan_of(request))


def test_a_trigger_that_changed_since_the_approval_makes_it_stale(sql_shop: SqliteShop) -> None:
    sql_shop.execute("shop_db", "CREATE TABLE audit (id INTEGER PRIMARY KEY, was TEXT)")
    add_trigger(sql_shop)
    request = accepting(planned(SUBJECT), WATCH)
    add_trigger(sql_shop, COPYING)
    before = sql_shop.everything()
    perform(Job("advance", request.id))
    request.refresh_from_db()
    assert request.state == "identified"
    event = Event.objects.filter(subject_id=str(request.pk), to_state="identified").latest("id")
    assert f"what would change beside the plan is not the same: {WATCH}" in event.because
    assert sql_shop.everything() == before


def test_a_trigger_that_no_step_sets_off_changes_nothing(sql_shop: SqliteShop) -> None:
    sql_shop.execute("shop_db", "CREATE TABLE audit (id INTEGER PRIMARY KEY, was TEXT)")
    request = approved(SUBJECT)
    add_trigger(sql_shop, table="audit")
    assert plan_of(planned(NEIGHBOUR)).findings == []
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
