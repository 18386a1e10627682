"""Real customers of an online shop, forgotten by every exact method, against an independent
training from the start on the data without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.tree import DecisionTreeClassifier

from erasure.unlearning.certified import CertifiedLogistic
from erasure.unlearning.counts import (
    ForgettingBernoulliNB,
    ForgettingGaussianNB,
    ForgettingMultinomialNB,
)
from erasure.unlearning.forest import PersonForest
from erasure.unlearning.linear import GramRegression
from erasure.unlearning.repeatable import fingerprint
from erasure.unlearning.sharded import ShardedClassifier
from tests.scenarios.conftest import shared
from tests.unlearning.cast import KEY, Rows

pytestmark = pytest.mark.shared
CUTOFF = np.datetime64("2011-09-01")
MONTH = np.timedelta64(30, "D")


@pytest.fixture(scope="module")
def lines() -> dict[str, NDArray[Any]]:
    """The columns of all 406,829 lines that have a customer."""
    names = ["CustomerID", "InvoiceNo", "InvoiceDate", "Quantity", "UnitPrice"]
    path = shared("online_retail", "online_retail.parquet")
    table = pq.read_table(path, columns=names)
    table = table.filter(pc.is_valid(table["CustomerID"]))
    found = {n: table[n].to_numpy() for n in names if n != "InvoiceNo"}
    found["invoice"] = np.unique(table["InvoiceNo"].to_numpy(), return_inverse=True)[1]
    return found


def visits_of(lines: dict[str, NDArray[Any]]) -> Rows:
    """One row per invoice before the cutoff: lines, pieces, money, dearest line, month; the
    target: what was paid, as a number, is in column 2; the label whether the customer came again
    within 30 days after the cutoff (a churn model's)."""
    before = lines["InvoiceDate"] < CUTOFF
    again = set(lines["CustomerID"][(~before) & (lines["InvoiceDate"] < CUTOFF + MONTH)].tolist())
    own = {n: v[before] for n, v in lines.items()}
    _, first, place = np.unique(own["invoice"], return_index=True, return_inverse=True)
    paid = own["Quantity"] * own["UnitPrice"]
    dearest = np.zeros(len(first))
    np.maximum.at(dearest, place, own["UnitPrice"])
    months = own["InvoiceDate"][first].astype("datetime64[M]").astype(int) % 12
    features = np.column_stack(
        [
            np.bincount(place),
            np.bincount(place, np.abs(own["Quantity"])),
            np.abs(np.bincount(place, paid)),
            dearest,
            months,
        ]
    )
    customers = own["CustomerID"][first]
    label = np.array([c in again for c in customers.tolist()], dtype=np.int64)
    return Rows(np.log1p(features), label, customers)


@pytest.fixture(scope="module")
def rows(lines: dict[str, NDArray[Any]]) -> Rows:
    found = visits_of(lines)
    assert len(found.X) > 10_000
    assert len(set(found.people.tolist())) > 3000
    return found


WAYS: dict[str, tuple[Callable[[], Any], Callable[[], Any] | None]] = {
    "ridge": (lambda: GramRegression(alpha=1.0), lambda: Ridge(alpha=1.0)),
    "multinomial": (ForgettingMultinomialNB, MultinomialNB),
    "bernoulli": (lambda: ForgettingBernoulliNB(binarize=2.0), lambda: BernoulliNB(binarize=2.0)),
    "gaussian": (ForgettingGaussianNB, GaussianNB),
    "logistic": (CertifiedLogistic, CertifiedLogistic),
    "shards": (lambda: ShardedClassifier(DecisionTreeClassifier(max_depth=6), n_shards=10), None),
    "forest": (lambda: PersonForest(DecisionTreeClassifier(max_depth=6), n_trees=20), None),
}
# of the answers; to the bit where nothing stands here
TOLERANCES = {"ridge": 1e-9, "gaussian": 1e-8, "logistic": 1e-8}


@pytest.mark.parametrize("count", [1, 10, 200])
@pytest.mark.parametrize("name", WAYS)
def test_real_customers_are_forgotten_as_if_they_had_never_been(
    rows: Rows, name: str, count: int
) -> None:
    make, independent = WAYS[name]
    features = np.floor(rows.X) if name == "multinomial" else rows.X
    target = rows.X[:, 2] if name == "ridge" else rows.y
    known = Rows(features, target, rows.people)
    gone = np.random.default_rng(count).choice(np.unique(rows.people), count, replace=False)
    out = np.isin(rows.people, gone)
    own, left = (Rows(features[m], target[m], rows.people[m]) for m in (out, ~out))
    model = make().fit(known.X, known.y, known.people, KEY)
    handed = own if model.way.rows == "own" else left
    certificate = model.forget(gone.tolist(), handed.X, handed.y, handed.people, KEY)
    assert certificate.holds
    assert certificate.people == count
    compare(name, model, left, independent)


def compare(name: str, model: Any, left: Rows, independent: Callable[[], Any] | None) -> None:
    """With scikit-learn's own estimator, or the same one trained afresh, on what is left."""
    if independent is None:
        fresh = WAYS[name][0]().fit(left.X, left.y, left.people, KEY)
        parts = "trees_" if name == "forest" else "shards_"
        assert fingerprint(getattr(model, parts)) == fingerprint(getattr(fresh, parts))
        return
    other = independent().fit(left.X, left.y)
    asked = "predict" if name == "ridge" else "predict_proba"
    one, two = (getattr(m, asked)(left.X) for m in (model, other))
    if name in TOLERANCES:
        np.testing.assert_allclose(one, two, rtol=0, atol=TOLERANCES[name])
    else:
        assert (one == two).all()
