"""The table of decisions about trained models, and what the catalogue says of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from erasure.domain.costs import Cost
from erasure.domain.models import (
    Circumstances,
    ModelPolicy,
    VersionFacts,
    decide,
    overruled,
    policy_of,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KNOWN = VersionFacts(version="2", current=True, known=3, people=100, recipe=True, seconds=60.0)
POLICY = ModelPolicy()
SOON = Circumstances(now=NOW, deadline=NOW + 20 * DAY)


def facts(**more: object) -> VersionFacts:
    return replace(KNOWN, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "policy", "case", "action", "words"),
    [
        (facts(known=0), POLICY, SOON, "none", "among the 100 people of its manifest"),
        (facts(known=0, inferred=True), POLICY, SOON, "retrain", "trained again"),
        (facts(), POLICY, replace(SOON, unlawful=True), "quarantine", "lawful basis"),
        (facts(current=False), POLICY, SOON, "delete", "superseded"),
        (facts(holds_rows=True, family="instances"), POLICY, SOON, "rebuild", "'instances'"),
        (facts(guarantee="bit-exact"), POLICY, SOON, "unlearn", "bit-exact"),
        (
            facts(guarantee="exact in distribution", family="sharded"), POLICY, SOON,
            "retrain_shards", "in parts by person",
        ),
        (facts(), POLICY, SOON, "retrain", "for all 3 at once"),
        (facts(recipe=False), POLICY, SOON, "quarantine", "there is no recipe"),
        (
            facts(), ModelPolicy(most_seconds=100), SOON,
            "quarantine", "costs more than its policy allows",
        ),
        (
            facts(seconds=20 * 86400.0), POLICY, SOON,
            "quarantine", "would not be done before the deadline",
        ),
        (facts(guarantee="empirical", recipe=False), POLICY, SOON, "quarantine", "no recipe"),
        (
            facts(guarantee="empirical"), ModelPolicy(guarantee="empirical"), SOON,
            "approximate", "until the next training",
        ),
        (facts(guarantee="(ε,δ)"), POLICY, SOON, "retrain", "trained again"),
    ],
)  # fmt: skip
def test_the_table_decides(
    version: VersionFacts, policy: ModelPolicy, case: Circumstances, action: str, words: str
) -> None:
    decision = decide(version, policy, case)
    assert decision.action == action
    assert words in decision.reason


def test_late_is_better_than_never() -> None:
    late = Circumstances(now=NOW, deadline=NOW - DAY)
    assert decide(facts(seconds=20 * 86400.0), POLICY, late).action == "retrain"


def test_a_guarantee_weaker_than_demanded_does_not_count() -> None:
    strict = ModelPolicy(guarantee="bit-exact")
    assert decide(facts(guarantee="exact to tolerance"), strict, SOON).action == "retrain"
    assert decide(facts(guarantee="bit-exact"), strict, SOON).action == "unlearn"


def test_an_assessment_as_anonymous_counts_until_its_last_day() -> None:
    policy = ModelPolicy(anonymous_until=date(2026, 11, 21), assessment="DPIA 7")
    decision = decide(facts(), policy, SOON)
    assert (decision.action, decision.until) == ("refer", date(2026, 11, 21))
    assert "DPIA 7" in decision.reason
    assert decide(facts(), policy, replace(SOON, now=NOW + DAY)).action == "retrain"


def test_without_a_manifest_nobody_unlearns_on_a_guess() -> None:
    assert decide(facts(inferred=True, guarantee="bit-exact"), POLICY, SOON).action == "retrain"


def test_who_overrules_stands_beside_what_the_table_had_said() -> None:
    decision = overruled(decide(facts(), POLICY, SOON), "delete", by="eve", because="unused")
    assert decision.reason == (
        "unused (the table said: retrain, can be trained again before the deadline, "
        "for all 3 at once)"
    )
    assert decision.plain()["by"] == "eve"
    assert decision.plain()["facts"]["seconds"] == "60.0"


def test_the_catalogue_is_read() -> None:
    policy = policy_of(
        {
            "guarantee": "bit-exact",
            "utility": {"metric": "auc", "min": 0.5, "max_slice_drop": 0.1},
            "batch": {"every": "2w", "people": 10, "share": 0.01, "drift": 0.2, "new_data": 0.1},
            "cost": {"training": 12.5, "currency": "EUR", "most": 100, "days": 7},
            "audit": {"references": 15},
            "deadline_margin": "5d",
            "anonymous": {"assessment": "DPIA 7", "until": "2027-01-01"},
        }
    )
    assert (policy.every, policy.people, policy.share) == (14 * DAY, 10, 0.01)
    assert (policy.margin, policy.metric, policy.low) == (5 * DAY, "auc", 0.5)
    assert policy.anonymous_until == date(2027, 1, 1)
    assert (policy.drift, policy.new_data, policy.references) == (0.2, 0.1, 16)
    assert policy.cost == Cost(training=Decimal("12.5"), currency="EUR", most=Decimal(100), days=7)
    assert policy_of({}) == ModelPolicy()


@pytest.mark.parametrize(
    ("recipe", "times"),
    [
        ("package.module:function", 2),
        ({"command": ["train"]}, 2),
        ({"command": ["train"], "repeat": False}, 1),
        ({"http": "https://ml.example.com"}, 1),
        ({"project": "file:///srv/project"}, 1),
    ],
)
def test_a_training_is_paid_for_as_often_as_it_is_executed(recipe: object, times: int) -> None:
    assert policy_of({"recipe": recipe}).executions == times
