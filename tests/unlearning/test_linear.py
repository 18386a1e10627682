"""Linear and ridge regression forget exactly, and say so only where it is shown."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from erasure.domain.errors import (
    CannotForget,
    NothingLeft,
    RetrainNeeded,
    RowsDiffer,
    UnknownPerson,
    UsageError,
)
from erasure.unlearning.guarantee import Guarantee
from erasure.unlearning.linear import GramRegression
from tests.unlearning.cast import (
    INTRUDER,
    KEY,
    NEIGHBOUR,
    SUBJECT,
    Rows,
    copies,
    names,
    regression,
    shapes,
    twice,
)


@parametrize_with_checks([GramRegression(), GramRegression(alpha=0, fit_intercept=False)])  # type: ignore[untyped-decorator]
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def fitted(rows: Rows, **params: Any) -> GramRegression:
    return GramRegression(**params).fit(*rows.all())


def far(model: GramRegression, rows: Rows, alpha: float, intercept: bool = True) -> float:
    """How far the predictions are from scikit-learn's own refit, as a share of the target."""
    refit = Ridge(alpha=alpha, fit_intercept=intercept, solver="svd").fit(rows.X, rows.y)
    apart = model.predict(rows.X) - refit.predict(rows.X)
    return float(np.linalg.norm(apart) / np.linalg.norm(rows.y))


def condition(rows: Rows, alpha: float, intercept: bool) -> float:
    """Of the normal equations, features brought to like size."""
    apart = rows.X - rows.X.mean(axis=0) if intercept else rows.X
    gram = apart.T @ apart + alpha * np.eye(rows.X.shape[1])
    size = np.sqrt(np.diagonal(gram))
    return float(np.linalg.cond(gram / size / size[:, None]))


@settings(max_examples=60, deadline=None)
@given(shapes(), st.sampled_from([1e-3, 1.0, 50.0]), st.booleans(), st.integers(1, 2))
def test_forgetting_equals_refitting_on_the_remaining_rows(
    shape: dict[str, int], alpha: float, intercept: bool, gone: int
) -> None:
    rows = regression(**shape)
    model = fitted(rows, alpha=alpha, fit_intercept=intercept)
    forgotten = names(3)[:gone]
    left = rows.less(*forgotten)
    try:
        certificate = model.forget(forgotten, *rows.only(*forgotten).all())
    except RetrainNeeded:
        # or so few rows are left that the penalty is all there is beside rounding
        assert condition(left, alpha, intercept) > 1e3 or len(left.X) <= shape["width"]
        return
    assert certificate.holds
    assert far(model, left, alpha, intercept) <= certificate.bound + 1e-12
    assert model.certify(left.X, left.y).holds
    assert (certificate.people, certificate.left) == (gone, len(left.X))
    assert certificate.rows == len(rows.X) - len(left.X)


def test_linear_regression_on_patients_equals_a_refit_after_each_of_many() -> None:
    features, target = load_diabetes(return_X_y=True)
    rows = Rows(features, target, np.array([f"patient {n}" for n in range(len(target))]))
    model, left = fitted(rows, alpha=0.0), rows
    for n in range(40):
        person = f"patient {7 * n}"
        certificate = model.forget([person], *rows.only(person).all())
        left = left.less(person)
        assert certificate.guarantee is Guarantee.EXACT_TO_TOLERANCE
    refit = LinearRegression().fit(left.X, left.y)
    np.testing.assert_allclose(model.coef_, refit.coef_, rtol=1e-9)
    assert np.abs(model.predict(left.X) - refit.predict(left.X)).max() < 1e-9


def test_a_person_whose_rows_stand_twice_goes_with_both() -> None:
    rows = twice(regression())
    model = fitted(rows)
    once = regression().only(SUBJECT)
    with pytest.raises(RowsDiffer, match="not those the model was trained on"):
        model.forget([SUBJECT], *once.all())
    model.forget([SUBJECT], *rows.only(SUBJECT).shuffled().all())
    assert far(model, rows.less(SUBJECT), 1.0) < 1e-12


def other_rows(rows: Rows) -> dict[str, Rows]:
    own = rows.only(SUBJECT)
    bent = Rows(own.X + np.eye(*own.X.shape) * 1e-9, own.y, own.people)
    return {
        "the neighbour's as the subject's": Rows(
            rows.only(NEIGHBOUR).X,
            rows.only(NEIGHBOUR).y,
            np.repeat(SUBJECT, len(rows.only(NEIGHBOUR).X)),
        ),
        "one too few": Rows(own.X[1:], own.y[1:], own.people[1:]),
        "one value changed": bent,
        "the neighbour's as well": rows.only(SUBJECT, NEIGHBOUR),
        "the remaining ones": rows.less(SUBJECT),
    }


@pytest.mark.parametrize("which", other_rows(regression(3)))
def test_rows_that_are_not_the_persons_are_refused_and_nothing_changes(which: str) -> None:
    rows = regression(3)
    model, before = fitted(rows), fitted(rows)
    with pytest.raises(RowsDiffer):
        model.forget([SUBJECT], *other_rows(rows)[which].all())
    assert model.roster_ == before.roster_
    np.testing.assert_array_equal(model.moments_.scatter, before.moments_.scatter)
    np.testing.assert_array_equal(model.coef_, before.coef_)


