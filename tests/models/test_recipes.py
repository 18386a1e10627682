"""Recipes outside the process: by command, by a pipeline behind an address. What goes wrong leaves
the old model, and nothing else."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from erasure.domain.errors import AtWork, StoreError
from erasure.domain.models import ModelPolicy
from erasure.stores.model_registry.manifest import Hasher
from erasure.stores.trained import Order
from tests.models import recipe_script
from tests.stores.registry_cast import (
    AGNES,
    HASH_KEY,
    JONAS,
    MARA,
    dataset_of,
    erase,
    files_of,
    keys_of,
    make_root,
    open_registry,
)

SCRIPT = str(Path(recipe_script.__file__))
PEOPLE = frozenset({Hasher(HASH_KEY, "churn")(MARA)})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


def carry_out(root: Path, recipe: Any, call: Any = None, **policy: Any) -> dict[str, Any]:
    """As the sweep does: a pipeline that is at work is asked again by a later call."""
    dataset = dataset_of(recipe="bayes")
    dataset.model["recipe"] = recipe  # type: ignore[index]
    order = Order(
        dataset=dataset, people=PEOPLE, actions={"1": "delete", "2": "retrain"},
        policy=ModelPolicy(**policy), reasons={}, job="job-7.1", call=call,
    )  # fmt: skip
    while True:
        try:
            return open_registry(root).carry_out(order)
        except AtWork as work:
            order = replace(order, begun={"since": work.since, "ask": work.ask})


def by_command(how: str, **words: Any) -> dict[str, Any]:
    return {"command": ["python", SCRIPT, how], "seconds": 60, **words}


def test_a_command_trains_without_the_person_and_without_our_secrets(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LETHE_HASH_KEY", "do not tell")
    told = carry_out(root, by_command("good"), metric="accuracy")
    assert (told["old"], told["new"], told["guarantee"]) == ("2", "3", "bit-exact")
    assert (told["utility_after"], told["reexecution_matched"]) == ("0.900000", True)
    assert keys_of(root, MARA) == ()
    assert [k.values[0] for k in keys_of(root, JONAS)] == ["3"]
    seen = json.loads((root / "churn" / "told").read_text())
    assert seen["argv"] == [SCRIPT, "good"]
    assert seen["secret"] == ""
    assert not list((root / "churn").glob(".new-*"))


def test_a_command_that_is_executed_once_promises_less(root: Path) -> None:
    told = carry_out(root, by_command("good", repeat=False))
    assert (told["guarantee"], told["reexecution_matched"]) == ("exact in distribution", False)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (by_command("fails"), r"ended with exit code 3"),
        (by_command("hungry", memory="1GB"), r"it may use 1024 MB of memory"),
        (by_command("shape"), "takes 2 features, not 1"),
        (by_command("holds"), "still hold 1 of the people"),
        (by_command("restless"), "training twice gave two models"),
        (by_command("other"), "altered since its training"),
        (by_command("boundless"), "no finite figure for: accuracy"),
        ({"command": ["/nowhere/train"]}, "program is not there"),
        ({"command": "python train.py"}, "must be a list of texts; no shell reads it"),
        ({"command": ["x"], "memory": "much"}, "must read like 512MB or 2GB"),
        ({"command": ["x"], "shell": True}, "unknown words shell"),
        ({"run": "x"}, "must name one of command, http, project"),
    ],
)
def test_a_recipe_that_goes_wrong_leaves_the_old_model(root: Path, recipe: Any, words: str) -> None:
    before = files_of(root)
    with pytest.raises(StoreError, match=words) as error:
        carry_out(root, recipe)
    assert "mara" not in str(error.value)
    assert error.value.permanent
    left = {name: data for name, data in files_of(root).items() if name != "churn/told"}
    assert left == before
    assert open_registry(root).load("churn") is not None


def many(root: Path) -> None:
    """200 people of whom half are held out; the subject is trained on."""
    people = [MARA, *range(100, 199), *range(1000, 1100)]
    lines = [f"{p},{p * 7 % 50 + n},{(p + n) % 2}" for p in people for n in range(3)]
    (root.parent / "rows.csv").write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.django_db
def test_a_command_that_hands_its_rows_over_is_compared_and_attacked(root: Path) -> None:
    """First everybody is in it and the rows are handed over, then one is forgotten."""
    many(root)
    store, script = open_registry(root), by_command("hands")
    dataset = dataset_of(recipe="bayes")
    dataset.model["recipe"] = script  # type: ignore[index]
    policy = ModelPolicy(references=4)
    first = Order(dataset=dataset, people=frozenset({Hasher(HASH_KEY, "churn")(AGNES)}),
                  actions={"1": "delete", "2": "retrain"}, policy=policy, reasons={})  # fmt: skip
    told = store.carry_out(first)["checks"]
    assert told["membership_inference"] == "not measured: no rows of the people were kept"
    sealed = (root / "churn" / "3" / "rows.sealed").read_bytes()
    assert Hasher(HASH_KEY, "churn")(MARA).encode() in sealed
    told = store.carry_out(replace(first, people=PEOPLE, actions={"3": "retrain"}))["checks"]
    assert set(told["slices"]) == {"odd"}
    assert set(told["drift"]) == {"psi", "ks"}
    for attack in ("membership_inference", "likelihood_ratio"):
        assert told[attack]["verdict"] in ("passed", "without power", "too few people", "failed")
        assert told[attack]["power"].endswith("of 99")
        assert told[attack]["never_members"].endswith("of 100")
        assert told[attack]["forgotten"].endswith("of 1")
    assert told["likelihood_ratio"]["references"] == "4"
    sealed = (root / "churn" / "4" / "rows.sealed").read_bytes()
    assert Hasher(HASH_KEY, "churn")(MARA).encode() not in sealed
    assert not [*root.rglob("*.npz"), *(root / "churn").glob(".new-*")]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("both", "has held out 1 people that it was trained on"),
        ("strangers", "are of 199 people beside its manifest"),
        ("torn", r"rows\.npz is not what hand_over of its request writes"),
    ],
)
def test_rows_that_cannot_be_those_of_the_training_are_refused(
    root: Path, how: str, words: str
) -> None:
    many(root)
    before = files_of(root)
    with pytest.raises(StoreError, match=words):
        carry_out(root, by_command(how))
    left = {name: data for name, data in files_of(root).items() if name != "churn/told"}
    assert left == before


HANGS = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
pathlib.Path(os.environ["LETHE_TRAINING"]).parent.joinpath("child").write_text(str(child.pid))
time.sleep(300)
"""


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"
    except OSError:
        return False


