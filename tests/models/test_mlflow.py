"""MLflow for real, on SQLite: who is in a version, and a retirement that leaves no byte behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from erasure.domain.errors import StoreError
from erasure.domain.models import ModelPolicy
from erasure.domain.needles import Matcher, Needle
from erasure.stores.model_registry.mlflow import MlflowStore, ladder, recovery, replacing
from erasure.stores.model_registry.mlflow.client import within
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


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry without models, made once: its migrations take seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    Registry(folder)
    return folder


@pytest.fixture
def registry(empty: Path, tmp_path: Path) -> Registry:
    """Version 1 knows both people, version 2 the neighbour alone and is the champion."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    made = Registry(tmp_path)
    made.create()
    made.train([SUBJECT, NEIGHBOUR])
    made.train([NEIGHBOUR])
    made.client.set_registered_model_alias(MODEL, "old", "1")
    made.client.set_registered_model_alias(MODEL, "champion", "2")
    made.trace("1", f"what will {SUBJECT} do")
    return made


def test_membership_is_answered_from_the_manifest_logged_with_the_run(registry: Registry) -> None:
    store = registry.store()
    assert members(store, SUBJECT) == ["1"]
    assert members(store, NEIGHBOUR) == ["1", "2"]
    assert members(store, "nobody") == []
    facts = store.facts(dataset(), registry.hashed(SUBJECT))
    assert [(f.version, f.current, f.known, f.people) for f in facts] == [
        ("1", False, 1, 2), ("2", True, 0, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"person_key": "email"}, "version 3: the manifest knows people by email, the model by cu"),
        ({"person_key": ""}, "version 3: the manifest knows people by no named key"),
        ({"whose": [None]}, "version 3: the manifest holds nobody, so it proves nothing"),
    ],
)
def test_of_a_manifest_of_nobody_or_by_another_key_it_is_not_said_that_they_are_not_in_it(
    registry: Registry, said: dict[str, Any], why: str
) -> None:
    registry.train([SUBJECT], **said)
    with pytest.raises(StoreError, match=why):
        members(registry.store(), SUBJECT)


def test_a_retired_version_leaves_nothing_in_the_database_nor_on_the_disk(
    registry: Registry,
) -> None:
    before = registry.holding(SUBJECT)
    assert "mlflow.db" in before
    assert any("input_example.json" in path for path in before)
    assert any(path.startswith("cache/") for path in before)
    version = registry.client.get_model_version(MODEL, "1")
    run_id, model_id = version.run_id, version.source.removeprefix("models:/")
    done = registry.store().retire(dataset(), ["1"])
    assert registry.holding(SUBJECT, SECRET_ROW, run_id, model_id) == []
    assert done["left"] == ["2"]
    (receipt,) = done["purged"]
    assert (receipt["runs"], receipt["logged_models"], receipt["traces"]) == (1, 1, 1)
    assert (receipt["aliases"], receipt["cached"]) == (["old"], 1)
    assert receipt["rows"]["datasets"] == 1
    tried = done["recovery"]["1"]
    assert {what.split()[0] for what in tried} == {"name", "uri", "alias", "model", "run", "path"}
    assert SUBJECT not in repr(done)
    assert done["record"][0]["metrics"] == {"auc": "0.800000"}


def test_the_other_version_stays_whole(registry: Registry) -> None:
    registry.store().retire(dataset(), ["1"])
    client = registry.client
    assert client.get_model_version_by_alias(MODEL, "champion").version in (2, "2")
    kept = client.get_model_version(MODEL, "2")
    assert client.get_run(kept.run_id).data.metrics == {"auc": 0.8}
    assert client.get_run(kept.run_id).inputs.dataset_inputs
    files = list((registry.folder / "artifacts").rglob("input_example.json"))
    assert len(files) == 1
    assert (registry.cache / f"{kept.run_id}.bin").is_file()
    assert members(registry.store(), NEIGHBOUR) == ["2"]


def test_the_last_version_takes_the_registered_model_and_its_experiment_along(
    registry: Registry,
) -> None:
    done = registry.store().retire(dataset(), ["1", "2"])
    assert done["emptied"] == [MODEL, f"experiment {registry.space}"]
    assert registry.holding(SUBJECT, NEIGHBOUR) == []
    assert registry.client.search_registered_models() == []


def test_what_mlflow_left_of_a_version_that_it_deleted_is_found_and_goes(
    registry: Registry,
) -> None:
    run_id = registry.client.get_model_version(MODEL, "1").run_id
    registry.client.delete_model_version(MODEL, "1")
    registry.client.delete_run(run_id)
    store = registry.store()
    assert members(store, SUBJECT) == [f"run/{run_id}"]
    people = registry.hashed(SUBJECT)
    store.carry_out(order(people, {f"run/{run_id}": "delete"}))
    assert members(store, SUBJECT) == []
    assert registry.holding(SUBJECT, SECRET_ROW) == []


