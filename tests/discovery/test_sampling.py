"""Looking into a database: few rows, always the same, cheap, and silent about what they hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import sleep

import psycopg
import pytest
import sqlalchemy as sa

from erasure.domain.errors import StoreUnreachable
from erasure.stores.base import Samples
from erasure.stores.memory import MemoryStore
from erasure.stores.sql import SqlStore
from lineage.schema import Sample
from tests.discovery.conftest import Make
from tests.discovery.strangers import Company
from tests.stores.conformance import told

SECRET = "mira.quell@example.com"
THINGS = Company(
    tables={"thing": "id integer primary key, label varchar(40), mail varchar(80)"},
    rows={"thing": [(i, f"label {i}", SECRET if i % 2 else None) for i in range(1, 301)]},
)


@contextmanager
def store(url: str, **options: str) -> Iterator[SqlStore]:
    """A store that is closed afterwards."""
    with closing(SqlStore(name="shop", url=url, options=options)) as opened:
        yield opened


def samples(url: str, rows: int = 200, **options: str) -> dict[str, Sample]:
    with store(url, **options) as opened:
        names = list(opened.inspect().tables)
        return {one.collection: one for one in opened.sample(names, rows)}


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that reads, as SQLAlchemy sends it."""
    sent: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        sent.extend([statement] if statement.startswith("SELECT") else [])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_the_sql_store_can_be_looked_into_and_others_need_not(on_sqlite: Make) -> None:
    with store(on_sqlite(THINGS)) as opened:
        assert isinstance(opened, Samples)
    assert not isinstance(MemoryStore(name="m", url="", options={}), Samples)


def test_no_more_rows_than_asked_for_and_one_statement_per_table(make: Make) -> None:
    with store(make(THINGS)) as opened:
        opened.inspect()
        with statements() as sent:
            (found,) = opened.sample(["thing"], 7)
    counts = {name: len(values) for name, values in found.values.items()}
    assert counts == {"id": 7, "label": 7, "mail": 7}
    assert len(sent) == 1


def test_an_empty_table_has_no_values(make: Make) -> None:
    company = Company(tables={"t": "id integer primary key"}, rows={"t": [(1,)]})
    url = make(company)
    assert samples(url)["t"].values == {"id": (1,)}
    with store(url) as opened:
        assert list(opened.sample([], 5)) == []


def test_bytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "pictures.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table picture (id integer primary key, photo blob)")
        database.execute("create table only (photo blob)")
        database.execute("insert into picture values (1, x'00')")
    found = samples(f"sqlite:///{path}")
    assert found["picture"].values == {"id": (1,)}
    assert found["only"].values == {}


def test_a_long_text_is_cut(make: Make) -> None:
    company = Company(tables={"t": "x text"}, rows={"t": [("y" * 50_000,)]})
    (value,) = samples(make(company))["t"].values["x"]
    assert isinstance(value, str)
    assert 5_000 <= len(value) <= 10_000


def test_values_are_counted_where_they_are_looked_for(make: Make) -> None:
    with store(make(THINGS)) as opened:
        assert opened.present("thing", "id", [1, 2, "3", 999, "x"]) == 3
        assert opened.present("thing", "mail", [SECRET, "nobody@example.com"]) == 1
        assert opened.present("thing", "id", ["x"]) == 0
        assert opened.present("thing", "id", []) == 0


def test_a_sample_shows_no_value(make: Make) -> None:
    assert SECRET not in repr(samples(make(THINGS))["thing"])


def test_what_is_no_text_at_all_keeps_nothing_from_being_sampled(tmp_path: Path) -> None:
    path = tmp_path / "broken.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table t (id integer primary key, mail text)")
        database.execute("create table u (id integer primary key)")
        database.execute("insert into t values (1, cast(x'6d697261ff' as text))")
        database.execute("insert into u values (7)")
    found = samples(f"sqlite:///{path}")
    assert found["t"].values == {"id": (1,), "mail": ("mira\udcff",)}
    assert not found["t"].unread
    assert found["u"].values == {"id": (7,)}


def test_a_database_that_goes_away_is_unreachable(on_sqlite: Make) -> None:
    url = on_sqlite(THINGS)
    with store(url) as opened:
        opened.inspect()
        opened.close()
        Path(url.removeprefix("sqlite:///")).unlink()
        with pytest.raises(StoreUnreachable) as caught:
            list(opened.sample(["thing"], 5))
    assert SECRET not in told(caught.value)


# PostgreSQL's own

LARGE = (
    "create table large with (autovacuum_enabled = off) as "
    "select g as id, repeat('x', 100) as filler from generate_series(1, 200000) g"
)


@pytest.fixture
def postgresql(empty_postgresql: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_postgresql, autocommit=True) as connection:
        yield connection


def url_of(connection: psycopg.Connection) -> str:
    info = connection.info
    return f"postgresql://{info.user}@{info.host}:{info.port}/{info.dbname}"


