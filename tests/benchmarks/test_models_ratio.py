"""Forgetting one person against a training from the start, and the speed of manifests.

Prints ratios and rates; asserts no time. ``BENCHMARK_ROWS`` (100,000) × 50, about 17 rows a person;
a manifest of ``BENCHMARK_MANIFEST`` (1,000,000) rows.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl  # type: ignore[import-untyped] # comes with scikit-learn
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from erasure.unlearning import manifest
from erasure.unlearning.certified import CertifiedLogistic
from erasure.unlearning.counts import (
    ForgettingBernoulliNB,
    ForgettingGaussianNB,
    ForgettingMultinomialNB,
)
from erasure.unlearning.forest import PersonForest
from erasure.unlearning.guarantee import Certificate
from erasure.unlearning.linear import GramRegression
from erasure.unlearning.logloss import Loss
from erasure.unlearning.sharded import ShardedClassifier
from tests.unlearning.cast import Rows

pytestmark = pytest.mark.benchmark

KEY = b"k" * 32
ROWS = int(os.environ.get("BENCHMARK_ROWS", "10000"))
MANIFEST = int(os.environ.get("BENCHMARK_MANIFEST", "200000"))
WIDTH, ROUNDS = 50, 3


@pytest.fixture(scope="module")
def data() -> Rows:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(ROWS, WIDTH))
    odds = features @ rng.normal(size=WIDTH) / 4 + features[:, 0] * features[:, 1]
    label = (odds + rng.logistic(size=ROWS) > 0).astype(np.int64)
    return Rows(features, label, rng.integers(0, max(ROWS // 17, 20), ROWS))


def told(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def took(call: Callable[[], object]) -> float:
    """The median of a few, in seconds of CPU on one thread: the machine may be busy."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        call()
        seconds.append(time.thread_time() - began)
    return statistics.median(seconds)


WAYS: dict[str, tuple[Callable[[], Any], str]] = {
    "ridge": (lambda: GramRegression(alpha=1.0), "numbers"),
    "multinomial NB": (ForgettingMultinomialNB, "counts"),
    "Bernoulli NB": (ForgettingBernoulliNB, "counts"),
    "Gaussian NB": (ForgettingGaussianNB, ""),
    "certified logistic": (lambda: CertifiedLogistic(tolerance=1e-8), ""),
    "SISA, 10 shards": (
        lambda: ShardedClassifier(
            RandomForestClassifier(10, max_depth=10, random_state=0), n_shards=10
        ),
        "",
    ),
    "person forest, 3 of 120 trees": (
        lambda: PersonForest(DecisionTreeClassifier(max_depth=14), n_trees=120, per_person=3),
        "",
    ),
}


# Another estimator whose training from the start is the measure beside our own: of scikit-learn's
# solvers the one whose gradient comes down to 1e-8 (lbfgs stops at 7e-6 whatever is asked of it).
# Handed the constant column, it has the same optimum.
OTHERS: dict[str, Callable[[], Any]] = {
    "certified logistic": lambda: LogisticRegression(
        C=1.0, fit_intercept=False, tol=1e-8, max_iter=1000, solver="newton-cholesky"
    ),
}
DEAR = ("certified logistic", "SISA, 10 shards", "person forest, 3 of 120 trees")


@pytest.mark.parametrize("name", WAYS)
def test_forgetting_one_person_against_training_again(name: str, data: Rows) -> None:
    make, kind = WAYS[name]
    features = np.floor(np.abs(data.X) * 3) if kind == "counts" else data.X
    target = data.X[:, 0] * 2.0 + data.y if kind == "numbers" else data.y
    rows = Rows(features, target, data.people)
    people = range(ROUNDS if name in DEAR else 10 * ROUNDS)
    with threadpoolctl.threadpool_limits(limits=1):
        scratch = took(lambda: make().fit(rows.X, rows.y))
        other, slope = _other(name, rows)
        began = time.thread_time()
        model = make().fit(rows.X, rows.y, rows.people, KEY)
        anew = time.thread_time() - began
        done = []
        for person, handed in _handed(rows, people, own=model.way.rows == "own"):
            done.append(_forgot(model, person, handed))
    forgot = statistics.median(seconds for seconds, _ in done)
    bound = max(certificate.bound for _, certificate in done)
    beside = (
        f", {other / forgot:.1f} × scikit-learn's own ({other * 1e3:.0f} ms, gradient {slope:.1e})"
        if other
        else ""
    )
    told(
        f"{name}: {anew / forgot:.1f} × a training that can forget again, "
        f"{scratch / forgot:.1f} × one that cannot ({anew * 1e3:.0f} and {scratch * 1e3:.0f} ms "
        f"to {forgot * 1e3:.2f}){beside}, bound {bound:.1e}{_utility(name, model, data)}"
    )


