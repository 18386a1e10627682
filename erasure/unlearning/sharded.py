"""Any scikit-learn estimator, trained in shards by person: only the shards that knew the person
are trained again.

Source: Bourtoule et al., "Machine Unlearning" (SISA), IEEE S&P 2021; sharding without slicing.
A person's shard follows from their keyed hash alone, so all of their rows are in one shard and
it does not depend on who else is there. A shard's rows are put into an order of their own before
training, and every shard has its own seed, so the order they are handed over in does not matter.
Guarantee: exact in distribution, for requests that do not depend on the model's answers (Gupta
et al., "Adaptive Machine Unlearning", NeurIPS 2021); to the bit where training is repeatable.
Certificate: how many rows went into training that were not sealed as the remaining ones (0, or
``forget`` refuses); by ``certify``, how many shards differ when trained once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from erasure.domain.errors import RowsDiffer
from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.guarantee import Certificate, Guarantee, Way
from erasure.unlearning.repeatable import fingerprint

METHOD = "SISA"
Floats = NDArray[np.float64]
People = Sequence[Any] | NDArray[Any]
_HEX = 16  # digits of the keyed hash that choose the shard
_NO_PEOPLE = b"rows without people"  # nothing to hide: the rows' places stand for them


class _Sharded(BaseEstimator):  # type: ignore[misc]
    """What both kinds have in common."""

    way: ClassVar[Way] = Way(
        family="sharded", guarantee=Guarantee.EXACT_IN_DISTRIBUTION, rows="left"
    )

    _labels = False  # whether the target is class labels

    def __init__(self, estimator: Any, *, n_shards: int = 10, random_state: int = 0) -> None:
        self.estimator = estimator
        self.n_shards = n_shards
        self.random_state = random_state

    def fit(self, X: Any, y: Any, people: People | None = None, key: bytes | None = None) -> Self:
        """Dense (n, d) features and n targets. Without ``people`` rows are sharded by their
        place, and nobody can be forgotten."""
        if self.n_shards < 1:
            raise ValueError("n_shards must be 1 or more")
        X, y = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            y_numeric=not self._labels,
            ensure_all_finite=self._finite(),
        )
        self._check_target(y)
        owner, own_key = (range(len(X)), _NO_PEOPLE) if people is None else (people, key)
        names = np.array(roster.pseudonyms(owner, len(X), own_key))
        shards = self._shards_of(names)
        self.shards_ = [
            self._trained(number, X[own], y[own], names[own])
            for number, own in self._grouped(shards, range(self.n_shards))
        ]
        self.rows_ = np.bincount(shards, minlength=self.n_shards).tolist()
        self.roster_ = {} if people is None else self._sealed(X, y, names, key or b"")
        self._settle()
        return self

    def forget(
        self, person_keys: Iterable[Scalar], X: Any, y: Any, people: People, key: bytes
    ) -> Certificate:
        """Take people out; X, y and people are all rows that remain, of everybody else. Only
        the rows of the shards touched are looked at, and suffice.

        Raises RowsDiffer where they are not, row by row, those of the training; UnknownPerson,
        NothingLeft, UsageError. Then, or when training fails, nothing has changed.
        """
        check_is_fitted(self)
        names = roster.wanted(self.roster_, person_keys, key)
        features, target = roster.rows_of(X, y, self.n_features_in_, nan=self._allows_nan())
        given = np.array(roster.pseudonyms(people, len(features), key), dtype="U64")
        if present := len(names & set(given.tolist())):
            raise RowsDiffer(f"rows of {present} of those to be forgotten are among the rows")
        touched = sorted(set(self._shards_of(np.array(sorted(names))).tolist()))
        shards = self._shards_of(given)
        near = np.isin(shards, touched)
        left = self._roster_of(touched, names)
        roster.require_same(left, self._sealed(features[near], target[near], given[near], key))
        before = sum(self.rows_)
        fresh = {
            number: self._trained(number, features[own], target[own], given[own])
            for number, own in self._grouped(shards, touched)
        }
        for number, model in fresh.items():
            self.shards_[number] = model
            self.rows_[number] = int((shards == number).sum())
        for name in names:
            del self.roster_[name]
        self._settle()
        return self._certificate(
            Guarantee.EXACT_IN_DISTRIBUTION,
            "training rows that are not sealed as remaining ones",
            0,
            people=len(names),
            rows=before - sum(self.rows_),
            touched=len(touched),
        )

    def certify(self, X: Any, y: Any, people: People, key: bytes) -> Certificate:
        """Re-execution: every shard trained once more on the remaining rows, and compared to
        the bit. A shard that differs knew other rows, or its training is not repeatable."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_, nan=self._allows_nan())
        names = np.array(roster.pseudonyms(people, len(features), key), dtype="U64")
        again = [
            self._trained(number, features[own], target[own], names[own])
            for number, own in self._grouped(self._shards_of(names), range(self.n_shards))
        ]
        differ = sum(
            fingerprint(one) != fingerprint(other)
            for one, other in zip(again, self.shards_, strict=True)
        )
        return self._certificate(
            Guarantee.BIT_EXACT, "shards that differ when trained again", differ
        )

    def _shards_of(self, names: NDArray[Any]) -> NDArray[np.intp]:
        """Each keyed hash's shard."""
        return np.array([int(n[:_HEX], 16) % self.n_shards for n in names.tolist()], dtype=np.intp)

    def _grouped(
        self, shards: NDArray[np.intp], numbers: Iterable[int]
    ) -> Iterator[tuple[int, NDArray[np.intp]]]:
        for number in numbers:
            yield number, np.flatnonzero(shards == number)

    def _roster_of(self, touched: Sequence[int], less: set[str]) -> roster.Roster:
        """What the rows that remain in those shards must be sealed as."""
        held = list(self.roster_)
        near = np.isin(self._shards_of(np.array(held)), touched).tolist()
        return {n: self.roster_[n] for n, is_near in zip(held, near, strict=True)
                if is_near and n not in less}  # fmt: skip

    def _sealed(
        self, features: Floats, target: NDArray[Any], names: NDArray[Any], key: bytes
    ) -> roster.Roster:
        table = roster.table_of(features, target, labels=self._labels)
        return roster.sealed(names.tolist(), table, key)

    def _trained(
        self, number: int, features: Floats, target: NDArray[Any], names: NDArray[Any]
    ) -> Any:
        """The model of one shard; None of an empty one."""
        if not len(features):
            return None
        table = roster.table_of(features, target, labels=self._labels)
        order = np.lexsort((*table.T, names))
        model = clone(self._for(target))
        seeds = [n for n in model.get_params() if n.split("__")[-1] == "random_state"]
        model.set_params(**dict.fromkeys(seeds, self.random_state + number))
        return model.fit(features[order], target[order])

    def _for(self, target: NDArray[Any]) -> Any:
        """The estimator to train on such a target."""
        return self.estimator

    def _check_target(self, target: NDArray[Any]) -> None:
        """Raises ValueError for a target that cannot be learnt."""

    def _settle(self) -> None:
        """What follows from the shards."""

    def _full(self) -> list[Any]:
        """The models of the shards that have rows."""
        return [model for model in self.shards_ if model is not None]

    def _checked(self, X: Any) -> Floats:
        check_is_fitted(self)
        return np.asarray(
            validate_data(self, X, dtype=np.float64, reset=False, ensure_all_finite=self._finite())
        )

    def _allows_nan(self) -> bool:
        return bool(get_tags(self.estimator).input_tags.allow_nan)

    def _finite(self) -> bool | str:
        return "allow-nan" if self._allows_nan() else True

    def _certificate(
        self,
        guarantee: Guarantee,
        measure: str,
        bound: int,
        *,
        people: int = 0,
        rows: int = 0,
        touched: int = 0,
    ) -> Certificate:
        return Certificate(
            method=METHOD,
            guarantee=guarantee,
            measure=measure,
            bound=float(bound),
            tolerance=0.0,
            left=sum(self.rows_),
            people=people,
            rows=rows,
            numbers={"shards": float(len(self._full())), "retrained": float(touched)},
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._allows_nan()
        tags.input_tags.sparse = False
        return tags


class ShardedClassifier(ClassifierMixin, _Sharded):  # type: ignore[misc]
    """The mean of the shards' probabilities or, of an estimator that tells none, their votes.

    Holds no training row of its own; an estimator that holds rows (nearest neighbours, support
    vectors) holds them here too. A shard in which one class alone is left always answers it. A
    class that is in no shard any more is no class.
    """

    _labels = True

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) labels."""
        shares = self._shares(self._checked(X))
        return np.asarray(self.classes_[shares.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Floats:
        """(n, classes) in the order of ``classes_``: probabilities, or shares of votes."""
        return self._shares(self._checked(X))

    def _shares(self, features: Floats) -> Floats:
        shares = np.zeros((len(features), len(self.classes_)))
        for model in self._full():
            own = np.searchsorted(self.classes_, model.classes_)
            if hasattr(model, "predict_proba"):
                shares[:, own] += model.predict_proba(features)
            else:
                vote = np.searchsorted(self.classes_, model.predict(features))
                shares[np.arange(len(features)), vote] += 1.0
        return shares / len(self._full())

    def _for(self, target: NDArray[Any]) -> Any:
        alone = (target == target[0]).all()
        return DummyClassifier(strategy="prior") if alone else self.estimator

    def _check_target(self, target: NDArray[Any]) -> None:
        check_classification_targets(target)

    def _settle(self) -> None:
        known = {label for model in self._full() for label in model.classes_.tolist()}
        self.classes_ = np.array(sorted(known))


class ShardedRegressor(RegressorMixin, _Sharded):  # type: ignore[misc]
    """The mean of the shards' predictions.

    Holds no training row of its own; an estimator that holds rows holds them here too.
    """

    def predict(self, X: Any) -> Floats:
        """(n,) predictions."""
        features = self._checked(X)
        return np.asarray(np.mean([model.predict(features) for model in self._full()], axis=0))
