"""Logistic regression that forgets by Newton's method, started from the model that knew the person.

One person moves the optimum little, so one or two steps on the remaining rows reach the new one,
and the gradient there says how far away it can still be.

Source: for a μ-strongly convex loss ``‖w − w*‖ ≤ ‖∇L(w)‖ / μ`` (Boyd and Vandenberghe, "Convex
Optimization" (2004), eq. 9.11); the gradient as the proof: Guo et al., "Certified Data Removal
from Machine Learning Models" (2020), from the paper. Bounds summed over removals are not used:
the gradient is taken anew each time.
Guarantee: exact to tolerance. Certificate: the largest distance of the coefficients from those of
the optimum on the remaining rows, but for the rounding of the gradient's own sum.

μ is only real when every coefficient is penalised. The intercept therefore is the coefficient of
a constant column and penalised as well, unlike in scikit-learn's ``LogisticRegression``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from erasure.domain.errors import RetrainNeeded
from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.guarantee import Certificate, Guarantee, Way

METHOD = "warm Newton"
MEASURE = "distance of the coefficients from the optimum on the remaining rows"
CONVEXITY = 1.0  # μ: the loss below holds ½‖w‖², and the rest of it is convex
_ARMIJO = 1e-4  # share of the promised fall that a step must keep (Boyd and Vandenberghe, 9.2)
_PART = 4096  # rows at once
_SHORTEST = 1e-8  # of a step, before it is taken for rounding
Floats = NDArray[np.float64]
People = Sequence[Any] | NDArray[Any]


class CertifiedLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Two classes; minimises ``½‖w‖² + C Σ log(1 + exp(−s wᵀx))`` over all coefficients w with
    that of the constant column, s = ±1.

    Holds no training row: coefficients and, by keyed hash, how many rows each person has.

    ``C``: weight of the rows, as in scikit-learn. ``tolerance``: the largest distance that
    ``forget`` accepts. ``max_iter``: Newton steps. Scale the features: where their size lets
    the gradient not be summed to the tolerance, ``forget`` refuses.
    Fitted: ``coef_`` (1, d), ``intercept_`` (1,), ``classes_`` (2,), ``n_iter_``, ``roster_``.
    """

    way: ClassVar[Way] = Way(family="convex", guarantee=Guarantee.EXACT_TO_TOLERANCE, rows="left")

    def __init__(self, C: float = 1.0, *, tolerance: float = 1e-8, max_iter: int = 100) -> None:
        self.C = C
        self.tolerance = tolerance
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, people: People | None = None, key: bytes | None = None) -> Self:
        """(n, d) features and n labels of two classes. Without ``people`` nobody can be
        forgotten. Warns (ConvergenceWarning) when the tolerance was not reached."""
        if not (math.isfinite(self.C) and self.C > 0):
            raise ValueError("C must be a finite number above zero")
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        classes = np.unique(y)
        if len(classes) != 2:
            raise ValueError(
                "Only binary classification is supported. The target has "
                f"{len(classes)} {'class' if len(classes) == 1 else 'classes'}."
            )
        people_of = {} if people is None else roster.row_counts(people, len(X), key)
        loss = self._loss(X, y == classes[1], key)
        found, steps = loss.minimised(np.zeros(X.shape[1] + 1), self.tolerance, self.max_iter)
        if not float(np.linalg.norm(loss.gradient(found))) <= self.tolerance:
            warnings.warn(
                "the tolerance was not reached; scale the features",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.classes_ = classes
        self.roster_ = people_of
        self._keep(found, steps)
        return self

    def decision_function(self, X: Any) -> Floats:
        """(n,) log odds of the second class."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(X @ self.coef_[0] + self.intercept_[0])

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) labels."""
        second = self.decision_function(X) > 0
        return np.asarray(self.classes_[second.astype(np.intp)])

    def predict_proba(self, X: Any) -> Floats:
        """(n, 2) probabilities, in the order of ``classes_``."""
        second = _sigmoid(self.decision_function(X))
        return np.column_stack([1.0 - second, second])

    def forget(
        self, person_keys: Iterable[Scalar], X: Any, y: Any, people: People, key: bytes
    ) -> Certificate:
        """Take people out; X, y and people are all rows that remain, of everybody else.

        Raises RowsDiffer where one is among them who is to be forgotten, or somebody's number of
        rows is not that of the training; RetrainNeeded where one class alone is left or the
        tolerance is not reached; UnknownPerson, NothingLeft, UsageError. Then nothing has
        changed. That the rows say what they said is the training set's digest to show.
        """
        check_is_fitted(self)
        names = roster.wanted(self.roster_, person_keys, key)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        left = {name: seal for name, seal in self.roster_.items() if name not in names}
        given = roster.row_counts(people, len(features), key)
        roster.require_same(left, given)
        second = self._second(target)
        if second.all() or not second.any():
            raise RetrainNeeded("only one class is left; train again for another question")
        loss = self._loss(features, second, key)
        found, steps = self._moved(loss)
        rows = sum(int(self.roster_[name]) for name in names)
        certificate = self._certificate(loss, found, people=len(names), rows=rows, steps=steps)
        if not certificate.holds:
            raise RetrainNeeded(
                f"{certificate.measure}: {certificate.bound:.1e}, "
                f"over {certificate.tolerance:.1e}; train again, with features of like scale"
            )
        self._keep(found, steps)
        self.roster_ = left
        return certificate

    def certify(self, X: Any, y: Any) -> Certificate:
        """The gradient on the remaining rows at the coefficients held."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        loss = Loss(features, self._second(target), self.C)
        return self._certificate(loss, self._held())

    def _loss(self, features: Floats, second: NDArray[np.bool_], _key: bytes | None) -> Loss:
        return Loss(features, second, self.C)

    def _moved(self, loss: Loss) -> tuple[Floats, int]:
        """The coefficients for the remaining rows, and the Newton steps taken to them."""
        return loss.minimised(self._held(), self.tolerance, self.max_iter, near=True)

    def _second(self, target: NDArray[Any]) -> NDArray[np.bool_]:
        if not np.isin(target, self.classes_).all():
            raise RetrainNeeded("rows of a class that this model does not know; train again")
        return np.asarray(target == self.classes_[1])

    def _held(self) -> Floats:
        return np.append(self.coef_[0], self.intercept_[0])

    def _keep(self, found: Floats, steps: int) -> None:
        self.coef_, self.intercept_ = found[None, :-1].copy(), found[-1:].copy()
        self.n_iter_ = steps

    def _certificate(
        self, loss: Loss, found: Floats, *, people: int = 0, rows: int = 0, steps: int = 0
    ) -> Certificate:
        slope = float(np.linalg.norm(loss.gradient(found)))
        return Certificate(
            method=METHOD,
            guarantee=Guarantee.EXACT_TO_TOLERANCE,
            measure=MEASURE,
            bound=slope / CONVEXITY,
            tolerance=self.tolerance,
            left=len(loss),
            people=people,
            rows=rows,
            numbers={"gradient": slope, "convexity": CONVEXITY, "steps": float(steps)},
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class Loss:
    """The loss over (n, d) rows with a constant column added; ``second`` (n,): of which class;
    ``tilt`` (d + 1,): the gradient of a linear term that is added.

    Rows are gone through in parts that stay in the processor's cache, so that a gradient reads
    them from memory once and nothing of their size is copied.
    """

    def __init__(
        self,
        features: Floats,
        second: NDArray[np.bool_],
        weight: float,
        tilt: Floats | float = 0.0,
    ) -> None:
        self.tilt = tilt
        self._features = features
        self._second = second.astype(np.float64)
        self.weight = weight
        self._last: tuple[Floats | None, Floats] = (None, np.zeros(0))

    def __len__(self) -> int:
        return len(self._features)

    def _parts(self, w: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Rows, their log odds at ``w``, and of which class they are."""
        for start in range(0, len(self._features), _PART):
            rows = self._features[start : start + _PART]
            yield rows, rows @ w[:-1] + w[-1], self._second[start : start + _PART]

    def value(self, w: Floats) -> float:
        total = math.fsum(
            float((np.logaddexp(0.0, odds) - second * odds).sum())
            for _, odds, second in self._parts(w)
        )
        return float(0.5 * w @ w + self.weight * total + np.sum(self.tilt * w))

    def gradient(self, w: Floats) -> Floats:
        """At ``w``; the last is kept, because the certificate asks where the search has ended."""
        known, slope = self._last
        if known is not w:
            slope = self._gradient(w)
            self._last = (w, slope)
        return slope

    def _gradient(self, w: Floats) -> Floats:
        slope = np.zeros(len(w))
        for rows, odds, second in self._parts(w):
            apart = _sigmoid(odds) - second
            slope[:-1] += rows.T @ apart
            slope[-1] += apart.sum()
        return np.asarray(w + self.weight * slope + self.tilt)

    def step(self, w: Floats, gradient: Floats) -> Floats:
        """Newton's direction, uphill."""
        return np.asarray(np.linalg.solve(self.hessian(w), gradient), dtype=np.float64)

    def hessian(self, w: Floats, exact: type[np.floating[Any]] = np.float64) -> Floats:
        """(d + 1, d + 1); ``exact``: what its products are computed in."""
        found = np.zeros((len(w), len(w)))
        part = np.empty((min(_PART, len(self)), len(w)), dtype=exact)
        with np.errstate(over="ignore"):  # then it does not serve, which is seen
            for rows, odds, _ in self._parts(w):
                chance = _sigmoid(odds)
                root = np.sqrt(self.weight * chance * (1.0 - chance))
                curved = part[: len(rows)]
                np.multiply(rows, root[:, None], out=curved[:, :-1], casting="same_kind")
                curved[:, -1] = root
                # one array against itself: half the work for BLAS
                found += curved.T @ curved
        return found + np.eye(len(w))

    def minimised(
        self, w: Floats, tolerance: float, most: int, *, near: bool = False
    ) -> tuple[Floats, int]:
        """Newton with backtracking from ``w`` until the gradient is within the tolerance or
        rounding lets it fall no more. Returns the coefficients and the steps taken.

        ``near``: the optimum is close by, so that the Hessian there is the one here; it is
        computed once as long as it serves."""
        slope = self.gradient(w)
        steps = 0
        if near and float(np.linalg.norm(slope)) > tolerance:
            w, slope, steps = self._chord(w, slope, tolerance, most)
        while steps < most and float(np.linalg.norm(slope)) > tolerance:
            after, slope_after = self._downhill(w, slope)
            if after is w:
                break
            w, slope, steps = after, slope_after, steps + 1
        return w, steps

    def _chord(
        self, w: Floats, slope: Floats, tolerance: float, most: int
    ) -> tuple[Floats, Floats, int]:
        """Steps with one Hessian, as long as each leaves a tenth of the gradient at most. They only
        lead there: where they have led is told by the gradient, so single precision will
        do."""
        hessian = self.hessian(w, np.float32)
        for steps in range(most):
            if float(np.linalg.norm(slope)) <= tolerance:
                return w, slope, steps
            try:
                after = w - np.linalg.solve(hessian, slope)
            except np.linalg.LinAlgError:
                return w, slope, steps
            slope_after = self.gradient(after)
            if not 10.0 * np.linalg.norm(slope_after) <= np.linalg.norm(slope):
                return w, slope, steps
            w, slope = after, slope_after
        return w, slope, most

    def _downhill(self, w: Floats, slope: Floats) -> tuple[Floats, Floats]:
        """Newton's step where it halves the gradient at least, as it does near the optimum; else
        the longest of its halves that lessens the loss; ``w`` itself when none does. With the
        gradient there."""
        step = self.step(w, slope)
        after = w - step
        slope_after = self.gradient(after)
        if 2.0 * np.linalg.norm(slope_after) <= np.linalg.norm(slope):
            return after, slope_after
        value, fall, length = self.value(w), float(slope @ step), 1.0
        while length > _SHORTEST:
            after = w - length * step
            if self.value(after) < value - _ARMIJO * length * fall:
                return after, self.gradient(after)
            length /= 2
        return w, slope


def _sigmoid(odds: Floats) -> Floats:
    # by tanh: no overflow, and one pass
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * odds)))
