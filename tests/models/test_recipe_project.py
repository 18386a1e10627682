"""An MLflow project on this machine trains, in the environment that is there."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from erasure.domain.errors import StoreError
from tests.models.test_recipes import HANGS, SCRIPT, carry_out, runs
from tests.stores.registry_cast import JONAS, MARA, files_of, keys_of, make_root

PROJECT = """name: churn
entry_points:
  again:
    parameters:
      how: {{type: string, default: {how}}}
    command: "python train.py {{how}}"
"""
# as recipe_script, and who leads the group that is ended with the recipe
TRAIN = """
import os, runpy, sys
from pathlib import Path
group = Path(f"/proc/{{os.getpgid(0)}}/cmdline").read_text().split("\\0")
(Path(os.environ["LETHE_TRAINING"]).parent / "group").write_text(" ".join(group))
runpy.run_path({script!r}, run_name="__main__")
"""


def project(folder: Path, how: str) -> dict[str, object]:
    made = folder / "a project"
    made.mkdir()
    (made / "MLproject").write_text(PROJECT.format(how=how))
    (made / "train.py").write_text(TRAIN.format(script=SCRIPT))
    return {"project": made.as_uri(), "entry_point": "again", "seconds": 120}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


def test_a_project_trains_without_the_person_and_without_our_secrets(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LETHE_HASH_KEY", "do not tell")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    told = carry_out(root, project(tmp_path, "good"), metric="accuracy")
    assert (told["old"], told["new"], told["utility_after"]) == ("2", "3", "0.900000")
    assert told["guarantee"] == "exact in distribution"
    assert keys_of(root, MARA) == ()
    assert [k.values[0] for k in keys_of(root, JONAS)] == ["3"]
    seen = json.loads((root / "churn" / "told").read_text())
    assert (seen["argv"][1:], seen["secret"]) == (["good"], "")
    # a group of its own would outlive the recipe's end
    assert " -m mlflow run " in (root / "churn" / "group").read_text()
    assert not list((root / "churn").glob(".new-*"))
    assert not (tmp_path / "a project" / "mlflow.db").exists()


def test_a_project_that_fails_leaves_the_old_model(root: Path, tmp_path: Path) -> None:
    before = files_of(root)
    with pytest.raises(StoreError, match="ended with exit code 1") as error:
        carry_out(root, project(tmp_path, "fails"))
    assert "mara" not in str(error.value)
    left = {n: d for n, d in files_of(root).items() if n != "churn/group"}
    assert left == before


def test_a_project_that_hangs_is_ended_with_everything_it_started(
    root: Path, tmp_path: Path
) -> None:
    before = files_of(root)
    recipe = project(tmp_path, "good")
    (tmp_path / "a project" / "train.py").write_text(HANGS)
    child, seconds = root / "churn" / "child", 20
    while not child.exists():  # on a busy machine the project may not have begun by then
        with pytest.raises(StoreError, match="was ended"):
            carry_out(root, {**recipe, "seconds": seconds})
        seconds *= 2
    pid, until = int(child.read_text()), time.monotonic() + 60
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not runs(pid)
    child.unlink()
    assert files_of(root) == before
