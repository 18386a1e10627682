"""What forgetting in a model costs, and how much it may. Pure; money is Decimal, in one currency a
model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

_TRAINED = frozenset({"retrain", "rebuild"})
_IN_PLACE = frozenset({"unlearn", "retrain_shards", "approximate"})


@dataclass(frozen=True, kw_only=True)
class Cost:
    """``training``: what one training costs; ``most``: what all jobs of the model may cost
    together within ``days``."""

    training: Decimal
    currency: str
    most: Decimal | None = None
    days: int = 30

    @property
    def within(self) -> timedelta:
        """How far back what was spent counts."""
        return timedelta(days=self.days)


def cost_of(said: Mapping[str, Any] | None) -> Cost | None:
    """``model.cost`` of the catalogue; None where it says nothing."""
    if not said:
        return None
    most = said.get("most")
    return Cost(
        training=Decimal(str(said["training"])),
        currency=str(said["currency"]),
        most=None if most is None else Decimal(str(most)),
        days=int(said.get("days", 30)),
    )


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Money: ``least`` for what was decided, ``most`` where a removal in place has to give way to
    a training."""

    least: Decimal
    most: Decimal
    currency: str

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.least:.2f} {self.currency}"
        return f"{self.least:.2f} to {self.most:.2f} {self.currency}"


def forecast(
    actions: Iterable[str], cost: Cost, *, executions: int, references: int = 0
) -> Forecast:
    """Of one job: one version at most is made, by whatever was decided for the one that is served.

    A training is carried out ``executions`` times to be verified, and each reference model of an
    attack is one more; training parts again counts as whole trainings, since nobody knows which
    parts it will be.
    """
    least = most = 0
    for action in actions:
        whole = executions + references
        sure = whole if action in _TRAINED | {"retrain_shards"} else references
        if action in _TRAINED | _IN_PLACE:
            least, most = max(least, sure), max(most, whole)
    return Forecast(least=least * cost.training, most=most * cost.training, currency=cost.currency)


def over(spent: Decimal, wanted: Decimal, cost: Cost) -> str:
    """Why it may not be spent; empty where it may."""
    if cost.most is None or spent + wanted <= cost.most:
        return ""
    return (
        f"it would cost {wanted:.2f} {cost.currency}, and {spent:.2f} of the {cost.most:.2f} "
        f"{cost.currency} that its policy allows in {cost.days} days are spent"
    )
