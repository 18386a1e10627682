"""Stores against the conformance suite."""

import pytest

pytest.register_assert_rewrite("tests.stores.conformance", "tests.stores.row_conformance")
