"""The SQL store on SQLite: what CREATE TABLE says, kinds of tables, and when it looks again."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from erasure.stores.base import Hit
from erasure.stores.sql.schema.wording import columns_in, created
from lineage.schema import Check, Inspection, Table
from tests.stores.company import SECRETS, by, dataset, keys_of
from tests.stores.test_sql_sqlite import SqliteHarness


@pytest.fixture
def harness(tmp_path: Path) -> SqliteHarness:
    return SqliteHarness(tmp_path)


def inspected(harness: SqliteHarness) -> Inspection:
    store = harness.store()
    found = store.inspect()
    store.close()
    return found


def table_of(harness: SqliteHarness, *statements: str) -> Table:
    """The table ``t``, made by these statements."""
    harness.script(statements)
    return inspected(harness).tables["t"]


# references


def test_a_reference_may_leave_out_columns_and_write_names_in_any_case(
    harness: SqliteHarness,
) -> None:
    table = table_of(
        harness,
        "CREATE TABLE Person (Id INTEGER PRIMARY KEY, Mail TEXT UNIQUE)",
        "CREATE TABLE Pair (a INT, b INT, PRIMARY KEY (b, a))",
        "CREATE TABLE t (x REFERENCES PERSON, y REFERENCES person (MAIL), p, q, "
        "FOREIGN KEY (p, q) REFERENCES pair)",
    )
    found = {k.columns: (k.target, k.target_columns) for k in table.foreign_keys}
    assert found == {
        ("x",): ("Person", ("Id",)),
        ("y",): ("Person", ("Mail",)),
        ("p", "q"): ("Pair", ("b", "a")),
    }


def test_which_references_wait_is_read_from_their_words(harness: SqliteHarness) -> None:
    table = table_of(
        harness,
        "CREATE TABLE other (id INTEGER PRIMARY KEY)",
        """CREATE TABLE t (
          a INT CONSTRAINT first REFERENCES other DEFERRABLE INITIALLY DEFERRED,
          b INT REFERENCES other (id) ON DELETE SET DEFAULT NOT DEFERRABLE, -- REFERENCES x
          "c, d" INT DEFAULT 'REFERENCES y DEFERRABLE' REFERENCES other MATCH FULL,
          e INT CONSTRAINT not_its_name NOT NULL REFERENCES other ON UPDATE CASCADE /* , */,
          CONSTRAINT "the ""last"" one" FOREIGN KEY ("a") REFERENCES "other" ("id") DEFERRABLE)""",
    )
    found = {(k.name, k.columns[0], k.deferrable) for k in table.foreign_keys}
    assert {(name, column) for name, column, _ in found} == {
        ("first", "a"), ("t(b)", "b"), ("t(c, d)", "c, d"), ("t(e)", "e")
    }  # fmt: skip
    assert {c: waits for _, c, waits in found} == {
        "a": True, "b": False, "c, d": False, "e": False
    }  # fmt: skip


# checks


def test_checks_are_read_whatever_stands_around_them(harness: SqliteHarness) -> None:
    table = table_of(
        harness,
        """CREATE TABLE t (
          id INTEGER PRIMARY KEY CHECK (id > 0), -- CHECK (id > 1)
          "check" TEXT DEFAULT 'CHECK (x)' CONSTRAINT [odd name] CHECK ("check" <> 'a)b'),
          total NUMERIC(8,2) CONSTRAINT given NOT NULL CHECK (total >= (id + 1) /* not code */),
          code TEXT GENERATED ALWAYS AS (upper("check")) VIRTUAL,
          CONSTRAINT pair CHECK (total < 9 OR (code LIKE '%''x' AND [check] = `total`)),
          UNIQUE (id, code))""",
    )
    assert table.checks == (
        Check(name="", expression="id > 0", columns=("id",)),
        Check(name="odd name", expression="\"check\" <> 'a)b'", columns=("check",)),
        Check(name="", expression="total >= (id + 1)", columns=("id", "total")),
        Check(
            name="pair",
            expression="total < 9 OR (code LIKE '%''x' AND [check] = `total`)",
            columns=("check", "total", "code"),
        ),
    )


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("`a` <> 'b'", ("a",)),
        (r"a <> 'it\'s b' and `c` > 1", ("a", "c")),
        ("a <> 'it''s b'", ("a",)),
        ("A = 1", ("a",)),
        ("ab = 1e5 -- b", ()),
        ("length(b) between 1 and 2", ("b",)),
    ],
)
def test_the_columns_of_an_expression_are_names_and_no_texts(
    expression: str, columns: tuple[str, ...]
) -> None:
    assert columns_in(expression, ["a", "b", "c", "e5"]) == columns


def test_a_statement_without_columns_says_nothing() -> None:
    assert created("CREATE VIRTUAL TABLE m USING fts5", []).checks == []
    assert created("", []).references == []


# columns


@pytest.mark.parametrize(
    ("index", "unique"),
    [
        ("t (code)", True),
        ("t (code COLLATE NOCASE)", True),
        ("t (code) WHERE owner = 1", False),
        ("t (lower(code))", False),
        ("t (code, lower(code))", False),
        ("t (code, owner)", False),
    ],
)
def test_an_index_identifies_a_row_only_where_it_holds_for_all(
    harness: SqliteHarness, index: str, unique: bool
) -> None:
    table = table_of(
        harness, "CREATE TABLE t (code TEXT, owner INT)", f"CREATE UNIQUE INDEX one ON {index}"
    )
    column = table.get("code")
    assert column is not None
    assert column.unique is unique


def test_types_lengths_and_keys_are_told_as_declared(harness: SqliteHarness) -> None:
    table = table_of(
        harness,
        "CREATE TABLE t (b INT, a INT, name nvarchar(40) NOT NULL, code CHAR (4), doc JSON, free, "
        "amount DECIMAL(8,2), shout AS (upper(name)), kept TEXT AS (lower(name)) STORED, "
        "PRIMARY KEY (a, b)) WITHOUT ROWID",
    )
    told = {c.name: (c.data_type, c.nullable, c.length, c.generated) for c in table.columns}
    assert told == {
        "b": ("INT", False, None, False),
        "a": ("INT", False, None, False),
        "name": ("NVARCHAR(40)", False, 40, False),
        "code": ("CHAR (4)", True, 4, False),
        "doc": ("JSON", True, None, False),
        "free": ("", True, None, False),
        "amount": ("DECIMAL(8,2)", True, None, False),
        "shout": ("", True, None, True),
        "kept": ("TEXT", True, None, True),
    }
    assert set(table.primary_key) == {"a", "b"}


def test_modules_tables_are_told_from_plain_ones(harness: SqliteHarness) -> None:
    harness.execute("CREATE VIRTUAL TABLE mail USING fts5(subject, body)")
    harness.execute("CREATE TABLE mail_archive (id INTEGER PRIMARY KEY, body TEXT)")
    kinds = {name: t.kind for name, t in inspected(harness).tables.items()}
    assert kinds["mail"] == "virtual"
    assert kinds["mail_archive"] == "table"
    if sqlite3.sqlite_version_info >= (3, 37):
        assert kinds["mail_content"] == "shadow"
    assert [c.name for c in inspected(harness).tables["mail"].columns] == ["subject", "body"]


def test_a_trigger_and_an_estimate_belong_to_their_table(harness: SqliteHarness) -> None:
    harness.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
    table = table_of(
        harness,
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER second AFTER DELETE ON t BEGIN SELECT 1; END",
        "CREATE TRIGGER first BEFORE INSERT ON t BEGIN SELECT 1; END",
    )
    assert table.triggers == ("first", "second")
    assert table.rows is None
    assert inspected(harness).tables["other"].triggers == ()


# when it looks again


def test_another_file_in_its_place_is_looked_at(harness: SqliteHarness, tmp_path: Path) -> None:
    """A restored copy may have as many changes behind it as the file that it replaces."""
    harness.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT)")
    store = harness.store()
    assert set(store.inspect().tables) == {"t"}
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT)")
    store.close()
    shutil.copy(other, harness.path)
    assert set(store.inspect().tables) == {"u"}
    store.close()


def test_two_stores_with_other_options_do_not_share_what_is_remembered(
    harness: SqliteHarness,
) -> None:
    harness.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    inline, scheduled = harness.store(), harness.store(rescan="scheduled")
    assert (inline.inspect().small, scheduled.inspect().small) == (True, False)
    inline.close()
    scheduled.close()


def test_a_table_of_a_missing_module_is_named(harness: SqliteHarness) -> None:
    harness.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, what TEXT)")
    harness.execute("INSERT INTO t VALUES (1, 'of Mira Quell')")
    with closing(sqlite3.connect(harness.path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "INSERT INTO sqlite_master VALUES ('table', 'map', 'map', 0, "
            "'CREATE VIRTUAL TABLE map USING gone(a, b)')"
        )
    store = harness.store()
    assert store.inspect().views == {"map": "virtual table whose module is not loaded"}
    assert [k.values for k in keys_of(store, by(dataset("t"), "id"), 1)] == [(1,)]
    hits = [h.collection for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)]
    assert hits == ["t"]
    store.close()
