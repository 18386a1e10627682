"""Naive Bayes that forgets by taking rows out of its counts.

A naive Bayes model is nothing but sums over rows, per class; the sums less a person's own are
those of the remaining rows.

Source: Cao and Yang, "Towards Making Systems Forget with Machine Unlearning" (2015), section 5
(summation form); for the Gaussian sums, ``moments``.
Guarantee: bit-exact for the multinomial and the Bernoulli model, whose sums are whole numbers
below 2^53 and therefore exact in floats (where they are not, ``forget`` refuses); exact to
tolerance for the Gaussian. Certificate: the largest difference between the counts and a recount,
zero (multinomial, Bernoulli); an upper bound on the relative error of any variance (Gaussian).
A class whose last row goes is no longer a class, as in a refit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import BernoulliNB, MultinomialNB
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from erasure.domain.errors import RetrainNeeded, RowsDiffer
from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.guarantee import Certificate, Guarantee, Way
from erasure.unlearning.moments import Floats, Moments, moments, without

METHOD = "count decrement"
_WHOLE = 2.0**53  # below it every whole number is a float
People = Sequence[Any] | NDArray[Any]


class _Forgetting:
    """What the three have in common: rows are sealed, compared, then taken out per class."""

    way: ClassVar[Way] = Way(family="statistics", guarantee=Guarantee.BIT_EXACT, rows="own")

    classes_: NDArray[Any]
    n_features_in_: int
    roster_: roster.Roster

    def forget(
        self, person_keys: Iterable[Scalar], X: Any, y: Any, people: People, key: bytes
    ) -> Certificate:
        """Take people out; X, y and people are all of their own rows and no others.

        Raises RowsDiffer for other rows than were trained on, RetrainNeeded where it would not
        be exact, UnknownPerson, NothingLeft, UsageError. Then nothing has changed.
        """
        check_is_fitted(self)
        names = roster.wanted(self.roster_, person_keys, key)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        given = _sealed(features, target, people, key)
        roster.require_same({name: self.roster_[name] for name in names}, given)
        certificate = self._take_out(features, self._places(target), len(names))
        for name in names:
            del self.roster_[name]
        return certificate

    def _places(self, target: NDArray[Any]) -> NDArray[np.intp]:
        """Each row's class, by number."""
        places = np.minimum(np.searchsorted(self.classes_, target), len(self.classes_) - 1)
        if not (self.classes_[places] == target).all():
            raise RowsDiffer("rows of a class that this model does not know; check the target")
        return np.asarray(places, dtype=np.intp)

    def _take_out(self, features: Floats, places: NDArray[np.intp], people: int) -> Certificate:
        raise NotImplementedError


def _sealed(
    features: Floats, target: NDArray[Any], people: People, key: bytes | None
) -> roster.Roster:
    names = roster.pseudonyms(people, len(features), key)
    return roster.sealed(names, roster.table_of(features, target, labels=True), key or b"")


