"""A model registry as catalogue entries: a real one, of MLflow's client over SQLite."""

from __future__ import annotations

import builtins
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from lineage import selectors
from lineage.errors import CatalogueError
from lineage.graph import Dataset, StoreEntry, walk
from lineage.importers import mlflow_client
from lineage.importers.mlflow_models import Input, Trained, catalogue

STORES = """
store:
  - {name: lake, kind: files, url: "file:///srv/lake", options: {format: parquet}}
  - {name: mlflow, kind: model_registry, url: "file:///srv/models"}
  - {name: shop_db, kind: sql, url: "sqlite:////nowhere.sqlite"}
dataset:
  - fides_key: lake
    erasure: {store: lake}
    collections:
      - name: orders
        erasure: {action: delete}
        fields:
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
  - fides_key: shop
    erasure: {store: shop_db}
    collections:
      - name: visits
        erasure: {action: delete}
        fields: [{name: id, fides_meta: {primary_key: true}}]
"""


def logged(name: str, source: dict[str, str], *columns: str) -> Any:
    from mlflow.entities import Dataset as Logged
    from mlflow.entities import DatasetInput

    schema = json.dumps({"mlflow_colspec": [{"type": "long", "name": c} for c in columns]})
    dataset = Logged(
        name=name, digest="d", source_type="local", source=json.dumps(source), schema=schema
    )
    return DatasetInput(dataset, [])


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A churn model of two versions, the second fine-tuned; one exported; a run nobody registered;
    a version whose run has been purged."""
    path = tmp_path_factory.mktemp("mlflow") / "registry.db"
    uri = f"sqlite:///{path}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        client = MlflowClient(uri, registry_uri=uri)
        experiment = client.create_experiment("e", artifact_location=path.parent.as_uri())

        def run(*inputs: Any, tags: dict[str, str] | None = None) -> str:
            made = client.create_run(experiment, tags={"mlflow.user": "olga", **(tags or {})})
            name = str(made.info.run_id)
            if inputs:
                client.log_inputs(name, list(inputs))
            return name

        def version(name: str, run_id: str, **more: Any) -> None:
            client.create_model_version(name, f"runs:/{run_id}/model", run_id=run_id, **more)

        client.create_registered_model("churn")
        version("churn", run(
            logged("orders", {"uri": "/srv/lake/orders/part-1.parquet"}, "email", "spent"),
            logged("clicks", {"sql": "select count(id) from visits"}, "n"),
        ))  # fmt: skip
        tuned = run(logged("extra", {"uri": "s3://elsewhere/extra.csv"}, "email"))
        version("churn", tuned, tags={"base_model": "models:/churn/1"})
        client.copy_model_version("models:/churn/2", "churn-live")
        loose = run(tags={"mlflow.log-model.history": "[]"})
        client.log_inputs(loose, [logged("visits", {"table_name": "main.visits"})])
        run(logged("orders", {"uri": "/srv/lake/orders"}))  # read data and made no model
        client.log_param(loose, "begin_with", "models:/churn/1@x")
        version("churn", "0" * 32)
    return uri


@pytest.mark.django_db
def test_versions_runs_inputs_and_derived_models_of_a_real_registry(
    registry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores = tmp_path / "c.yml"
    stores.write_text(STORES)
    with pytest.raises(CommandError, match="--store: say which registry the models are in"):
        call_command("import_lineage", registry, "--format", "mlflow")
    call_command("import_lineage", str(stores))
    call_command("import_lineage", registry, "--format", "mlflow")
    models = selectors.datasets("mlflow")
    (run,) = [name for name in models if name.startswith("mlflow.run/")]
    assert set(models) == {
        *(f"mlflow.churn/{n}" for n in (1, 2, 3)), "mlflow.churn-live/1", "mlflow.input/extra", run,
    }  # fmt: skip
    made = {(d.upstream, d.downstream): d.kind for d in selectors.derivations()}
    assert made == {
        ("lake.orders", "mlflow.churn/1"): "trained",
        ("shop.visits", "mlflow.churn/1"): "trained",
        ("mlflow.input/extra", "mlflow.churn/2"): "trained",
        ("mlflow.churn/1", "mlflow.churn/2"): "derived",
        ("mlflow.churn/2", "mlflow.churn-live/1"): "exported",
        ("shop.visits", run): "trained",
        ("mlflow.churn/1", run): "derived",
    }
    assert models["mlflow.churn/1"].model == {"features": ["email", "spent", "n"]}
    said = capsys.readouterr()
    assert "mlflow.input/extra: was trained on and is in no store of the catalogue" in said.err
    assert "olga" not in said.out + said.err + str(models)
    # a person of the lake is in the model, in what was tuned from it, and in its export
    reach = walk(selectors.identity_start(["email"]), selectors.snapshot().neighbours)
    assert {s.address for s in reach.stops} >= {
        "mlflow.churn/1", "mlflow.churn/2", "mlflow.churn-live/1"
    }  # fmt: skip
    call_command("import_lineage", registry, "--format", "mlflow")
    assert capsys.readouterr().out.count("nothing") == 3


def test_without_the_driver_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "mlflow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(CatalogueError, match=r"lethe\[mlflow\]") as caught:
        mlflow_client.read("postgresql://me:secret@host/mlflow")
    assert "secret" not in str(caught.value)


@pytest.mark.django_db
def test_an_address_that_is_no_registry_is_refused_in_a_line() -> None:
    with pytest.raises(CatalogueError, match="the registry cannot be") as caught:
        mlflow_client.read("nonsense://x", store="m")
    assert "\n" not in str(caught.value)


def entries(*trained: Trained, **datasets: Dataset) -> dict[tuple[str, str], str]:
    known = {d.address: d for d in datasets.values()}
    read = catalogue(
        trained,
        place="x",
        store="m",
        stores=[StoreEntry(name="lake", kind="files", url="file:///srv/lake")],
        datasets=known,
    )
    return {(d.value.upstream, d.value.downstream): d.value.kind for d in read.derivations}


def test_an_input_is_found_by_its_place_its_table_or_its_query() -> None:
    lake = Dataset(address="l.a", store="lake", name="a")
    table = Dataset(address="s.b", store="db", schema="web", name="b")

    def upstream(**source: str) -> list[str]:
        logged = Input(name="n", source=source)
        found = entries(Trained(name="x/1", inputs=(logged,)), lake=lake, table=table)
        return [up for up, _ in found]

    assert upstream(uri="/srv/lake/a/part.parquet") == ["l.a"]
    assert upstream(uri="file:///srv/lake/a.csv") == ["l.a"]
    assert upstream(uri="/srv/lakeside/a.csv") == ["m.input/n"]
    assert upstream(table_name="main.web.b") == ["s.b"]
    assert upstream(delta_table_name="`web`.`b`") == ["s.b"]
    assert upstream(sql="select max(x) from web.b where y = 1") == ["s.b"]
    assert upstream(sql="select ((") == ["m.input/n"]


def test_a_model_made_from_one_that_is_not_there_is_said() -> None:
    read = catalogue(
        [Trained(name="x/1", made_from=("gone/7",))], place="", store="m", stores=[], datasets={}
    )
    assert read.warnings == ("m.x/1: is made from 'gone/7', which is not there",)
    assert [s.value.kind for s in read.stores] == ["mlflow"]
