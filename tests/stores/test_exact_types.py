"""Random rows of every type are erased and put back: the dump is the same to the byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erasure.domain.errors import StoreError
from erasure.domain.steps import Step
from erasure.stores.base import Key, Store, Work
from lineage.graph import Field, Method
from tests.stores.album import captured, put_back
from tests.stores.company import SECRETS, Row, dataset
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.test_sql_sqlite import SqliteHarness

CALM = settings(
    max_examples=25,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
INT8 = st.integers(-(2**63), 2**63 - 1)


def erased(store: Store, table: str, ids: list[Any], *changed: str) -> None:
    """The first half of the rows is deleted, the fields named are nulled in the rest; then all
    of it is put back."""
    fields = [Field(name="id", primary_key=True)]
    fields += [Field(name=n, method=Method(name="null")) for n in changed]
    own, half = dataset(table, *fields), len(ids) // 2
    keys = [Key(values=(n,)) for n in ids]
    album = captured(
        store,
        [
            Work(step=Step(dataset=own, action="anonymize"), keys=tuple(keys[half:])),
            Work(step=Step(dataset=own, action="delete"), keys=tuple(keys[:half])),
        ],
        SECRETS,
    )
    assert {i.left is None for i in album.images if i.key in {k.values for k in keys[:half]}} == {
        True
    }
    put_back(store, album)
    store.close()


# SQLite: every storage class in columns of every affinity

SQLITE = """
CREATE TABLE typed (id INTEGER PRIMARY KEY, whole INTEGER, word TEXT, price NUMERIC, rate REAL,
  raw BLOB, anything, born DATE, flag BOOLEAN, doc JSON, "odd % ?:x""y" TEXT,
  broken TEXT)
"""
SQLITE_COLUMNS = ["whole", "word", "price", "rate", "raw", "anything", "born", "flag", "doc",
                  'odd % ?:x"y']  # fmt: skip
STORED = st.one_of(
    st.none(),
    INT8,
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=20),
    st.sampled_from(["", " ", "1", "1.0", "01", "1e3", "a\0b", "2024-01-01", '{"a": [1, null]}']),
)


def sqlite_dump(path: Path) -> list[tuple[Any, ...]]:
    """Storage class and bytes of every value."""
    names = ", ".join(
        f'typeof("{n}"), hex(CAST("{n}" AS BLOB)), "{n}" IS NULL'
        for n in ("id", "broken", *(c.replace('"', '""') for c in SQLITE_COLUMNS))
    )
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {names} FROM typed ORDER BY id").fetchall()


@CALM
@given(
    rows=st.lists(
        st.tuples(*[STORED for _ in SQLITE_COLUMNS], st.binary(max_size=8)),
        min_size=2, max_size=8,
    )
)  # fmt: skip
def test_a_row_of_sqlite_comes_back_to_the_byte(
    tmp_path: Path, rows: list[tuple[Any, ...]]
) -> None:
    harness = SqliteHarness(tmp_path)
    harness.clear()
    harness.execute(SQLITE)
    places = ", ".join("?" * len(SQLITE_COLUMNS))
    for number, (*values, broken) in enumerate(rows):
        harness.execute(f"INSERT INTO typed VALUES ({number}, {places}, NULL)", values)
        if number % 3 == 0:  # bytes that are no text, stored as text
            harness.execute(
                f"UPDATE typed SET broken = CAST(? AS TEXT) WHERE id = {number}",
                [b"\xff\xfe" + broken],
            )
    before = sqlite_dump(harness.path)
    erased(harness.store(), "typed", list(range(len(rows))), *SQLITE_COLUMNS)
    assert sqlite_dump(harness.path) == before


def test_numbers_of_sqlite_that_were_given_out_are_not_given_out_again(tmp_path: Path) -> None:
    harness = SqliteHarness(tmp_path)
    harness.clear()
    harness.execute("CREATE TABLE typed (id INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT)")
    harness.execute("INSERT INTO typed (word) VALUES ('a'), ('b')")
    erased(harness.store(), "typed", [1, 2], "word")
    harness.execute("INSERT INTO typed (word) VALUES ('c')")
    assert [tuple(r.values()) for r in harness.read("typed")] == [(1, "a"), (2, "b"), (3, "c")]


# PostgreSQL: the text of every type, whole rows as COPY gives them

POSTGRESQL = """
CREATE TYPE mood AS ENUM ('glad', 'so so', 'sad');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN code AS varchar(8) CHECK (VALUE <> 'no');
CREATE TABLE typed (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, small smallint, large bigint,
  price numeric(12,4), any_number numeric, rate real, exact double precision, flag boolean,
  word text, short varchar(30), fixed char(6), plain bpchar, one "char", tag name, raw bytea,
  born date, at timestamp, seen timestamptz, hour time, hour_there timetz, span interval,
  uid uuid, doc json, docb jsonb, feel mood, label code, tags text[], cube integer[][],
  duo pair, span_of int4range, days daterange[], host inet, net cidr, mac macaddr,
  bits bit(5), more_bits bit varying, spot point, way path, found tsvector, cash money, tree xml,
  twice bigint GENERATED ALWAYS AS (large / 2) STORED)