@pytest.mark.postgres
def test_a_large_table_is_sampled_by_page_and_always_alike(postgresql: psycopg.Connection) -> None:
    postgresql.execute(LARGE)
    with statements() as sent:
        first = samples(url_of(postgresql))["large"].values["id"]
    (statement,) = (text for text in sent if '"large"' in text)
    assert "TABLESAMPLE" in statement
    assert "ORDER BY" not in statement
    assert len(first) == 200
    assert first[0] != 1
    assert samples(url_of(postgresql))["large"].values["id"] == first


def pages_read(connection: psycopg.Connection, more_than: int) -> int:
    """Pages of the table that any connection read so far; told when a connection ends."""
    statement = "select heap_blks_read + heap_blks_hit from pg_statio_user_tables"
    for _ in range(1200):
        row = connection.execute(statement).fetchone()
        if row and row[0] > more_than:
            return int(row[0])
        sleep(0.05)
    return more_than


@pytest.mark.postgres
def test_a_sample_of_a_large_table_reads_a_handful_of_its_pages(
    postgresql: psycopg.Connection,
) -> None:
    with psycopg.connect(url_of(postgresql)) as other:
        other.execute(LARGE)
    before = pages_read(postgresql, more_than=0)
    assert before > 3_000
    samples(url_of(postgresql))
    read = pages_read(postgresql, more_than=before) - before
    assert 0 < read < 60


@pytest.mark.postgres
def test_a_large_table_that_is_nearly_empty_is_read_from_its_start(
    postgresql: psycopg.Connection,
) -> None:
    postgresql.execute("create table holes as select g as id from generate_series(1, 300000) g")
    postgresql.execute("delete from holes where id < 299990")
    assert samples(url_of(postgresql))["holes"].values["id"] == tuple(range(299_990, 300_001))


@pytest.mark.postgres
def test_partitions_views_of_files_and_odd_names_can_be_read(
    postgresql: psycopg.Connection,
) -> None:
    postgresql.execute("create table parts (id int, v text) partition by range (id)")
    postgresql.execute("create table one partition of parts for values from (0) to (100)")
    postgresql.execute("insert into parts values (1, 'a')")
    postgresql.execute('create schema "o dd"')
    postgresql.execute('create table "o dd"."sel""ect %" ("a b" text)')
    postgresql.execute('insert into "o dd"."sel""ect %" values (\'x\')')
    postgresql.execute("create table nothing ()")
    found = samples(url_of(postgresql))
    assert found["parts"].values == {"id": (1,), "v": ("a",)}
    assert found['o dd.sel"ect %'].values == {"a b": ("x",)}
    assert found["nothing"].values == {}


@pytest.mark.postgres
def test_dates_that_python_does_not_know_are_read_all_the_same(
    postgresql: psycopg.Connection,
) -> None:
    postgresql.execute("create table t (d date, at timestamptz, n numeric, i inet, j jsonb)")
    postgresql.execute(
        "insert into t values ('infinity', '-infinity', 'NaN', '192.0.2.1', '{\"a\": 1}')"
    )
    found = samples(url_of(postgresql))["t"]
    assert found.unread == ""
    assert found.values["d"] == ("infinity",)
    assert found.values["j"] == ('{"a": 1}',)


@pytest.mark.postgres
def test_a_table_that_may_not_be_read_is_left_out_and_the_others_are_not(
    postgresql: psycopg.Connection,
) -> None:
    role = f"lethe_discovery_{postgresql.info.backend_pid}"
    postgresql.execute("create table a (id int); create table b (id int)")
    postgresql.execute("insert into b values (7)")
    postgresql.execute(f"create role {role} login; grant select on b to {role}")
    try:
        url = url_of(postgresql).replace("postgres@", f"{role}@")
        found = samples(url)
        assert "permission denied" in found["a"].unread
        assert found["b"].values == {"id": (7,)}
        with store(url) as opened:
            assert opened.present("a", "id", [1]) is None
    finally:
        postgresql.execute(f"drop owned by {role}; drop role {role}")


@pytest.mark.postgres
def test_a_table_that_is_not_answered_for_in_time_is_left_out(
    postgresql: psycopg.Connection,
) -> None:
    postgresql.execute("create table slow (id int primary key); insert into slow values (1)")
    postgresql.execute("create table fast (id int primary key); insert into fast values (1)")
    url = url_of(postgresql)
    with (
        store(url, statement_timeout="2s", lock_timeout="60s") as opened,
        psycopg.connect(url) as other,
    ):
        opened.inspect()
        other.execute("lock table slow in access exclusive mode")
        found = {one.collection: one for one in opened.sample(["slow", "fast"], 5)}
        assert "statement_timeout" in found["slow"].unread
        assert found["fast"].values == {"id": (1,)}
        assert opened.present("slow", "id", [1]) is None


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_said_without_a_password() -> None:
    with (
        store("postgresql://someone:hunter2@127.0.0.1:1/db") as opened,
        pytest.raises(StoreUnreachable) as caught,
    ):
        list(opened.sample(["t"], 5))
    assert "hunter2" not in told(caught.value)
