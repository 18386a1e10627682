"""A version whose artifacts lie elsewhere is called gone when they are, and never before."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from erasure.domain.errors import StoreError
from erasure.stores.model_registry.mlflow import MlflowStore, ladder
from tests.models.artifact_server import ROOT, ArtifactServer
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
    folder = tmp_path_factory.mktemp("mlflow")
    Registry(folder)
    return folder


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactServer]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with ArtifactServer(tmp_path / "elsewhere") as made:
        yield made


@pytest.fixture
def registry(empty: Path, tmp_path: Path, server: ArtifactServer) -> Registry:
    """Both versions' artifacts lie on the server; the subject is in version 1 only."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    made = Registry(tmp_path)
    made.artifacts = server.url
    made.create(f"{server.url}{ROOT}/7")
    made.train([SUBJECT, NEIGHBOUR])
    made.train([NEIGHBOUR])
    made.client.set_registered_model_alias(MODEL, "champion", "2")
    proxied(made, f"{server.url}{ROOT}/7")
    return made


def proxied(registry: Registry, address: str) -> None:
    """As a training that knows the server alone would have written it down."""
    with closing(sqlite3.connect(registry.database)) as database, database:
        for column in (
            "experiments.artifact_location",
            "runs.artifact_uri",
            "logged_models.artifact_location",
            "model_versions.storage_location",
        ):
            table, name = column.split(".")
            database.execute(
                f"UPDATE {table} SET {name} = replace({name}, ?, 'mlflow-artifacts:/7')",
                (address,),
            )


def left(server: ArtifactServer) -> bool:
    """Whether the subject's row lies on the server."""
    return any(SECRET_ROW in (server.folder / f).read_text("latin-1") for f in server.files())


def versions(registry: Registry) -> list[str]:
    found = registry.client.search_model_versions(f"name = '{MODEL}'")
    return sorted(str(v.version) for v in found)


def test_who_is_in_a_version_is_read_from_the_manifest_that_lies_elsewhere(
    registry: Registry,
) -> None:
    assert members(registry.store(), SUBJECT) == ["1"]
    assert members(registry.store(), NEIGHBOUR) == ["1", "2"]


def test_what_lies_elsewhere_is_deleted_there_with_its_copies_and_seen_to_be_gone(
    registry: Registry, server: ArtifactServer
) -> None:
    assert left(server)
    kept = [f for f in server.files() if registry.client.get_model_version(MODEL, "2").run_id in f]
    done = registry.store().retire(dataset(), ["1"])
    assert not left(server)
    assert set(kept) <= set(server.files())
    assert (done["left"], done["purged"][0]["elsewhere"]) == (["2"], ["mlflow-artifacts"])
    assert done["purged"][0]["cached"] == 1
    assert registry.holding(SUBJECT, SECRET_ROW) == []
    assert "path 0" in done["recovery"]["1"]


@pytest.mark.parametrize("answer", [403, 204])
def test_a_version_whose_artifacts_are_not_deleted_elsewhere_stays_registered_and_known(
    registry: Registry, server: ArtifactServer, answer: int
) -> None:
    """204: it says that they are, and they are not."""
    server.refuses, people = answer, registry.hashed(SUBJECT)
    store = registry.store()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"on mlflow-artifacts storage .* try again"):
            store.carry_out(order(people, {"1": "delete"}))
        assert (left(server), versions(registry)) == (True, ["1", "2"])
        assert members(store, SUBJECT) == ["1"]
    server.refuses = 0
    store.carry_out(order(people, {"1": "delete"}))
    assert (left(server), versions(registry), members(store, SUBJECT)) == (False, ["2"], [])


def test_a_purge_that_is_cut_short_after_its_artifacts_are_gone_goes_on(
    registry: Registry, server: ArtifactServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patched:
        patched.setattr(ladder, "_drop_aliases", dies)
        with pytest.raises(SystemExit):
            registry.store().retire(dataset(), ["1"])
    assert (left(server), versions(registry)) == (False, ["1", "2"])
    assert registry.store().retire(dataset(), ["1"])["left"] == ["2"]
    assert registry.holding(SUBJECT, SECRET_ROW) == []


def test_a_server_that_is_away_is_a_fault_that_may_pass(
    registry: Registry, server: ArtifactServer
) -> None:
    server.__exit__()
    with pytest.raises(StoreError, match="mlflow-artifacts storage") as told:
        registry.store().retire(dataset(), ["1"])
    assert not told.value.permanent
    assert versions(registry) == ["1", "2"]
    server.__init__(server.folder)  # type: ignore[misc]
    server.__enter__()


def test_a_server_that_nobody_named_is_asked_for(registry: Registry) -> None:
    options = {"hash_key": registry.hash_key}
    store = MlflowStore(name="mlflow", url=registry.uri, options=options)
    with pytest.raises(StoreError, match="option artifacts: https://") as told:
        store.retire(dataset(), ["1"])
    assert told.value.permanent
    assert versions(registry) == ["1", "2"]


@pytest.mark.parametrize("address", ["tape://vault/churn", "s3://bucket/churn"])
def test_a_storage_that_cannot_be_reached_blocks_with_what_to_do(
    registry: Registry, address: str
) -> None:
    """One that MLflow does not know, and one whose library is not installed."""
    version = registry.client.create_model_version(MODEL, address).version
    with pytest.raises(StoreError, match="delete them there, and try again") as told:
        registry.store().retire(dataset(), [str(version)])
    assert told.value.permanent
    assert address not in str(told.value)
    assert str(version) in versions(registry)


@pytest.mark.parametrize("above", [False, True])
def test_what_lies_beside_a_version_or_with_it_in_one_folder_is_not_removed_with_it(
    registry: Registry, tmp_path: Path, above: bool
) -> None:
    """Whoever registers a version names its folder, which may be any."""
    shared, client = tmp_path / "shared", registry.client
    for name in ("artifacts", "other"):
        (shared / name).mkdir(parents=True)
        (shared / name / "model.bin").write_bytes(name.encode())
    client.create_registered_model("encoder")
    client.create_model_version("encoder", (shared / "other").as_uri())
    source = str(shared if above else shared / "artifacts")
    version = str(client.create_model_version(MODEL, source).version)
    if above:
        with pytest.raises(StoreError, match="lies in one folder with encoder/1"):
            registry.store().retire(dataset(), [version])
        out = order(registry.hashed(SUBJECT), {version: "quarantine"})
        told = registry.store().carry_out(out)["loads"]
        assert told[version].endswith("it lies in one folder with encoder/1")
    else:
        registry.store().retire(dataset(), [version])
    assert (version in versions(registry)) is above
    assert (shared / "artifacts").exists() is above
    assert (shared / "other" / "model.bin").exists()
