"""Scratch databases for generated worlds, one per engine and session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.scenarios.generated.engines import Engine, Mariadb, Postgresql, Sqlite
from tests.stores import mariadb as on_mariadb
from tests.stores import postgresql as on_postgresql


@pytest.fixture
def sqlite(tmp_path: Path) -> Sqlite:
    """A file of its own."""
    return Sqlite(tmp_path / "generated.sqlite3")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A database whose commits do not wait for the disk."""
    for url in on_postgresql.scratch_database("generated"):
        with closing(Postgresql(url)) as engine:
            engine.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
            yield engine


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Mariadb]:
    """A database of the server."""
    for url in on_mariadb.scratch_database("generated"):
        with closing(Mariadb(url)) as engine:
            yield engine


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every engine in turn."""
    found: Engine = request.getfixturevalue(request.param)
    return found
