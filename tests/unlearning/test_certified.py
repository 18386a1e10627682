"""Logistic regression forgets to a distance that the gradient proves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale
from sklearn.utils.estimator_checks import parametrize_with_checks

from erasure.domain.errors import (
    NothingLeft,
    RetrainNeeded,
    RowsDiffer,
    UnknownPerson,
    UsageError,
)
from erasure.unlearning import people as roster
from erasure.unlearning.certified import CertifiedLogistic
from erasure.unlearning.guarantee import Guarantee
from erasure.unlearning.keyed import keyed
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


@parametrize_with_checks([CertifiedLogistic()])  # type: ignore[untyped-decorator]
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def fitted(rows: Rows, **params: Any) -> CertifiedLogistic:
    return CertifiedLogistic(**params).fit(*rows.all())


def coefficients(model: CertifiedLogistic) -> Any:
    return np.append(model.coef_[0], model.intercept_[0])


def refit(rows: Rows, C: float) -> tuple[Any, float]:
    """scikit-learn's own optimum, its constant column penalised, and how far that may be off:
    the norm of the gradient, written out."""
    table = np.column_stack([rows.X, np.ones(len(rows.X))])
    model = LogisticRegression(
        C=C, fit_intercept=False, solver="newton-cholesky", tol=1e-10, max_iter=1000
    )
    found = model.fit(table, rows.y).coef_[0]
    sign = np.where(rows.y == model.classes_[1], 1.0, -1.0)
    gradient = found - C * (sign / (1.0 + np.exp(sign * (table @ found)))) @ table
    return found, float(np.linalg.norm(gradient))


@settings(max_examples=40, deadline=None)
@given(shapes(), st.sampled_from([0.01, 1.0, 100.0]), st.integers(1, 2))
def test_forgetting_is_within_the_certificate_of_the_refit(
    shape: dict[str, int], weight: float, gone: int
) -> None:
    rows = classes(**shape)
    forgotten = names(3)[:gone]
    left = rows.less(*forgotten)
    model = fitted(rows, C=weight)
    if len(set(left.y.tolist())) == 1:
        with pytest.raises(RetrainNeeded, match="one class"):
            model.forget(forgotten, *left.all())
        return
    certificate = model.forget(forgotten, *left.all())
    assert certificate.holds
    assert certificate.guarantee is Guarantee.EXACT_TO_TOLERANCE
    expected, off = refit(left, weight)
    apart = np.linalg.norm(coefficients(model) - expected)
    assert off < 1e-4
    assert apart <= certificate.bound + off + 1e-12
    cold = fitted(left, C=weight)
    assert np.linalg.norm(coefficients(model) - coefficients(cold)) <= 2e-8
    assert (certificate.people, certificate.left) == (gone, len(left.X))
    assert certificate.rows == len(rows.X) - len(left.X)


def test_a_patient_goes_in_a_step_or_two_where_training_took_many() -> None:
    features, target = load_breast_cancer(return_X_y=True)
    rows = Rows(scale(features), target, np.arange(len(target)).astype(str))
    model, left = fitted(rows), rows
    cold = model.n_iter_
    for person in ("0", "77", "568"):
        left = left.less(person)
        certificate = model.forget([person], *left.all())
        assert certificate.numbers["steps"] <= 3 < cold
        assert certificate.bound <= 1e-8
    assert np.linalg.norm(coefficients(model) - coefficients(fitted(left))) <= 2e-8


def test_the_order_of_the_remaining_rows_does_not_matter() -> None:
    rows = classes()
    model = fitted(rows)
    assert model.forget([SUBJECT], *rows.less(SUBJECT).shuffled().all()).holds


def wrong_rows(rows: Rows) -> dict[str, Rows]:
    left = rows.less(SUBJECT)
    stranger = Rows(left.X, left.y, np.where(left.people == NEIGHBOUR, INTRUDER, left.people))
    return {
        "everybody's": rows,
        "the subject's own": rows.only(SUBJECT),
        "without the neighbour": rows.less(SUBJECT, NEIGHBOUR),
        "with one row too few": Rows(left.X[1:], left.y[1:], left.people[1:]),
        "of a stranger": stranger,
        "each of them twice": twice(left),
    }


@pytest.mark.parametrize("which", wrong_rows(classes()))
def test_rows_that_are_not_those_that_remain_are_refused(which: str) -> None:
    rows = classes()
    model, before = fitted(rows), fitted(rows)
    with pytest.raises(RowsDiffer):
        model.forget([SUBJECT], *wrong_rows(rows)[which].all())
    assert coefficients(model).tobytes() == coefficients(before).tobytes()
    assert model.roster_ == before.roster_


def test_the_audit_sees_a_model_that_did_not_forget() -> None:
    rows = classes()
    model = fitted(rows)
    left = rows.less(SUBJECT)
    assert model.certify(rows.X, rows.y).holds
    audit = model.certify(left.X, left.y)
    assert not audit.holds
    apart = np.linalg.norm(coefficients(model) - coefficients(fitted(left)))
    assert 0 < apart <= audit.bound


def test_the_audit_sees_that_the_wrong_person_was_taken_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = classes()
    model = fitted(rows)
    monkeypatch.setattr("erasure.unlearning.people.require_same", lambda *_: None)
    assert model.forget([SUBJECT], *rows.less(NEIGHBOUR).all()).holds
    left = rows.less(SUBJECT)
    assert not model.certify(left.X, left.y).holds


def test_a_tolerance_that_is_not_reached_asks_for_a_retrain_and_changes_nothing() -> None:
    rows = classes()
    model = fitted(rows)
    before = coefficients(model)
    model.set_params(max_iter=0)
    with pytest.raises(RetrainNeeded, match="train again"):
        model.forget([SUBJECT], *rows.less(SUBJECT).all())
    assert coefficients(model).tobytes() == before.tobytes()


def test_all_rows_of_a_class_cannot_go_in_place() -> None:
    rows = classes()
    rows = Rows(rows.X, (rows.people == SUBJECT).astype(int), rows.people)
    with pytest.raises(RetrainNeeded, match="one class"):
        fitted(rows).forget([SUBJECT], *rows.less(SUBJECT).all())


def test_strangers_the_forgotten_and_the_last_are_refused() -> None:
    rows = classes()
    model = fitted(rows)
    left = rows.less(SUBJECT)
    with pytest.raises(UnknownPerson):
        model.forget([INTRUDER], *rows.all())
    model.forget([SUBJECT], *left.all())
    with pytest.raises(UnknownPerson):
        model.forget([SUBJECT], *left.all())
    with pytest.raises(NothingLeft):
        model.forget(sorted(set(left.people.tolist())), left.X[:0], left.y[:0], [], KEY)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_no_numbers_are_refused(bad: float) -> None:
    rows = classes()
    left = rows.less(SUBJECT)
    left.X[0, 0] = bad
    with pytest.raises(UsageError, match="NaN or infinite"):
        fitted(rows).forget([SUBJECT], *left.all())


def test_rows_whose_squares_are_no_numbers_any_more_are_rows_all_the_same() -> None:
    features, _ = roster.rows_of([[1e200, -1e200]], [1], 2)
    assert features.tolist() == [[1e200, -1e200]]
    features, _ = roster.rows_of([[1e200, np.nan]], [1], 2, nan=True)
    assert np.isnan(features[0, 1])


@pytest.mark.parametrize("way", [0, 1])
def test_a_saved_model_forgets_like_the_one_that_was_saved(way: int) -> None:
    rows = classes()
    model = fitted(rows)
    copy = copies(model)[way]
    for each in (model, copy):
        each.forget([SUBJECT], *rows.less(SUBJECT).all())
    assert coefficients(copy).tobytes() == coefficients(model).tobytes()
    assert copy.roster_ == model.roster_


@pytest.mark.parametrize(
    "people",
    [
        np.array([-128, 127, 127, 0, -1] * 80, dtype=np.int8),
        np.array([2**64 - 1, 2**64 - 2, 2**64 - 1], dtype=np.uint64),
        np.array([10**12, 5, 5], dtype=np.int64),
        np.array(["a", "b", "a"]),
        np.array([3], dtype=np.int32),
    ],
)
def test_people_are_counted_alike_whatever_their_numbers_are(people: NDArray[Any]) -> None:
    counted = roster.counted(roster.pseudonyms(people.tolist(), len(people), KEY))
    assert roster.row_counts(people, len(people), KEY) == counted


def numbered(rows: Rows) -> Rows:
    """The same rows, of people who are numbers."""
    known = {name: place for place, name in enumerate([*names(12), INTRUDER])}
    return Rows(rows.X, rows.y, np.array([known[name] for name in rows.people.tolist()]))


ONE = 0  # the subject's number


@pytest.mark.parametrize("which", wrong_rows(classes()))
def test_rows_that_are_not_those_that_remain_are_refused_of_people_who_are_numbers(
    which: str,
) -> None:
    rows = classes()
    model, before = fitted(numbered(rows)), fitted(numbered(rows))
    with pytest.raises(RowsDiffer):
        model.forget([ONE], *numbered(wrong_rows(rows)[which]).all())
    assert coefficients(model).tobytes() == coefficients(before).tobytes()
    assert (model.roster_, model.tally_) == (before.roster_, before.tally_)


def test_a_row_that_changed_hands_is_refused_though_no_number_is_missing() -> None:
    rows = numbered(classes())
    left = rows.less(ONE)
    for one, other in ((1, 2), (3, 4)):
        left.people[np.flatnonzero(left.people == one)[0]] = other
    with pytest.raises(RowsDiffer, match="the rows of 4 people"):
        fitted(rows).forget([ONE], *left.all())


def test_people_who_are_numbers_are_known_without_hashing_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = numbered(classes())
    model, left = fitted(rows), rows.less(ONE)
    fresh = fitted(left)
    monkeypatch.setattr("erasure.unlearning.people.row_counts", None)
    assert model.forget([ONE, ONE], *left.all()).holds
    assert (model.roster_, model.tally_) == (fresh.roster_, fresh.tally_)
    assert model.forget([1], *left.less(1).all()).holds


@pytest.mark.parametrize("held", [None, "", "00" * 16])
def test_without_a_tally_or_with_another_the_hashes_decide(held: str | None) -> None:
    rows = numbered(classes())
    model, left = fitted(rows), rows.less(ONE)
    if held is None:
        del model.tally_  # as in a model saved before there were any
    else:
        model.tally_ = held
    with pytest.raises(RowsDiffer):
        model.forget([ONE], *left.less(1).all())
    assert model.forget([ONE], *left.all()).holds
    assert model.tally_ == fitted(left).tally_


@pytest.mark.parametrize(
    "name", [str(ONE), roster.Pseudonym(roster.pseudonym(ONE, keyed(KEY)))], ids=["text", "hash"]
)
def test_somebody_named_otherwise_is_the_same_person_as_the_number(name: str) -> None:
    rows = numbered(classes())
    model, left = fitted(rows), rows.less(ONE)
    assert model.forget([name], *left.all()).holds
    assert model.tally_ == fitted(left).tally_


def test_people_beyond_64_bits_are_not_taken_for_those_they_wrap_around_to() -> None:
    rows = numbered(classes())
    model, left = fitted(rows), rows.less(ONE)
    most = np.uint64(2**64 - 1)
    wrapped = Rows(left.X, left.y, np.where(left.people == 1, most, left.people.astype(np.uint64)))
    below = Rows(rows.X, rows.y, np.where(rows.people == 1, -1, rows.people))
    with pytest.raises(RowsDiffer):
        fitted(below).forget([ONE], *wrapped.all())
    with pytest.raises(UnknownPerson):
        model.forget([2**64 + ONE], *left.all())


def test_values_too_large_for_single_precision_are_not_taken_for_no_numbers() -> None:
    rows = classes()
    large = Rows(rows.X * 1e39, rows.y, rows.people)
    model = fitted(rows)
    before = coefficients(model)
    with pytest.raises(RetrainNeeded, match="like scale"):
        model.forget([SUBJECT], *large.less(SUBJECT).all())
    assert coefficients(model).tobytes() == before.tobytes()


def test_the_audit_of_rows_whose_squares_are_no_numbers_fails_and_does_not_break() -> None:
    rows = classes()
    audit = fitted(rows).certify(rows.X * 1e200, rows.y)
    assert not audit.holds
    assert audit.bound == audit.numbers["gradient"]


def test_with_many_rows_the_last_step_is_proved_by_the_gradient_before_it() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6000, 6))
    label = (features @ rng.normal(size=6) + rng.logistic(size=6000) > 0).astype(int)
    rows = Rows(features, label, rng.integers(0, 600, 6000))
    model, left = fitted(rows), rows.less(ONE)
    certificate = model.forget([ONE], *left.all())
    assert certificate.bound <= 1e-8 < certificate.numbers["gradient"]
    exact = fitted(left, tolerance=1e-13)
    apart = np.linalg.norm(coefficients(model) - coefficients(exact))
    assert 0 < apart <= certificate.bound
    audit = model.certify(left.X, left.y)
    assert audit.holds
    assert apart <= audit.bound + 1e-13
    assert not fitted(rows).certify(left.X, left.y).holds


def test_with_features_beyond_single_precision_the_certificate_still_holds() -> None:
    rows = classes()
    wide = Rows(rows.X * 1e-3, rows.y, rows.people)
    model = CertifiedLogistic(C=1e6).fit(wide.X, wide.y, wide.people, KEY)
    person = wide.people[0]
    keep = wide.people != person
    certificate = model.forget([person], wide.X[keep], wide.y[keep], wide.people[keep], KEY)
    assert certificate.holds
    assert model.certify(wide.X[keep], wide.y[keep]).holds
