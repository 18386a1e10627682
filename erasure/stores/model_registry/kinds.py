"""What kind of model an estimator is, as far as decisions about it go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_INSTANCES = (
    "KNeighbors", "RadiusNeighbors", "NearestNeighbors", "LocalOutlierFactor", "SVC", "SVR",
    "NuSVC", "NuSVR", "OneClassSVM", "GaussianProcess", "KernelRidge", "KernelDensity",
)  # fmt: skip
# linear support vectors hold a hyperplane, not the vectors
_NOT_INSTANCES = ("LinearSVC", "LinearSVR")
_NEURAL = ("MLP", "BernoulliRBM")
_FAMILIES = (
    ("statistics", ("NB", "LinearRegression", "Ridge", "PCA")),
    ("convex", ("LogisticRegression", "LinearSVC", "LinearSVR", "SGD", "Lasso", "ElasticNet")),
    ("trees", ("Forest", "Tree", "Boosting", "Bagging")),
)


@dataclass(frozen=True)
class Kind:
    """``family`` for people; ``forgets``: the guarantee of its own way to forget, empty where it
    has none; ``holds_rows``: training rows are in it by design."""

    family: str
    forgets: str = ""
    holds_rows: bool = False


def kind_of(estimator: Any) -> Kind:
    """Of a fitted estimator; of a pipeline, what it ends in, and rows wherever they are."""
    way = getattr(estimator, "way", None)
    holds = any(_holds(part) for part in _parts(estimator))
    if way is not None:
        return Kind(way.family, way.guarantee.value, holds)
    name = type(list(_parts(estimator))[-1]).__name__
    if holds:
        return Kind("instances", holds_rows=True)
    if name.startswith(_NEURAL):
        return Kind("neural")
    for family, words in _FAMILIES:
        if any(word in name for word in words):
            return Kind(family)
    return Kind("")


def _parts(estimator: Any) -> list[Any]:
    steps = [step for _, step in getattr(estimator, "steps", ())]
    inner = getattr(estimator, "estimator", None)
    whole = [] if inner is None else [inner]
    return [*steps, *whole] or [estimator]


def _holds(part: Any) -> bool:
    name = type(part).__name__
    return name.startswith(_INSTANCES) and not name.startswith(_NOT_INSTANCES)
