"""The audit knows a model that did not forget, says when it cannot, and refuses wrong steps."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from erasure.domain.errors import RetrainNeeded
from erasure.unlearning import audit
from erasure.unlearning.certified import CertifiedLogistic
from erasure.unlearning.influence import InfluenceLogistic
from tests.unlearning.cast import KEY, Rows


def crowd(seed: int, people: int, width: int = 8, noise: float = 0.3) -> Rows:
    """Two rows a person; labels that only memory can get all right."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2 * people, width))
    label = (features[:, 0] + features[:, 1] > 0) ^ (rng.random(2 * people) < noise)
    owner = np.repeat([f"{seed}:{n}" for n in range(people)], 2)
    return Rows(features, label.astype(np.int64), owner)


def sample(rows: Rows) -> audit.Sample:
    return audit.Sample(features=rows.X, target=rows.y, people=rows.people.tolist())


STAYED, GONE, NEVER = crowd(1, 300), crowd(2, 60), crowd(3, 300)
BOTH = Rows(*(np.concatenate([getattr(STAYED, n), getattr(GONE, n)]) for n in ("X", "y", "people")))


def attacked(model: object) -> audit.Membership:
    return audit.membership(
        model, forgotten=sample(GONE), members=sample(STAYED), others=sample(NEVER)
    )


def test_a_model_that_did_not_forget_is_recognised() -> None:
    model = RandomForestClassifier(30, random_state=0).fit(BOTH.X, BOTH.y)
    found = attacked(model)
    assert found.verdict == "failed"
    assert found.power.share > 0.85
    assert found.forgotten.low > 0.7


def test_a_model_that_was_trained_without_them_passes_an_attack_that_has_power() -> None:
    model = RandomForestClassifier(30, random_state=0).fit(STAYED.X, STAYED.y)
    found = attacked(model)
    assert found.verdict == "passed"
    assert found.power.low > 0.8
    assert found.forgotten.high < 0.25
    assert found.others.share <= audit.FALSE_POSITIVES


@pytest.mark.parametrize(
    "model", [LogisticRegression(), DummyClassifier(strategy="prior")], ids=["logistic", "dummy"]
)
def test_a_pass_without_power_is_not_called_one(model: LogisticRegression) -> None:
    """Whoever learns the crowd and nobody in it is not recognised, whether they forgot or not."""
    assert attacked(model.fit(BOTH.X, BOTH.y)).verdict == "without power"


def test_too_few_people_make_no_power() -> None:
    few = crowd(4, 5)
    model = DecisionTreeClassifier(random_state=0).fit(few.X, few.y)
    found = audit.membership(
        model, forgotten=sample(GONE), members=sample(few), others=sample(NEVER)
    )
    assert found.verdict == "without power"


@pytest.mark.parametrize("wanted", [0, 1])
def test_whom_chance_alone_could_recognise_is_neither_a_pass_nor_a_failure(wanted: int) -> None:
    """One person is the usual case: the attack that recognises them may have guessed."""
    model = RandomForestClassifier(30, random_state=0).fit(BOTH.X, BOTH.y)
    known = GONE.people == GONE.people[0] if wanted else np.zeros(len(GONE.people), dtype=bool)
    few = Rows(GONE.X[known], GONE.y[known], GONE.people[known])
    found = audit.membership(
        model, forgotten=sample(few), members=sample(STAYED), others=sample(NEVER)
    )
    assert found.has_power
    assert found.forgotten.of == wanted
    assert found.verdict == found.plain()["verdict"] == "too few people"


def test_as_many_people_as_chance_does_not_recognise_together_are_enough() -> None:
    model = RandomForestClassifier(30, random_state=0).fit(BOTH.X, BOTH.y)
    five = Rows(GONE.X[:10], GONE.y[:10], GONE.people[:10])
    found = audit.membership(
        model, forgotten=sample(five), members=sample(STAYED), others=sample(NEVER)
    )
    assert (found.forgotten.of, found.verdict) == (5, "failed")


def test_a_regressor_is_attacked_by_its_errors() -> None:
    model = DecisionTreeRegressor(random_state=0).fit(BOTH.X, BOTH.X[:, 0] + BOTH.y)
    samples = [
        audit.Sample(features=r.X, target=r.X[:, 0] + r.y, people=r.people.tolist())
        for r in (GONE, STAYED, NEVER)
    ]
    found = audit.membership(model, forgotten=samples[0], members=samples[1], others=samples[2])
    assert found.verdict == "failed"


def test_the_interval_holds_the_share_and_narrows_with_people() -> None:
    wide, narrow = audit.rate(5, 10), audit.rate(500, 1000)
    assert wide.low < 0.5 < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 5
    assert audit.rate(0, 0).words() == "0.0000 [0.0000, 1.0000] of 0"
    assert audit.rate(0, 20).low == 0.0
    assert audit.rate(0, 20).high == pytest.approx(0.1611, abs=1e-4)  # Wilson's, by hand


def test_drift_is_nothing_between_equals_and_much_between_strangers() -> None:
    rng = np.random.default_rng(0)
    old, same, other = rng.normal(size=2000), rng.normal(size=2000), rng.normal(1.0, 2.0, 2000)
    assert audit.stability(old, old) == 0.0
    assert audit.kolmogorov_smirnov(old, old) == 0.0
    assert audit.stability(old, same) < 0.05
    assert audit.kolmogorov_smirnov(old, same) < 0.06
    assert audit.stability(old, other) > 0.25
    assert audit.kolmogorov_smirnov(old, other) > 0.2


def test_answers_that_move_by_rounding_alone_are_no_drift() -> None:
    few = np.repeat([0.1, 0.2, 0.7], [40, 40, 40])
    assert audit.stability(few, few + 1e-9) == 0.0


def test_the_recipe_with_the_wrong_sign_is_refused_and_the_right_one_comes_nearer() -> None:
    rows, gone = crowd(5, 200, noise=0.1), crowd(6, 40, noise=0.9)
    both = Rows(
        *(np.concatenate([getattr(rows, n), getattr(gone, n)]) for n in ("X", "y", "people"))
    )
    reference = CertifiedLogistic().fit(*rows.all())
    models = {}
    for name, direction in (("before", 0.0), ("right", 1.0), ("wrong", -1.0)):
        model = InfluenceLogistic(direction=direction).fit(*both.all())
        if name == "right":
            certificate = model.forget(set(gone.people.tolist()), *rows.all())
            assert certificate.guarantee.value == "empirical"
        models[name] = model
    wrong = models["wrong"]
    kept = wrong.coef_.copy()
    with pytest.raises(RetrainNeeded, match="leads away"):
        wrong.forget(set(gone.people.tolist()), *rows.all())
    assert (wrong.coef_ == kept).all()
    assert len(wrong.roster_) == 240
    right = audit.nearer(reference, models["before"], models["right"], NEVER.X)
    assert not right.refused
    assert right.after < right.before / 3
    wrong.coef_ = 2 * wrong.coef_ - models["right"].coef_  # the step that was refused
    wrong.intercept_ = 2 * wrong.intercept_ - models["right"].intercept_
    away = audit.nearer(reference, models["before"], wrong, NEVER.X)
    assert away.refused
    assert away.after > away.before


def test_an_influence_model_is_one_of_scikit_learns() -> None:
    model = InfluenceLogistic(C=2.0)
    assert model.get_params()["direction"] == 1.0
    fitted = model.fit(STAYED.X, STAYED.y, STAYED.people, KEY)
    assert fitted.certify(STAYED.X, STAYED.y).holds
