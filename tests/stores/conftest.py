"""Databases for the tests of stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.postgresql import PostgresqlHarness, scratch_database


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[str]:
    yield from scratch_database()


@pytest.fixture
def postgresql(postgresql_database: str) -> Iterator[PostgresqlHarness]:
    harness = PostgresqlHarness(postgresql_database)
    yield harness
    harness.close()