def test_the_audit_sees_that_the_wrong_rows_were_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = regression(3)
    model = fitted(rows)
    assert not model.certify(rows.less(SUBJECT).X, rows.less(SUBJECT).y).holds
    monkeypatch.setattr("erasure.unlearning.people.require_same", lambda *_: None)
    wrong = other_rows(rows)["the neighbour's as the subject's"]
    model.forget([SUBJECT], *wrong.all())
    assert not model.certify(rows.less(SUBJECT).X, rows.less(SUBJECT).y).holds


def test_the_audit_sees_an_intercept_that_is_off() -> None:
    rows = regression(3)
    model = fitted(rows)
    assert model.certify(rows.X, rows.y).holds
    model.intercept_ += 1e-3
    audit = model.certify(rows.X, rows.y)
    assert not audit.holds
    assert audit.bound >= 0.999e-3 * len(rows.y) ** 0.5 / np.linalg.norm(rows.y)


def test_what_is_too_ill_conditioned_asks_for_a_retrain_and_changes_nothing() -> None:
    rows = regression(5, people=30)
    double = np.column_stack([rows.X, rows.X[:, 0] + 1e-9 * rows.X[:, 1]])
    rows = Rows(double, rows.y, rows.people)
    model, before = fitted(rows, alpha=0.0), fitted(rows, alpha=0.0)
    with pytest.raises(RetrainNeeded, match="train again"):
        model.forget([SUBJECT], *rows.only(SUBJECT).all())
    np.testing.assert_array_equal(model.coef_, before.coef_)
    assert model.roster_ == before.roster_


def test_a_column_that_only_the_subject_had_asks_for_a_retrain() -> None:
    rows = regression(5)
    mark = 0.1 * (rows.people == SUBJECT)
    rows = Rows(np.column_stack([rows.X, mark]), rows.y, rows.people)
    model = fitted(rows, alpha=0.0)
    with pytest.raises(RetrainNeeded):
        model.forget([SUBJECT], *rows.only(SUBJECT).all())


def test_a_stranger_the_forgotten_and_nobody_cannot_be_forgotten() -> None:
    rows = regression()
    model = fitted(rows)
    own = rows.only(SUBJECT)
    with pytest.raises(UnknownPerson, match="1 of 2 people") as error:
        model.forget([SUBJECT, INTRUDER], *own.all())
    assert INTRUDER not in str(error.value)
    model.forget([SUBJECT, SUBJECT], *own.all())
    with pytest.raises(UnknownPerson):
        model.forget([SUBJECT], *own.all())
    with pytest.raises(UnknownPerson):
        model.forget([NEIGHBOUR], *rows.only(NEIGHBOUR).all()[:3], b"another key")
    with pytest.raises(UsageError, match="nobody"):
        model.forget([], *own.all())
    with pytest.raises(UsageError, match="list"):
        model.forget(NEIGHBOUR, *own.all())


def test_without_anybody_left_the_model_is_to_be_retired() -> None:
    rows = regression()
    everybody = sorted(set(rows.people.tolist()))
    with pytest.raises(NothingLeft, match="retire"):
        fitted(rows).forget(everybody, *rows.all())


def test_a_model_that_was_fitted_without_people_forgets_nobody() -> None:
    rows = regression()
    model = GramRegression().fit(rows.X, rows.y)
    with pytest.raises(CannotForget):
        model.forget([SUBJECT], *rows.only(SUBJECT).all())


def test_rows_without_a_person_or_people_without_a_key_are_refused() -> None:
    rows = regression()
    nobody = rows.people.astype(object)
    nobody[0] = None
    with pytest.raises(UsageError, match="belongs to nobody"):
        GramRegression().fit(rows.X, rows.y, nobody, KEY)
    with pytest.raises(UsageError, match="without a key"):
        GramRegression().fit(rows.X, rows.y, rows.people)
    with pytest.raises(UsageError, match="one person a row"):
        GramRegression().fit(rows.X, rows.y, rows.people[1:], KEY)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_no_numbers_are_refused(bad: float) -> None:
    rows = regression()
    own = rows.only(SUBJECT)
    own.X[0, 0] = bad
    with pytest.raises(UsageError, match="NaN or infinite"):
        fitted(rows).forget([SUBJECT], *own.all())


@pytest.mark.parametrize("way", [0, 1])
def test_a_saved_model_forgets_like_the_one_that_was_saved(way: int) -> None:
    rows = regression()
    model = fitted(rows)
    copy = copies(model)[way]
    model.forget([SUBJECT], *rows.only(SUBJECT).all())
    copy.forget([SUBJECT], *rows.only(SUBJECT).all())
    np.testing.assert_array_equal(copy.coef_, model.coef_)
    assert copy.roster_ == model.roster_


def test_the_model_holds_no_name_no_row_and_no_key() -> None:
    rows = regression(people=40)
    model = fitted(rows)
    held = pickle.dumps(model)
    assert SUBJECT.encode() not in held
    assert KEY not in held
    assert not any(value.tobytes() in held for value in rows.X.ravel())
