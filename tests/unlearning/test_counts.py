"""Naive Bayes forgets by decrement: bit by bit where it counts, else to the stated tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.utils.estimator_checks import parametrize_with_checks

from erasure.domain.errors import NothingLeft, RetrainNeeded, RowsDiffer, UnknownPerson
from erasure.unlearning.counts import (
    ForgettingBernoulliNB,
    ForgettingGaussianNB,
    ForgettingMultinomialNB,
)
from erasure.unlearning.guarantee import Guarantee
from tests.unlearning.cast import (
    INTRUDER,
    KEY,
    NEIGHBOUR,
    SUBJECT,
    Rows,
    classes,
    copies,
    names,
    shapes,
    twice,
)

COUNTING = [
    (ForgettingMultinomialNB, MultinomialNB, {}),
    (ForgettingMultinomialNB, MultinomialNB, {"alpha": 0.3, "fit_prior": False}),
    (ForgettingBernoulliNB, BernoulliNB, {"binarize": 2.5}),
]
EVERY = [ForgettingMultinomialNB, ForgettingBernoulliNB, ForgettingGaussianNB]
HELD = ("classes_", "class_count_", "feature_count_", "class_log_prior_", "feature_log_prob_")


@parametrize_with_checks([kind() for kind in EVERY])  # type: ignore[untyped-decorator]
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(("kind", "original", "params"), COUNTING)
@settings(max_examples=40, deadline=None)
@given(shape=shapes(), labels=st.integers(2, 4), gone=st.integers(1, 2))
def test_forgetting_is_refitting_on_the_remaining_rows_to_the_last_bit(
    kind: Any, original: Any, params: Any, shape: dict[str, int], labels: int, gone: int
) -> None:
    rows = classes(**shape, labels=labels)
    forgotten = names(3)[:gone]
    left = rows.less(*forgotten)
    model = kind(**params).fit(*rows.all())
    certificate = model.forget(forgotten, *rows.only(*forgotten).shuffled().all())
    refit = original(**params).fit(left.X, left.y)
    for name in HELD:
        assert getattr(model, name).tobytes() == getattr(refit, name).tobytes(), name
    assert model.predict(left.X).tolist() == refit.predict(left.X).tolist()
    assert certificate.guarantee is Guarantee.BIT_EXACT
    assert (certificate.left, certificate.people) == (len(left.X), gone)
    assert model.certify(left.X, left.y).holds


@settings(max_examples=40, deadline=None)
@given(shape=shapes(), labels=st.integers(2, 4), gone=st.integers(1, 2))
def test_the_gaussian_forgets_to_its_tolerance_or_asks_for_a_retrain(
    shape: dict[str, int], labels: int, gone: int
) -> None:
    rows = classes(**shape, labels=labels)
    rows.X[:] += np.random.default_rng(shape["seed"]).normal(size=rows.X.shape) + 30
    forgotten = names(3)[:gone]
    left = rows.less(*forgotten)
    model = ForgettingGaussianNB().fit(*rows.all())
    try:
        certificate = model.forget(forgotten, *rows.only(*forgotten).all())
    except RetrainNeeded:
        assert min(np.unique(left.y, return_counts=True)[1]) < 3  # nothing but rounding is left
        return
    refit = GaussianNB().fit(left.X, left.y)
    assert certificate.holds
    assert model.classes_.tolist() == refit.classes_.tolist()
    assert (np.abs(model.var_ - refit.var_) <= (certificate.bound + 1e-13) * refit.var_).all()
    np.testing.assert_allclose(model.theta_, refit.theta_, rtol=1e-12)
    assert model.certify(left.X, left.y).holds


def test_the_gaussian_is_scikit_learns_before_and_after_on_patients() -> None:
    features, target = load_breast_cancer(return_X_y=True)
    rows = Rows(features, target, np.arange(len(target)).astype(str))
    model = ForgettingGaussianNB().fit(*rows.all())
    before = GaussianNB().fit(features, target).predict_proba(features)
    np.testing.assert_allclose(model.predict_proba(features), before, atol=1e-9)
    gone = [str(n) for n in range(0, 300, 7)]
    model.forget(gone, *rows.only(*gone).all())
    left = rows.less(*gone)
    after = GaussianNB().fit(left.X, left.y).predict_proba(features)
    np.testing.assert_allclose(model.predict_proba(features), after, atol=1e-9)


@pytest.mark.parametrize("kind", EVERY)
def test_a_class_whose_last_row_goes_is_no_class(kind: Any) -> None:
    rows = classes(people=8, labels=2)
    target = np.where(rows.people == SUBJECT, "only the subject's", rows.y)
    rows = Rows(rows.X, target, rows.people)
    model = kind().fit(*rows.all())
    assert len(model.classes_) == 3
    model.forget([SUBJECT], *rows.only(SUBJECT).all())
    assert model.classes_.tolist() == ["amber", "blue"]
    assert model.classes_.dtype == "<U5"  # not as wide as the label that has gone
    assert model.predict_proba(rows.X).shape == (len(rows.X), 2)
    left = rows.less(SUBJECT)
    assert model.certify(left.X, left.y).holds
    # the labels that are left are sealed as before
    model.forget([NEIGHBOUR], *rows.only(NEIGHBOUR).all())


def test_an_empty_class_with_a_prior_of_its_own_asks_for_a_retrain() -> None:
    rows = classes(people=8)
    rows = Rows(rows.X, np.where(rows.people == SUBJECT, 1, 0), rows.people)
    model = ForgettingMultinomialNB(class_prior=[0.5, 0.5]).fit(*rows.all())
    with pytest.raises(RetrainNeeded):
        model.forget([SUBJECT], *rows.only(SUBJECT).all())
    assert len(model.classes_) == 2


def test_fractions_are_not_taken_back() -> None:
    rows = classes()
    rows.X[0, 0] += 0.1
    model = ForgettingMultinomialNB().fit(*rows.all())
    with pytest.raises(RetrainNeeded, match="whole numbers"):
        model.forget([NEIGHBOUR], *rows.only(NEIGHBOUR).all())


@pytest.mark.parametrize("kind", EVERY)
def test_rows_that_stand_twice_go_both_times_or_not_at_all(kind: Any) -> None:
    rows = twice(classes())
    model = kind().fit(*rows.all())
    with pytest.raises(RowsDiffer):
        model.forget([SUBJECT], *classes().only(SUBJECT).all())
    model.forget([SUBJECT], *rows.only(SUBJECT).all())
    left = rows.less(SUBJECT)
    assert model.certify(left.X, left.y).holds


@pytest.mark.parametrize("kind", EVERY)
def test_the_audit_sees_that_the_wrong_rows_were_taken_out(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = classes()
    model = kind().fit(*rows.all())
    left = rows.less(SUBJECT)
    assert not model.certify(left.X, left.y).holds
    monkeypatch.setattr("erasure.unlearning.people.require_same", lambda *_: None)
    model.forget([SUBJECT], *rows.only(NEIGHBOUR).all())
    assert not model.certify(left.X, left.y).holds


@pytest.mark.parametrize("kind", EVERY)
def test_no_count_falls_below_zero(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = classes()
    model = kind().fit(*rows.all())
    monkeypatch.setattr("erasure.unlearning.people.require_same", lambda *_: None)
    with pytest.raises(RowsDiffer, match="below zero"):
        model.forget([SUBJECT], *twice(rows).all())
    assert model.class_count_.sum() == len(rows.X)


@pytest.mark.parametrize("kind", EVERY)
def test_a_stranger_and_the_forgotten_are_unknown_and_the_last_cannot_go(kind: Any) -> None:
    rows = classes()
    model = kind().fit(*rows.all())
    own = rows.only(SUBJECT).all()
    with pytest.raises(UnknownPerson):
        model.forget([INTRUDER], *own)
    model.forget([SUBJECT], *own)
    with pytest.raises(UnknownPerson):
        model.forget([SUBJECT], *own)
    others = rows.less(SUBJECT)
    with pytest.raises(NothingLeft):
        model.forget(sorted(set(others.people.tolist())), *others.all())


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("way", [0, 1])
def test_a_saved_model_forgets_like_the_one_that_was_saved(kind: Any, way: int) -> None:
    rows = classes()
    model = kind().fit(*rows.all())
    copy = copies(model)[way]
    for each in (model, copy):
        each.forget([SUBJECT], *rows.only(SUBJECT).all())
    assert copy.predict_proba(rows.X).tobytes() == model.predict_proba(rows.X).tobytes()
    assert copy.roster_ == model.roster_


def test_rows_cannot_be_added_past_the_roster() -> None:
    rows = classes()
    model = ForgettingMultinomialNB().fit(rows.X, rows.y, rows.people, KEY)
    assert not hasattr(model, "partial_fit")
