"""What befalls a SQLite file while a person is forgotten: BLOCKED in words without a value, nothing
half done, and to its end once repaired."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from erasure.inline import run_inline
from erasure.stores.sql.purge import purge
from tests.flow.deeds import started
from tests.scenarios.faults_cast import (
    Dump,
    SmallDisk,
    again,
    approved,
    assert_forgotten,
    assert_untold,
    at_statement,
    blocked,
    describe,
    dump,
    fill,
    small_disk,
)

pytestmark = pytest.mark.django_db(transaction=True)


class SqliteDatabase:
    """A file, past the store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    yield from small_disk()


@pytest.fixture
def database(disk: SmallDisk) -> SqliteDatabase:
    """The shop on the small disk."""
    made = SqliteDatabase(disk.place / "shop.sqlite3")
    fill(made)
    made.execute(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 600) "
        "INSERT INTO message SELECT i, 2, 'Ann Archer again ' || hex(zeroblob(400)) FROM n"
    )
    return made


@pytest.fixture
def before(
    database: SqliteDatabase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Dump:
    """The rows as they were."""
    monkeypatch.setattr("erasure.inline.time.sleep", lambda _: None)
    caplog.set_level("INFO")
    describe(monkeypatch, database.url, "lock_timeout: 100ms")
    return dump(database)


def test_a_full_disk_blocks_and_nothing_is_half_done(
    database: SqliteDatabase, before: Dump, disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    disk.fill_up()
    blocked(request, "no room or memory left; make room, then try again")
    disk.make_room()
    assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_disk_that_fills_up_in_the_middle_blocks_and_nothing_is_half_done(
    database: SqliteDatabase, before: Dump, disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    with at_statement("DELETE", disk.fill_up):
        run_inline(request)
    # Deleting may need no room; emptying the file of what was deleted does.
    assert request.state == "blocked"
    assert "no room or memory left" in request.blocked_because
    disk.make_room()
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_disk_without_room_to_rewrite_the_file_blocks_after_the_act(
    database: SqliteDatabase,
    before: Dump,
    disk: SmallDisk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = started(approved())

    def purge_on_a_full_disk(*arguments: Any) -> Any:
        disk.fill_up()
        return purge(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr("erasure.stores.sql.store.purge", purge_on_a_full_disk)
        blocked(request, "no room or memory left; make room, then try again")
    disk.make_room()
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_read_only_file_system_blocks(
    database: SqliteDatabase, before: Dump, disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    disk.remount("ro")
    blocked(request, "the store is read-only; give the product's user write access")
    disk.remount("rw")
    assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_file_that_has_gone_blocks_and_none_is_made_in_its_place(
    database: SqliteDatabase, before: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    away = database.path.rename(database.path.with_suffix(".away"))
    blocked(request, "the database file is not there; correct the store's url")
    assert not database.path.exists()
    away.rename(database.path)
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_file_that_is_no_database_blocks(
    database: SqliteDatabase, before: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    whole = database.path.read_bytes()
    database.path.write_bytes(b"Ann Archer was here" * 100)
    blocked(request, "not a usable database; restore it or correct the store's url")
    database.path.write_bytes(whole)
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)


def test_a_writer_that_holds_the_file_is_waited_for_and_then_named(
    database: SqliteDatabase, before: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    request = started(approved())
    with closing(sqlite3.connect(database.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        blocked(request, "another transaction holds these rows; try again")
        writer.execute("ROLLBACK")
    assert dump(database) == before
    again(request)
    assert_forgotten(before, dump(database))
    assert_untold(caplog)
