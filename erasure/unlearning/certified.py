"""Logistic regression that forgets by Newton's method, started from the model that knew the person.

One person moves the optimum little, so two steps on the remaining rows reach the new one: the
first by a pass in single precision for gradient and Hessian, the second by a gradient in double.
That gradient also proves how far from the optimum the second step can end; while that is further
than the tolerance, there is another. Nothing of it is kept: a Hessian at the old coefficients would
be a statistic with the person in it, whichever rows it were a sum over.

Source: the gradient as the proof: Guo et al., "Certified Data Removal from Machine Learning Models"
(2020), from the paper; how far it reaches: :mod:`erasure.unlearning.logloss`. Bounds summed over
removals are not used: the gradient is taken anew each time.
Guarantee: exact to tolerance. Certificate: the largest distance of the coefficients from those of
the optimum on the remaining rows, but for the rounding of the gradient's own sum.

μ is only real when every coefficient is penalised. The intercept therefore is the coefficient of
a constant column and penalised as well, unlike in scikit-learn's ``LogisticRegression``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from erasure.domain.errors import RetrainNeeded
from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.guarantee import Certificate, Guarantee, Way
from erasure.unlearning.logloss import Found, Loss

METHOD = "warm Newton"
MEASURE = "distance of the coefficients from the optimum on the remaining rows"
Floats = NDArray[np.float64]
People = Sequence[Any] | NDArray[Any]


class CertifiedLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Two classes; minimises ``½‖w‖² + C Σ log(1 + exp(−s wᵀx))`` over all coefficients w with
    that of the constant column, s = ±1.

    Holds no training row: coefficients, by keyed hash how many rows each person has, and a tally
    of that.

    ``C``: weight of the rows, as in scikit-learn. ``tolerance``: the largest distance that
    ``forget`` accepts. ``max_iter``: Newton steps. Scale the features: where their size lets
    the gradient not be summed to the tolerance, ``forget`` refuses.
    Fitted: ``coef_`` (1, d), ``intercept_`` (1,), ``classes_`` (2,), ``n_iter_``, ``roster_``,
    ``tally_`` (empty where people are not whole numbers; older models have none).
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
        people_of: roster.Roster = {}
        tally = ""
        if people is not None:
            people_of = roster.row_counts(people, len(X), key)
            tally = roster.tallied(people, len(X), key)
        loss = self._loss(X, y == classes[1], key)
        found = loss.minimised(np.zeros(X.shape[1] + 1), self.tolerance, self.max_iter)
        if not found.bound <= self.tolerance:
            warnings.warn(
                "the tolerance was not reached; scale the features",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.classes_ = classes
        self.roster_, self.tally_ = people_of, tally
        self._keep(found.w, found.steps)
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
        second = expit(self.decision_function(X))
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
        features, target = roster.shaped(X, y, self.n_features_in_)
        left = self._remaining(person_keys, people, len(features), key)
        second = self._second(target)
        if second.all() or not second.any():
            raise RetrainNeeded("only one class is left; train again for another question")
        loss = self._loss(features, second, key)
        found = self._moved(loss)
        certificate = self._certificate(loss, found, people=len(left.gone), rows=left.gone_rows)
        if not certificate.holds:
            raise RetrainNeeded(
                f"{certificate.measure}: {certificate.bound:.1e}, "
                f"over {certificate.tolerance:.1e}; train again, with features of like scale"
            )
        self._keep(found.w, found.steps)
        self.roster_, self.tally_ = left.roster, left.tally
        return certificate

    def certify(self, X: Any, y: Any) -> Certificate:
        """From the gradient on the remaining rows at the coefficients held, and where that alone
        does not show it, the Hessian there."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        loss = Loss(features, self._second(target), self.C)
        return self._certificate(loss, loss.located(self._held(), self.tolerance))

    def _remaining(
        self, person_keys: Iterable[Scalar], people: People, rows: int, key: bytes
    ) -> roster.Remaining:
        held = getattr(self, "tally_", "")  # models saved before there were tallies have none
        return roster.remaining(self.roster_, held, person_keys, people, rows, key)

    def _loss(self, features: Floats, second: NDArray[np.bool_], _key: bytes | None) -> Loss:
        return Loss(features, second, self.C)

    def _moved(self, loss: Loss) -> Found:
        """The coefficients for the remaining rows."""
        held = self._held()
        near = loss.nearby(held)
        if near is None:  # values too large for single precision, or no numbers at all
            roster.require_numbers(loss.features)
            return loss.minimised(held, self.tolerance, self.max_iter)
        found = loss.followed(held, near, self.tolerance, self.max_iter)
        if found.bound <= self.tolerance:
            return found
        last = loss.minimised(found.w, self.tolerance, self.max_iter - found.steps)
        return replace(last, steps=found.steps + last.steps)

    def _second(self, target: NDArray[Any]) -> NDArray[np.bool_]:
        second = np.asarray(target == self.classes_[1])
        if not (second | (target == self.classes_[0])).all():
            raise RetrainNeeded("rows of a class that this model does not know; train again")
        return second

    def _held(self) -> Floats:
        return np.append(self.coef_[0], self.intercept_[0])

    def _keep(self, found: Floats, steps: int) -> None:
        self.coef_, self.intercept_ = found[None, :-1].copy(), found[-1:].copy()
        self.n_iter_ = steps

    def _certificate(
        self, loss: Loss, found: Found, *, people: int = 0, rows: int = 0
    ) -> Certificate:
        return Certificate(
            method=METHOD,
            guarantee=Guarantee.EXACT_TO_TOLERANCE,
            measure=MEASURE,
            bound=found.bound,
            tolerance=self.tolerance,
            left=len(loss),
            people=people,
            rows=rows,
            numbers={
                "gradient": found.gradient,
                "convexity": found.convexity,
                "steps": float(found.steps),
            },
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
