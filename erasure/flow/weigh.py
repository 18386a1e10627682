"""The ground of a request is stated and checked; interests are balanced; the DPO advises."""

from __future__ import annotations

import re

from django.db import transaction

from erasure.domain.errors import UsageError, WrongState
from erasure.domain.grounds import Met, checked_ground, judge
from erasure.domain.roles import Actor, deed
from erasure.domain.states import CLOSED
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, Reasoning
from erasure.runs import reasoning
from lineage import selectors

BALANCES = ("person", "controller")
ADVICE = ("agrees", "objects")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@deed("weigh")
def state_ground(request: ErasureRequest, *, ground: str, by: Actor) -> list[Met]:
    """Record on which ground of Art. 17(1) the person asks; returns what the catalogue says of it
    for every dataset of the plan. Raises UsageError and WrongState."""
    checked_ground(ground)
    with transaction.atomic():
        _refuse_closed(request)
        ErasureRequest.objects.filter(pk=request.pk).update(ground=ground)
        request.ground = ground
        ledger.record("ground", {"request": str(request.id), "ground": ground, "by": by})
    return findings(request)


def findings(request: ErasureRequest, plan: Plan | None = None) -> list[Met]:
    """Whether the ground is met, dataset by dataset of the plan that stands; empty without one."""
    plan = plan or request.plans.filter(state__in=("draft", "approved")).first()
    if not request.ground or plan is None:
        return []
    steps = plan.steps.filter(counted__gt=0).values_list("dataset", flat=True)
    catalogue = selectors.entries(steps)
    return [
        judge(
            request.ground,
            dataset=address,
            purpose=catalogue[address].purpose,
            legal_basis=catalogue[address].legal_basis,
            child=request.child,
        )
        for address in dict.fromkeys(steps)
        if address in catalogue
    ]


@deed("weigh")
def record_balance(
    request: ErasureRequest, *, dataset: str, whose: str, because: str, by: Actor
) -> Reasoning:
    """Write down whose interests prevail in a dataset, after an objection (Art. 21(1)): the
    ``person``'s or the ``controller``'s. Raises UsageError and WrongState."""
    if whose not in BALANCES:
        raise UsageError(f"whose: must be one of {', '.join(BALANCES)}")
    if dataset not in selectors.entries([dataset]):
        raise UsageError("dataset: is not in the catalogue; it is named DATASET.TABLE")
    with transaction.atomic():
        _refuse_closed(request)
        entry = reasoning.write_down(
            request, "balancing", because, by=by, place=dataset, verdict=whose
        )
        told = {"request": str(request.id), "dataset": dataset, "whose": whose, "by": by}
        ledger.record("balanced", told)
    return entry


@deed("advise")
def advise(
    request: ErasureRequest, *, digest: str, advice: str, because: str, by: Actor
) -> Reasoning:
    """Record the data protection officer's opinion on a plan, beside the decision and never in its
    place. Raises UsageError, also for another plan than the one that stands."""
    if advice not in ADVICE:
        raise UsageError(f"advice: must be one of {', '.join(ADVICE)}")
    if (
        not _DIGEST.fullmatch(digest)
        or not request.plans.filter(state="draft", digest=digest).exists()
    ):
        raise UsageError("digest: is not that of the plan that waits for approval")
    with transaction.atomic():
        entry = reasoning.write_down(
            request, "opinion", because, by=by, place=f"plan {digest[:12]}", verdict=advice
        )
        told = {"request": str(request.id), "digest": digest, "advice": advice, "by": by}
        ledger.record("advised", told)
    return entry


def _refuse_closed(request: ErasureRequest) -> None:
    if request.state in CLOSED:
        raise WrongState(f"request {request.id}: is {request.state}; nothing is weighed any more")
