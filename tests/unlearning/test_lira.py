"""The likelihood-ratio attack knows a model that did not forget, also where the loss alone does
not, and passes one that never knew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from erasure.unlearning import audit
from erasure.unlearning.lira import likelihood_ratio
from tests.unlearning.cast import Rows
from tests.unlearning.test_audit import crowd, sample

STAYED, GONE, NEVER = (crowd(s, n) for s, n in ((11, 120), (12, 60), (13, 120)))
BOTH = Rows(*(np.concatenate([getattr(STAYED, n), getattr(GONE, n)]) for n in ("X", "y", "people")))
SAMPLES = {"forgotten": sample(GONE), "members": sample(STAYED), "others": sample(NEVER)}


def forest(features: Any, target: Any) -> Any:
    """One that knows no single row by heart."""
    return RandomForestClassifier(20, min_samples_leaf=4, random_state=0).fit(features, target)


def attacked(model: Any, train: Any = forest, **more: Any) -> audit.Membership:
    return likelihood_ratio(model, train, **{**SAMPLES, **more})


def test_a_model_that_did_not_forget_is_recognised_far_better_than_by_its_loss() -> None:
    model = forest(BOTH.X, BOTH.y)
    found, plain = attacked(model), audit.membership(model, **SAMPLES)
    assert found.verdict == "failed"
    assert found.power.share > plain.power.share + 0.2
    assert found.forgotten.low > plain.forgotten.share


def test_a_model_that_never_knew_them_passes_an_attack_that_has_power() -> None:
    found = attacked(forest(STAYED.X, STAYED.y))
    assert found.verdict == "passed"
    assert found.has_power
    assert found.others.share <= audit.FALSE_POSITIVES


def test_a_model_that_knew_none_of_them_gives_it_no_power() -> None:
    strangers = crowd(14, 180)
    assert attacked(forest(strangers.X, strangers.y)).verdict == "without power"


def test_the_same_seed_gives_the_same_answer() -> None:
    model = forest(BOTH.X, BOTH.y)
    assert attacked(model, references=4).plain() == attacked(model, references=4).plain()


@pytest.mark.parametrize("maker", [DecisionTreeClassifier, DecisionTreeRegressor])
def test_models_that_learn_rows_by_heart_are_recognised_whatever_they_tell(maker: Any) -> None:
    def train(features: Any, target: Any) -> Any:
        return maker(random_state=0).fit(features, target)

    assert attacked(train(BOTH.X, BOTH.y), train).verdict == "failed"


def test_what_would_make_the_answer_worthless_is_refused() -> None:
    model = forest(STAYED.X, STAYED.y)
    with pytest.raises(ValueError, match="two of the samples"):
        attacked(model, others=sample(STAYED))
    with pytest.raises(ValueError, match="no even number of at least 4"):
        attacked(model, references=5)
