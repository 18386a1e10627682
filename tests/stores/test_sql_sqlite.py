"""The SQL store on SQLite: the conformance suite, and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.domain.steps import Step
from erasure.stores.base import Hit, Key, Work
from erasure.stores.sql import SqlStore
from erasure.stores.sql.connection import read_options
from lineage.graph import Field, Method
from tests.stores.company import (
    PERSON_SET,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    Row,
    by,
    dataset,
    keys_of,
    whole_case,
)
from tests.stores.conformance import told
from tests.stores.sql_common import SqlCommon
from tests.stores.sql_harness import SqlHarness, bytes_at


class SqliteHarness(SqlHarness):
    placeholder = "?"
    blob = "BLOB"
    serial = "INTEGER"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "the shop?.db"
        self.url = f"sqlite:///{self.path}".replace("?", "%3F")
        self.path.touch()

    def execute(self, statement: str, *rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA foreign_keys = ON")
            answer: list[tuple[Any, ...]] = []
            for row in rows or [()]:
                answer = connection.execute(statement, row).fetchall()
            return answer

    def clear(self) -> None:
        self.path.write_bytes(b"")

    def add_foreign_key(self, table: str, column: str, target: str, on_delete: str) -> None:
        (made,) = self.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table])
        key = f'FOREIGN KEY ("{column}") REFERENCES "{target}" (id) ON DELETE {on_delete}'
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = ? WHERE name = ?",
                [f"{made[0][:-1]}, {key})", table],
            )

    def add_trigger(self, table: str) -> None:
        self.execute(f"CREATE TRIGGER watch AFTER UPDATE ON {table} BEGIN SELECT 1; END")

    def add_insert_trigger(self, table: str) -> None:
        self.execute(
            f"CREATE TRIGGER welcome AFTER INSERT ON {table} "
            "BEGIN INSERT INTO trail VALUES (1); END"
        )

    def folding(self) -> str:
        return "VARCHAR(40) COLLATE NOCASE"

    def raw(self, table: str) -> bytes:
        """All tables share one file, and its journal."""
        return bytes_at(self.path.parent.iterdir())

    @property
    def place(self) -> Path:
        return self.path.parent

    def columns(self, table: str) -> list[str]:
        return [name for (name,) in self.execute("SELECT name FROM pragma_table_xinfo(?)", [table])]


@pytest.fixture
def harness(tmp_path: Path) -> SqliteHarness:
    return SqliteHarness(tmp_path)


class TestSqlite(SqlCommon):
    """The suite."""


def store_of(url: str, **options: Any) -> SqlStore:
    return SqlStore(name="shop", url=url, options=options)


def test_a_missing_file_is_unreachable_and_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    with pytest.raises(StoreUnreachable, match=r"shop: .*correct the store's url") as caught:
        store_of(f"sqlite:///{path}").inspect()
    assert not caught.value.permanent
    assert not path.exists()


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Mira Quell, this is a letter and no database. " * 40)
    with pytest.raises(StoreError, match="not a usable database") as caught:
        store_of(f"sqlite:///{path}").inspect()
    assert caught.value.permanent
    assert "Mira" not in told(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///relative.db", "absolute path"),
        ("sqlite://", "absolute path"),
        ("nonsense", "cannot read its url"),
        ("carrier+pigeon://host/db", "no dialect"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        store_of(url)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("purgee", "vacuum", "did you mean 'purge'"),
        ("purge", "hoover", "none, vacuum, vacuum_full"),
        ("refresh", [""], "a list of names"),
        ("lock_timeout", "soon", "500ms"),
        ("rescan", "never", "inline, scheduled"),
    ],
)
def test_a_wrong_option_is_named(option: str, value: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        store_of("sqlite:////any.db", **{option: value})


def test_durations_are_read_in_seconds() -> None:
    given = {"lock_timeout": "500ms", "statement_timeout": "2min"}
    options = read_options("shop", given)
    assert (options.lock_timeout, options.statement_timeout) == (0.5, 120.0)
    assert read_options("shop", {"lock_timeout": 3}).lock_timeout == 3.0


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_after_purging_no_byte_is_left_in_the_file_or_its_journal(
    harness: SqliteHarness, journal: str
) -> None:
    harness.create(TABLES, ROWS)
    with closing(sqlite3.connect(harness.path)) as other:  # the journal outlives our connections
        other.execute(f"PRAGMA journal_mode = {journal}")
        # What the application deleted in its own way, before anybody asked to be forgotten.
        other.execute("PRAGMA secure_delete = OFF")
        other.execute("INSERT INTO trail VALUES (5, 'once wrote mira.quell@example.com')")
        other.commit()
        other.execute("DELETE FROM trail WHERE at = 5")
        other.commit()
        store = harness.store()
        works = whole_case(store)
        assert b"Mira.Quell@example.com" in harness.raw("person")
        store.act(works, SECRETS)
        assert b"mira.quell" in harness.raw("person")
        assert store.purge([w.step.dataset for w in works]).residue == "purged"
        assert b"mira.quell" not in harness.raw("person").lower()
        assert b"mira quell" not in harness.raw("person").lower()
        store.close()


def test_a_trigger_that_puts_the_value_back_is_noticed(harness: SqliteHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.execute(
        "CREATE TRIGGER back AFTER UPDATE ON person BEGIN "
        "UPDATE person SET email = OLD.email || '.' WHERE id = OLD.id; END"
    )
    before = harness.read("person")
    store = harness.store()
    step = Step(dataset=PERSON_SET, action="anonymize", guard=("email",))
    work = Work(step=step, keys=keys_of(store, by(PERSON_SET, "id", "email"), SUBJECT))
    with pytest.raises(StoreError, match="did not keep what was written to email"):
        store.act([work], SECRETS)
    assert harness.read("person") == before
    store.close()


def test_the_words_of_a_trigger_are_not_passed_on(harness: SqliteHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.execute(
        "CREATE TRIGGER no AFTER DELETE ON card BEGIN SELECT RAISE(ABORT, 'ask Mira Quell'); END"
    )
    store = harness.store()
    with pytest.raises(StoreError, match="SQLITE_CONSTRAINT_TRIGGER") as caught:
        store.act(whole_case(store), SECRETS)
    assert "Mira" not in told(caught.value)
    assert len(harness.read("card")) == 2
    store.close()


def test_a_store_told_not_to_purge_says_so(harness: SqliteHarness) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store(purge="none")
    assert store.purge([]).residue == "logically_deleted"
    store.close()


def test_samples_of_what_is_gone_go_too(harness: SqliteHarness) -> None:
    """An ANALYZE of a SQLite that is built with STAT4, as many are: not Python's."""
    harness.create(TABLES, ROWS)
    sampled = b"mira.quell@sampled.example.com"
    with closing(sqlite3.connect(harness.path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)")
        rows = [("Person", sampled), ("card", "kept")]
        connection.executemany("INSERT INTO sqlite_stat4 VALUES (?, 'by', '', '', '', ?)", rows)
    store = harness.store()
    store.act(whole_case(store), SECRETS)
    assert sampled in harness.raw("person")
    store.purge([PERSON_SET])
    assert sampled not in harness.raw("person")
    assert harness.execute("SELECT sample FROM sqlite_stat4") == [("kept",)]
    store.close()


def test_a_locked_database_can_be_tried_again(harness: SqliteHarness) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store(lock_timeout="50ms")
    works = whole_case(store)
    before = harness.read("person")
    with closing(sqlite3.connect(harness.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="try again") as caught:
            store.act(works, SECRETS)
        other.execute("ROLLBACK")
    assert not caught.value.permanent
    assert harness.read("person") == before
    store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    store.close()


def test_columns_hold_what_they_were_given_and_are_searched_as_that(harness: SqliteHarness) -> None:
    harness.create((), {})
    harness.execute("CREATE TABLE loose (id INTEGER PRIMARY KEY, free, day DATE, n INTEGER)")
    rows: list[list[Any]] = [
        [1, 42, "not a day", "word"],
        [2, "42", "2020-01-02", 42],
        [3, 42.0, None, "42"],
        [4, b"42", "", None],
    ]
    harness.execute("INSERT INTO loose VALUES (?, ?, ?, ?)", *rows)
    store = harness.store()
    loose = dataset("loose", Field(name="id", primary_key=True))
    assert [k.values for k in keys_of(store, by(loose, "free"), "42")] == [(1,), (2,), (3,)]
    assert [k.values for k in keys_of(store, by(loose, "n"), 42)] == [(2,), (3,)]
    assert [k.values for k in keys_of(store, by(loose, "n"), "word")] == [(1,)]
    assert [k.values for k in keys_of(store, by(loose, "day"), date(2020, 1, 2))] == [(2,)]
    assert [k.values for k in keys_of(store, by(loose, "free"), b"42")] == [(4,)]
    store.close()


def test_moments_kept_as_text_stay_text_when_they_are_made_coarser(harness: SqliteHarness) -> None:
    harness.create((), {})
    harness.execute(
        "CREATE TABLE born "
        "(id INTEGER PRIMARY KEY, day DATE, at DATETIME NOT NULL, pay NUMERIC(8,2))"
    )
    born: Row = {"id": 1, "day": "1980-05-06", "at": "1980-05-06 07:08:09", "pay": 31.5}
    harness.insert("born", born)
    year = Method(name="generalize", argument="year")
    people = dataset(
        "born",
        Field(name="day", categories=("user.demographic",), method=year),
        Field(name="at", categories=("user.demographic",), method=year),
        Field(name="pay", method=Method(name="random")),
    )
    store = harness.store()
    work = Work(step=Step(dataset=people, action="anonymize"), keys=(Key(values=(1,)),))
    store.act([work], SECRETS)
    (row,) = harness.read("born")
    assert (row["day"], row["at"]) == ("1980-01-01", "1980-01-01 00:00:00")
    assert row["pay"] != 31.5
    assert store.check([work], SECRETS) == []
    store.close()


def test_full_text_tables_are_searched_too(harness: SqliteHarness) -> None:
    harness.create((), {})
    harness.execute("CREATE VIRTUAL TABLE mailbox USING fts5(subject, body)")
    harness.execute("INSERT INTO mailbox VALUES ('hello', 'from Mira Quell')")
    store = harness.store()
    hits = [h for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)]
    assert ("mailbox", "body") in {(h.collection, h.field) for h in hits}
    store.close()


def test_rows_without_a_value_in_their_key_are_refused(harness: SqliteHarness) -> None:
    harness.create((), {})
    harness.execute("CREATE TABLE odd (code TEXT PRIMARY KEY, owner INTEGER)")
    harness.insert("odd", {"code": None, "owner": 7})
    store = harness.store()
    with pytest.raises(StoreError, match=r"shop\.odd.*no value in its key"):
        keys_of(store, by(dataset("odd"), "owner"), 7)
    store.close()


def test_what_refuses_null_is_filled_at_random_within_its_length(harness: SqliteHarness) -> None:
    harness.create((), {})
    harness.execute(
        "CREATE TABLE pin (id INTEGER PRIMARY KEY, code VARCHAR(4) NOT NULL UNIQUE, "
        "mail VARCHAR(30) NOT NULL, born INTEGER NOT NULL)"
    )
    rows: list[Row] = [{"id": i, "code": f"c{i:02}", "mail": f"p{i}@example.com", "born": 1980}
            for i in range(50)]  # fmt: skip
    harness.insert("pin", *rows)
    store = harness.store()
    category = ("user.contact.email",)
    pins = dataset("pin", *(Field(name=n, categories=category) for n in ("code", "mail", "born")))
    work = Work(
        step=Step(dataset=pins, action="anonymize"),
        keys=tuple(Key(values=(i,)) for i in range(50)),
    )
    store.act([work], SECRETS)
    after = harness.read("pin")
    assert len({r["code"] for r in after}) == 50
    assert all(len(str(r["code"])) == 4 and len(str(r["mail"])) <= 30 for r in after)
    assert all(str(r["mail"]).endswith("@example.invalid") for r in after)
    assert all(isinstance(r["born"], int) and r["born"] != 1980 for r in after)
    store.close()
