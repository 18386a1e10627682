"""Looking at a schema again that has not changed, against reading it. Prints ratios; asserts no
time."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from erasure.stores.sql import SqlStore
from erasure.stores.sql.reflect import read_schema
from tests.scenarios.conftest import shared
from tests.servers import postgresql_server

pytestmark = [pytest.mark.benchmark, pytest.mark.shared]

ROUNDS = 15


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    copy = shutil.copy(shared("chinook", "Chinook_Sqlite.sqlite"), tmp_path / "chinook.sqlite")
    return f"sqlite:///{copy}"


@pytest.fixture
def postgresql() -> Iterator[str]:
    server = postgresql_server()
    script = shared("chinook", "Chinook_PostgreSql.sql").read_text()
    begin = script.index("CREATE TABLE")  # before it the script makes and enters a database
    name = f"lethe_bench_{os.getpid()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        with psycopg.connect(f"{server}/{name}") as inside:
            inside.execute(script[begin:])
        yield f"{server}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measured(deed: Callable[[], object]) -> float:
    """The median of some rounds, in seconds."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        deed()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_an_unchanged_schema_against_one_that_is_read(
    engine: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SqlStore(name="chinook", url=request.getfixturevalue(engine), options={})
    found = store.inspect()

    def read() -> None:
        with store._engine.connect() as connection:
            read_schema(connection, store._options)

    def again() -> None:
        assert store.inspect() is found

    ratio = measured(again) / measured(read)
    store.close()
    with capsys.disabled():
        sys.stdout.write(f"\nChinook on {engine}, unchanged against read: {ratio:.3f} x\n")
