"""The SQL store on MariaDB: the conformance suite, and what is MariaDB's own."""

from __future__ import annotations

import pytest

from tests.stores.mariadb import MariadbHarness
from tests.stores.sql_common import SqlCommon

pytestmark = pytest.mark.mariadb


@pytest.fixture
def harness(mariadb: MariadbHarness) -> MariadbHarness:
    return mariadb


class TestMariadb(SqlCommon):
    """The suite."""
