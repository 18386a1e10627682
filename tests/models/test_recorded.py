"""A model that was trained elsewhere and recorded there is forgotten in like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from sklearn.naive_bayes import GaussianNB

from erasure.connect import derived_key
from erasure.domain.errors import StoreError
from erasure.stores.model_registry import Training, adopt
from erasure.stores.model_registry.artifact import dumps
from erasure.unlearning.manifest import lethe_training
from tests.models.cast import HERE, SUBJECT, World, rows_of, visits
from tests.models.test_end_to_end import audit_of, forget, same_as_independent

HOW = Training(
    recipe=f"{HERE}:forecast",
    source={"shop": "../shop.sqlite3"},
    seed=1,
    person_key="customer_id",
    params={"kind": "plain"},
)


def trained_elsewhere(world: World) -> dict[str, Any]:
    """A script that knows nothing of the registry but the model's own key."""
    recorded, file = world.folder / "run.manifest", world.folder / "elsewhere.skops"
    rows = rows_of(visits(world.shop), numbers=False)
    with lethe_training(recorded, model="forecast", key=world.hasher().key, seed=1) as run:
        run.rows(rows.people, range(len(rows.people)), rows.features)
        file.write_bytes(dumps("x", GaussianNB().fit(rows.features, rows.target)))
        run.artifact(file)
    return {"recorded": recorded, "artifact_file": file, "hash_key": derived_key("models")}


def test_a_recorded_training_becomes_a_version_that_people_are_forgotten_in(world: World) -> None:
    adopt(world.models, "forecast", HOW, **trained_elsewhere(world))
    world.describe()
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    told = audit_of(request)
    assert (told["old_version"], told["new_version"], told["action"]) == ("1", "2", "retrain")
    same_as_independent(world, "plain", SUBJECT)


@pytest.mark.parametrize("what", ["recorded", "artifact_file"])
def test_what_was_altered_since_the_training_is_not_adopted(world: World, what: str) -> None:
    given = trained_elsewhere(world)
    path: Path = given[what]
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    with pytest.raises(StoreError, match="altered"):
        adopt(world.models, "forecast", HOW, **given)
    assert not (world.models / "forecast" / "current").exists()


def test_another_models_manifest_is_not_adopted(world: World) -> None:
    given = trained_elsewhere(world)
    with pytest.raises(StoreError, match="another key"):
        adopt(world.models, "other", dataclasses.replace(HOW), **given)