class _Counting(_Forgetting):
    """The decrement of scikit-learn's ``feature_count_`` (classes, d) and ``class_count_``."""

    feature_count_: Floats
    class_count_: Floats
    class_prior: Any

    def fit(self, X: Any, y: Any, people: People | None = None, key: bytes | None = None) -> Self:
        """Dense (n, d) features and n labels. Without ``people`` nobody can be forgotten."""
        features, target = validate_data(self, X, y, dtype=np.float64)  # not sparse
        self.roster_ = {} if people is None else _sealed(features, target, people, key)
        super().fit(X, y)  # type: ignore[misc]
        self.whole_ = _whole(self.feature_count_) and _whole(self._counted(features))
        return self

    @property
    def partial_fit(self) -> Any:
        """Not here: rows added later would stand in no roster."""
        raise AttributeError("a model that forgets is fitted on all rows at once")

    def certify(self, X: Any, y: Any) -> Certificate:
        """A recount of the remaining rows against the counts and log probabilities held: the
        largest difference, in rows or in log units."""
        check_is_fitted(self)
        refit = type(self)(**self.get_params()).fit(X, y)  # type: ignore[attr-defined]
        if not np.array_equal(refit.classes_, self.classes_):
            return self._certificate(bound=np.inf)
        held = ("class_count_", "feature_count_", "class_log_prior_", "feature_log_prob_")
        apart = {
            name: float(np.abs(_apart(getattr(self, name), getattr(refit, name))).max(initial=0))
            for name in held
        }
        return self._certificate(bound=max(apart.values()), numbers=apart)

    def _take_out(self, features: Floats, places: NDArray[np.intp], people: int) -> Certificate:
        counted = self._counted(features)
        if not (self.whole_ and _whole(counted)):
            raise RetrainNeeded(
                "counts must be whole numbers below 2^53 to be taken back exactly; train again"
            )
        own = np.arange(len(self.classes_))[:, None] == places
        class_count = self.class_count_ - own.sum(axis=1)
        feature_count = self.feature_count_ - own.astype(np.float64) @ counted
        if class_count.min() < 0 or feature_count.min(initial=0) < 0:
            raise RowsDiffer("a count would fall below zero; these rows were never counted")
        stays = class_count > 0
        if not stays.all() and self.class_prior is not None:
            raise RetrainNeeded("a class with a prior of its own would be empty; train again")
        self.classes_ = _labels(self.classes_[stays])
        self.class_count_, self.feature_count_ = class_count[stays], feature_count[stays]
        self._smooth()
        return self._certificate(bound=0.0, people=people, rows=len(features))

    def _smooth(self) -> None:
        # scikit-learn's own arithmetic, so that the result is a refit's to the last bit
        self._update_feature_log_prob(self._check_alpha())  # type: ignore[attr-defined]
        self._update_class_log_prior(class_prior=self.class_prior)  # type: ignore[attr-defined]

    def _counted(self, features: Floats) -> Floats:
        return features

    def _certificate(
        self,
        *,
        bound: float,
        people: int = 0,
        rows: int = 0,
        numbers: Mapping[str, float] = MappingProxyType({}),
    ) -> Certificate:
        return Certificate(
            method=METHOD,
            guarantee=Guarantee.BIT_EXACT,
            measure="largest difference from a recount",
            bound=bound,
            tolerance=0.0,
            left=int(self.class_count_.sum()),
            people=people,
            rows=rows,
            numbers=dict(numbers),
        )


