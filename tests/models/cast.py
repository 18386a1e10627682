"""A shop of sixty people, and recipes that learn from their visits: one per way to forget."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from erasure.connect import derived_key
from erasure.stores.model_registry import Held, ModelRegistryStore, Rows, Trained, Training, publish
from erasure.stores.model_registry.manifest import Hasher
from erasure.unlearning.certified import CertifiedLogistic
from erasure.unlearning.counts import ForgettingMultinomialNB
from erasure.unlearning.forest import PersonForest
from erasure.unlearning.influence import InfluenceLogistic
from erasure.unlearning.linear import GramRegression
from erasure.unlearning.removal import RemovalLogistic
from erasure.unlearning.sharded import ShardedClassifier
from lineage import catalog
from lineage.importers import fideslang

HERE = "tests.models.cast"
CATALOGUE = Path(__file__).with_name("models.yml")
PEOPLE = 60
SUBJECT, NEIGHBOUR, OTHER = 1, 2, 3
_HELD = 5  # every fifth is held out

MAKERS: Mapping[str, Callable[[], Any]] = {
    "ridge": lambda: GramRegression(alpha=1.0),
    "bayes": ForgettingMultinomialNB,
    "logistic": CertifiedLogistic,
    "sharded": lambda: ShardedClassifier(
        DecisionTreeClassifier(max_depth=3), n_shards=4, random_state=1
    ),
    "forest": lambda: PersonForest(n_trees=8, per_person=2),
    "influence": InfluenceLogistic,
    "removal": lambda: RemovalLogistic(sigma=5.0, epsilon=1e-6),
    "wrong_sign": lambda: InfluenceLogistic(direction=-1.0),
    "neighbours": lambda: KNeighborsClassifier(3),
    "plain": GaussianNB,
    "plain_ridge": Ridge,
}


def email(person: int) -> str:
    return f"person{person}@example.com"


def make_shop(path: Path) -> None:
    rng = np.random.default_rng(5)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT UNIQUE);"
            "CREATE TABLE visit (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL "
            "REFERENCES customer (id), a INTEGER, b INTEGER, c INTEGER);"
            "CREATE INDEX visits ON visit (customer_id);"
        )
        for person in range(1, PEOPLE + 1):
            db.execute("INSERT INTO customer VALUES (?, ?)", (person, email(person)))
            for _ in range(1 + person % 6):
                visit = [int(v) for v in rng.poisson([3, 2 + person % 2 * 4, 5])]
                db.execute(
                    "INSERT INTO visit (customer_id, a, b, c) VALUES (?, ?, ?, ?)",
                    (person, *visit),
                )
        db.commit()


def visits(path: str | Path, *without: int) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT customer_id, a, b, c FROM visit ORDER BY id").fetchall()
    return [row for row in rows if row[0] not in without]


def rows_of(listed: list[tuple[int, ...]], *, numbers: bool) -> Rows:
    """The target: ``c`` for a regression, else whether the customer's number is odd."""
    table = np.array([row[1:] for row in listed], dtype=np.float64).reshape(-1, 3)
    odd = np.array([row[0] % 2 for row in listed], dtype=np.int64)
    target = table[:, 2] + table[:, 0] * 0.5 if numbers else odd
    return Rows(features=table[:, :2], target=target, people=[row[0] for row in listed])


def forecast(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """The recipe: the kind of model is a parameter."""
    listed = visits(source["shop"])
    if wait := os.environ.get("FORECAST_WAITS"):
        Path(wait).touch()
        time.sleep(300)
    numbers = "ridge" in params["kind"]
    rows = rows_of([r for r in listed if r[0] % _HELD], numbers=numbers)
    held = rows_of([r for r in listed if r[0] % _HELD == 0], numbers=numbers)
    model = MAKERS[params["kind"]]()
    if not hasattr(model, "forget"):
        model.fit(rows.features, rows.target)
    first = held.features[:, 0] > 2
    return Trained(
        estimator=model,
        people=dict(Counter(r[0] for r in listed)),
        digest=hashlib.sha256(repr(listed).encode()).hexdigest(),
        rows=rows,
        held=Held(rows=held, slices={"often": first, "seldom": ~first}),
        score=lambda fitted: (
            {"score": float(fitted.score(held.features, held.target))} if held.people else {}
        ),
    )


@dataclass(frozen=True)
class World:
    """Where the shop and its models lie."""

    folder: Path

    @property
    def shop(self) -> Path:
        return self.folder / "shop.sqlite3"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def describe(self, **model: Any) -> None:
        """The catalogue, with what it says of the model."""
        text = CATALOGUE.read_text()
        text = text.replace("${SHOP_URL}", f"sqlite:///{self.shop}")
        text = text.replace("${MODELS_URL}", f"file://{self.models}")
        said = {"person_key": "customer_id", "recipe": f"{HERE}:forecast", **model}
        said = {k: v for k, v in said.items() if v is not None}
        path = self.folder / "catalogue.yml"
        path.write_text(text.replace("MODEL", json.dumps(said)))
        catalog.upsert(fideslang.read([str(path)]), prune=True)

    def train(self, kind: str, **params: Any) -> None:
        how = Training(
            recipe=f"{HERE}:forecast",
            source={"shop": "../shop.sqlite3"},
            seed=1,
            person_key="customer_id",
            params={"kind": kind, **params},
        )
        publish(self.models, "forecast", how, hash_key=derived_key("models"))

    def store(self) -> ModelRegistryStore:
        return ModelRegistryStore(
            name="models", url=f"file://{self.models}", options={"hash_key": derived_key("models")}
        )

    def hasher(self) -> Hasher:
        return Hasher(derived_key("models"), "forecast")

    def independent(self, kind: str, *without: int) -> Any:
        """A model trained from the start on a copy of the data without them, past the registry."""
        listed = [r for r in visits(self.folder / "copy.sqlite3", *without) if r[0] % _HELD]
        rows = rows_of(listed, numbers="ridge" in kind)
        model = MAKERS[kind]()
        if hasattr(model, "forget"):
            return model.fit(rows.features, rows.target, rows.people, self.hasher().key)
        return model.fit(rows.features, rows.target)

    def versions(self) -> list[str]:
        names = (p.name for p in (self.models / "forecast").iterdir() if p.is_dir())
        return sorted(n for n in names if n[0] != ".")


def make_world(folder: Path) -> World:
    world = World(folder)
    make_shop(world.shop)
    make_shop(folder / "copy.sqlite3")
    world.models.mkdir()
    return world