def _other(name: str, rows: Rows) -> tuple[float, float]:
    """What another's training took, and the norm of our gradient where it has ended."""
    if name not in OTHERS:
        return 0.0, 0.0
    whole, theirs = np.column_stack([rows.X, np.ones(len(rows.X))]), OTHERS[name]()
    seconds = took(lambda: theirs.fit(whole, rows.y))
    gradient = Loss(rows.X, rows.y == 1, 1.0).gradient(theirs.coef_[0])
    return seconds, float(np.linalg.norm(gradient))


def _handed(rows: Rows, people: Sequence[int], *, own: bool) -> Iterator[tuple[int, Rows]]:
    """What is handed to ``forget`` for one after the other; their own rows are fetched before."""
    if own:
        yield from [(p, _where(rows, rows.people == p)) for p in people]
        return
    for person in people:
        rows = _where(rows, rows.people != person)
        yield person, rows


def _where(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    return Rows(rows.X[mask], rows.y[mask], rows.people[mask])


def _forgot(model: Any, person: int, handed: Rows) -> tuple[float, Certificate]:
    began = time.thread_time()
    certificate = model.forget([person], handed.X, handed.y, handed.people, KEY)
    return time.thread_time() - began, certificate


def _utility(name: str, model: Any, data: Rows) -> str:
    """Of forests and shards: what they cost against the same estimator in one piece."""
    whole = {
        "SISA, 10 shards": lambda: RandomForestClassifier(10, max_depth=10, random_state=0),
        "person forest, 3 of 120 trees": lambda: RandomForestClassifier(
            120, max_depth=14, random_state=0
        ),
    }.get(name)
    if whole is None:
        return ""
    half = len(data.X) // 2
    one = clone(whole()).fit(data.X[:half], data.y[:half])
    own = clone(model).fit(data.X[:half], data.y[:half], data.people[:half], KEY)
    scores = [
        roc_auc_score(data.y[half:], m.predict_proba(data.X[half:])[:, 1]) for m in (one, own)
    ]
    return f", AUC {scores[0]:.4f} in one piece, {scores[1]:.4f} so"


def test_a_manifest_is_written_fast(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    batch, began = 50_000, (time.perf_counter(), time.process_time())
    with manifest.lethe_training(tmp_path / "m", model="m", key=KEY) as run:
        for start in range(0, MANIFEST, batch):
            people = rng.integers(0, MANIFEST // 17, batch)
            run.rows(people, np.arange(start, start + batch), rng.random((batch, 10)))
    wall, own = time.perf_counter() - began[0], time.process_time() - began[1]
    told(
        f"\nmanifest: {MANIFEST / wall:,.0f} rows/s, {MANIFEST / own:,.0f} per second of CPU",
    )


@pytest.mark.parametrize("models", [pytest.param(1000, marks=pytest.mark.nightly), 50])
def test_membership_of_a_thousand_people_in_a_thousand_manifests(
    tmp_path: Path, models: int
) -> None:
    for model in range(models):
        with manifest.lethe_training(
            tmp_path / str(model), model=str(model), key=b"%d" % model
        ) as run:
            run.rows(range(2000), range(2000), b"")
    wanted = list(range(1500, 2500))
    began = (time.perf_counter(), time.process_time())
    hits, texts = 0, manifest.texts(wanted)
    for model in range(models):
        hashed = manifest.hashes_of(texts, b"%d" % model)
        for _ in range(1000 // models):
            hits += int((manifest.read(tmp_path / str(model)).members(hashed) > 0).sum())
    wall, own = time.perf_counter() - began[0], time.process_time() - began[1]
    assert hits == 500 * 1000
    told(
        f"\n1,000 people in 1,000 manifests of {models} models: {wall:.2f} s, {own:.2f} s of CPU",
    )
