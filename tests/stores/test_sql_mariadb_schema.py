"""The SQL store on MariaDB: other databases, history, partitions, indexes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.steps import Step
from erasure.stores.base import Hit, Key, Work
from lineage.schema import Table
from tests.stores.company import (
    PERSON_SET,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    by,
    dataset,
    keys_of,
    whole_case,
)
from tests.stores.mariadb import MariadbHarness
from tests.stores.sql_references import EMPTY

pytestmark = pytest.mark.mariadb


@pytest.fixture
def harness(mariadb: MariadbHarness) -> MariadbHarness:
    mariadb.clear()
    return mariadb


def tables_of(harness: MariadbHarness) -> dict[str, Table]:
    store = harness.store()
    found = dict(store.inspect().tables)
    store.close()
    return found


# other databases


@pytest.fixture
def other(harness: MariadbHarness) -> Iterator[str]:
    """Another database of the server, with a table of its own."""
    name = f"{harness.database}_other"
    harness.execute(f"CREATE OR REPLACE DATABASE {name}")
    harness.execute(f"CREATE TABLE {name}.lone (id INT PRIMARY KEY, what TEXT)")
    harness.execute(f"INSERT INTO {name}.lone VALUES (1, 'of Mira Quell')")
    yield name
    harness.execute(f"DROP DATABASE {name}")


def test_another_database_of_the_server_is_another_store(
    harness: MariadbHarness, other: str
) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store()
    assert set(store.inspect().tables) == {t.name for t in TABLES}
    hits = {h.collection for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)}
    assert hits == {"person", "post"}
    store.close()
    beside = harness.store(schema=other)
    assert set(beside.inspect().tables) == {"lone"}
    assert [k.values for k in keys_of(beside, by(dataset("lone"), "id"), 1)] == [(1,)]
    beside.close()


@pytest.mark.parametrize("rule", ["CASCADE", "RESTRICT"])
def test_a_database_that_refers_into_this_one_is_seen(
    harness: MariadbHarness, other: str, rule: str
) -> None:
    """What goes here would change there, or be kept by it."""
    harness.create(TABLES, ROWS)
    harness.execute(
        f"CREATE TABLE {other}.badge (id INT PRIMARY KEY, person INT, "
        f"FOREIGN KEY (person) REFERENCES {harness.database}.person (id) ON DELETE {rule})"
    )
    harness.execute(f"INSERT INTO {other}.badge VALUES (1, {SUBJECT})")
    store = harness.store()
    tables = store.inspect().tables
    assert set(tables) == {t.name for t in TABLES} | {f"{other}.badge", f"{other}.lone"}
    assert tables[f"{other}.badge"].schema == other
    before = harness.read("person")
    with pytest.raises(StoreError, match=rf"shop\.{other}\.badge|shop\.badge") as caught:
        store.act(whole_case(store), SECRETS)
    assert isinstance(caught.value, LateRows) is (rule == "RESTRICT")
    assert harness.read("person") == before
    badges = replace(dataset("badge"), schema=other)
    step = Step(dataset=badges, action="delete", guard=("person",))
    work = Work(step=step, keys=keys_of(store, by(badges, "person"), SUBJECT))
    store.act([work, *whole_case(store)], SECRETS)
    assert harness.execute(f"SELECT * FROM {other}.badge") == []
    assert SUBJECT not in {r["id"] for r in harness.read("person")}
    store.close()


# history


def test_the_history_of_a_table_is_searched_and_its_rows_are_not_acted_on_twice(
    harness: MariadbHarness,
) -> None:
    """DELETE leaves the row in a versioned table; only DELETE HISTORY does not."""
    harness.execute(
        "CREATE TABLE note (id INT PRIMARY KEY, what VARCHAR(60)) WITH SYSTEM VERSIONING"
    )
    harness.insert("note", {"id": 1, "what": "of Mira Quell"}, {"id": 2, "what": "of Tom"})
    store = harness.store(purge="vacuum_full")
    table = store.inspect().tables["note"]
    assert (table.kind, table.primary_key) == ("versioned", ("id",))
    notes = dataset("note")
    step = Step(dataset=notes, action="delete", guard=("what",))
    work = Work(step=step, keys=keys_of(store, by(notes, "id", "what"), 1))
    (receipt,) = store.act([work], EMPTY)
    assert receipt.done == 1
    assert store.check([work], EMPTY) == []
    purged = store.purge([notes])
    assert purged.residue == "logically_deleted"
    assert "DELETE HISTORY" in purged.note
    hits = [h.key for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)]
    assert hits == [(1,)]
    harness.execute("DELETE HISTORY FROM note")
    assert [h for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)] == []
    store.close()


# tables and indexes


def test_a_partitioned_table_is_one_table(harness: MariadbHarness) -> None:
    harness.execute(
        "CREATE TABLE visit (id INT, day DATE, who VARCHAR(60), PRIMARY KEY (id, day)) "
        "PARTITION BY RANGE (YEAR(day)) "
        "(PARTITION old VALUES LESS THAN (2024), PARTITION new VALUES LESS THAN MAXVALUE)"
    )
    harness.insert(
        "visit",
        {"id": 1, "day": "2020-01-01", "who": "Mira Quell"},
        {"id": 1, "day": "2025-01-01", "who": "Mira Quell"},
    )
    store = harness.store(purge="vacuum_full")
    assert set(store.inspect().tables) == {"visit"}
    visits = dataset("visit")
    keys = keys_of(store, by(visits, "who"), "Mira Quell")
    (receipt,) = store.act([Work(step=Step(dataset=visits, action="delete"), keys=keys)], EMPTY)
    assert receipt.done == 2
    assert store.purge([visits]).residue == "purged"
    assert harness.read("visit") == []
    store.close()


def test_sequences_are_no_tables(harness: MariadbHarness) -> None:
    harness.execute("CREATE SEQUENCE numbers")
    harness.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    assert set(tables_of(harness)) == {"t"}


def test_the_beginning_of_a_text_identifies_a_row_as_well_as_all_of_it(
    harness: MariadbHarness,
) -> None:
    harness.execute(
        "CREATE TABLE t (a VARCHAR(200), b TEXT, c TEXT, d VARCHAR(9), UNIQUE (a(10)), "
        "UNIQUE (b) USING HASH, FULLTEXT (c), KEY (d))"
    )
    told = {c.name: (c.unique, c.indexed) for c in tables_of(harness)["t"].columns}
    assert told == {
        "a": (True, True), "b": (True, True), "c": (False, False), "d": (False, True)
    }  # fmt: skip


def test_a_reference_that_differs_in_case_is_not_left_behind_in_silence(
    harness: MariadbHarness,
) -> None:
    """The database holds it for a reference; the store does not take it for that person's, and
    the row that it refers to stays."""
    harness.execute("CREATE TABLE login (name VARCHAR(40) PRIMARY KEY)")
    harness.execute(
        "CREATE TABLE visit (id INT PRIMARY KEY, who VARCHAR(40), "
        "FOREIGN KEY (who) REFERENCES login (name) ON DELETE CASCADE)"
    )
    harness.insert("login", {"name": "Mira"})
    harness.insert("visit", {"id": 1, "who": "mira"})
    store = harness.store()
    work = Work(step=Step(dataset=dataset("login"), action="delete"), keys=(Key(values=("Mira",)),))
    with pytest.raises(StoreError, match=r"shop\.visit: rows here would change"):
        store.act([work], EMPTY)
    assert len(harness.read("visit")) == len(harness.read("login")) == 1
    shared = Step(dataset=dataset("login"), action="delete", via="refcount")
    (receipt,) = store.act([replace(work, step=shared)], EMPTY)
    assert [k.values for k in receipt.kept] == [("Mira",)]
    store.close()


def test_people_of_one_name_in_another_case_are_both_found_by_mailbox(
    harness: MariadbHarness,
) -> None:
    """Mailboxes ignore case by themselves; accents, and blanks at the end, still count."""
    harness.create(TABLES, ROWS)
    harness.execute("ALTER TABLE person DROP INDEX email")
    mails = ["Ada@example.org", "ADA@example.org", "ada@example.org  ", "áda@example.org"]
    rows = [
        {**ROWS["person"][2], "id": i, "email": mail, "address_id": None}
        for i, mail in enumerate(mails, 10)
    ]
    harness.insert("person", *rows)
    store = harness.store()
    selector = replace(by(PERSON_SET, "email"), mode="email")
    keys = keys_of(store, selector, "ada@EXAMPLE.org")
    assert [k.values[0] for k in keys] == [10, 11, 12]
    store.close()
