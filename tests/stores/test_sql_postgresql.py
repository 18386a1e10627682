"""The SQL store on PostgreSQL: the conformance suite, and what is PostgreSQL's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.postgresql import PostgresqlHarness, scratch_database
from tests.stores.sql_common import SqlCommon

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    yield from scratch_database()


@pytest.fixture
def harness(database: str) -> Iterator[PostgresqlHarness]:
    harness = PostgresqlHarness(database)
    yield harness
    harness.close()


class TestPostgresql(SqlCommon):
    """The suite."""
