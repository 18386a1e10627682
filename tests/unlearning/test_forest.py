"""A forest in which a person is known to few trees forgets them exactly by training those again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from erasure.domain.errors import NothingLeft, RowsDiffer, UnknownPerson
from erasure.unlearning.forest import PersonForest
from erasure.unlearning.repeatable import fingerprint
from tests.unlearning.cast import INTRUDER, NEIGHBOUR, SUBJECT, Rows, classes, copies


def forest(**more: Any) -> PersonForest:
    return PersonForest(n_trees=8, per_person=2, **more)


def same(one: PersonForest, other: PersonForest) -> bool:
    return [fingerprint(t) for t in one.trees_] == [fingerprint(t) for t in other.trees_]


@parametrize_with_checks([PersonForest(n_trees=5, per_person=2)])  # type: ignore[untyped-decorator]
def test_it_keeps_scikit_learns_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("seed", range(5))
def test_forgetting_is_training_without_them_to_the_bit(seed: int) -> None:
    rows = classes(seed, people=30)
    model = forest().fit(*rows.all())
    left = rows.less(SUBJECT, NEIGHBOUR).shuffled(seed)
    certificate = model.forget([SUBJECT, NEIGHBOUR], *left.all())
    assert certificate.holds
    assert certificate.people == 2
    assert certificate.numbers["retrained"] <= 4
    fresh = forest().fit(*rows.less(SUBJECT, NEIGHBOUR).all())
    assert same(model, fresh)
    assert set(model.roster_) == set(fresh.roster_)
    assert model.certify(*left.all()).holds


def test_only_trees_that_knew_the_person_are_trained_again() -> None:
    rows = classes(1, people=30)
    model = forest().fit(*rows.all())
    before = list(model.trees_)
    model.forget([SUBJECT], *rows.less(SUBJECT).all())
    assert sum(a is not b for a, b in zip(before, model.trees_, strict=True)) == 2


def test_an_audit_finds_a_tree_that_knew_them() -> None:
    rows = classes(2, people=30)
    model = forest().fit(*rows.all())
    audit = model.certify(*rows.less(SUBJECT).all())
    assert not audit.holds
    assert audit.bound == 2


def test_wrong_rows_are_refused_and_nothing_has_changed() -> None:
    rows = classes(3, people=30)
    model = forest().fit(*rows.all())
    before = fingerprint(model)
    left = rows.less(SUBJECT)
    touched = model._trees_of(list(model.roster_))
    assert touched.sum(axis=1).tolist() == [2] * len(model.roster_)
    altered = Rows(left.X + 1.0, left.y, left.people)
    for wrong in (rows, left.less(*set(left.people.tolist()[:60])), altered):
        with pytest.raises(RowsDiffer):
            model.forget([SUBJECT], *wrong.all())
    with pytest.raises(UnknownPerson):
        model.forget([INTRUDER], *left.all())
    with pytest.raises(NothingLeft):
        model.forget(set(rows.people.tolist()), *left.all())
    assert fingerprint(model) == before


def test_it_survives_pickle_and_skops() -> None:
    rows = classes(4, people=20)
    model = forest().fit(*rows.all())
    for copy in copies(model, trees=True):
        assert fingerprint(copy) == fingerprint(model)
        copy.forget([SUBJECT], *rows.less(SUBJECT).all())


def test_it_learns_from_real_patients() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    assert cross_val_score(PersonForest(n_trees=30, per_person=6), X, y, cv=3).mean() > 0.9


def test_a_fingerprint_tells_what_differs_and_nothing_else() -> None:
    table = np.arange(6.0).reshape(2, 3)
    one = {"a": table, "b": [1, np.int64(2)]}
    other = {"b": [1, 2], "a": np.asfortranarray(table)}
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint({**other, "b": [1, 3]}) != fingerprint(one)
    assert fingerprint({**other, "a": table + 1e-9}) != fingerprint(one)
