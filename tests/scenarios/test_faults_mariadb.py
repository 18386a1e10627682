"""What befalls a MariaDB server while a person is forgotten: each time the case is BLOCKED in words
without a value, nothing is half done, and once repaired it comes to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pymysql
import pytest

from erasure.inline import run_inline
from tests.flow.deeds import started
from tests.scenarios.faults_cast import (
    TABLES,
    Dump,
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
)
from tests.stores.mariadb_server import MariadbServer, connect, own_server

pytestmark = [pytest.mark.mariadb, pytest.mark.django_db(transaction=True)]
USER = "lethe_guarded"
# What is to be undone stands in a file that cannot grow, so that a test can fill it.
SMALL = ("--innodb-data-file-path=ibdata1:12M", "--innodb-undo-tablespaces=0")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariadbServer]:
    yield from own_server(tmp_path_factory.mktemp("mariadb"), layout=SMALL)


class MariadbDatabase:
    """One database of a server, past the store."""

    def __init__(self, server: MariadbServer) -> None:
        self.server = server
        self.url = server.url.replace("/test", "/shop")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with closing(connect(self.server.url)) as connection, connection.cursor() as cursor:
            if "DATABASE shop" in statement:
                cursor.execute("SET foreign_key_checks = 0")
            else:
                cursor.execute("USE shop")
            cursor.execute(statement)
            return list(cursor.fetchall())

    def url_of(self, password: str) -> str:
        return self.url.replace("root@", f"{USER}:{password}@")


@pytest.fixture
def database(server: MariadbServer) -> MariadbDatabase:
    """The shop on the module's server."""
    if not server.runs:
        server.start()
    return shop_on(server)


def shop_on(server: MariadbServer) -> MariadbDatabase:
    """The shop in a new database, and a user who may do what docs/databases.md says."""
    made = MariadbDatabase(server)
    made.execute("CREATE OR REPLACE DATABASE shop CHARACTER SET utf8mb4")
    fill(made)
    made.execute(f"CREATE OR REPLACE USER {USER} IDENTIFIED BY 'sesame'")
    for table in TABLES:
        made.execute(f"GRANT SELECT, UPDATE, DELETE, TRIGGER ON shop.{table} TO {USER}")
    return made


@pytest.fixture
def before(
    database: MariadbDatabase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Dump:
    """The rows as they were; the store is reached as its own user."""
    monkeypatch.setattr("erasure.inline.time.sleep", lambda _: None)
    caplog.set_level("INFO")
    describe(monkeypatch, database.url_of("sesame"), "purge: none")
    return dump(database)


def test_a_refused_login_blocks_and_the_right_password_goes_on(
    database: MariadbDatabase,
    before: Dump,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = os.environ["SHOP_URL"]
    monkeypatch.setenv("SHOP_URL", database.url_of("open-says-me"))
    request = opened()
    blocked(request, "login refused; check the user and password of the store's url")
    monkeypatch.setenv("SHOP_URL", right)
    other = started(approved("ben.baker@example.com"))
    monkeypatch.setenv("SHOP_URL", database.url_of("open-says-me"))
    blocked(other, "login refused; check the user and password of the store's url")
    assert dump(database) == before
    monkeypatch.setenv("SHOP_URL", right)
    again(other)
    assert "open-says-me" not in caplog.text + request.blocked_because + other.blocked_because
    assert_untold(caplog)


@pytest.mark.parametrize("statement", ["DELETE", "UPDATE", "SELECT"])
def test_a_server_that_goes_in_the_middle_blocks_and_nothing_is_half_done(
    database: MariadbDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    statement: str,
) -> None:
    request = started(approved())
    with at_statement(statement, database.server.kill):
        blocked(request, "no connection; check that the server runs")
    database.server.start()
    assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


@pytest.mark.parametrize("statement", ["DELETE", "UPDATE"])
def test_a_connection_that_is_killed_is_made_anew(
    database: MariadbDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    statement: str,
) -> None:
    def kill() -> None:
        listed = database.execute(
            f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'"
        )
        for (number,) in listed:
            database.execute(f"KILL {number}")

    request = started(approved())
    with at_statement(statement, kill):
        run_inline(request)
    assert request.state == "partly_granted", request.blocked_because
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_a_server_that_goes_around_the_commit_leaves_all_or_nothing(
    database: MariadbDatabase, before: Dump, caplog: pytest.LogCaptureFixture, committed: bool
) -> None:
    """Nobody knows whether a commit that was not answered took place; the rows do."""
    request = started(approved())
    with at_commit(database.server.kill, committed=committed):
        blocked(request, "no connection; check that the server runs")
    database.server.start()
    assert (dump(database) == before) is not committed
    again(request)
    assert_forgotten(before, dump(database))
    rows = dict(request.plans.get().steps.filter(via="deep").values_list("dataset", "rows"))
    assert (rows["shop.orders"], rows["shop.customer"], rows["shop.message"]) == (2, 1, 1)
    assert_untold(caplog)


def test_a_server_that_takes_no_writes_blocks(
    database: MariadbDatabase, before: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    database.execute("SET GLOBAL read_only = 1")
    blocked(request, "the store is read-only; give the product's user write access")
    assert dump(database) == before
    database.execute("SET GLOBAL read_only = 0")
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


@contextmanager
def no_room(database: MariadbDatabase) -> Iterator[None]:
    """Somebody's open transaction takes all the room that changes need to be undone."""
    database.execute("CREATE TABLE ballast (id INT PRIMARY KEY, body VARBINARY(6000))")
    database.execute("INSERT INTO ballast SELECT seq, REPEAT('x', 6000) FROM seq_1_to_3000")
    with closing(connect(database.url)) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        change = "UPDATE ballast SET body = REPEAT('y', 6000) WHERE id = %s"
        with pytest.raises(pymysql.err.Error):
            _one_by_one(cursor, change, range(1, 3001))
        yield


def _one_by_one(cursor: pymysql.cursors.Cursor, statement: str, numbers: range) -> None:
    for number in numbers:
        cursor.execute(statement, (number,))


def test_a_full_disk_blocks_and_nothing_is_half_done(
    database: MariadbDatabase, before: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    with no_room(database):
        blocked(request, "no room or memory left; make room")
        assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


REVOKED = [
    ("DELETE", "orders"),
    ("UPDATE", "customer"),
    ("UPDATE", "message"),
    ("SELECT", "orders"),
    ("SELECT", "address"),
]


@pytest.mark.parametrize(("privilege", "table"), REVOKED)
def test_a_missing_privilege_blocks_and_is_named(
    database: MariadbDatabase,
    before: Dump,
    caplog: pytest.LogCaptureFixture,
    privilege: str,
    table: str,
) -> None:
    request = started(approved())
    database.execute(f"REVOKE {privilege} ON shop.{table} FROM {USER}")
    blocked(request, "permission denied; grant")
    assert table in request.blocked_because
    assert dump(database) == before
    database.execute(f"GRANT {privilege} ON shop.{table} TO {USER}")
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)
