"""What a job does with each version, and what that costs: by the table, unless an officer has
decided otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone

from erasure.domain import costs
from erasure.domain.models import (
    Circumstances,
    Decision,
    ModelPolicy,
    VersionFacts,
    decide,
    overruled,
)
from erasure.models import ModelJob
from erasure.runs import quarantining


def decided(
    job: ModelJob, facts: Sequence[VersionFacts], policy: ModelPolicy, now: datetime
) -> list[Decision]:
    """What happens to each version, by the table or by the officer who overruled it."""
    case = Circumstances(now=now, deadline=job.deadline, unlawful=quarantining.is_unlawful(job))
    found = []
    for one in facts:
        decision = decide(one, policy, case)
        said = job.overruled.get(one.version) or job.overruled.get("*")
        # nobody can decide that somebody be forgotten in a version that does not know them
        if said and decision.action != "none" and not _is_over(job, said, now):
            decision = overruled(
                decision, said["action"], by=said["by"], because=said["because"],
                until=date.fromisoformat(said["until"]) if said.get("until") else None,
            )  # fmt: skip
        found.append(decision)
    return found


def _is_over(job: ModelJob, said: dict[str, str], now: datetime) -> bool:
    """A filter counts until its day, or until the first deadline comes near."""
    if said["action"] != "filter":
        return False
    ended = job.filtered_until is not None and job.filtered_until <= now
    return ended or date.fromisoformat(said["until"]) <= now.date()


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a job would cost: ``least`` is charged when it begins. ``refused``: why it may not
    begin; ``in_place_only``: why a removal in place may not give way to a training."""

    told: str = ""
    least: Decimal = Decimal(0)
    refused: str = ""
    in_place_only: str = ""


def price(
    job: ModelJob, decisions: Iterable[Decision], policy: ModelPolicy, now: datetime
) -> Price:
    """By the model's own policy. What an officer has decided is not refused: the decision stands
    with its reason."""
    if policy.cost is None:
        return Price()
    decisions = list(decisions)
    expected = costs.forecast(
        (d.action for d in decisions), policy.cost,
        executions=policy.executions, references=policy.references,
    )  # fmt: skip
    before = spent(job, policy.cost, now)
    bound = any(d.by for d in decisions)
    told = str(expected)
    if policy.cost.most is not None:
        told += f"; {before:.2f} of {policy.cost.most:.2f} in {policy.cost.days} days are spent"
    return Price(
        told=told,
        least=expected.least,
        refused="" if bound else costs.over(before, expected.least, policy.cost),
        in_place_only="" if bound else costs.over(before, expected.most, policy.cost),
    )


def forecast(job: ModelJob, facts: Sequence[VersionFacts], policy: ModelPolicy) -> None:
    """What a job that waits would cost if it began now."""
    now = timezone.now()
    told = price(job, decided(job, facts, policy, now), policy, now).told
    if told != job.cost_forecast:
        ModelJob.objects.filter(pk=job.pk, state="queued").update(cost_forecast=told)
        job.cost_forecast = told


def spent(job: ModelJob, cost: costs.Cost, now: datetime) -> Decimal:
    """By all jobs of the model within the policy's days, this one's own earlier attempts too."""
    recent = ModelJob.objects.filter(dataset=job.dataset, started_at__gt=now - cost.within)
    return recent.aggregate(sum=Sum("cost"))["sum"] or Decimal(0)
