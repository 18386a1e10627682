"""Linear and ridge regression that forget by taking rows out of the Gram matrix.

The coefficients depend on the rows through count, means and scatter alone (sufficient
statistics), so these less a person's own share are the statistics of the remaining rows, and
solving for them is training on those rows.

Source: the normal equations; the distance by ``‖v − v*‖ ≤ (‖r‖ + ‖ΔM‖ ‖v‖ + ‖Δb‖) / (μ − ‖ΔM‖)``
(Higham 2002, section 7.1), after diagonal scaling (van der Sluis 1969) so that units do not count.
Guarantee: exact to tolerance. Certificate: an upper bound on the root mean square difference
between the predictions and those of an exact refit, over the remaining rows, as a share of the
target's root mean square; from the residual of the normal equations, what rounding can have done
to them, and their smallest eigenvalue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from erasure.domain.errors import RetrainNeeded
from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.guarantee import Certificate, Guarantee, Way
from erasure.unlearning.moments import UNIT, Floats, Moments, moments, without

METHOD = "Gram down-date"
MEASURE = "root mean square difference of predictions, as a share of the target's"


class GramRegression(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares with ``alpha ‖coef‖²`` added (0: ordinary; the intercept is not penalised):
    scikit-learn's ``Ridge`` and ``LinearRegression``.

    Holds no training row: count, means and scatter of all rows together, and a keyed roster. A
    person with one row could be read from the statistics before and after: purge the old ones.

    ``tolerance``: the largest bound that ``forget`` accepts; beyond it, it refuses.
    Fitted: ``coef_`` (d,), ``intercept_``, ``roster_`` and ``moments_`` of the d features and the
    target.
    """

    way: ClassVar[Way] = Way(
        family="statistics", guarantee=Guarantee.EXACT_TO_TOLERANCE, rows="own"
    )

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, tolerance: float = 1e-8
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.tolerance = tolerance

    def fit(
        self,
        X: Any,
        y: Any,
        people: Sequence[Any] | NDArray[Any] | None = None,
        key: bytes | None = None,
    ) -> Self:
        """(n, d) features and n targets. Without ``people`` nobody can be forgotten."""
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ValueError("alpha must be a finite number that is not negative")
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        table = roster.table_of(X, y, labels=False)
        names = None if people is None else roster.pseudonyms(people, len(table), key)
        found = moments(table, centre=self.fit_intercept)
        system = _System(found, self.alpha)
        self._keep(found, system, system.solved())
        self.roster_ = {} if names is None else roster.sealed(names, table, key or b"")
        return self

    def predict(self, X: Any) -> Floats:
        """(n,) predictions."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(X @ self.coef_ + self.intercept_)

    def forget(
        self,
        person_keys: Iterable[Scalar],
        X: Any,
        y: Any,
        people: Sequence[Any] | NDArray[Any],
        key: bytes,
    ) -> Certificate:
        """Take people out; X, y and people are all of their own rows and no others.

        Raises RowsDiffer for other rows than were trained on, RetrainNeeded where what remains
        is too ill-conditioned to prove the result, UnknownPerson, NothingLeft, UsageError.
        """
        check_is_fitted(self)
        names = roster.wanted(self.roster_, person_keys, key)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        table = roster.table_of(features, target, labels=False)
        given = roster.sealed(roster.pseudonyms(people, len(table), key), table, key)
        roster.require_same({name: self.roster_[name] for name in names}, given)
        return self._taken_out(table, names)

    def certify(self, X: Any, y: Any) -> Certificate:
        """The same bound, from the remaining rows themselves: the gradient of the loss at the
        coefficients held, over the smallest eigenvalue of its Hessian. Statistics that were
        altered, or that the wrong rows were taken out of, show here."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        found = moments(roster.table_of(features, target, labels=False), centre=self.fit_intercept)
        system = _System(found, self.alpha)
        middle = found.mean[:-1]
        apart = target - features @ self.coef_ - self.intercept_
        pull = (features - middle).T @ apart - self.alpha * self.coef_
        shift = apart.sum() / math.sqrt(found.count) if self.fit_intercept else 0.0
        return system.certificate(
            system.numbers(self.coef_, pull, float(shift)), tolerance=self.tolerance
        )

    def _taken_out(self, table: Floats, names: set[str]) -> Certificate:
        left = without(self.moments_, moments(table, centre=self.fit_intercept))
        system = _System(left, self.alpha)
        if not system.positive():
            raise RetrainNeeded("what remains does not determine this model; train again")
        coefficients = system.solved()
        pull = system.right - system.left @ coefficients
        certificate = system.certificate(
            system.numbers(coefficients, pull, 0.0),
            tolerance=self.tolerance,
            people=len(names),
            rows=len(table),
        )
        if not certificate.holds:
            raise RetrainNeeded(
                f"what remains is too ill-conditioned: bound {certificate.bound:.1e} over "
                f"tolerance {self.tolerance:.1e}; train again"
            )
        self._keep(left, system, coefficients)
        for name in names:
            del self.roster_[name]
        return certificate

    def _keep(self, found: Moments, system: _System, coefficients: Floats) -> None:
        self.moments_ = found
        self.coef_ = coefficients
        self.intercept_ = float(found.mean[-1] - found.mean[:-1] @ coefficients)