def _labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Texts as wide as the longest that is left: the width would tell of one that has gone."""
    return np.array(labels.tolist()) if labels.dtype.kind == "U" else labels


def _whole(numbers: Floats) -> bool:
    return bool((numbers == np.floor(numbers)).all() and np.abs(numbers).max(initial=0) < _WHOLE)


def _apart(one: Floats, other: Floats) -> Floats:
    """Equal infinities (the logarithm of no count) are nothing apart."""
    return np.subtract(one, other, out=np.zeros(one.shape), where=one != other)


def _share(apart: Floats, whole: Floats) -> Floats:
    """How far apart, as a share; of nothing, nothing or infinitely far."""
    far = np.where(apart == 0, 0.0, np.inf)
    return np.divide(np.abs(apart), whole, out=far, where=whole > 0)


class ForgettingMultinomialNB(_Counting, MultinomialNB):  # type: ignore[misc]
    """scikit-learn's ``MultinomialNB``, bit by bit.

    Holds no training row: the counts and a keyed roster. A person with one row could be read
    from the counts before and after: purge the old ones.
    """

    def __sklearn_tags__(self) -> Any:
        return _dense(super().__sklearn_tags__())


class ForgettingBernoulliNB(_Counting, BernoulliNB):  # type: ignore[misc]
    """scikit-learn's ``BernoulliNB``, bit by bit. ``binarize=None``: features are 0 or 1.

    Holds no training row: the counts and a keyed roster.
    """

    def _counted(self, features: Floats) -> Floats:
        return features if self.binarize is None else (features > self.binarize).astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        return _dense(super().__sklearn_tags__())


def _dense(tags: Any) -> Any:
    tags.input_tags.sparse = False
    return tags


class ForgettingGaussianNB(_Forgetting, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """scikit-learn's ``GaussianNB``, to ``tolerance``: the largest relative error of a variance
    that ``forget`` accepts.

    Holds no training row: count, means and squared deviations per class, and a keyed roster.
    """

    way: ClassVar[Way] = Way(
        family="statistics", guarantee=Guarantee.EXACT_TO_TOLERANCE, rows="own"
    )

    def __init__(self, *, var_smoothing: float = 1e-9, tolerance: float = 1e-8) -> None:
        self.var_smoothing = var_smoothing
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, people: People | None = None, key: bytes | None = None) -> Self:
        """(n, d) features and n labels. Without ``people`` nobody can be forgotten."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.roster_ = {} if people is None else _sealed(X, y, people, key)
        classes, places = np.unique(y, return_inverse=True)
        self._keep(classes, [moments(X[places == n], full=False) for n in range(len(classes))])
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) labels."""
        best = self._log_joint(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Any) -> Floats:
        """(n, classes) probabilities, in the order of ``classes_``."""
        joint = self._log_joint(X)
        joint = np.exp(joint - joint.max(axis=1, keepdims=True))
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    def certify(self, X: Any, y: Any) -> Certificate:
        """The largest relative difference of a prior, mean (to its deviation) or variance from
        those of the remaining rows, computed anew."""
        check_is_fitted(self)
        refit = type(self)(**self.get_params()).fit(X, y)
        if not np.array_equal(refit.classes_, self.classes_):
            return self._certificate(self.moments_, bound=np.inf)
        apart = {
            "prior": _share(self.class_prior_ - refit.class_prior_, refit.class_prior_),
            "mean": _share(self.theta_ - refit.theta_, np.sqrt(refit.var_)),
            "variance": _share(self.var_ - refit.var_, refit.var_),
        }
        numbers = {name: float(value.max(initial=0)) for name, value in apart.items()}
        return self._certificate(self.moments_, bound=max(numbers.values()), numbers=numbers)

    def _take_out(self, features: Floats, places: NDArray[np.intp], people: int) -> Certificate:
        left: list[Moments] = []
        stays = []
        for number, held in enumerate(self.moments_):
            own = features[places == number]
            if len(own) > held.count:
                raise RowsDiffer("a count would fall below zero; these rows were never counted")
            if stay := len(own) < held.count:
                left.append(without(held, moments(own, full=False)) if len(own) else held)
            stays.append(stay)
        certificate = self._certificate(
            left, bound=self._error(left), people=people, rows=len(features)
        )
        if not certificate.holds:
            raise RetrainNeeded(
                f"variances would be known to {certificate.bound:.1e} only, over tolerance "
                f"{self.tolerance:.1e}; train again"
            )
        self._keep(self.classes_[stays], left)
        return certificate

    def _error(self, found: Sequence[Moments]) -> float:
        """Upper bound on the relative error of any variance."""
        if not found:
            return 0.0
        variances = np.array([each.scatter / each.count for each in found])
        noise = np.array([each.noise / each.count for each in found])
        ground = variances + self._smoothing(found) - noise
        worst = np.where(noise > 0, np.inf, 0.0)  # of a variance that is none but for noise
        return float(np.divide(noise, ground, out=worst, where=ground > 0).max(initial=0))

    def _smoothing(self, found: Sequence[Moments]) -> float:
        """``var_smoothing`` times the largest variance of any feature over all rows."""
        count = sum(each.count for each in found)
        middle = sum(each.count * each.mean for each in found) / count
        scatter = sum(each.scatter + each.count * (each.mean - middle) ** 2 for each in found)
        return float(self.var_smoothing * np.max(scatter) / count)

    def _keep(self, classes: NDArray[Any], found: list[Moments]) -> None:
        self.classes_, self.moments_ = _labels(classes), found
        self.class_count_ = np.array([each.count for each in found], dtype=np.float64)
        self.class_prior_ = self.class_count_ / self.class_count_.sum()
        self.epsilon_ = self._smoothing(found)
        self.theta_ = np.array([each.mean for each in found])
        spread = np.array([each.scatter / each.count for each in found])
        self.var_ = np.maximum(spread, 0.0) + self.epsilon_

    def _log_joint(self, X: Any) -> Floats:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        # a feature that never varies tells classes apart by its mean alone, as in scikit-learn
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = ((X[:, None, :] - self.theta_) ** 2 / self.var_).sum(axis=2)
            size = np.log(2.0 * np.pi * self.var_).sum(axis=1)
            return np.asarray(np.log(self.class_prior_) - 0.5 * size - 0.5 * apart)

    def _certificate(
        self,
        found: Sequence[Moments],
        *,
        bound: float,
        people: int = 0,
        rows: int = 0,
        numbers: Mapping[str, float] = MappingProxyType({}),
    ) -> Certificate:
        return Certificate(
            method=METHOD,
            guarantee=Guarantee.EXACT_TO_TOLERANCE,
            measure="largest relative error of a variance",
            bound=bound,
            tolerance=self.tolerance,
            left=sum(each.count for each in found),
            people=people,
            rows=rows,
            numbers=dict(numbers),
        )
