"""(ε,δ) removal spends a budget that is measured, and stops when it is spent."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from erasure.domain.errors import RetrainNeeded, RowsDiffer, UnknownPerson, UsageError
from erasure.unlearning.guarantee import Guarantee
from erasure.unlearning.removal import RemovalLogistic
from tests.unlearning.cast import KEY, NEIGHBOUR, SUBJECT, Rows, classes, copies, shapes


@parametrize_with_checks([RemovalLogistic()])  # type: ignore[untyped-decorator]
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def fitted(rows: Rows, **params: Any) -> RemovalLogistic:
    return RemovalLogistic(**params).fit(*rows.all())


def worth(model: RemovalLogistic, rows: Rows) -> float:
    """The ε of the model's gradient on these rows, computed by another way: differences of the
    loss, written out."""
    held = np.append(model.coef_[0], model.intercept_[0])
    table = np.column_stack([rows.X, np.ones(len(rows.X))])
    sign = np.where(rows.y == model.classes_[1], 1.0, -1.0)
    chance = 1.0 / (1.0 + np.exp(sign * (table @ held)))
    tilt = model._loss(rows.X, rows.y == model.classes_[1], KEY).tilt
    gradient = held + tilt - model.C * (sign * chance) @ table
    return float(
        np.linalg.norm(gradient) * math.sqrt(2 * math.log(1.5 / model.delta)) / model.sigma
    )


@settings(max_examples=40, deadline=None)
@given(shapes())
def test_what_is_spent_is_the_gradient_on_the_remaining_rows(shape: dict[str, int]) -> None:
    rows = classes(**shape)
    left = rows.less(SUBJECT)
    model = fitted(rows, epsilon=2.0)
    try:
        certificate = model.forget([SUBJECT], *left.all())
    except RetrainNeeded:
        assert model.ledger_ == []
        return
    assert certificate.guarantee is Guarantee.EPSILON_DELTA
    assert certificate.bound == pytest.approx(worth(model, left), abs=1e-9)
    assert certificate.bound <= 2.0
    assert model.ledger_ == [certificate.bound]
    assert model.certify(left.X, left.y, KEY).bound == pytest.approx(certificate.bound)


def test_the_budget_adds_up_and_the_last_who_does_not_fit_forces_a_retrain() -> None:
    rows = classes(people=60)
    left, model = rows, fitted(rows)
    certificate = model.forget([SUBJECT], *rows.less(SUBJECT).all())
    model = fitted(rows, epsilon=8 * certificate.bound)
    spent = 0.0
    for person in sorted(set(rows.people.tolist())):
        left = left.less(person)
        before = pickle.dumps(model)
        try:
            certificate = model.forget([person], *left.all())
        except RetrainNeeded:
            assert pickle.dumps(model) == before
            break
        spent += certificate.numbers["epsilon"]
        assert certificate.bound == pytest.approx(spent)
    assert 0 < len(model.ledger_) < 59
    assert sum(model.ledger_) <= model.epsilon
    assert fitted(left).ledger_ == []


def test_the_audit_sees_a_model_that_did_not_forget() -> None:
    rows = classes(people=30)
    model = fitted(rows, epsilon=0.1)
    left = rows.less(SUBJECT)
    assert model.certify(rows.X, rows.y, KEY).holds
    assert not model.certify(left.X, left.y, KEY).holds
    model.forget([SUBJECT], *left.all())
    assert model.certify(left.X, left.y, KEY).holds


def test_the_noise_is_of_the_key_and_not_in_the_model() -> None:
    rows = classes()
    one, same = fitted(rows), fitted(rows)
    other = RemovalLogistic().fit(*rows.all()[:3], b"another key")
    later = fitted(rows, random_state=1)
    assert one.coef_.tobytes() == same.coef_.tobytes()
    assert np.abs(one.coef_ - other.coef_).max() > 1e-3
    assert np.abs(one.coef_ - later.coef_).max() > 1e-3
    tilt = np.asarray(one._loss(rows.X, rows.y == "blue", KEY).tilt)
    assert not any(value.tobytes() in pickle.dumps(one) for value in tilt)
    with pytest.raises(UnknownPerson):
        one.forget([SUBJECT], *rows.less(SUBJECT).all()[:3], b"another key")


def test_each_training_has_noise_of_its_own_and_goes_on_with_it() -> None:
    """With the noise of the last training, the difference of two models is the person's rows."""
    rows = classes()
    one, two = fitted(rows, training="1"), fitted(rows, training="2")
    again = fitted(rows, training="1")
    assert one.coef_.tobytes() == again.coef_.tobytes()
    assert np.abs(one.coef_ - two.coef_).max() > 1e-3
    assert np.abs(one.coef_ - fitted(rows).coef_).max() > 1e-3
    for model in (one, two):
        assert model.certify(rows.X, rows.y, KEY).holds
    before = fitted(rows)
    del before.__dict__["training"]  # saved before trainings had a name
    assert clone(before).get_params()["training"] == ""
    assert before.certify(rows.X, rows.y, KEY).holds


def test_the_noise_is_as_wide_as_it_is_said_to_be() -> None:
    features = np.zeros((2, 20_000))
    tilt = RemovalLogistic(sigma=3.0)._loss(features, np.array([True, False]), KEY).tilt
    assert np.std(tilt) == pytest.approx(3.0, rel=0.05)
    assert np.mean(tilt) == pytest.approx(0.0, abs=0.15)


def test_rows_that_are_not_those_that_remain_are_refused() -> None:
    rows = classes()
    model = fitted(rows)
    with pytest.raises(RowsDiffer):
        model.forget([SUBJECT], *rows.all())
    with pytest.raises(RowsDiffer):
        model.forget([SUBJECT], *rows.less(SUBJECT, NEIGHBOUR).all())
    assert model.ledger_ == []


@pytest.mark.parametrize("way", [0, 1])
def test_a_saved_model_goes_on_with_its_ledger(way: int) -> None:
    rows = classes(people=30)
    model = fitted(rows)
    model.forget([SUBJECT], *rows.less(SUBJECT).all())
    copy = copies(model)[way]
    left = rows.less(SUBJECT, NEIGHBOUR)
    assert copy.forget([NEIGHBOUR], *left.all()) == model.forget([NEIGHBOUR], *left.all())
    assert len(copy.ledger_) == 2


def test_rows_that_are_no_numbers_are_refused() -> None:
    rows = classes()
    left = rows.less(SUBJECT)
    left.X[0, 0] = np.nan
    model = fitted(rows)
    with pytest.raises(UsageError, match="NaN or infinite"):
        model.forget([SUBJECT], *left.all())
    assert model.ledger_ == []