"""
LETTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
WORDS = st.text(LETTERS, max_size=12)
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
NUMERICS = st.decimals(allow_nan=False, allow_infinity=False, places=7).map(str) | st.sampled_from(
    ["0.00000", "NaN", "-0", "1e-20"]
)
PG_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "small": st.integers(-32768, 32767),
    "large": INT8,
    "price": st.decimals(-(10**7), 10**7, places=4),
    "any_number": NUMERICS,
    "rate": st.floats(width=32),
    "exact": st.floats(),
    "flag": st.booleans(),
    "word": WORDS | st.sampled_from(["", " ", "  x  ", "\\", "'", '"', "NULL", "{a,b}", "%s %%"]),
    "short": WORDS,
    "fixed": ASCII,
    "plain": ASCII.map(lambda s: s + "  "),
    "one": st.sampled_from(["", "a", "~"]),
    "tag": WORDS,
    "raw": st.binary(max_size=20),
    "born": st.dates().map(str) | st.sampled_from(["infinity", "-infinity", "0044-03-15 BC"]),
    "at": st.datetimes().map(str) | st.just("infinity"),
    "seen": st.datetimes().map(lambda d: f"{d}+05:30") | st.just("-infinity"),
    "hour": st.times().map(str),
    "hour_there": st.times().map(lambda t: f"{t}-03:45"),
    "span": st.sampled_from(["1 year -2 days 03:04:05.678901", "-1 mon 3 days", "0", "-00:00:01"]),
    "uid": st.uuids().map(str),
    "doc": st.sampled_from(['{"a":  [1, 1.0, null] ,"a": "b"}', "null", '"\\u00e9"', "1.50"]),
    "docb": st.sampled_from(['{"a": [1, 1.0, null]}', "null", '"é"', "1.50"]),
    "feel": st.sampled_from(["glad", "so so", "sad"]),
    "label": st.sampled_from(["", "x", " x ", "12345678"]),
    "tags": st.lists(st.none() | WORDS, max_size=3),
    "cube": st.sampled_from(["{}", "{{1,2},{3,4}}", "[2:3][0:1]={{1,NULL},{3,4}}"]),
    "duo": st.sampled_from(["(1,b)", "(,)", '(,"a ""b"", c")', "(7,)"]),
    "span_of": st.sampled_from(["empty", "[1,5)", "(,3)", "(,)"]),
    "days": st.sampled_from(["{}", '{"[2020-01-01,2021-01-01)",NULL,empty}']),
    "host": st.sampled_from(["192.0.2.7", "192.0.2.7/24", "::1", "2001:db8::/32"]),
    "net": st.sampled_from(["192.0.2.0/24", "2001:db8::/32"]),
    "mac": st.just("08:00:2b:01:02:03"),
    "bits": st.just("10110"),
    "more_bits": st.sampled_from(["", "1", "0001"]),
    "spot": st.sampled_from(["(1,2.5)", "(0.1,1e+300)", "(NaN,Infinity)"]),
    "way": st.sampled_from(["((0,0),(1,1),(2,0))", "[(0.1,0),(1,1)]"]),
    "found": st.sampled_from(["'a':1A,2 'b c':3", ""]),
    "cash": st.sampled_from(["-1234.56", "0.01"]),
    "tree": st.sampled_from(["<a b='c'>x</a>", "x &amp; y", ""]),
}


@pytest.fixture
def typed(postgresql: PostgresqlHarness) -> Iterator[PostgresqlHarness]:
    postgresql.clear()
    postgresql.execute(POSTGRESQL)
    yield postgresql
    postgresql.clear()


def pg_dump(harness: PostgresqlHarness) -> bytes:
    """The table as pg_dump would write it."""
    harness._connection.execute("SET extra_float_digits = 3")
    with harness._connection.cursor().copy(
        "COPY (SELECT * FROM typed ORDER BY id) TO STDOUT"
    ) as copied:
        return b"".join(bytes(block) for block in copied)


@pytest.mark.postgres
@CALM
@given(
    rows=st.lists(
        st.fixed_dictionaries({n: st.none() | s for n, s in PG_VALUES.items()}),
        min_size=2, max_size=6,
    )
)  # fmt: skip
def test_a_row_of_postgresql_comes_back_to_the_byte(
    typed: PostgresqlHarness, rows: list[dict[str, Any]]
) -> None:
    typed.execute("TRUNCATE typed RESTART IDENTITY")
    for row in rows:
        typed.insert("typed", row)
    before = pg_dump(typed)
    # The driver cannot read a date before Christ, so acting on one is refused; an image is text.
    changed = [n for n in PG_VALUES if n not in ("word", "born", "at", "seen")]
    erased(typed.store(), "typed", list(range(1, len(rows) + 1)), *changed)
    assert pg_dump(typed) == before
    typed.insert("typed", {"word": "new"})
    (number,) = typed.execute("SELECT id FROM typed WHERE word = 'new' ORDER BY id DESC LIMIT 1")
    assert number == (len(rows) + 1,)


@pytest.mark.postgres
def test_the_servers_own_ways_of_writing_do_not_matter(typed: PostgresqlHarness) -> None:
    row: Row = {"born": "1980-02-03", "span": "1 mon -2 days", "raw": b"\\x00\x01", "exact": 0.1}
    typed.insert("typed", row, row)
    before = pg_dump(typed)
    name = typed.url.rpartition("/")[2]
    ways = {"DateStyle": "German", "IntervalStyle": "sql_standard", "bytea_output": "escape",
            "extra_float_digits": "0"}  # fmt: skip
    for setting, value in ways.items():
        typed.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    try:
        erased(typed.store(), "typed", [1, 2], *row)
        assert pg_dump(typed) == before
    finally:
        for setting in ways:
            typed.execute(f"ALTER DATABASE {name} RESET {setting}")


@pytest.mark.postgres
def test_a_trigger_that_changes_what_is_put_back_is_named(typed: PostgresqlHarness) -> None:
    typed.insert("typed", {"word": "a", "small": 1}, {"word": "b", "small": 2})
    typed.execute(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.seen := now(); RETURN NEW; END'"
    )
    typed.execute(
        "CREATE TRIGGER touched BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION touch()"
    )
    with pytest.raises(StoreError, match=r"shop\.typed: a row did not come out .* touched changes"):
        erased(typed.store(), "typed", [1, 2], "small")
    assert typed.execute("SELECT id, small FROM typed") == [(2, None)]
