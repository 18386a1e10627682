"""A training script of an MLflow registry: it registers the version it makes, by itself."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from erasure.unlearning.asked import request
from erasure.unlearning.logged import lethe_mlflow


def main(people: list[str]) -> int:
    warnings.simplefilter("ignore")
    from mlflow import MlflowClient

    asked = request()
    client: Any = MlflowClient(asked.said["tracking"], registry_uri=asked.said["tracking"])
    name = asked.said["model"]
    run_id = client.create_run(client.get_experiment_by_name("churn").experiment_id).info.run_id
    left = [p for p in people if not asked.excludes(p)]
    with lethe_mlflow(
        client, run_id, model=name, key=asked.key, seed=asked.said["seed"],
        person_key=asked.said["person_key"],
    ) as recorded:  # fmt: skip
        recorded.rows(left, list(range(len(left))), repr(left).encode())
        recorded.artifact(repr(left).encode())
    client.log_metric(run_id, "auc", 0.79)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.bin"
        file.write_bytes(repr(left).encode())
        client.log_artifact(run_id, str(file), "model")
    client.set_terminated(run_id)
    client.create_model_version(
        name, client.get_run(run_id).info.artifact_uri + "/model", run_id=run_id
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
