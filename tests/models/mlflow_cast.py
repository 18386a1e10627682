"""A registry of MLflow's own, on SQLite, with a churn model of two versions and everything that
MLflow leaves of them lying about."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from erasure.domain.models import ModelPolicy
from erasure.stores.base import Selector
from erasure.stores.model_registry.manifest import Hasher
from erasure.stores.model_registry.mlflow import MlflowStore
from erasure.stores.model_registry.mlflow.client import within
from erasure.stores.trained import Order
from erasure.unlearning.logged import lethe_mlflow
from lineage.graph import Dataset, Field

HASH_KEY = "0f" * 32
SUBJECT, NEIGHBOUR = "cust-48151623", "cust-10815162"
SECRET_ROW = "row-of-cust-48151623"
MODEL = "churn"


class Registry:
    """Where it lies, and how versions come into it."""

    def __init__(self, folder: Path, hash_key: str = HASH_KEY) -> None:
        self.hash_key = hash_key
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient

            self.folder = folder
            self.database = folder / "mlflow.db"
            self.uri = f"sqlite:///{self.database}"
            self.client: Any = MlflowClient(self.uri, registry_uri=self.uri)
            self.cache = folder / "cache"
            self.cache.mkdir(exist_ok=True)
            self.artifacts = ""

    def create(self, where: str = "") -> None:
        where = where or (self.folder / "artifacts").as_uri()
        self.space = self.client.create_experiment("churn", artifact_location=where)
        self.client.create_registered_model(MODEL)

    def train(
        self, people: Sequence[str], *, said: bool = True, model: str = MODEL, score: float = 0.8,
        person_key: str = "customer_id", whose: Sequence[str | None] | None = None,
    ) -> str:  # fmt: skip
        """A version; its run logged a data set, a metric, a logged model with an input example.
        ``whose``: what its manifest says instead of ``people``."""
        self.person_key, self.whose = person_key, people if whose is None else whose
        with warnings.catch_warnings(), within(self.uri):
            warnings.simplefilter("ignore")
            return self._train(people, said, model, score)

    def _train(self, people: Sequence[str], said: bool, model: str, score: float) -> str:
        from mlflow.entities import Dataset as Logged
        from mlflow.entities import DatasetInput, InputTag

        client = self.client
        run = client.create_run(self.space, tags={"note": f"trained on {people[0]}"})
        run_id = str(run.info.run_id)
        if said:
            key = Hasher(self.hash_key, model).key
            with lethe_mlflow(client, run_id, model=model, key=key,
                              person_key=self.person_key) as recorded:  # fmt: skip
                recorded.rows(self.whose, list(range(len(people))), repr(people).encode())
                recorded.artifact(repr(people).encode())
        source = Logged(
            name=f"rows-{run_id}", digest=run_id[:8], source_type="local",
            source=json.dumps({"uri": f"/srv/{people[0]}.csv"}),
            profile=json.dumps({"first": people[0]}),
        )  # fmt: skip
        client.log_inputs(run_id, [DatasetInput(source, [InputTag("whose", people[0])])])
        client.log_param(run_id, "depth", "3")
        client.log_metric(run_id, "auc", score)
        files = self.folder / "work" / run_id
        files.mkdir(parents=True)
        (files / "model.bin").write_bytes(f"weights {run_id} {people}".encode())
        (files / "input_example.json").write_text(json.dumps([f"row-of-{p}" for p in people]))
        (files / "MLmodel").write_text("flavors: {}\n")
        logged = client.create_logged_model(self.space, name="model", source_run_id=run_id)
        client.log_model_artifacts(logged.model_id, str(files))
        client.finalize_logged_model(logged.model_id, "READY")
        client.log_artifact(run_id, str(files / "model.bin"), "model")
        (self.cache / f"{run_id}.bin").write_bytes((files / "model.bin").read_bytes())
        for path in files.iterdir():
            path.unlink()
        client.set_terminated(run_id)
        if model != MODEL:
            client.create_registered_model(model)
        version = client.create_model_version(
            model, f"models:/{logged.model_id}", run_id=run_id, model_id=logged.model_id,
            tags={"first": people[0]},
        )  # fmt: skip
        return str(version.version)

    def trace(self, version: str, text: str) -> None:
        """A prediction that was traced, with what was asked."""
        from mlflow.entities import TraceInfo, TraceLocation, TraceState

        found = self.client.get_model_version(MODEL, version)
        info = TraceInfo(
            trace_id=f"tr-{version}", trace_location=TraceLocation.from_experiment_id(self.space),
            request_time=1, state=TraceState.OK, request_preview=text, response_preview=text,
            trace_metadata={"mlflow.modelId": found.source.removeprefix("models:/")},
        )  # fmt: skip
        self.client._tracing_client.store.start_trace(info)

    def store(self) -> MlflowStore:
        return MlflowStore(
            name="mlflow", url=self.uri,
            options={"hash_key": self.hash_key, "caches": [self.cache.as_uri()],
                     "artifacts": self.artifacts},
        )  # fmt: skip

    def hashed(self, *people: str) -> frozenset[str]:
        hasher = Hasher(self.hash_key, MODEL)
        return frozenset(hasher(p) for p in people)

    def holding(self, *texts: str) -> list[str]:
        """Files, the database among them, in whose bytes one of the texts stands."""
        wanted = [t.encode() for t in texts]
        files = (p for p in sorted(self.folder.rglob("*")) if p.is_file())
        return [
            p.relative_to(self.folder).as_posix()
            for p in files
            if any(w in p.read_bytes() for w in wanted)
        ]


def dataset(name: str = MODEL, **model: Any) -> Dataset:
    return Dataset(
        address=f"mlflow.{name}", store="mlflow", name=name,
        fields=(Field(name="customer_id", categories=("user.unique_id",)),),
        model={"person_key": "customer_id", **model},
    )  # fmt: skip


def order(people: frozenset[str], actions: dict[str, Any], of: Dataset | None = None) -> Order:
    return Order(
        dataset=of or dataset(), people=people, actions=actions, policy=ModelPolicy(), reasons={},
        job="job-1.1",
    )  # fmt: skip


def members(store: MlflowStore, *people: str) -> list[str]:
    selector = Selector(dataset=dataset(), fields=("customer_id",))
    return sorted(str(f.key.values[0]) for f in store.find(selector, people))
