"""Putting back in databases: cycles, generated columns, many rows, a schema that moved."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.steps import Step
from erasure.stores.base import Key, Work
from lineage.graph import Field
from lineage.schema import ForeignKey, Table
from tests.stores.album import captured, put_back
from tests.stores.company import SECRETS, SUBJECT, Row, dataset, whole_case
from tests.stores.explain_cast import STICKER, badge, composite, fill
from tests.stores.sql_harness import SqlHarness
from tests.stores.sql_references import number, refers, text
from tests.stores.test_sql_sqlite import SqliteHarness

MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)
POSTGRES = pytest.param("postgresql", marks=pytest.mark.postgres)


@pytest.fixture(params=["sqlite", POSTGRES, MARIADB])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> SqlHarness:
    if request.param == "sqlite":
        return SqliteHarness(tmp_path)
    found: SqlHarness = request.getfixturevalue(request.param)
    return found


ADDRESS = Table(name="address", columns=(number("id", key=True), text("street")))


def deleting(*names: str, ids: tuple[int, ...] = (1, 2)) -> list[Work]:
    keys = tuple(Key(values=(n,)) for n in ids)
    return [
        Work(step=Step(dataset=dataset(name, Field(name="id", primary_key=True)),
                       action="delete"), keys=keys)
        for name in names
    ]  # fmt: skip


def round_trip(database: SqlHarness, works: list[Work], *tables: str) -> None:
    before = {name: database.read(name) for name in tables}
    store = database.store()
    album = captured(store, works, SECRETS)
    assert {name: database.read(name) for name in tables} != before
    put_back(store, album)
    store.close()
    assert {name: database.read(name) for name in tables} == before


@pytest.mark.parametrize("deferrable", [False, True])
def test_rows_that_refer_to_each_other_come_back(database: SqlHarness, deferrable: bool) -> None:
    if deferrable and not database.defers:
        pytest.skip("this database tests references at once, always")
    own = ForeignKey(name="", columns=("boss",), target="team", target_columns=("id",),
                     deferrable=deferrable)  # fmt: skip
    team = Table(name="team", columns=(number("id", key=True), number("boss")), foreign_keys=(own,))
    rows: list[Row] = [{"id": 1, "boss": 1}, {"id": 2, "boss": 1}, {"id": 3, "boss": None}]
    database.create((team,), {"team": rows})
    database.execute("UPDATE team SET boss = 2 WHERE id = 1")
    round_trip(database, deleting("team"), "team")


def test_tables_that_refer_to_each_other_come_back(database: SqlHarness) -> None:
    hen = Table(name="hen", columns=(number("id", key=True), number("egg")))
    egg = Table(name="egg", columns=(number("id", key=True), number("hen")),
                foreign_keys=(refers("hen", "hen"),))  # fmt: skip
    database.create((hen, egg), {"hen": [{"id": n, "egg": n} for n in (1, 2, 3)],
                                 "egg": [{"id": n, "hen": 3 - n} for n in (1, 2)]})  # fmt: skip
    database.execute("UPDATE hen SET egg = NULL WHERE id = 3")
    database.add_foreign_key("hen", "egg", "egg", "NO ACTION")
    round_trip(database, deleting("egg", "hen"), "hen", "egg")


def test_more_rows_than_one_statement_takes_come_back(database: SqlHarness) -> None:
    node = Table(name="node", columns=(number("id", key=True), number("up"), text("what")),
                 foreign_keys=(refers("up", "node"),))  # fmt: skip
    ids = tuple(range(1, 1001))
    rows: list[Row] = [{"id": n, "up": n - 1 if n > 1 else None, "what": str(n) * 5} for n in ids]
    database.create((node,), {"node": rows})
    round_trip(database, deleting("node", ids=ids), "node")


def test_a_generated_column_is_made_anew_and_compared(database: SqlHarness) -> None:
    database.create((), {})
    database.execute(
        "CREATE TABLE mail (id INTEGER PRIMARY KEY, address VARCHAR(60), "
        "shout VARCHAR(60) GENERATED ALWAYS AS (upper(address)) STORED)"
    )
    database.insert("mail", {"id": 1, "address": "mira@example.com"}, {"id": 2, "address": None})
    round_trip(database, deleting("mail"), "mail")


def test_a_column_added_since_does_not_stand_in_the_way(database: SqlHarness) -> None:
    database.create((ADDRESS,), {"address": [{"id": 1, "street": "a"}, {"id": 2, "street": None}]})
    store = database.store()
    album = captured(store, deleting("address", ids=(1,)), SECRETS)
    store.close()
    database.execute("ALTER TABLE address ADD COLUMN city VARCHAR(10) DEFAULT 'none'")
    store = database.store()
    put_back(store, album)
    put_back(store, album)
    store.close()
    assert {r["id"]: (r["street"], r["city"]) for r in database.read("address")} == {
        1: ("a", "none"),
        2: (None, "none"),
    }


def test_a_table_that_has_gone_since_is_named(database: SqlHarness) -> None:
    database.create((ADDRESS,), {"address": [{"id": 1, "street": "a"}]})
    store = database.store()
    album = captured(store, deleting("address", ids=(1,)), SECRETS)
    store.close()
    database.execute("DROP TABLE address")
    store = database.store()
    with pytest.raises(StoreError, match=r"shop\.address: the table is missing"):
        put_back(store, album)
    store.close()


# rows that no step names, and that go along

COMPANY = ("person", "post", "card", "Order Line", "badge", "sticker")


def along(database: SqlHarness, *codes: str) -> list[Work]:
    """A whole case as an officer has approved it, with these side effects."""
    store = database.store()
    works = [replace(w, step=replace(w.step, along=codes)) for w in whole_case(store)]
    store.close()
    return works


def test_rows_that_go_along_come_back_and_those_that_follow_them(database: SqlHarness) -> None:
    fill(database, badge("CASCADE"), STICKER)
    codes = ("cascade:shop.badge.person_id", "cascade:shop.sticker.badge_id")
    round_trip(database, along(database, *codes), *COMPANY)


def test_references_that_are_emptied_by_themselves_come_back(database: SqlHarness) -> None:
    fill(database, badge("SET NULL"))
    round_trip(database, along(database, "set_null:shop.badge.person_id"), *COMPANY[:-1])


def test_rows_that_go_along_with_a_composite_key_come_back(database: SqlHarness) -> None:
    fill(database, composite("CASCADE"))
    rows = [(1, 7, 1), (2, 7, 1), (3, 8, 2), (4, 7, 2)]
    database.insert("parcel", *({"id": i, "order_no": o, "line_no": n} for i, o, n in rows))
    works = along(database, "cascade:shop.parcel.order_no+line_no")
    round_trip(database, works, *COMPANY[:4], "parcel")


def test_a_row_that_goes_along_is_captured_for_whoever_it_goes_with(database: SqlHarness) -> None:
    fill(database, badge("CASCADE"), STICKER)
    works = along(database, "cascade:shop.badge.person_id", "cascade:shop.sticker.badge_id")
    store = database.store()
    album = captured(store, works, SECRETS)
    store.close()
    person = next(n for n, w in enumerate(works) if w.step.dataset.name == "person" and
                  w.step.action == "delete")  # fmt: skip
    went = [i for i in album.images if i.collection in ("badge", "sticker")]
    assert [i.collection for i in went] == ["sticker", "sticker", "badge", "badge"]
    assert {i.whose for i in went} == {((person, (SUBJECT,)),)}


def test_rows_that_would_go_along_with_another_persons_row_are_left_out(
    database: SqlHarness,
) -> None:
    """The key was given out again: neither that row nor what belongs to it is captured."""
    fill(database, badge("CASCADE"), STICKER)
    works = along(database, "cascade:shop.badge.person_id", "cascade:shop.sticker.badge_id")
    theirs = [
        replace(w, keys=tuple(k._replace(guard=("nora@example.com",)) for k in w.keys))
        for w in works
        if w.step.dataset.name == "person" and w.step.action == "delete"
    ]
    store = database.store()
    assert captured(store, theirs, SECRETS).images == []
    store.close()


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_texts_that_are_kept_in_utf_16_come_back(tmp_path: Path, encoding: str) -> None:
    database = SqliteHarness(tmp_path)
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("CREATE TABLE address (id INTEGER PRIMARY KEY, street TEXT)")
    rows: list[Row] = [{"id": 1, "street": "Größe 顧客 \U0001f600"}, {"id": 2, "street": None}]
    database.insert("address", *rows)
    round_trip(database, deleting("address"), "address")
