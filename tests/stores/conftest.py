"""Databases for the tests of stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stores import mariadb as on_mariadb
from tests.stores import postgresql as on_postgresql
from tests.stores.json_cast import Documents
from tests.stores.mariadb import MariadbHarness
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.test_sql_sqlite import SqliteHarness


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[str]:
    yield from on_postgresql.scratch_database()


@pytest.fixture
def postgresql(postgresql_database: str) -> Iterator[PostgresqlHarness]:
    harness = PostgresqlHarness(postgresql_database)
    yield harness
    harness.close()


@pytest.fixture(scope="session")
def mariadb_database() -> Iterator[str]:
    yield from on_mariadb.scratch_database()


@pytest.fixture
def mariadb(mariadb_database: str) -> Iterator[MariadbHarness]:
    harness = MariadbHarness(mariadb_database)
    yield harness
    harness.close()


_DOCUMENTS = {
    "sqlite-json": ("sqlite", "JSON"),
    "sqlite-text": ("sqlite", "TEXT CHECK (COLUMN IS NULL OR json_valid(COLUMN))"),
    "postgresql-json": ("postgresql", "JSON"),
    "postgresql-jsonb": ("postgresql", "JSONB"),
    "mariadb-json": ("mariadb", "JSON"),
}
_MARKS: dict[str, Any] = {
    "sqlite": (),
    "postgresql": pytest.mark.postgres,
    "mariadb": pytest.mark.mariadb,
}


@pytest.fixture(params=[pytest.param(v, id=n, marks=_MARKS[v[0]]) for n, v in _DOCUMENTS.items()])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Documents:
    """Every database with every type of JSON that it has, empty."""
    engine, declared = request.param
    harness = SqliteHarness(tmp_path) if engine == "sqlite" else request.getfixturevalue(engine)
    harness.create((), {})
    return Documents(harness=harness, declared=declared)