def test_what_others_have_thrown_away_is_not_touched(registry: Registry) -> None:
    """``mlflow gc`` for one run would take all deleted experiments and models along."""
    client = registry.client
    run = client.create_run(client.create_experiment("other")).info.run_id
    client.delete_run(run)
    space = client.create_experiment("thrown away")
    client.delete_experiment(space)
    registry.store().retire(dataset(), ["1", "2"])
    client.restore_run(run)
    client.restore_experiment(space)


STEPS = ("_remove_copies", "_delete_version", "_delete_traces", "_remove", "_collect")


@pytest.mark.parametrize("step", STEPS)
def test_a_purge_that_is_cut_short_goes_on(
    registry: Registry, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = getattr(ladder, step)

    def dies(*args: Any) -> None:
        real(*args)
        raise SystemExit("killed")

    with monkeypatch.context() as patched:
        patched.setattr(ladder, step, dies)
        with pytest.raises(SystemExit):
            registry.store().retire(dataset(), ["1"])
    done = registry.store().retire(dataset(), ["1"])
    assert done["left"] == ["2"]
    assert registry.holding(SUBJECT, SECRET_ROW) == []


def test_a_version_that_can_still_be_had_is_not_called_gone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "_collect", lambda *_: set())
    with pytest.raises(StoreError, match="can still be had by its"):
        registry.store().retire(dataset(), ["1"])


@pytest.mark.parametrize("trouble", [ConnectionError("away"), MlflowException("away")])
def test_a_place_that_cannot_be_asked_is_not_called_gone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def away() -> None:
        raise trouble

    monkeypatch.setattr(recovery, "_ways", lambda *_: [("name churn/1", away)])
    with pytest.raises(StoreError, match=r"could not be asked|MLflow refuses: INTERNAL_ERROR"):
        registry.store().retire(dataset(), ["1"])


def test_a_version_copied_under_another_name_goes_with_it(registry: Registry) -> None:
    original = registry.client.get_model_version(MODEL, "1")
    registry.client.create_registered_model("churn_prod")
    registry.client.create_model_version("churn_prod", f"models:/{MODEL}/1", run_id=original.run_id)
    done = registry.store().retire(dataset(), ["1"])
    assert done["purged"][0]["copies"] == ["churn_prod/1"]
    assert "name churn_prod/1" in done["recovery"]["1"]
    assert registry.client.search_model_versions("name = 'churn_prod'") == []


def test_a_run_that_also_made_another_model_goes_with_the_last_of_them(
    registry: Registry,
) -> None:
    run_id = registry.client.get_model_version(MODEL, "1").run_id
    registry.client.create_registered_model("encoder")
    registry.client.create_model_version("encoder", f"runs:/{run_id}/encoder", run_id=run_id)
    store = registry.store()
    with pytest.raises(StoreError, match="its run also made encoder/1; retire that"):
        store.retire(dataset(), ["1"])
    assert members(store, SUBJECT) == [f"run/{run_id}"]
    store.retire(dataset("encoder"), ["1"])
    assert members(store, SUBJECT) == []
    assert registry.holding(SUBJECT, SECRET_ROW) == []


def test_a_server_without_its_database_is_told_apart_with_what_to_run() -> None:
    store = MlflowStore(name="mlflow", url="https://ml.example.com", options={"hash_key": "k"})
    with pytest.raises(StoreError, match="mlflow gc --backend-store-uri"):
        members(store, SUBJECT)


def test_a_manifest_that_was_altered_is_refused(registry: Registry) -> None:
    for path in (registry.folder / "artifacts").rglob("training.manifest"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StoreError, match="altered"):
        members(registry.store(), SUBJECT)


def test_a_version_without_a_manifest_may_have_had_anybody(registry: Registry) -> None:
    version = registry.train([NEIGHBOUR], said=False)
    store = registry.store()
    assert members(store, SUBJECT) == ["1", version]
    (facts,) = [f for f in store.facts(dataset(), registry.hashed(SUBJECT)) if f.inferred]
    assert (facts.version, facts.known) == (version, 1)
    assert f"version {version} has no manifest: anybody may be in it" in store.alarms(dataset())


