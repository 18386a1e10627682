"""What a job costs before it begins, and that it stops where its policy says so."""

from __future__ import annotations

from decimal import Decimal

import pytest

from erasure.domain.costs import Cost, cost_of, forecast, over

COST = Cost(training=Decimal("12.50"), currency="EUR", most=Decimal(60))


@pytest.mark.parametrize(
    ("actions", "references", "words"),
    [
        (["none", "delete"], 0, "0.00 EUR"),
        (["delete", "retrain"], 0, "25.00 EUR"),
        (["rebuild"], 0, "25.00 EUR"),
        (["unlearn"], 0, "0.00 to 25.00 EUR"),
        (["retrain_shards"], 0, "25.00 EUR"),
        (["quarantine", "filter"], 16, "0.00 EUR"),
        (["unlearn"], 4, "50.00 to 75.00 EUR"),
        (["retrain", "retrain"], 0, "25.00 EUR"),
    ],
)
def test_a_job_is_paid_for_in_trainings(actions: list[str], references: int, words: str) -> None:
    assert str(forecast(actions, COST, executions=2, references=references)) == words


def test_the_cap_counts_what_was_spent_before() -> None:
    assert over(Decimal(35), Decimal(25), COST) == ""
    assert "would cost 25.00 EUR, and 36.00 of the 60.00 EUR" in over(
        Decimal(36), Decimal(25), COST
    )
    assert over(Decimal(1000), Decimal(25), Cost(training=Decimal(1), currency="EUR")) == ""


def test_the_catalogue_says_it_in_decimals() -> None:
    found = cost_of({"training": 0.1, "currency": "CHF"})
    assert found == Cost(training=Decimal("0.1"), currency="CHF")
    assert cost_of(None) is None
