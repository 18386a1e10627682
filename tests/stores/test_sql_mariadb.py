"""The SQL store on MariaDB: the conformance suite, and what is MariaDB's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count
from threading import Barrier

import pytest

from erasure.domain.errors import LateRows, StoreError, StoreUnreachable
from erasure.domain.steps import Step
from erasure.stores.base import Key, Work
from erasure.stores.sql import SqlStore
from lineage.graph import Field, Method
from lineage.schema import Table
from tests.stores.company import (
    CUT_RECRUITED,
    DELETE_POST,
    NEIGHBOUR,
    PERSON_SET,
    POST_SET,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    by,
    dataset,
    keys_of,
    whole_case,
)
from tests.stores.conformance import told
from tests.stores.mariadb import MariadbHarness, cut_off, waiting_for_a_lock
from tests.stores.mariadb_server import connect
from tests.stores.sql_common import PERSON_ALONE, SqlCommon
from tests.stores.sql_references import EMPTY, child_of_person, number, refers

pytestmark = pytest.mark.mariadb


@pytest.fixture
def harness(mariadb: MariadbHarness) -> MariadbHarness:
    return mariadb


class TestMariadb(SqlCommon):
    """The suite."""


# reaching it


def test_an_address_where_nobody_listens_is_unreachable() -> None:
    store = SqlStore(name="shop", url="mysql://root:sesame@127.0.0.1:1/db", options={})
    with pytest.raises(StoreUnreachable, match="shop: no connection") as caught:
        store.inspect()
    assert "sesame" not in told(caught.value)


def test_a_url_without_a_database_is_refused() -> None:
    with pytest.raises(StoreError, match="must name a database: mariadb://"):
        SqlStore(name="shop", url="mariadb://root@127.0.0.1", options={})


GUESTS = count()


@pytest.fixture
def guest(harness: MariadbHarness) -> Iterator[str]:
    """A user who may log in and nothing else; how to be that user."""
    harness.create(TABLES, ROWS)
    name = f"lethe_guest_{os.getpid()}_{next(GUESTS)}"  # connections are kept
    harness.execute(f"CREATE OR REPLACE USER {name} IDENTIFIED BY 'sesame'")
    yield name
    harness.execute(f"DROP USER {name}")


def as_guest(harness: MariadbHarness, guest: str, password: str = "sesame") -> SqlStore:
    url = harness.url.replace("root@", f"{guest}:{password}@")
    return SqlStore(name="shop", url=url, options={})


def test_who_may_not_log_in_is_told_so_without_the_password(
    harness: MariadbHarness, guest: str
) -> None:
    for password in ("wrong", "sesame"):  # 1045, and 1044 without a right to the database
        with pytest.raises(StoreError, match="login refused; check the user") as caught:
            as_guest(harness, guest, password).inspect()
        assert caught.value.permanent
        assert password not in told(caught.value)


@pytest.mark.parametrize("granted", ["SELECT", "SELECT, UPDATE (body)"])
def test_what_is_not_granted_is_denied_and_nothing_happens(
    harness: MariadbHarness, guest: str, granted: str
) -> None:
    for table in TABLES:
        harness.execute(
            f'GRANT {granted if table.name == "post" else "SELECT"} ON "{table.name}" TO {guest}'
        )
    store = as_guest(harness, guest)
    before = harness.read("post")
    keys = keys_of(store, by(POST_SET, "author_id"), SUBJECT)
    with pytest.raises(StoreError, match="permission denied; grant") as caught:
        store.act([Work(step=DELETE_POST, keys=keys)], SECRETS)
    assert caught.value.permanent
    assert harness.read("post") == before
    store.close()


def test_a_rule_that_may_not_be_known_is_taken_for_the_worst(
    harness: MariadbHarness, guest: str
) -> None:
    """Who may only read a table is not told that its rows go with others."""
    harness.create((PERSON_ALONE, child_of_person("CASCADE")), {"person": [ROWS["person"][2]]})
    harness.insert("badge", {"id": 1, "person_id": 2})
    harness.execute(f"GRANT SELECT ON badge TO {guest}")
    harness.execute(f"GRANT SELECT, UPDATE, DELETE ON person TO {guest}")
    store = as_guest(harness, guest)
    assert [k.on_delete for k in store.inspect().tables["badge"].foreign_keys] == ["UNKNOWN"]
    work = Work(step=Step(dataset=PERSON_SET, action="delete"), keys=(Key(values=(2,)),))
    with pytest.raises(StoreError, match=r"shop\.badge: rows here would change.*UNKNOWN"):
        store.act([work], SECRETS)
    assert len(harness.read("badge")) == len(harness.read("person")) == 1
    store.close()


# waiting


def test_a_lock_that_is_held_too_long_can_be_tried_again(harness: MariadbHarness) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store(lock_timeout="100ms")  # the server counts whole seconds
    works = whole_case(store)
    before = harness.read("Order Line")
    with closing(connect(harness.url)) as other:
        other.begin()
        other.cursor().execute("SELECT * FROM person WHERE id = 0 FOR UPDATE")
        with pytest.raises(StoreError, match=r"try again \(1205\)") as caught:
            store.act(works, SECRETS)
        other.rollback()
    assert not caught.value.permanent
    assert harness.read("Order Line") == before
    store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    store.close()


def test_a_change_of_a_table_is_not_waited_for_longer_than_a_lock(harness: MariadbHarness) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store(lock_timeout="1s")
    store.inspect()
    with closing(connect(harness.url)) as other:
        other.cursor().execute("LOCK TABLES person WRITE")
        with pytest.raises(StoreError, match="try again") as caught:
            keys_of(store, by(PERSON_SET, "id"), SUBJECT)
    assert not caught.value.permanent
    store.close()


def test_the_loser_of_a_deadlock_can_try_again(harness: MariadbHarness) -> None:
    """The other transaction has written more, so the server takes it as the winner."""
    harness.create(TABLES, ROWS)
    store = harness.store()
    works = [
        Work(step=CUT_RECRUITED, keys=keys_of(
            store, by(PERSON_SET, "recruited_by", "email", "recruited_by"), SUBJECT)),
        Work(step=DELETE_POST, keys=keys_of(store, by(POST_SET, "author_id"), SUBJECT)),
    ]  # fmt: skip
    before = harness.read("person")
    with closing(connect(harness.url)) as other, ThreadPoolExecutor(1) as pool:
        other.begin()
        cursor = other.cursor()
        cursor.executemany("INSERT INTO trail VALUES (%s, 'x')", [[i] for i in range(100)])
        cursor.execute("SELECT * FROM post FOR UPDATE")
        acting = pool.submit(store.act, works, SECRETS)
        waiting_for_a_lock(harness, acting)
        cursor.execute("SELECT * FROM person FOR UPDATE")
        with pytest.raises(StoreError, match=r"try again \(1213\)") as caught:
            acting.result(60)
        other.rollback()
    assert not caught.value.permanent
    assert harness.read("person") == before
    assert [r.done for r in store.act(works, SECRETS)] == [1, 1]
    store.close()


def test_a_connection_that_is_cut_is_unreachable_and_nothing_has_happened(
    harness: MariadbHarness,
) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store()
    works = whole_case(store)
    before = harness.read("Order Line")
    with closing(connect(harness.url)) as other, ThreadPoolExecutor(1) as pool:
        other.begin()
        other.cursor().execute("SELECT * FROM card FOR UPDATE")
        acting = pool.submit(store.act, works, SECRETS)
        cut_off(harness, acting)
        with pytest.raises(StoreUnreachable, match="no connection") as caught:
            acting.result(60)
        other.rollback()
    assert not caught.value.permanent
    assert "mira" not in told(caught.value).lower()
    assert harness.read("Order Line") == before
    store.act(works, SECRETS)
    store.close()


def test_a_statement_that_takes_too_long_is_cancelled(harness: MariadbHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.execute("CREATE TRIGGER slow BEFORE DELETE ON post FOR EACH ROW DO SLEEP(5)")
    works = whole_case(finder := harness.store())
    finder.close()
    store = harness.store(statement_timeout="1s")
    with pytest.raises(StoreError, match="statement_timeout") as caught:
        store.act(works, SECRETS)
    assert not caught.value.permanent
    assert len(harness.read("post")) == 3
    store.close()


def test_two_runs_at_once_take_the_shared_row_exactly_once(harness: MariadbHarness) -> None:
    for _ in range(3):
        harness.create(TABLES, ROWS)
        stores = [harness.store(), harness.store()]
        works = [whole_case(stores[0], SUBJECT), whole_case(stores[1], NEIGHBOUR)]
        # Both write the neighbour's row; only the shared address is at stake here.
        works = [[w for w in ws if w.step.via != "shallow"] for ws in works]
        harness.execute("UPDATE person SET recruited_by = NULL")
        gate = Barrier(2)

        def run(store: SqlStore, mine: list[Work], gate: Barrier = gate) -> int:
            gate.wait()
            for _ in range(5):  # one of the two may have to give way
                with suppress(StoreError):
                    return store.act(mine, SECRETS)[-1].done
            raise AssertionError("it must come through")

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(run, stores, works))
        assert sum(done) == 1
        assert [r["id"] for r in harness.read("address")] == [11]
        for store in stores:
            store.close()


# refusals


def test_a_violated_constraint_is_named_by_its_name_and_never_by_its_value(
    harness: MariadbHarness,
) -> None:
    """What nobody can tell in advance: a trigger writes to another table."""
    harness.create((), {})
    harness.execute("CREATE TABLE tag (id INT PRIMARY KEY, mail VARCHAR(60))")
    harness.execute("CREATE TABLE trail (mail VARCHAR(60), UNIQUE only_one (mail))")
    harness.execute(
        "CREATE TRIGGER kept BEFORE UPDATE ON tag FOR EACH ROW "
        "INSERT INTO trail VALUES (concat(OLD.mail, 'x')), (concat(OLD.mail, 'X'))"
    )
    harness.insert("tag", {"id": 1, "mail": "mira.quell@example.com"})
    store = harness.store()
    mails = dataset("tag", Field(name="mail", categories=("user.contact.email",)))
    work = Work(step=Step(dataset=mails, action="anonymize"), keys=(Key(values=(1,)),))
    with pytest.raises(StoreError, match=r"unique.*\(1062 only_one\)") as caught:
        store.act([work], SECRETS)
    assert "mira" not in told(caught.value)
    assert [r["mail"] for r in harness.read("tag")] == ["mira.quell@example.com"]
    store.close()


def test_a_late_row_is_named_by_its_table(harness: MariadbHarness) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store()
    works = whole_case(store)
    harness.insert("Order Line", {"orderNo": 9, "Line": 1, "buyer": SUBJECT})
    with pytest.raises(LateRows) as caught:
        store.act(works, SECRETS)
    assert caught.value.place == "shop.Order Line"
    store.close()


@pytest.mark.parametrize(
    ("declared", "constant", "words"),
    [
        ("VARCHAR(3)", "toolong", r"\(1406 v\)|longer than the column"),
        ("ENUM('a', 'b')", "c", "declare a method it accepts"),
        ("TINYINT", "300", r"\(1264 v\)"),
        ("DATE", "2024-02-31", "no date"),
        ("VARCHAR(9) CHARACTER SET latin1", "顧客", "declare a method it accepts"),
    ],
)
def test_nothing_is_cut_or_replaced_in_silence(
    harness: MariadbHarness, declared: str, constant: str, words: str
) -> None:
    """Also where the server itself would: the session is strict whatever the server's mode."""
    harness.create((), {})
    harness.execute(f"CREATE TABLE odd (id INT PRIMARY KEY, v {declared})")
    first = {"ENUM('a', 'b')": "a", "TINYINT": "7", "DATE": "2024-01-01"}.get(declared, "abc")
    harness.insert("odd", {"id": 1, "v": first})
    before = harness.read("odd")
    store = harness.store()
    odd = dataset("odd", Field(name="v", method=Method(name="constant", argument=constant)))
    work = Work(step=Step(dataset=odd, action="anonymize"), keys=(Key(values=(1,)),))
    with pytest.raises(StoreError, match=words) as caught:
        store.act([work], EMPTY)
    assert caught.value.permanent
    assert harness.read("odd") == before
    store.close()


