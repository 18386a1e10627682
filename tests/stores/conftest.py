"""Databases for the tests of stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores import mariadb as on_mariadb
from tests.stores import postgresql as on_postgresql
from tests.stores.mariadb import MariadbHarness
from tests.stores.postgresql import PostgresqlHarness


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
