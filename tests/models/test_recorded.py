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
from tests.models.cast import HERE, SUBJECT, World, email, rows_of, visits
from tests.models.test_end_to_end import audit_of, forget, same_as_independent

HOW = Training(
    recipe=f"{HERE}:forecast",
    source={"shop": "../shop.sqlite3"},
    seed=1,
    person_key="customer_id",
    params={"kind": "plain"},
)


def trained_elsewhere(world: World, **said: Any) -> dict[str, Any]:
    """A script that knows nothing of the registry but the model's own key."""
    whose = said.pop("whose", int)
    recorded, file = world.folder / "run.manifest", world.folder / "elsewhere.skops"
    rows = rows_of(visits(world.shop), numbers=False)
    words = {"model": "forecast", "seed": 1, "person_key": "customer_id", **said}
    with lethe_training(recorded, key=world.hasher().key, **words) as run:
        run.rows([whose(p) for p in rows.people], range(len(rows.people)), rows.features)
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


PROVES_NOTHING: dict[str, dict[str, Any]] = {
    "holds nobody": {"whose": lambda _person: None},
    "by email, the model by customer_id": {"whose": email, "person_key": "email"},
    "by no named key, the model by customer_id": {"whose": email, "person_key": ""},
    "by customer_id of kind email, the model by customer_id": {"person_kind": "email"},
}


@pytest.mark.parametrize("why", PROVES_NOTHING)
def test_a_manifest_of_nobody_or_under_another_person_key_is_not_adopted(
    world: World, why: str
) -> None:
    given = trained_elsewhere(world, **PROVES_NOTHING[why])
    with pytest.raises(StoreError, match=why):
        adopt(world.models, "forecast", HOW, **given)
    assert not (world.models / "forecast" / "current").exists()