def test_the_words_of_a_trigger_are_not_passed_on(harness: MariadbHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.execute(
        "CREATE TRIGGER no BEFORE DELETE ON card FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ask Mira Quell'"
    )
    store = harness.store()
    with pytest.raises(StoreError, match=r"the store refused \(1644\)") as caught:
        store.act(whole_case(store), SECRETS)
    assert "Mira" not in told(caught.value)
    assert len(harness.read("card")) == 2
    store.close()


# references, tested at once


NODE = Table(
    name="node",
    columns=(number("id", key=True), number("parent", nullable=False)),
    foreign_keys=(refers("parent", "node"),),
)


def test_rows_in_a_ring_that_cannot_be_opened_go_together(harness: MariadbHarness) -> None:
    harness.create((NODE,), {"node": [{"id": i, "parent": i} for i in (1, 2, 3, 4)]})
    harness.execute("UPDATE node SET parent = 1 + id % 3 WHERE id < 4")
    store = harness.store()
    step = Step(dataset=dataset("node"), action="delete", guard=("parent",))
    keys = keys_of(store, by(dataset("node"), "id", "parent"), 1, 2, 3)
    (receipt,) = store.act([Work(step=step, keys=keys)], EMPTY)
    assert (receipt.done, receipt.reused) == (3, ())
    assert harness.read("node") == [{"id": 4, "parent": 4}]
    store.close()


def test_a_row_that_goes_untested_leaves_no_orphan(harness: MariadbHarness) -> None:
    """Somebody else's row refers to one of the ring: nothing of it may go."""
    harness.create((NODE,), {"node": [{"id": 1, "parent": 1}, {"id": 2, "parent": 1}]})
    before = harness.read("node")
    store = harness.store()
    work = Work(step=Step(dataset=dataset("node"), action="delete"), keys=(Key(values=(1,)),))
    with pytest.raises(LateRows, match=r"shop\.node"):
        store.act([work], EMPTY)
    assert harness.read("node") == before
    harness.delete("node", id=2)
    store.act([work], EMPTY)
    assert harness.read("node") == []
    store.close()


def test_references_are_tested_again_after_a_key_was_rewritten(harness: MariadbHarness) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store()
    personal = dataset("person", Field(name="id", primary_key=True, identity="customer_id"))
    work = Work(step=Step(dataset=personal, action="anonymize"), keys=(Key(values=(SUBJECT,)),))
    store.act([work], SECRETS)
    (new,) = {r["id"] for r in harness.read("person")} - {1, 2}
    late = Work(step=Step(dataset=replace(personal), action="delete"), keys=(Key(values=(new,)),))
    with pytest.raises(LateRows):
        store.act([late], SECRETS)
    assert len(harness.read("person")) == 3
    store.close()
