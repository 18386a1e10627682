"""A model of an MLflow registry is trained again by its own pipeline, which registers the version
itself: it is taken only with a manifest that lacks the people, and the old one goes after that."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.models import ModelPolicy
from erasure.stores.model_registry import external
from tests.models import mlflow_script
from tests.models.mlflow_cast import (
    MODEL,
    NEIGHBOUR,
    SECRET_ROW,
    SUBJECT,
    Registry,
    dataset,
    members,
    order,
)
from tests.models.test_mlflow import loads

SCRIPT = str(Path(mlflow_script.__file__))
COMMAND = {"command": ["python", SCRIPT, SUBJECT, NEIGHBOUR], "seconds": 300}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    Registry(folder)
    return folder


@pytest.fixture
def registry(empty: Path, tmp_path: Path) -> Registry:
    """One version, the champion, which knows both."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    made = Registry(tmp_path)
    made.create()
    made.train([SUBJECT, NEIGHBOUR])
    made.client.set_registered_model_alias(MODEL, "champion", "1")
    return made


@pytest.fixture
def inside(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pipeline without a process of its own; counts how often it trained."""
    calls: list[int] = []

    def deliver(place: str, recipe: object, asked: external.Asked, call: object) -> Path:
        calls.append(1)
        external._write(asked)
        monkeypatch.setitem(os.environ, "LETHE_TRAINING", asked.folder)
        mlflow_script.main([SUBJECT, NEIGHBOUR])
        return Path(asked.folder)

    monkeypatch.setattr(external, "deliver", deliver)
    return calls


def champion(registry: Registry) -> str:
    return str(registry.client.get_model_version_by_alias(MODEL, "champion").version)


def retrain(registry: Registry, recipe: Any, **more: Any) -> dict[str, Any]:
    asked = order(registry.hashed(SUBJECT), {"1": "retrain"}, dataset(recipe=recipe))
    return registry.store().carry_out(replace(asked, **more))


def test_a_command_registers_a_version_without_them_and_the_old_one_goes(
    registry: Registry,
) -> None:
    told = retrain(registry, COMMAND, policy=ModelPolicy(metric="auc", max_drop=0.05))
    assert (told["old"], told["new"], champion(registry)) == ("1", "2", "2")
    assert (told["utility_before"], told["utility_after"]) == ("0.800000", "0.790000")
    assert (told["old_people"], told["new_people"]) == (2, 1)
    assert members(registry.store(), SUBJECT) == []
    assert members(registry.store(), NEIGHBOUR) == ["2"]
    assert registry.holding(SECRET_ROW, SUBJECT) == []
    assert registry.store().report(dataset())["new"] == "2"


def test_one_that_is_not_good_enough_is_not_served_and_the_old_one_stays(
    registry: Registry, inside: list[int]
) -> None:
    with pytest.raises(StoreError, match="would fall by more than"):
        retrain(registry, COMMAND, policy=ModelPolicy(metric="auc", max_drop=0.001))
    assert champion(registry) == "1"
    assert members(registry.store(), SUBJECT) == ["1"]


def test_one_that_was_refused_is_not_tried_again_and_the_recipe_is(
    registry: Registry, inside: list[int]
) -> None:
    bad = registry.train([NEIGHBOUR], score=0.5)
    policy = ModelPolicy(metric="auc", max_drop=0.05)
    with pytest.raises(StoreError, match="would fall by more than"):
        retrain(registry, COMMAND, policy=policy)
    told = retrain(registry, COMMAND, policy=policy)
    assert (bad, told["new"], champion(registry), inside) == ("2", "3", "3", [1])


def test_without_an_alias_the_old_version_has_it_before_the_recipe_registers_one(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.client.delete_registered_model_alias(MODEL, "champion")

    def dies(*_: Any) -> None:
        registry.train([NEIGHBOUR])
        raise SystemExit("killed")

    monkeypatch.setattr(external, "deliver", dies)
    with pytest.raises(SystemExit):
        retrain(registry, COMMAND)
    assert champion(registry) == "1"


def test_a_pipeline_that_registers_nothing_leaves_the_old_one(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "deliver", lambda *_: Path())
    with pytest.raises(StoreError, match="registered no version whose manifest lacks the people"):
        retrain(registry, COMMAND)
    assert champion(registry) == "1"


def test_a_version_that_arrived_by_the_ordinary_way_is_taken_without_training(
    registry: Registry, inside: list[int]
) -> None:
    registry.train([NEIGHBOUR])
    told = retrain(registry, COMMAND)
    assert (told["new"], champion(registry), inside) == ("2", "2", [])


@pytest.mark.parametrize(
    "said",
    [{"whose": [None]}, {"whose": ["mara@example.com"], "person_key": "email"}, {"person_key": ""}],
)
def test_a_version_whose_manifest_proves_nothing_is_not_taken(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    monkeypatch.setattr(external, "deliver", lambda *_: registry.train([NEIGHBOUR], **said))
    with pytest.raises(StoreError, match="lacks the people, and holds others, by 'customer_id'"):
        retrain(registry, COMMAND)
    assert champion(registry) == "1"


def test_a_pipeline_is_told_by_which_key_and_kind_a_version_without_a_manifest_is_asked(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[external.Asked] = []
    monkeypatch.setattr(external, "deliver", lambda *words: asked.append(words[2]))
    registry.client.delete_model_version(MODEL, "1")
    registry.train([SUBJECT], said=False)
    registry.client.set_registered_model_alias(MODEL, "champion", "2")
    wanted = order(registry.hashed(SUBJECT), {"2": "retrain"}, dataset(recipe=COMMAND))
    with pytest.raises(StoreError, match="by 'customer_id'"):
        registry.store().carry_out(wanted)
    assert [a.person_key for a in asked] == ["customer_id"]


def test_a_proposed_version_waits_without_alias_and_is_then_taken(
    registry: Registry, inside: list[int]
) -> None:
    told = retrain(registry, COMMAND, propose=True)
    assert (told["proposed"], champion(registry)) == ("2", "1")
    assert members(registry.store(), SUBJECT) == ["1"]
    retrain(registry, COMMAND)
    assert (champion(registry), inside) == ("2", [1])
    assert members(registry.store(), SUBJECT) == []


def test_the_version_that_was_accepted_is_taken_and_another_one_proposed(
    registry: Registry, inside: list[int]
) -> None:
    for _ in range(2):
        registry.train([NEIGHBOUR])
    told = retrain(registry, COMMAND, propose=True, accepted="4")
    assert (told["proposed"], champion(registry)) == ("3", "1")
    told = retrain(registry, COMMAND, propose=True, accepted="2")
    assert ("proposed" in told, told["new"], champion(registry), inside) == (False, "2", "2", [])
    assert members(registry.store(), SUBJECT) == []


def test_in_the_window_the_old_version_has_no_alias_and_may_be_taken_back(
    registry: Registry, inside: list[int]
) -> None:
    until = datetime.now(UTC) + timedelta(days=7)
    told = retrain(registry, COMMAND, keep_until=until)
    assert (told["kept"], champion(registry)) == ({"1": until.isoformat()}, "2")
    assert not loads(registry, "1")
    registry.store().take_back(dataset(), new="2", old="1")
    assert (loads(registry, "1"), champion(registry)) == (True, "1")
    assert members(registry.store(), NEIGHBOUR) == ["1"]
    with pytest.raises(StoreError, match="version 9 is gone"):
        registry.store().take_back(dataset(), new="1", old="9")


def test_what_is_kept_and_loads_all_the_same_is_told(registry: Registry, inside: list[int]) -> None:
    run_id = registry.client.get_model_version(MODEL, "1").run_id
    registry.client.create_registered_model("encoder")
    registry.client.create_model_version("encoder", f"runs:/{run_id}/encoder", run_id=run_id)
    told = retrain(registry, COMMAND, keep_until=datetime.now(UTC) + timedelta(days=7))
    assert told["loads"] == {"1": "still loads by its URI: its run also made encoder/1"}
    assert loads(registry, "1")


def test_a_kept_version_goes_with_what_was_laid_aside(
    registry: Registry, inside: list[int]
) -> None:
    retrain(registry, COMMAND, keep_until=datetime.now(UTC) + timedelta(days=7))
    registry.store().carry_out(order(registry.hashed(SUBJECT), {"1": "delete"}))
    assert registry.holding(SECRET_ROW, SUBJECT) == []


def test_where_it_came_from_stands_with_the_version(registry: Registry) -> None:
    store = registry.store()
    assert not store.records(dataset())[0]["signed"]
    store.provenance(dataset(), "1", {"signature": "0"})
    assert store.records(dataset())[0]["signed"]
