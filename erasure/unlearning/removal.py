"""(ε,δ) removal for logistic regression: one Newton step, and what it leaves is hidden by noise
that was put into the loss before training.

Source: Guo et al., "Certified Data Removal from Machine Learning Models" (ICML 2020), theorem 3:
with a linear term of normal coefficients (deviation σ) in the loss and a gradient norm of at most
r on the remaining rows, removal is (ε,δ) for ``ε = c r / σ``, ``δ = 1.5 exp(−c²/2)``. Written from
the paper.
Guarantee: (ε,δ), of the model that is left. Certificate: the ε spent by all removals so far. Each
r is the gradient as it is, taken anew: bounds that are summed from a Hessian of the past can be
too low. The budget adds them up, though the last alone would do; when it is spent, ``forget``
refuses until the model is trained again.

The linear term follows from the key, ``random_state`` and ``training`` and is not kept: who has
the model does not have it. Each training needs another: with the same term, the difference of two
models is that of their data. A model registry gives each its version's name as ``training``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.certified import CertifiedLogistic
from erasure.unlearning.guarantee import Certificate, Guarantee, Way
from erasure.unlearning.logloss import Found, Loss

METHOD = "(ε,δ) removal"
MEASURE = "ε spent by all removals since training"
Floats = NDArray[np.float64]
People = Sequence[Any] | NDArray[Any]


class RemovalLogistic(CertifiedLogistic):
    """``CertifiedLogistic`` with a random linear term of deviation ``sigma`` per coefficient in
    its loss. More noise hides more and costs utility.

    Holds no training row: coefficients, row counts by keyed hash, and the ledger.

    ``epsilon``, ``delta``: the budget. Fitted besides: ``ledger_``, the ε of each removal.
    ``training``: which training this is; another one draws other noise.
    """

    training = ""  # of models that were saved before there was one

    way: ClassVar[Way] = Way(family="convex", guarantee=Guarantee.EPSILON_DELTA, rows="left")

    def __init__(
        self,
        C: float = 1.0,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-4,
        sigma: float = 1.0,
        random_state: int = 0,
        training: str = "",
        tolerance: float = 1e-8,
        max_iter: int = 100,
    ) -> None:
        super().__init__(C, tolerance=tolerance, max_iter=max_iter)
        self.epsilon = epsilon
        self.delta = delta
        self.sigma = sigma
        self.random_state = random_state
        self.training = training

    def fit(self, X: Any, y: Any, people: People | None = None, key: bytes | None = None) -> Self:
        """As ``CertifiedLogistic``; a new training opens a new budget."""
        if not (self.epsilon > 0 and 0 < self.delta < 1 and self.sigma > 0):
            raise ValueError("epsilon and sigma must be above zero, delta between 0 and 1")
        super().fit(X, y, people, key)
        self.ledger_: list[float] = []
        return self

    def forget(
        self, person_keys: Iterable[Scalar], X: Any, y: Any, people: People, key: bytes
    ) -> Certificate:
        """As ``CertifiedLogistic``. Raises RetrainNeeded when the budget would be overspent."""
        certificate = super().forget(person_keys, X, y, people, key)
        self.ledger_.append(certificate.numbers["epsilon"])
        return certificate

    def certify(self, X: Any, y: Any, key: bytes | None = None) -> Certificate:
        """The ε that the gradient on the remaining rows would be worth, of this model alone."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        loss = self._loss(features, self._second(target), key)
        return self._spending(loss, self._at(loss, self._held()), ())

    def _loss(self, features: Floats, second: NDArray[np.bool_], key: bytes | None) -> Loss:
        which = f"{self.training}:".encode() if self.training else b""
        seed = sha256(b"removal:%d:%b%b" % (self.random_state, which, key or b"")).digest()
        draw = np.random.default_rng(np.frombuffer(seed, dtype=np.uint32))
        tilt = draw.normal(scale=self.sigma, size=features.shape[1] + 1)
        return Loss(features, second, self.C, tilt)

    def _moved(self, loss: Loss) -> Found:
        roster.require_numbers(loss.features)
        held = self._held()
        return self._at(loss, held - loss.step(held, loss.gradient(held)), 1)

    def _at(self, loss: Loss, w: Floats, steps: int = 0) -> Found:
        slope = float(np.linalg.norm(loss.gradient(w)))
        return Found(w=w, steps=steps, gradient=slope, bound=slope)

    def _certificate(
        self, loss: Loss, found: Found, *, people: int = 0, rows: int = 0
    ) -> Certificate:
        return self._spending(loss, found, self.ledger_, people=people, rows=rows)

    def _spending(
        self,
        loss: Loss,
        found: Found,
        before: Sequence[float],
        *,
        people: int = 0,
        rows: int = 0,
    ) -> Certificate:
        slope = found.gradient
        spent = math.sqrt(2.0 * math.log(1.5 / self.delta)) * slope / self.sigma
        return Certificate(
            method=METHOD,
            guarantee=Guarantee.EPSILON_DELTA,
            measure=MEASURE,
            bound=math.fsum([*before, spent]),
            tolerance=self.epsilon,
            left=len(loss),
            people=people,
            rows=rows,
            numbers={"gradient": slope, "epsilon": spent, "delta": self.delta},
        )