def loads(registry: Registry, version: str) -> bool:
    """By each URI that leads to it."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    found = registry.client.get_model_version(MODEL, version)
    answers = set()
    for uri in (f"models:/{MODEL}/{version}", found.source, f"runs:/{found.run_id}/model"):
        try:
            with within(registry.uri):
                folder = download_artifacts(artifact_uri=uri, tracking_uri=registry.uri)
            answers.add(bool(list(Path(folder).iterdir())))
        except (MlflowException, OSError):
            answers.add(False)
    (answer,) = answers
    return answer


def test_a_quarantined_version_has_no_alias_and_does_not_load_by_any_uri(
    registry: Registry,
) -> None:
    store, before = registry.store(), registry.holding(SECRET_ROW)
    assert loads(registry, "1")
    people = registry.hashed(SUBJECT)
    for _ in range(2):  # the second time after a crash
        told = store.carry_out(order(people, {"1": "quarantine"}))
        assert told == {"quarantined": ["1"]}
    assert registry.client.get_model_version(MODEL, "1").aliases == []
    assert (loads(registry, "1"), loads(registry, "2")) == (False, True)
    assert any("out of service" in alarm for alarm in store.alarms(dataset()))
    assert members(store, SUBJECT) == ["1"]
    store.release(dataset(), "1")
    assert (loads(registry, "1"), registry.holding(SECRET_ROW)) == (True, before)
    assert not any("out of service" in alarm for alarm in store.alarms(dataset()))
    assert registry.client.get_model_version_by_alias(MODEL, "champion").version in (2, "2")
    with pytest.raises(StoreError, match="is not out of service"):
        store.release(dataset(), "1")


def test_what_was_decided_beside_a_quarantine_is_done_as_well(registry: Registry) -> None:
    store, people = registry.store(), registry.hashed(SUBJECT, NEIGHBOUR)
    told = store.carry_out(order(people, {"1": "delete", "2": "quarantine"}))
    assert (told["quarantined"], [r["version"] for r in told["purged"]]) == (["2"], ["1"])
    assert [(r["version"], r["current"]) for r in store.records(dataset())] == [("2", False)]
    assert registry.holding(SUBJECT, SECRET_ROW) == []


def test_a_version_that_is_anonymous_stays_until_that_day_and_is_retired_without_a_trace(
    registry: Registry,
) -> None:
    store, people = registry.store(), registry.hashed(SUBJECT)
    run_id = registry.client.get_model_version(MODEL, "1").run_id
    for version in ("1", f"run/{run_id}"):
        if version != "1":
            registry.client.delete_model_version(MODEL, "1")
        for days, left in ((-1, 1), (0, 0), (9, 0)):
            until = datetime.now(UTC).date() + timedelta(days=days)
            policy = ModelPolicy(anonymous_until=until, assessment="DPIA 7")
            asked = order(people, {version: "refer"})
            assert store.carry_out(replace(asked, policy=policy)) == {}
            held = replacing.holders(store.model(dataset()).all(), people)
            assert [k.place.version for k in held] == [version] * left
    assert members(store, SUBJECT) == [f"run/{run_id}"]
    store.retire(dataset(), [f"run/{run_id}"])
    assert registry.holding(SUBJECT, SECRET_ROW, run_id) == []


def test_a_quarantined_version_is_retired_with_what_was_laid_aside(registry: Registry) -> None:
    store = registry.store()
    run_id = registry.client.get_model_version(MODEL, "1").run_id
    store.carry_out(order(registry.hashed(SUBJECT), {"1": "quarantine"}))
    done = store.retire(dataset(), ["1"])
    assert done["purged"][0]["cached"] == 1
    assert registry.holding(SUBJECT, SECRET_ROW, run_id) == []


def test_a_quarantined_version_whose_run_made_another_model_is_said_to_load_still(
    registry: Registry,
) -> None:
    run_id = registry.client.get_model_version(MODEL, "1").run_id
    registry.client.create_registered_model("encoder")
    registry.client.create_model_version("encoder", f"runs:/{run_id}/encoder", run_id=run_id)
    told = registry.store().carry_out(order(registry.hashed(SUBJECT), {"1": "quarantine"}))
    assert told["loads"] == {"1": "still loads by its URI: its run also made encoder/1"}
    assert loads(registry, "1")


def test_a_search_by_value_sees_the_database_and_the_artifacts(registry: Registry) -> None:
    needles = Matcher([Needle(text=SUBJECT, category="user.unique_id")])
    hits = [h for h in registry.store().scan([], needles) if hasattr(h, "needle")]
    places = {h.collection for h in hits}
    assert {"db/tags", "db/input_tags", "db/trace_info", "artifacts"} <= places
    registry.store().retire(dataset(), ["1"])
    assert not [h for h in registry.store().scan([], needles) if hasattr(h, "needle")]
