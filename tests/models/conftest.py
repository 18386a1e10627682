"""The world of ``tests.models.cast``, fresh for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.cast import World, make_world


@pytest.fixture
def world(transactional_db: None, tmp_path: Path) -> World:
    """A shop, and a folder for its models."""
    return make_world(tmp_path)
