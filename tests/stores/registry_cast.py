"""What the tests of the model registry share: recipes, rows, and one model of two versions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.naive_bayes import GaussianNB

from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import (
    Action,
    Key,
    Secrets,
    Selector,
    Step,
    Work,
)
from erasure.stores.model_registry import ModelRegistryStore, Trained, Training, publish
from lineage.graph import Dataset, Field

MARA, JONAS, AGNES = 42, 43, 44
SECRETS = Secrets(seed=bytes(32), needles=Matcher([]))
HASH_KEY = "0f" * 32
HERE = "tests.stores.registry_cast"
CALLS: Counter[str] = Counter()


def bayes(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """A recipe over ``person,value,label`` lines."""
    CALLS["bayes"] += 1
    text = Path(source["rows"]).read_text()
    rows = [[int(v) for v in line.split(",")] for line in text.splitlines()]
    features = np.array([[r[1]] for r in rows], dtype=np.float64)
    model = GaussianNB().fit(features, np.array([r[2] for r in rows]))
    return Trained(
        estimator=model,
        people=dict(Counter(r[0] for r in rows)),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        metrics={"accuracy": params.get("accuracy", 1.0) - len(rows) % 2 / 10},
    )


def restless(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """A recipe that never gives the same model twice."""
    trained = bayes(source, seed=seed, params=params)
    trained.estimator.theta_ += CALLS["bayes"]
    return trained


def careless(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """A recipe whose error message holds a value."""
    raise ValueError("could not convert string to float: 'mara@example.com'")


class SourceError(Exception):
    """What a driver raises: none of Python's own kinds, and its text holds a value."""


def stranded(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """A recipe whose source fails in a way of its own."""
    raise SourceError("duplicate key value: (email)=(mara@example.com)")


def miscounted(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """A recipe whose score fails in a way of its own."""

    def score(_model: Any) -> Mapping[str, float]:
        raise SourceError("mara@example.com")

    return replace(bayes(source, seed=seed, params=params), score=score)


def boundless(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """A recipe whose figure is none."""
    trained = bayes(source, seed=seed, params=params)
    return Trained(
        estimator=trained.estimator,
        people=trained.people,
        digest=trained.digest,
        metrics={"accuracy": float("nan")},
    )


def useless(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> str:
    """Not a recipe."""
    return "a model"


NEEDLES = Matcher(
    [
        Needle(text="mara@example.com", category="email"),
        Needle(text="Zoë Öhm", category="user.name"),
    ]
)
ROWS = {MARA: 2, JONAS: 3, AGNES: 1, 45: 4}


def write_rows(path: Path, *without: int) -> None:
    lines = [
        f"{person},{person * 10 + n},{(person + n) % 2}"
        for person, count in ROWS.items()
        if person not in without
        for n in range(count)
    ]
    path.write_text("".join(f"{line}\n" for line in lines))


def make_root(tmp_path: Path) -> Path:
    """A registry whose model ``churn`` has versions 1 and 2, both with everybody in them."""
    made = tmp_path / "models"
    made.mkdir()
    write_rows(tmp_path / "rows.csv")
    train(made)
    train(made)
    return made


def train(root: Path, model: str = "churn", **more: Any) -> None:
    how = Training(
        recipe=f"{HERE}:bayes",
        source={"rows": "../rows.csv"},
        seed=7,
        person_key="customer_id",
        **more,
    )
    publish(root, model, how, hash_key=HASH_KEY)


def erase(root: Path, *people: int) -> None:
    """What the other stores of a run do first."""
    write_rows(root.parent / "rows.csv", *people)


def open_registry(root: Path) -> ModelRegistryStore:
    return ModelRegistryStore(name="models", url=f"file://{root}", options={"hash_key": HASH_KEY})


def dataset_of(model: str = "churn", recipe: str = "bayes", **more: Any) -> Dataset:
    return Dataset(
        address=f"models.{model}",
        store="models",
        name=model,
        fields=(Field(name="customer_id", categories=("user.unique_id",)),),
        model={"person_key": "customer_id", "recipe": f"{HERE}:{recipe}", **more},
    )


def keys_of(root: Path, *people: int, dataset: Dataset | None = None) -> tuple[Key, ...]:
    selector = Selector(dataset=dataset or dataset_of(), fields=("customer_id",))
    return tuple(f.key for f in open_registry(root).find(selector, people))


def work_of(
    keys: tuple[Key, ...], dataset: Dataset | None = None, action: Action = "retrain"
) -> Work:
    return Work(step=Step(dataset=dataset or dataset_of(), action=action), keys=keys)


def files_of(root: Path) -> dict[str, bytes]:
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }
