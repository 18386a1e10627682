"""Another transaction stands in the way: waited for as long as the options say, tried again, then
BLOCKED in words; and a deadlock ends well for both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from erasure.advance import ATTEMPTS
from erasure.inline import run_inline
from tests.flow.deeds import started
from tests.scenarios.faults_cast import (
    Dump,
    again,
    approved,
    assert_forgotten,
    assert_untold,
    at_statement,
    blocked,
    describe,
    dump,
    fill,
)
from tests.stores import mariadb as on_mariadb
from tests.stores import postgresql as on_postgresql
from tests.stores.mariadb_server import connect

pytestmark = pytest.mark.django_db(transaction=True)


class ServerDatabase:
    """A database of a server, past the store; ``other`` is a second application's connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.mariadb = make_url(url).get_backend_name() == "mysql"

    def open(self) -> Any:
        """A connection in a transaction of its own."""
        if not self.mariadb:
            return psycopg.connect(self.url)
        connection = connect(self.url)
        connection.autocommit(False)
        return connection

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with closing(self.open()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
        return rows

    def waiting(self) -> bool:
        """Whether somebody waits for a lock here."""
        if self.mariadb:
            return bool(self.execute("SELECT 1 FROM information_schema.innodb_lock_waits"))
        return bool(
            self.execute(
                "SELECT 1 FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )

    def deadlocks(self) -> int:
        """How many were broken so far."""
        if self.mariadb:
            ((_, count),) = self.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
        else:
            ((count,),) = self.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            )
        return int(str(count))


@pytest.fixture(
    params=[
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def database(request: pytest.FixtureRequest) -> Iterator[ServerDatabase]:
    """The shop in a scratch database."""
    engine = on_postgresql if request.param == "postgresql" else on_mariadb
    for url in engine.scratch_database("locks"):
        made = ServerDatabase(url)
        fill(made)
        yield made


@pytest.fixture
def begun(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, database: ServerDatabase
) -> Callable[[str], Dump]:
    """Describe the store with these options; returns its rows as they are."""

    def begin(options: str) -> Dump:
        monkeypatch.setattr("erasure.inline.time.sleep", lambda _: None)
        caplog.set_level("INFO")
        describe(monkeypatch, database.url, f"purge: none, {options}")
        return dump(database)

    return begin


@pytest.mark.parametrize(
    "held",
    [
        "SELECT * FROM orders WHERE id = 1 FOR UPDATE",
        "UPDATE customer SET name = name WHERE id = 0",
        "UPDATE message SET author_id = 2 WHERE id = 2",
    ],
)
def test_a_row_that_another_transaction_holds_is_waited_for_and_then_named(
    database: ServerDatabase,
    begun: Callable[[str], Dump],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    held: str,
) -> None:
    before = begun("lock_timeout: 300ms")  # MariaDB waits whole seconds
    monkeypatch.setattr("erasure.inline.ATTEMPTS", 2)
    request = started(approved())
    with closing(database.open()) as other:
        other.cursor().execute(held)
        blocked(request, "another transaction holds these rows; try again")
        assert "(tried 2 times)" in request.blocked_because
        other.rollback()
    assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_row_that_is_held_for_a_moment_is_waited_for(
    database: ServerDatabase, begun: Callable[[str], Dump]
) -> None:
    before = begun("lock_timeout: 20s")
    request = started(approved())
    with closing(database.open()) as other:
        other.cursor().execute("SELECT * FROM orders WHERE id = 1 FOR UPDATE")

        def let_go() -> None:
            until(database.waiting)
            other.rollback()

        release = threading.Thread(target=let_go)
        release.start()
        run_inline(request)
        release.join()
    assert request.state == "partly_granted", request.blocked_because
    assert_forgotten(before, dump(database))


def test_a_statement_that_takes_too_long_is_cancelled_tried_again_and_named(
    database: ServerDatabase,
    begun: Callable[[str], Dump],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = begun("lock_timeout: 0, statement_timeout: 2s")
    request = started(approved())
    with closing(database.open()) as other:
        other.cursor().execute("SELECT * FROM orders WHERE id = 1 FOR UPDATE")
        blocked(request, "cancelled after statement_timeout; raise it or try again")
        assert f"(tried {ATTEMPTS} times)" in request.blocked_because
        other.rollback()
    assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def until(true: Callable[[], bool]) -> None:
    """Wait for it, but not for ever."""
    deadline = monotonic() + 120
    while not true() and monotonic() < deadline:
        sleep(0.02)


def test_a_deadlock_is_broken_and_the_run_goes_on(
    database: ServerDatabase, begun: Callable[[str], Dump]
) -> None:
    """The application holds an order and asks for a message; the run does so the other way."""
    before = begun("lock_timeout: 20s")
    request = started(approved())
    met: list[str] = []
    broken = database.deadlocks()

    with closing(database.open()) as other:
        cursor = other.cursor()
        if database.mariadb:  # whoever has changed least has to give way: not the application
            cursor.execute("INSERT INTO address SELECT seq, 'x' FROM seq_100_to_400")
        else:  # whoever looks first finds itself in the circle
            cursor.execute("SET LOCAL deadlock_timeout = '20s'")
        cursor.execute("SELECT * FROM orders WHERE id = 1 FOR UPDATE")

        def close_the_circle() -> None:
            until(database.waiting)
            cursor.execute("UPDATE message SET author_id = author_id WHERE id = 2")
            met.append("got it")
            other.rollback()

        circle = threading.Thread(target=close_the_circle)
        circle.start()
        run_inline(request)
        circle.join()
    assert met
    until(lambda: database.deadlocks() > broken)
    assert database.deadlocks() > broken
    assert request.state == "partly_granted", request.blocked_because
    assert_forgotten(before, dump(database))


def test_a_serializable_writer_beside_the_run_loses_nothing_and_breaks_nothing(
    database: ServerDatabase, begun: Callable[[str], Dump]
) -> None:
    """It has read the person's orders and bases another one on them; whichever of the two fails,
    an order that was committed goes, too."""
    before = begun("lock_timeout: 20s")
    request = started(approved())
    with closing(database.open()) as other:
        cursor = other.cursor()
        cursor.execute(
            "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"
            if database.mariadb
            else "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
        )

        def order_again() -> None:
            with suppress(psycopg.errors.SerializationFailure):
                cursor.execute("SELECT count(*) FROM invoice WHERE customer_id = 0")
                cursor.execute("INSERT INTO orders VALUES (50, 0, 'Ann Archer again')")
                other.commit()

        with at_statement("DELETE", order_again):
            run_inline(request)
    assert request.state == "partly_granted", request.blocked_because
    assert_forgotten(before, dump(database))
