"""What befalls a PostgreSQL server while a person is forgotten: each time the case is BLOCKED in
words without a value, nothing is half done, and once repaired it comes to its end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import psycopg
import pytest

from erasure.inline import run_inline
from tests.flow.deeds import started
from tests.scenarios.faults_cast import (
    TABLES,
    Dump,
    SmallDisk,
    again,
    approved,
    assert_forgotten,
    assert_untold,
    at_commit,
    at_statement,
    blocked,
    describe,
    dump,
    fill,
    opened,
    small_disk,
)
from tests.stores.postgresql_server import GUARDED, PostgresqlServer, own_server

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    yield from own_server()


class PostgresqlDatabase:
    """One database of a server, past the store."""

    def __init__(self, server: PostgresqlServer, name: str = "shop") -> None:
        self.server, self.name = server, name
        self.url = f"{server.address}/{name}"

    def execute(self, statement: str, database: str = "") -> list[tuple[object, ...]]:
        address = f"{self.server.address}/{database or self.name}"
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def url_of(self, user: str, password: str = "") -> str:
        secret = f":{password}" if password else ""
        return self.url.replace("postgres@", f"{user}{secret}@")


@pytest.fixture
def database(server: PostgresqlServer) -> PostgresqlDatabase:
    """The shop in a new database, and a user who may do what docs/databases.md says."""
    if not server.runs:
        server.start()
    made = PostgresqlDatabase(server)
    made.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)", "postgres")
    made.execute("CREATE DATABASE shop", "postgres")
    fill(made)
    made.execute(f"DROP ROLE IF EXISTS {GUARDED}")
    made.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD 'sesame'")
    made.execute(f"GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {GUARDED}")
    return made


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    yield from small_disk()


@pytest.fixture
def before(
    database: PostgresqlDatabase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Dump:
    """The rows as they were; the store is reached as its own user."""
    monkeypatch.setattr("erasure.inline.time.sleep", lambda _: None)
    caplog.set_level("INFO")
    describe(monkeypatch, database.url_of(GUARDED, "sesame"), "purge: none")
    return dump(database)


# --- the way in ----------------------------------------------------------------------------------


def test_a_refused_login_blocks_and_the_right_password_goes_on(
    database: PostgresqlDatabase,
    before: Dump,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = os.environ["SHOP_URL"]
    monkeypatch.setenv("SHOP_URL", database.url_of(GUARDED, "open-says-me"))
    request = opened()
    blocked(request, "login refused; check the user and password of the store's url")
    assert "open-says-me" not in request.blocked_because + caplog.text
    assert_untold(caplog)
    monkeypatch.setenv("SHOP_URL", right)
    assert dump(database) == before


def test_a_login_that_is_refused_in_the_middle_blocks_that_store_and_goes_on_later(
    database: PostgresqlDatabase,
    before: Dump,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = os.environ["SHOP_URL"]
    request = started(approved())
    monkeypatch.setenv("SHOP_URL", database.url_of(GUARDED, "open-says-me"))
    blocked(request, "login refused; check the user and password of the store's url")
    assert "open-says-me" not in request.blocked_because + caplog.text
    assert dump(database) == before
    monkeypatch.setenv("SHOP_URL", right)
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


# --- the server goes -----------------------------------------------------------------------------


def terminate(database: PostgresqlDatabase) -> None:
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = 'shop' AND pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("statement", ["DELETE", "UPDATE", "SELECT"])
def test_a_server_that_goes_in_the_middle_blocks_and_nothing_is_half_done(
    database: PostgresqlDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    statement: str,
) -> None:
    request = started(approved())
    with at_statement(statement, database.server.stop):
        blocked(request, "no connection; check that the server runs")
    database.server.start()
    assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


@pytest.mark.parametrize("statement", ["DELETE", "UPDATE"])
def test_a_connection_that_is_terminated_is_made_anew(
    database: PostgresqlDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    statement: str,
) -> None:
    request = started(approved())
    with at_statement(statement, lambda: terminate(database)):
        run_inline(request)
    assert request.state == "partly_granted", request.blocked_because
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_a_server_that_goes_around_the_commit_leaves_all_or_nothing(
    database: PostgresqlDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    committed: bool,
) -> None:
    """Nobody knows whether a commit that was not answered took place; the rows do."""
    request = started(approved())
    with at_commit(database.server.stop, committed=committed):
        blocked(request, "no connection; check that the server runs")
    database.server.start()
    assert (dump(database) == before) is not committed
    again(request)
    assert_forgotten(before, dump(database))
    rows = dict(request.plans.get().steps.filter(via="deep").values_list("dataset", "rows"))
    assert (rows["shop.orders"], rows["shop.customer"], rows["shop.message"]) == (2, 1, 1)
    assert_untold(caplog)


# --- read-only and privileges --------------------------------------------------------------------


def test_a_database_that_takes_no_writes_blocks(
    database: PostgresqlDatabase, before: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    database.execute("ALTER DATABASE shop SET default_transaction_read_only = on")
    terminate(database)
    blocked(request, "the store is read-only; give the product's user write access")
    assert dump(database) == before
    database.execute("ALTER DATABASE shop RESET default_transaction_read_only", "postgres")
    terminate(database)
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_standby_blocks_until_it_is_promoted(
    database: PostgresqlDatabase,
    before: Dump,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    server: PostgresqlServer,
) -> None:
    standby = PostgresqlServer(server.data.parent / "standby")
    standby.data.parent.mkdir(exist_ok=True)
    shutil.chown(standby.data.parent, "postgres") if os.geteuid() == 0 else None
    standby.copy(server)
    try:
        follower = PostgresqlDatabase(standby)
        monkeypatch.setenv("SHOP_URL", follower.url_of(GUARDED, "sesame"))
        request = approved()
        blocked(request, "the store is read-only; give the product's user write access")
        standby.promote()
        again(request)
        assert_forgotten(before, dump(follower))
        assert dump(database) == before
        assert_untold(caplog)
    finally:
        standby.stop()


REVOKED: list[tuple[str, str]] = [
    ("DELETE ON orders", "permission denied; grant"),
    ("UPDATE ON customer", "permission denied; grant"),
    ("UPDATE ON message", "permission denied; grant"),
    ("SELECT ON orders", "permission denied; grant"),
    ("SELECT ON address", "permission denied; grant"),
]


@pytest.mark.parametrize(("revoked", "words"), REVOKED)
def test_a_missing_privilege_blocks_and_is_named(
    database: PostgresqlDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    revoked: str,
    words: str,
) -> None:
    request = started(approved())
    database.execute(f"REVOKE {revoked} FROM {GUARDED}")
    blocked(request, words)
    assert revoked.split()[-1] in request.blocked_because
    assert dump(database) == before
    database.execute(f"GRANT {revoked} TO {GUARDED}")
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_table_that_may_not_even_be_searched_is_never_certified(
    database: PostgresqlDatabase, before: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    """A table that no plan names may hold copies all the same."""
    request = started(approved())
    database.execute("CREATE TABLE secret (id int PRIMARY KEY, note text)")
    blocked(request, "permission denied; grant")
    database.execute(f"GRANT SELECT ON secret TO {GUARDED}")
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


@pytest.mark.parametrize("table", ["orders", "address"])
def test_rows_that_a_policy_hides_are_never_taken_for_gone(
    database: PostgresqlDatabase, before: Dump, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    """PostgreSQL leaves hidden rows out without a word, of deletions as of every look."""
    request = started(approved())
    database.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    database.execute(f"CREATE POLICY nothing ON {table} USING (false)")
    blocked(request, "row-level security hides rows from the product's user; ALTER ROLE")
    assert table in request.blocked_because
    assert dump(database) == before
    database.execute(f"ALTER ROLE {GUARDED} BYPASSRLS")
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_table_that_may_not_be_rewritten_is_never_called_purged(
    database: PostgresqlDatabase,
    before: Dump,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """PostgreSQL only warns, and passes it over."""
    describe(monkeypatch, database.url_of(GUARDED, "sesame"), "purge: vacuum_full")
    request = started(approved())
    blocked(request, "VACUUM has skipped it; let the product's user own the table")
    for table in TABLES:
        database.execute(f"ALTER TABLE {table} OWNER TO {GUARDED}")
    again(request)
    assert_forgotten(before, dump(database))
    orders = request.plans.get().steps.get(dataset="shop.orders", via="deep")
    assert orders.residue == "clean"
    assert_untold(caplog)


def test_a_table_that_may_not_be_vacuumed_is_told_of(
    database: PostgresqlDatabase, before: Dump, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(monkeypatch, database.url_of(GUARDED, "sesame"), "purge: vacuum")
    request = approved()
    run_inline(request)
    assert request.state == "partly_granted", request.blocked_because
    orders = request.plans.get().steps.get(dataset="shop.orders", via="deep")
    assert orders.residue == "logically_deleted"
    assert "VACUUM has skipped" in orders.note


# --- no room -------------------------------------------------------------------------------------


def test_a_full_disk_blocks_and_nothing_is_half_done(
    database: PostgresqlDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    disk: SmallDisk,
) -> None:
    folder = disk.folder("space", "postgres")
    database.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
    database.execute("ALTER TABLE message SET TABLESPACE small")
    database.execute(
        "INSERT INTO message SELECT n, 2, 'Ann Archer again ' || repeat('x', 400) "
        "FROM generate_series(10, 800) n"
    )
    before = dump(database)
    request = started(approved())
    disk.fill_up()
    blocked(request, "no room or memory left; make room")
    assert dump(database) == before
    disk.make_room()
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)
    database.execute("DROP TABLE message")
    database.execute("DROP TABLESPACE small")
