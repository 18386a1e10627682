"""The SQL store on PostgreSQL: the conformance suite, and what is PostgreSQL's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.company import RowHarness
from tests.stores.postgresql import PostgresqlHarness, scratch_database
from tests.stores.row_conformance import RowConformance

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    yield from scratch_database()


class TestPostgresql(RowConformance):
    @pytest.fixture
    def harness(self, database: str) -> RowHarness:
        return PostgresqlHarness(database)
