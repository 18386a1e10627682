"""Stores against the conformance suite."""

import pytest

pytest.register_assert_rewrite(
    "tests.stores.conformance",
    "tests.stores.row_conformance",
    "tests.stores.anonymising_conformance",
    "tests.stores.sql_common",
    "tests.stores.sql_references",
    "tests.stores.sql_schema",
    "tests.stores.sql_views",
)