def test_a_recipe_that_hangs_is_ended_with_everything_it_started(root: Path) -> None:
    before = files_of(root)
    with pytest.raises(StoreError, match="still running after 10 seconds and was ended"):
        carry_out(root, {"command": ["python", "-c", HANGS], "seconds": 10})
    child = root / "churn" / "child"
    pid = int(child.read_text())
    until = time.monotonic() + 60
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not runs(pid)
    child.unlink()
    assert files_of(root) == before


class Pipeline:
    """A pipeline that trains once per job, however often it is asked."""

    def __init__(self, shared: Path, *, states: list[str], how: str = "good") -> None:
        self.shared, self.states, self.how = shared, states, how
        self.begun: list[str] = []
        self.calls: list[tuple[str, str, str]] = []
        self.bodies: list[bytes] = []

    def post(self, url: str, body: bytes, *, secret: str, key: str) -> bytes:
        self.calls.append(("post", secret, key))
        self.bodies.append(body)
        if key not in self.begun:
            self.begun.append(key)
            self._train(json.loads(body), key)
        return self._answer()

    def get(self, url: str, *, secret: str, key: str) -> bytes:
        self.calls.append(("get", secret, key))
        return self._answer()

    def _answer(self) -> bytes:
        state = self.states.pop(0)
        if state == "dies":
            raise SystemExit
        return json.dumps({"state": state}).encode()

    def _train(self, asked: dict[str, Any], key: str) -> None:
        folder = self.shared / key
        folder.mkdir(parents=True)
        own = {"key": Hasher(HASH_KEY, "churn").key.hex()}  # the pipeline has it from its vault
        (folder / "request.json").write_text(json.dumps({**asked, **own}))
        (folder / "excluded").write_text("\n".join(asked["excluded"]))
        os.environ["LETHE_TRAINING"] = str(folder)
        try:
            assert recipe_script.main(self.how) == 0
        finally:
            del os.environ["LETHE_TRAINING"]


