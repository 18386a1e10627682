"""The key of the training rows beside a version is its own, and goes with it."""

from __future__ import annotations

import json
import shutil

import pytest

from erasure.domain.errors import StoreError
from erasure.models import DataKey
from erasure.stores import keyring
from erasure.stores.model_registry import kept
from tests.flow.deeds import approved, work_off
from tests.models.cast import SUBJECT, World, email
from tests.models.test_end_to_end import same_as_independent


def test_a_copy_of_the_rows_can_be_opened_by_nobody_once_the_version_is_gone(
    world: World,
) -> None:
    world.train("bayes")
    world.describe()
    file = world.models / "forecast" / "1" / "rows.sealed"
    copy = world.folder / "somebodys_backup"
    shutil.copy(file, copy)
    assert kept.read("here", copy, world.hasher()) is not None
    request = approved(email(SUBJECT))
    work_off(request)
    assert request.state == "completed", request.blocked_because
    same_as_independent(world, "bayes", SUBJECT)
    with pytest.raises(StoreError, match=r"the key of rows\.sealed was destroyed"):
        kept.read("here", copy, world.hasher())
    new = world.models / "forecast" / "2" / "rows.sealed"
    assert kept.read("here", new, world.hasher()) is not None
    living = DataKey.objects.filter(purpose="model rows", destroyed_at=None)
    name = json.loads(new.read_bytes().partition(b"\n")[0])["key"]
    assert [str(key.owner) for key in living] == [name]


def test_without_a_vault_the_rows_are_sealed_under_the_stores_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "_held", [])
    world.train("bayes")
    file = world.models / "forecast" / "1" / "rows.sealed"
    assert json.loads(file.read_bytes().partition(b"\n")[0])["key"] == ""
    assert kept.read("here", file, world.hasher()) is not None
    assert not DataKey.objects.exists()
