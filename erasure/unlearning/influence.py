"""A logistic model that forgets by one influence step: fast, approximate, and never trusted alone.

Source: Koh and Liang, "Understanding Black-box Predictions via Influence Functions" (ICML 2017),
eq. 2, for removal: ``w + H⁻¹ Σ ∇ℓ(w; rows that go)``, with H the Hessian on the rows that remain.
A published recipe subtracts the step, from a singular Hessian: that moves the model further from
one that never knew the people than doing nothing. Here the Hessian holds the penalty of every
coefficient, and the step is kept only where the gradient on the remaining rows has become smaller
by it; else ``forget`` refuses.
Guarantee: empirical. Certificate: the gradient's norm after the step as a share of that before;
it says the way was right, not that nothing is left. To be replaced by the next training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from erasure.domain.errors import RetrainNeeded
from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.certified import CertifiedLogistic, Floats
from erasure.unlearning.guarantee import Certificate, Guarantee, Way
from erasure.unlearning.logloss import Loss

METHOD = "influence step"
MEASURE = "gradient on the remaining rows after the step, as a share of that before"
People = Sequence[Any] | NDArray[Any]


class InfluenceLogistic(CertifiedLogistic):
    """``CertifiedLogistic``, but ``forget`` takes one step and stops there.

    Holds no training row. ``direction``: 1; -1 is the recipe with the wrong sign, kept to show
    that it is refused.
    """

    way: ClassVar[Way] = Way(family="smooth", guarantee=Guarantee.EMPIRICAL, rows="left")

    def __init__(
        self,
        C: float = 1.0,
        *,
        tolerance: float = 1e-8,
        max_iter: int = 100,
        direction: float = 1.0,
    ) -> None:
        super().__init__(C, tolerance=tolerance, max_iter=max_iter)
        self.direction = direction

    def forget(
        self, person_keys: Iterable[Scalar], X: Any, y: Any, people: People, key: bytes
    ) -> Certificate:
        """As ``CertifiedLogistic``. Raises RetrainNeeded where the step leads away from a model of
        the remaining rows; then nothing has changed."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        left = self._remaining(person_keys, people, len(features), key)
        loss = Loss(features, self._second(target), self.C)
        held = self._held()
        # at the optimum of all rows, the gradient of those that go is minus that of the others
        found = held - self.direction * loss.step(held, loss.gradient(held))
        certificate = self._shrunk(loss, held, found, people=len(left.gone), rows=left.gone_rows)
        if not certificate.holds:
            raise RetrainNeeded(
                f"the step leads away from a model of the remaining rows: its gradient is "
                f"{certificate.bound:.3g} of what it was; train again"
            )
        self._keep(found, 1)
        self.roster_, self.tally_ = left.roster, left.tally
        return certificate

    def certify(self, X: Any, y: Any) -> Certificate:
        """The gradient on the remaining rows, as a share of that of a model that knows nothing."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        loss = Loss(features, self._second(target), self.C)
        held = self._held()
        return self._shrunk(loss, np.zeros(len(held)), held)

    def _shrunk(
        self, loss: Loss, before: Floats, after: Floats, *, people: int = 0, rows: int = 0
    ) -> Certificate:
        norms = [float(np.linalg.norm(loss.gradient(w))) for w in (before, after)]
        return Certificate(
            method=METHOD,
            guarantee=Guarantee.EMPIRICAL,
            measure=MEASURE,
            bound=norms[1] / norms[0] if norms[0] > 0 else 0.0,
            tolerance=0.5,
            left=len(loss),
            people=people,
            rows=rows,
            numbers={"before": norms[0], "after": norms[1]},
        )
