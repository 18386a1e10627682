"""SISA: what is trained again is exactly what a training without the person would give."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from erasure.domain.errors import NothingLeft, RowsDiffer, UnknownPerson, UsageError
from erasure.unlearning.guarantee import Guarantee
from erasure.unlearning.keyed import keyed
from erasure.unlearning.sharded import ShardedClassifier, ShardedRegressor
from tests.unlearning.cast import (
    INTRUDER,
    KEY,
    NEIGHBOUR,
    SUBJECT,
    Rows,
    classes,
    copies,
    names,
    regression,
    shapes,
    twice,
)


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        ShardedClassifier(LogisticRegression(), n_shards=2),
        ShardedRegressor(Ridge(), n_shards=2),
    ]
)
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def same(one: Any, other: Any) -> bool:
    """Every shard's model, to the bit, and who is in it."""
    return bool(
        [joblib.hash(m) for m in one.shards_] == [joblib.hash(m) for m in other.shards_]
        and (one.roster_, one.rows_) == (other.roster_, other.rows_)
    )


@settings(max_examples=30, deadline=None)
@given(shapes(), st.integers(1, 6), st.integers(1, 2), st.integers(2, 4))
def test_forgetting_is_training_without_the_person_to_the_last_bit(
    shape: dict[str, int], shards: int, gone: int, labels: int
) -> None:
    rows = classes(**shape, labels=labels)
    forgotten = names(3)[:gone]
    left = rows.less(*forgotten)
    # one that draws by chance, so that seed and order of rows matter
    kind = ShardedClassifier(DecisionTreeClassifier(max_features=1), n_shards=shards)
    model = kind.fit(*rows.all())
    certificate = model.forget(forgotten, *left.shuffled().all())
    fresh = ShardedClassifier(DecisionTreeClassifier(max_features=1), n_shards=shards)
    fresh.fit(*left.shuffled(1).all())
    assert same(model, fresh)
    assert model.classes_.tolist() == fresh.classes_.tolist()
    assert model.predict_proba(rows.X).tobytes() == fresh.predict_proba(rows.X).tobytes()
    assert certificate.guarantee is Guarantee.EXACT_IN_DISTRIBUTION
    assert (certificate.people, certificate.left) == (gone, len(left.X))
    assert certificate.rows == len(rows.X) - len(left.X)
    assert certificate.numbers["retrained"] <= gone


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
        RandomForestClassifier(n_estimators=3),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GaussianNB(),
        LinearSVC(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_re_execution_confirms_every_kind_of_estimator(estimator: Any) -> None:
    rows = classes(people=20)
    model = ShardedClassifier(estimator, n_shards=3).fit(*rows.all())
    left = rows.less(SUBJECT)
    model.forget([SUBJECT], *left.all())
    audit = model.certify(*left.shuffled().all())
    assert audit.guarantee is Guarantee.BIT_EXACT
    assert audit.holds
    assert not model.certify(*rows.all()).holds
    assert set(model.predict(rows.X).tolist()) <= {"amber", "blue"}


def test_a_regressor_forgets_as_well() -> None:
    rows = regression(people=30)
    model = ShardedRegressor(DecisionTreeRegressor(), n_shards=4).fit(*rows.all())
    left = rows.less(SUBJECT)
    model.forget([SUBJECT], *left.all())
    assert same(model, ShardedRegressor(DecisionTreeRegressor(), n_shards=4).fit(*left.all()))


def test_only_the_shard_that_knew_the_person_is_trained_again_and_its_rows_suffice() -> None:
    rows = classes(people=40)
    model = ShardedClassifier(GaussianNB(), n_shards=4).fit(*rows.all())
    before = list(model.shards_)
    everybody = sorted(set(rows.people.tolist()))
    near = [
        person
        for person in everybody
        if person != SUBJECT and shard_of(model, person) == shard_of(model, SUBJECT)
    ]
    model.forget([SUBJECT], *rows.only(*near).all())
    changed = [one is not other for one, other in zip(before, model.shards_, strict=True)]
    assert changed == [n == shard_of(model, SUBJECT) for n in range(4)]
    left = rows.less(SUBJECT)
    assert same(model, ShardedClassifier(GaussianNB(), n_shards=4).fit(*left.all()))


def shard_of(model: Any, person: str) -> int:
    from erasure.unlearning.people import pseudonym

    return int(model._shards_of(np.array([pseudonym(person, keyed(KEY))]))[0])


def test_another_key_shards_otherwise() -> None:
    rows = classes(people=40)
    one = ShardedClassifier(GaussianNB(), n_shards=4).fit(*rows.all())
    other = ShardedClassifier(GaussianNB(), n_shards=4).fit(*rows.all()[:3], b"another key")
    assert one.rows_ != other.rows_
    assert not set(one.roster_) & set(other.roster_)


def test_an_emptied_shard_and_a_class_that_goes_are_left_out() -> None:
    rows = classes(people=4)
    target = np.where(rows.people == SUBJECT, "only the subject's", rows.y)
    rows = Rows(rows.X, target, rows.people)
    model = ShardedClassifier(LogisticRegression(), n_shards=64).fit(*rows.all())
    own = shard_of(model, SUBJECT)
    assert model.shards_[own] is not None
    model.forget([SUBJECT], *rows.less(SUBJECT).all())
    assert model.shards_[own] is None
    assert model.classes_.tolist() == ["amber", "blue"]
    assert np.isfinite(model.predict_proba(rows.X)).all()


def wrong_rows(rows: Rows) -> dict[str, Rows]:
    left = rows.less(SUBJECT)
    bent = Rows(left.X + 1e-9, left.y, left.people)
    turned = Rows(left.X, left.y[::-1].copy(), left.people)
    return {
        "everybody's": rows,
        "the subject's own": rows.only(SUBJECT),
        "without the neighbour": rows.less(SUBJECT, NEIGHBOUR),
        "each of them twice": twice(left),
        "values changed": bent,
        "targets turned round": turned,
        "none": Rows(left.X[:0], left.y[:0], left.people[:0]),
    }


@pytest.mark.parametrize("which", wrong_rows(classes()))
def test_rows_that_are_not_those_that_remain_are_refused(which: str) -> None:
    rows = classes()
    model = ShardedClassifier(GaussianNB(), n_shards=1).fit(*rows.all())
    before = ShardedClassifier(GaussianNB(), n_shards=1).fit(*rows.all())
    with pytest.raises(RowsDiffer):
        model.forget([SUBJECT], *wrong_rows(rows)[which].all())
    assert same(model, before)


def test_the_audit_sees_that_the_wrong_person_was_taken_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = classes()
    model = ShardedClassifier(GaussianNB(), n_shards=1).fit(*rows.all())
    monkeypatch.setattr("erasure.unlearning.people.require_same", lambda *_: None)
    model.forget([SUBJECT], *rows.less(SUBJECT, NEIGHBOUR).all())
    assert not model.certify(*rows.less(SUBJECT).all()).holds


class _Fails(GaussianNB):  # type: ignore[misc]
    """Training that fails once there is less to learn from."""

    def fit(self, X: Any, y: Any) -> Any:
        if len(X) < 30:
            raise MemoryError
        return super().fit(X, y)


def test_a_training_that_fails_leaves_the_old_model_as_it_was() -> None:
    rows = classes(seed=1)
    rows = Rows(rows.X[:30], rows.y[:30], rows.people[:30])
    model = ShardedClassifier(_Fails(), n_shards=1).fit(*rows.all())
    before = joblib.hash(model.shards_), dict(model.roster_)
    with pytest.raises(MemoryError):
        model.forget([SUBJECT], *rows.less(SUBJECT).all())
    assert (joblib.hash(model.shards_), model.roster_) == before


def test_strangers_the_forgotten_and_the_last_are_refused() -> None:
    rows = classes()
    model = ShardedClassifier(GaussianNB(), n_shards=3).fit(*rows.all())
    left = rows.less(SUBJECT)
    with pytest.raises(UnknownPerson):
        model.forget([INTRUDER], *rows.all())
    model.forget([SUBJECT], *left.all())
    with pytest.raises(UnknownPerson):
        model.forget([SUBJECT], *left.all())
    with pytest.raises(NothingLeft):
        model.forget(sorted(set(left.people.tolist())), *left.all())


def test_missing_values_are_for_estimators_that_know_them() -> None:
    rows = classes(people=30)
    rows.X[::5, 0] = np.nan
    left = rows.less(SUBJECT)
    kind = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2)
    model = ShardedClassifier(kind, n_shards=2).fit(*rows.all())
    model.forget([SUBJECT], *left.all())
    assert model.certify(*left.all()).holds
    plain = ShardedClassifier(GaussianNB(), n_shards=2).fit(*classes(people=30).all())
    with pytest.raises(UsageError, match="NaN"):
        plain.forget([SUBJECT], *left.all())


@pytest.mark.parametrize("way", [0, 1])
def test_a_saved_model_forgets_like_the_one_that_was_saved(way: int) -> None:
    rows = classes()
    model = ShardedClassifier(LogisticRegression(), n_shards=3).fit(*rows.all())
    copy = copies(model)[way]
    for each in (model, copy):
        each.forget([SUBJECT], *rows.less(SUBJECT).all())
    assert copy.predict_proba(rows.X).tobytes() == model.predict_proba(rows.X).tobytes()
    assert copy.roster_ == model.roster_
