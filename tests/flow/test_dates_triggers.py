"""Triggers on rows that the law keeps: accepted with the plan, nobody is asked on their day."""

from __future__ import annotations

import pytest

from erasure.domain.errors import StoreError, UsageError
from erasure.flow import decide, watch
from tests.flow.beside import accepting, add_trigger, body_of, plan_of
from tests.flow.cast import APPROVER, SUBJECT, SqliteShop
from tests.flow.deeds import planned, work_off
from tests.flow.postgresql_shop import PostgresqlShop
from tests.flow.test_dates import THEN, decided

KEPT_WATCH = "trigger:shop_db.invoice.watch"


def test_a_trigger_on_kept_rows_is_accepted_with_the_plan_and_runs_on_their_day(
    sql_shop: SqliteShop,
) -> None:
    add_trigger(sql_shop, table="invoice")
    request = planned(SUBJECT)
    plan = plan_of(request)
    assert [f["code"] for f in plan.findings] == [KEPT_WATCH]
    with pytest.raises(UsageError, match="must be accepted"):
        decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(accepting(request, KEPT_WATCH))
    assert request.state == "partly_granted", request.blocked_because
    assert body_of(request)["limits"] == []  # it has not run yet
    watch.act_on_dates(request, now=THEN)
    assert [row["id"] for row in sql_shop.rows("invoice")] == [2]
    assert request.state == "completed"


def test_a_trigger_that_nobody_accepted_keeps_the_rows_and_is_named(
    sql_shop: SqliteShop,
) -> None:
    request = decided()
    add_trigger(sql_shop, table="invoice")
    before = sql_shop.everything()
    with pytest.raises(StoreError, match=KEPT_WATCH):
        watch.act_on_dates(request, now=THEN)
    assert sql_shop.everything() == before
    sql_shop.execute("shop_db", "DROP TRIGGER watch" + _on(sql_shop))
    watch.act_on_dates(request, now=THEN)
    assert [row["id"] for row in sql_shop.rows("invoice")] == [2]


def _on(shop: SqliteShop) -> str:
    return " ON invoice" if isinstance(shop, PostgresqlShop) else ""
