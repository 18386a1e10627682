"""The training manifest beside an MLflow run: recorded while it trains, logged with it.

MLflow's own digest of an input is of its first 10,000 rows and proves nothing; this is of all of
them. Needs no MLflow itself: the client is handed in.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from erasure.unlearning import manifest
from erasure.unlearning.manifest import Recorder, lethe_training

FOLDER = "lethe"
MANIFEST = "training.manifest"
MODEL_TAG = "lethe.model"
ROOT_TAG = "lethe.people_root"
DIGEST_TAG = "lethe.manifest"


@contextmanager
def lethe_mlflow(
    client: Any, run_id: str, *, model: str, key: bytes, **words: Any
) -> Iterator[Recorder]:
    """Record the training of a run, as :func:`lethe_training`, whose further words it takes; the
    manifest is logged with the run when the training has ended well, and the run says which model
    it made.

    ``client``: an ``MlflowClient``. The run is tagged first, so that one which dies half-way is
    still found as one that may have made this model.
    """
    client.set_tag(run_id, MODEL_TAG, model)
    with TemporaryDirectory() as folder:
        path = Path(folder) / MANIFEST
        with lethe_training(path, model=model, key=key, **words) as run:
            yield run
        said = manifest.read(path)
        client.log_artifact(run_id, os.fspath(path), FOLDER)
        client.set_tag(run_id, ROOT_TAG, said.head["people_root"])
        client.set_tag(run_id, DIGEST_TAG, hashlib.sha256(path.read_bytes()).hexdigest())
