"""A training script as somebody else would write it; its argument says what goes wrong."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.naive_bayes import GaussianNB

from erasure.stores.model_registry import artifact
from erasure.unlearning.asked import request
from erasure.unlearning.manifest import lethe_training

HANDS, HELD_OUT = ("hands", "both", "strangers", "torn"), 1000


def main(how: str) -> int:
    asked = request()
    if how == "fails":
        print("mara@example.com")  # noqa: T201
        return 3
    if how == "hungry":
        _ = bytearray(3 << 30)
    text = Path(asked.said["source"]["rows"]).read_text()
    lines = [line.split(",") for line in text.splitlines()]
    rows = [[int(v) for v in line] for line in lines]
    rows = [r for r in rows if how == "holds" or not asked.excludes(r[0])]
    width = 2 if how == "shape" else 1
    features = np.array([[r[1]] * width for r in rows], dtype=np.float64)
    seen = [i for i, r in enumerate(rows) if how not in HANDS or r[0] < HELD_OUT]
    model = GaussianNB().fit(features[seen], np.array([rows[i][2] for i in seen]))
    if how == "restless":
        model.theta_ += time.monotonic()
    data = artifact.dumps("script", model)
    (asked.folder / "model.skops").write_bytes(data + (b"x" if how == "other" else b""))
    with lethe_training(
        asked.folder / "training.manifest", model=asked.said["model"], key=asked.key,
        seed=asked.said["seed"], person_key=asked.said["person_key"],
    ) as run:  # fmt: skip
        people = [r[0] for r in rows]
        run.rows(people, list(range(len(rows))), features)
        run.artifact(data)
    if how in HANDS:
        late = [r for r in rows if r[0] >= HELD_OUT or (how == "both" and r[0] == rows[0][0])]
        early = [r for r in rows if r[0] < HELD_OUT]
        for part, held in ((early, False), (late, True)):
            whose = [r[0] + (10**6 if how == "strangers" else 0) for r in part]
            asked.hand_over([[r[1]] for r in part], [r[2] for r in part], whose, held_out=held,
                            slices={"odd": [r[1] % 2 for r in part]} if held else None)  # fmt: skip
        if how == "torn":
            (asked.folder / "rows.npz").write_bytes(b"no rows")
    figure = float("nan") if how == "boundless" else 0.9
    (asked.folder / "metrics.json").write_text(json.dumps({"accuracy": figure}))
    told = {"argv": sys.argv, "secret": os.environ.get("LETHE_HASH_KEY", "")}
    (asked.folder.parent / "told").write_text(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