class _System:
    """The normal equations ``left @ coef = right``; ``scale`` (d,) gives ``left`` a unit
    diagonal on both sides."""

    def __init__(self, found: Moments, alpha: float) -> None:
        self.found = found
        self.right = found.scatter[:-1, -1]
        self.left = found.scatter[:-1, :-1].copy()
        diagonal = np.einsum("ii->i", self.left)
        diagonal += alpha
        safe = np.where(diagonal > 0, diagonal, 1.0)
        self.scale = 1.0 / np.sqrt(safe)
        self.scaled = self.left * self.scale * self.scale[:, None]
        # factorised once for everything that is asked of it
        self.factor, short = dpotrf(self.scaled, lower=1)
        self.definite = short == 0

    def positive(self) -> bool:
        """Whether the equations have one solution and are those of a least squares problem."""
        return self.definite and bool(self.found.scatter[-1, -1] >= -self.found.noise[-1])

    def solved(self) -> Floats:
        """The coefficients; the smallest of many where the rows do not determine them."""
        right = self.scale * self.right
        if self.definite:
            scaled = dpotrs(self.factor, right, lower=1)[0]
        else:
            scaled = np.linalg.lstsq(self.scaled, right, rcond=None)[0]
        return np.asarray(self.scale * scaled)

    def numbers(self, coefficients: Floats, pull: Floats, shift: float) -> dict[str, float]:
        """What the bound is made of. ``pull`` (d,): half the loss's negative gradient at the
        coefficients; ``shift``: what the predictions are off on average, times √n."""
        inverse = self._inverse_size()
        size = float(np.abs(self.scaled).sum(axis=0).max())
        length = float(np.linalg.norm(coefficients / self.scale))
        residual = float(np.linalg.norm(self.scale * pull))
        width = len(coefficients)
        spread = float((self.found.noise[:-1] * self.scale**2).sum()) + 2 * width * UNIT
        aim = math.sqrt(spread * float(self.found.noise[-1]))
        curvature = 1.0 / inverse - spread
        off = (residual + spread * length + aim) / curvature if curvature > 0 else math.inf
        return {
            "residual": residual,
            "condition": size * inverse,
            "coefficient_distance": float(self.scale.max(initial=0.0)) * off,
            "prediction_distance": math.hypot(math.sqrt(size) * off, shift),
        }

    def _inverse_size(self) -> float:
        """The largest column sum of the inverse."""
        if not self.definite:
            return math.inf
        half, short = dpotri(self.factor, lower=1)
        if short or not len(half):
            return math.inf if short else 0.0
        half = np.abs(np.tril(half))
        return float((half.sum(axis=0) + half.sum(axis=1) - np.diagonal(half)).max())

    def certificate(
        self, numbers: dict[str, float], *, tolerance: float, people: int = 0, rows: int = 0
    ) -> Certificate:
        """``numbers`` as a share of the target's size."""
        mean, scatter = self.found.mean[-1], self.found.scatter[-1, -1]
        whole = math.sqrt(max(float(scatter), 0.0) + self.found.count * float(mean) ** 2)
        distance = numbers["prediction_distance"]
        return Certificate(
            method=METHOD,
            guarantee=Guarantee.EXACT_TO_TOLERANCE,
            measure=MEASURE,
            bound=distance / whole if whole > 0 else (0.0 if distance == 0 else math.inf),
            tolerance=tolerance,
            left=self.found.count,
            people=people,
            rows=rows,
            numbers=numbers,
        )
