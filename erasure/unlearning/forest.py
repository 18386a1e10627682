"""A forest in which each person is known to a few trees only: the others need not be trained again.

Source: the bound on memory of Brophy and Lowd's unlearning forests ("Machine Unlearning for Random
Forests", 2021) turned round: rather than that trees know how to drop a row, few of them know the
person. Each person's keyed hash chooses ``per_person`` of ``n_trees`` trees; a tree is trained on
all rows of the people it knows, in an order and with a seed of its own.
Guarantee: exact in distribution, for requests that do not depend on the model's answers; and trees
are bit-identical on re-execution. Certificate: how many rows went into training that are not the
remaining ones (0, or ``forget`` refuses); by ``certify``, how many trees differ when trained again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from erasure.domain.errors import RowsDiffer
from erasure.domain.values import Scalar
from erasure.unlearning import people as roster
from erasure.unlearning.guarantee import Certificate, Guarantee, Way
from erasure.unlearning.repeatable import fingerprint

METHOD = "person-limited forest"
Floats = NDArray[np.float64]
People = Sequence[Any] | NDArray[Any]
_NO_PEOPLE = b"rows without people"  # nothing to hide: the rows' places stand for them


class PersonForest(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The mean of the probabilities of ``n_trees`` trees, each person's rows in ``per_person`` of
    them. Fewer trees a person forget faster and learn less from each.

    ``estimator``: what each tree is, by default a decision tree over the square root of the
    features. Holds no training row: the trees and, by keyed hash, a seal of each person's rows.
    """

    way: ClassVar[Way] = Way(
        family="forest", guarantee=Guarantee.EXACT_IN_DISTRIBUTION, rows="left"
    )

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_trees: int = 60,
        per_person: int = 3,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.n_trees = n_trees
        self.per_person = per_person
        self.random_state = random_state

    def fit(self, X: Any, y: Any, people: People | None = None, key: bytes | None = None) -> Self:
        """Dense (n, d) features and n labels. Without ``people`` each row is a person of its own
        by its place, and nobody can be forgotten."""
        if not 1 <= self.per_person <= self.n_trees:
            raise ValueError("per_person must be between 1 and n_trees")
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        owner, own_key = (range(len(X)), _NO_PEOPLE) if people is None else (people, key)
        self.classes_ = np.unique(y)
        rows = _Rows(X, y, owner, own_key)
        knows = self._trees_of(rows.people)
        self.trees_ = [self._trained(n, rows, knows[:, n]) for n in range(self.n_trees)]
        self.roster_ = {} if people is None else rows.sealed(key or b"")
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) labels."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Any) -> Floats:
        """(n, classes) probabilities, in the order of ``classes_``."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        total = np.zeros((len(features), len(self.classes_)))
        trees = [tree for tree in self.trees_ if tree is not None]
        for tree in trees:
            total[:, np.searchsorted(self.classes_, tree.classes_)] += tree.predict_proba(features)
        return total / len(trees)

    def forget(
        self, person_keys: Iterable[Scalar], X: Any, y: Any, people: People, key: bytes
    ) -> Certificate:
        """Take people out; X, y and people are all rows that remain, of everybody else. Only the
        rows of people whom a touched tree knows are looked at, and suffice.

        Raises RowsDiffer where they are not those of the training; UnknownPerson, NothingLeft,
        UsageError. Then, or when training fails, nothing has changed.
        """
        check_is_fitted(self)
        gone = sorted(roster.wanted(self.roster_, person_keys, key))
        features, target = roster.rows_of(X, y, self.n_features_in_)
        rows = _Rows(features, target, people, key)
        if present := len(set(gone) & set(rows.people)):
            raise RowsDiffer(f"rows of {present} of those to be forgotten are among the rows")
        touched = np.flatnonzero(self._trees_of(gone).any(axis=0))
        left = [name for name in self.roster_ if name not in set(gone)]
        knows = self._trees_of(rows.people)
        near = np.asarray(knows[:, touched].any(axis=1))
        expected = np.array(left)[self._trees_of(left)[:, touched].any(axis=1)].tolist()
        roster.require_same({name: self.roster_[name] for name in expected}, rows.sealed(key, near))
        fresh = {n: self._trained(n, rows, knows[:, n]) for n in touched.tolist()}
        for number, tree in fresh.items():
            self.trees_[number] = tree
        for name in gone:
            del self.roster_[name]
        self.classes_ = self._classes()
        return self._certificate(
            Guarantee.EXACT_IN_DISTRIBUTION,
            "training rows that are not sealed as remaining ones",
            0,
            people=len(gone),
            left=len(features),
            touched=len(touched),
        )

    def certify(self, X: Any, y: Any, people: People, key: bytes) -> Certificate:
        """Re-execution: every tree trained once more on the remaining rows, and compared number
        by number."""
        check_is_fitted(self)
        features, target = roster.rows_of(X, y, self.n_features_in_)
        rows = _Rows(features, target, people, key)
        knows = self._trees_of(rows.people)
        differ = sum(
            fingerprint(self._trained(n, rows, knows[:, n])) != fingerprint(self.trees_[n])
            for n in range(self.n_trees)
        )
        return self._certificate(
            Guarantee.BIT_EXACT, "trees that differ when trained again", differ, left=len(features)
        )

    def _trees_of(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """(people, trees) which trees know each keyed hash: as many different ones as there are
        to be, drawn from the hash alone."""
        knows = np.zeros((len(names), self.n_trees), dtype=np.bool_)
        missing, salt = np.arange(len(names)), 0
        while len(missing):
            digests = [
                sha256(b"%d:%b" % (salt, names[i].encode())).digest() for i in missing.tolist()
            ]
            drawn = np.frombuffer(b"".join(digests), dtype=">u4").reshape(-1, 8) % self.n_trees
            for column in drawn.T:
                wanting = knows[missing].sum(axis=1) < self.per_person
                knows[missing[wanting], column[wanting]] = True
            missing = missing[knows[missing].sum(axis=1) < self.per_person]
            salt += 1
        return knows

    def _trained(self, number: int, rows: _Rows, knows: NDArray[np.bool_]) -> Any:
        """One tree; None where nobody whom it knows is left."""
        own = rows.of(knows)
        if not len(own):
            return None
        maker = DecisionTreeClassifier() if self.estimator is None else self.estimator
        tree = clone(maker)
        params = tree.get_params()
        if params.get("max_features", 0) is None:
            tree.set_params(max_features="sqrt")
        tree.set_params(random_state=self.random_state + number)
        return tree.fit(rows.features[own], rows.target[own])

    def _classes(self) -> NDArray[Any]:
        known = {label for t in self.trees_ if t is not None for label in t.classes_.tolist()}
        return np.array(sorted(known))

    def _certificate(
        self,
        guarantee: Guarantee,
        measure: str,
        bound: int,
        *,
        left: int,
        people: int = 0,
        touched: int = 0,
    ) -> Certificate:
        return Certificate(
            method=METHOD,
            guarantee=guarantee,
            measure=measure,
            bound=float(bound),
            tolerance=0.0,
            left=left,
            people=people,
            numbers={"trees": float(self.n_trees), "retrained": float(touched)},
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


class _Rows:
    """Rows by person: ``people`` are the different keyed hashes, ``owner`` each row's place among
    them."""

    def __init__(
        self, features: Floats, target: NDArray[Any], people: People, key: bytes | None
    ) -> None:
        self.features, self.target = features, target
        self.people, self.owner = roster.places(people, len(features), key)
        self._rank = np.argsort(np.argsort(np.array(self.people)))

    def of(self, knows: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Places of the rows of these people, in an order that does not depend on how they were
        handed over: by person, then by content."""
        own = np.flatnonzero(knows[self.owner])
        table = roster.table_of(self.features[own], self.target[own], labels=True)
        return own[np.lexsort((*table.T, self._rank[self.owner[own]]))]

    def sealed(self, key: bytes, near: NDArray[np.bool_] | None = None) -> roster.Roster:
        """The roster of these rows, or of those of the people who are ``near``."""
        own = np.arange(len(self.owner)) if near is None else np.flatnonzero(near[self.owner])
        table = roster.table_of(self.features[own], self.target[own], labels=True)
        return roster.sealed([self.people[i] for i in self.owner[own]], table, key)
