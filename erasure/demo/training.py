"""The demo company's model: who will stop ordering. A recipe, and a second, independent way to the
same model that the demo compares with.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import threadpoolctl  # type: ignore[import-untyped] # comes with scikit-learn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from erasure.domain.values import Scalar
from erasure.stores.model_registry import Trained, artifact

RECIPE = "erasure.demo.training:churn"
METRIC = "roc_auc"
_HOLD_OUT = 5
_COLUMNS = ("order_id", "customer_id", "product_id", "amount_cents", "placed_at")
# per customer: orders before the cutoff, cents spent, dearest order, day of the last, came back
Summary = tuple[int, int, int, int, bool]


def churn(source: Mapping[str, str], *, seed: int, params: Mapping[str, Any]) -> Trained:
    """The recipe: a logistic regression on every customer's orders before ``params['cutoff']``
    (ISO date), to foresee who orders no more. ``source['orders']``: the folder of the lake.

    Every fifth customer, by number, is held out for the area under the ROC curve.
    """
    cutoff = date.fromisoformat(params["cutoff"]).toordinal()
    summaries: dict[int, Summary] = {}
    rows: Counter[Scalar] = Counter()
    digest = hashlib.sha256()
    for order, customer, product, cents, placed in _lake(Path(source["orders"])):
        digest.update(f"{order},{customer},{product},{cents},{placed.isoformat()}\n".encode())
        if customer is not None:
            rows[customer] += 1
            summaries[customer] = _added(summaries.get(customer), cents, placed, cutoff)
    features, target, held = _matrix(summaries, cutoff)
    model = _fitted(features[~held], target[~held], seed)
    auc = roc_auc_score(target[held], model.predict_proba(features[held])[:, 1])
    return Trained(
        estimator=model,
        people=dict(rows),
        digest=digest.hexdigest(),
        metrics={METRIC: float(auc)},
    )


def _lake(folder: Path) -> Iterator[tuple[Any, ...]]:
    """Rows by day and order; one row group in memory at a time."""
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=list(_COLUMNS)):
                yield from zip(*(batch[name].to_pylist() for name in _COLUMNS), strict=True)


def _added(known: Summary | None, cents: int, placed: Any, cutoff: int) -> Summary:
    orders, spent, dearest, last, returned = known or (0, 0, 0, 0, False)
    day = placed.toordinal()
    if day >= cutoff:
        return orders, spent, dearest, last, True
    return orders + 1, spent + cents, max(dearest, cents), max(last, day), returned


def _matrix(
    summaries: Mapping[int, Summary], cutoff: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Features (customers × 4), target (1: gone) and hold-out, for customers by number who had
    ordered before the cutoff. Whole numbers only: their sums do not depend on an order."""
    known = [(c, s) for c, s in sorted(summaries.items()) if s[0]]
    features = [(n, spent, dearest, cutoff - last) for _, (n, spent, dearest, last, _) in known]
    return (
        np.array(features, dtype=np.float64),
        np.array([not s[4] for _, s in known], dtype=np.int64),
        np.array([c % _HOLD_OUT == 0 for c, _ in known], dtype=np.bool_),
    )


def _fitted(features: NDArray[np.float64], target: NDArray[np.int64], seed: int) -> Pipeline:
    classifier = LogisticRegression(random_state=seed, max_iter=300)
    return make_pipeline(StandardScaler(), classifier).fit(features, target)


@dataclass(frozen=True, kw_only=True)
class Independent:
    """A model that was trained past the registry: digest of its artifact (hex SHA-256) and its
    coefficients, to compare with a retrained version."""

    artifact: str
    coefficients: tuple[float, ...]


def train_independently(
    database: Path, *, without: Iterable[int], seed: int, cutoff: date
) -> Independent:
    """Train on a copy of the shop's database that still knows everybody, leaving ``without`` out
    by SQL: other data, other code, and the same model if the retraining was exact."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        summaries = _from_sql(connection, frozenset(without), cutoff)
    features, target, held = _matrix(summaries, cutoff.toordinal())
    with threadpoolctl.threadpool_limits(limits=1):
        model = _fitted(features[~held], target[~held], seed)
    return Independent(
        artifact=artifact.digest(artifact.dumps("independent training", model)),
        coefficients=coefficients(model),
    )


def _from_sql(
    connection: sqlite3.Connection, without: frozenset[int], cutoff: date
) -> dict[int, Summary]:
    rows = connection.execute(
        "SELECT customer_id, sum(placed_at < :c), sum(iif(placed_at < :c, total_cents, 0)), "
        "max(iif(placed_at < :c, total_cents, 0)), max(iif(placed_at < :c, placed_at, '')), "
        "max(placed_at >= :c) FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id",
        {"c": cutoff.isoformat()},
    )
    return {
        customer: (n, spent, dearest, _ordinal(last), bool(returned))
        for customer, n, spent, dearest, last, returned in rows
        if customer not in without
    }


def _ordinal(placed_at: str) -> int:
    return date.fromisoformat(placed_at[:10]).toordinal() if placed_at else 0


def coefficients(model: Any) -> tuple[float, ...]:
    """Of the pipeline's classifier: one per feature, then the intercept."""
    classifier = model[-1]
    return (*map(float, classifier.coef_[0]), float(classifier.intercept_[0]))