def by_http(shared: Path, **words: Any) -> dict[str, Any]:
    return {
        "http": "https://ml.example.com/train", "secret": "s3cret", "poll": 0.01, "seconds": 60,
        "delivers": shared.as_uri(), **words,
    }  # fmt: skip


def test_a_pipeline_is_triggered_once_and_asked_until_it_has_ended(
    root: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    pipeline = Pipeline(shared, states=["running", "dies", "running", "running", "done"])
    with pytest.raises(SystemExit):
        carry_out(root, by_http(shared), pipeline)
    assert keys_of(root, MARA)
    told = carry_out(root, by_http(shared), pipeline)
    assert (told["new"], told["guarantee"]) == ("3", "exact in distribution")
    assert pipeline.begun == ["job-7.1"]
    assert {call[1:] for call in pipeline.calls} == {("s3cret", "job-7.1")}
    assert keys_of(root, MARA) == ()
    own = Hasher(HASH_KEY, "churn").key.hex()
    assert not any(b"s3cret" in body or own.encode() in body for body in pipeline.bodies)
    assert json.loads(pipeline.bodies[0])["excluded"] == sorted(PEOPLE)


@pytest.mark.parametrize(
    ("states", "words", "more"),
    [
        (["running", "failed"], "says that the training failed", {}),
        (["nonsense"], "must answer", {}),
        (["running"] * 9000, "not done after 0.05 seconds", {"seconds": 0.05}),
        (["done"], "must be file:///absolute/folder", {"delivers": "s3://x"}),
    ],
)
def test_a_pipeline_that_goes_wrong_leaves_the_old_model(
    root: Path, tmp_path: Path, states: list[str], words: str, more: dict[str, Any]
) -> None:
    before = files_of(root)
    pipeline = Pipeline(tmp_path / "shared", states=states)
    with pytest.raises(StoreError, match=words):
        carry_out(root, by_http(tmp_path / "shared", **more), pipeline)
    assert files_of(root) == before


def test_a_policy_of_bit_exactness_does_not_take_what_cannot_be_repeated(
    root: Path, tmp_path: Path
) -> None:
    before = files_of(root)
    pipeline = Pipeline(tmp_path / "shared", states=["done"])
    with pytest.raises(StoreError, match="demands a bit-exact training"):
        carry_out(root, by_http(tmp_path / "shared"), pipeline, guarantee="bit-exact")
    assert files_of(root) == before


def test_a_version_without_a_manifest_is_taken_for_one_that_knew_them(root: Path) -> None:
    (root / "churn" / "1" / "manifest.json").unlink()
    store, dataset = open_registry(root), dataset_of()
    (facts, other) = store.facts(dataset, PEOPLE)
    assert (facts.inferred, facts.known, other.inferred) == (True, 1, False)
    with pytest.raises(StoreError, match="has no manifest"):
        store.load("churn", "1")
    assert "version 1 has no manifest: anybody may be in it" in store.alarms(dataset)
    erase(root, MARA)
    carry_out(root, f"{dataset_of().model['recipe']}")
    assert keys_of(root, MARA) == ()
    assert [k.values[0] for k in keys_of(root, AGNES)] == ["3"]
