"""The schema moves between plan, approval and act: what the plan relies on is seen before a row is
touched, and what it does not touch may change as it likes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from erasure.advance import Job, perform
from erasure.domain.errors import StoreError
from erasure.flow import decide
from erasure.models import ErasureRequest, Event
from tests.flow.beside import WATCH, add_trigger
from tests.flow.cast import OFFICER, SECRETS, SUBJECT, Shop, SqliteShop
from tests.flow.deeds import act, approved, started, work_off
from tests.flow.spied import Spied

Change = Callable[[SqliteShop], None]


def ddl(*statements: str) -> Change:
    """The application's own migration."""

    def change(shop: SqliteShop) -> None:
        for statement in statements:
            shop.execute("shop_db", statement)

    change.__name__ = statements[0]
    return change


RELIED_ON = [
    ddl("DROP TABLE line"),
    ddl("ALTER TABLE line RENAME TO lines"),
    ddl("ALTER TABLE customer RENAME COLUMN remark TO remarks"),
    ddl("ALTER TABLE orders ADD COLUMN gift TEXT"),
    ddl("ALTER TABLE address ADD COLUMN zone TEXT CHECK (zone <> '')"),
    ddl("CREATE UNIQUE INDEX once ON customer (phone)"),
    ddl("CREATE TABLE visit (id INTEGER PRIMARY KEY, guest INTEGER REFERENCES customer (id))"),
    ddl(
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, "
        "guest INTEGER REFERENCES customer (id) ON DELETE CASCADE)"
    ),
]
ELSEWHERE = [
    ddl("CREATE TABLE weather (day INTEGER PRIMARY KEY, sky TEXT)"),
    ddl(
        "CREATE TABLE weather (day INTEGER PRIMARY KEY, sky TEXT)",
        "CREATE TABLE hour (id INTEGER PRIMARY KEY, day INTEGER REFERENCES weather (day))",
    ),
    ddl("CREATE INDEX helpful ON orders (wish)"),
    ddl("CREATE VIEW wishes AS SELECT wish FROM orders"),
]


def because(request: ErasureRequest) -> str:
    """Why the case went back to be planned anew."""
    moved = Event.objects.filter(subject_id=str(request.pk), to_state="identified")
    return moved.latest("id").because


@pytest.mark.parametrize("change", RELIED_ON, ids=lambda change: change.__name__)
def test_a_plan_is_stale_when_what_it_relies_on_has_changed(
    sql_shop: SqliteShop, change: Change
) -> None:
    request = approved(SUBJECT)
    change(sql_shop)
    asked = len(Spied.asked)
    perform(Job("advance", request.id))
    request.refresh_from_db()
    assert (request.state, request.run_id) == ("identified", None)
    assert request.plans.get().state == "stale"
    assert because(request) == "stale plan: the schema of shop_db has changed"
    assert Spied.asked[asked:] == []  # not even looked for


@pytest.mark.parametrize("change", ELSEWHERE, ids=lambda change: change.__name__)
def test_a_change_elsewhere_in_the_database_leaves_an_approved_plan_as_it_is(
    sql_shop: SqliteShop, change: Change
) -> None:
    request = approved(SUBJECT)
    change(sql_shop)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert sql_shop.row("orders", 1) is None


def test_a_new_collection_that_nothing_refers_to_leaves_an_approved_plan_as_it_is(
    shop: Shop,
) -> None:
    request = approved(SUBJECT)
    shop.create("weather", [{"id": 1, "sky": "blue"}])
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because


def blocked(request: ErasureRequest, words: str) -> None:
    """The store of a started run refuses, in words, and so does the case."""
    act(request)
    work_off(request)
    assert request.state == "blocked"
    assert words in request.blocked_because
    assert not any(secret in request.blocked_because for secret in SECRETS)


def again(request: ErasureRequest) -> None:
    """Somebody took the cause away: the case comes to its end."""
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because


def test_a_trigger_added_after_the_run_began_is_seen_before_a_row_is_touched(
    sql_shop: SqliteShop,
) -> None:
    request = started(approved(SUBJECT))
    add_trigger(sql_shop)
    before = sql_shop.everything()
    blocked(request, f"is not what was approved: {WATCH}; take that change back")
    assert sql_shop.everything()["shop_db.orders"] == before["shop_db.orders"]
    assert sql_shop.everything()["shop_db.customer"] == before["shop_db.customer"]
    on = " ON orders" if "Postgresql" in type(sql_shop).__name__ else ""
    sql_shop.execute("shop_db", f"DROP TRIGGER watch{on}")
    again(request)
    assert [row["id"] for row in sql_shop.rows("orders")] == [3]


def test_a_cascade_added_after_the_run_began_is_seen_before_a_row_is_touched(
    sql_shop: SqliteShop,
) -> None:
    request = started(approved(SUBJECT))
    sql_shop.execute(
        "shop_db",
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY, "
        "order_id INTEGER REFERENCES orders (id) ON DELETE CASCADE)",
    )
    sql_shop.insert("parcel", {"id": 1, "order_id": 1})
    blocked(request, "cascade:shop_db.parcel.order_id; take that change back")
    assert sql_shop.row("orders", 1) is not None
    assert sql_shop.row("parcel", 1) is not None
    sql_shop.execute("shop_db", "DROP TABLE parcel")
    again(request)


def test_a_trigger_added_between_the_last_look_and_the_act_undoes_the_batch(
    sql_shop: SqliteShop,
) -> None:
    request = started(approved(SUBJECT))
    Spied.before["shop_db", "act"] = lambda: add_trigger(sql_shop)
    before = sql_shop.everything()
    with pytest.raises(StoreError, match="added or changed meanwhile") as caught:
        act(request)
    assert not caught.value.permanent
    assert sql_shop.everything() == before
    Spied.before.clear()
    blocked(request, WATCH)


def test_a_trigger_that_no_step_sets_off_may_come_at_any_time(sql_shop: SqliteShop) -> None:
    sql_shop.execute("shop_db", "CREATE TABLE audit (id INTEGER PRIMARY KEY, was TEXT)")
    request = started(approved(SUBJECT))
    add_trigger(sql_shop, table="audit")
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because


def test_a_table_that_went_after_the_run_began_blocks_and_nothing_is_half_done(
    sql_shop: SqliteShop,
) -> None:
    request = started(approved(SUBJECT))
    before = sql_shop.everything()
    sql_shop.execute("shop_db", "ALTER TABLE line RENAME TO lines")
    blocked(request, "line")
    sql_shop.execute("shop_db", "ALTER TABLE lines RENAME TO line")
    assert {n: rows for n, rows in sql_shop.everything().items() if n.startswith("shop_db")} == {
        n: rows for n, rows in before.items() if n.startswith("shop_db")
    }
    again(request)
    assert [row["id"] for row in sql_shop.rows("line")] == [2]
