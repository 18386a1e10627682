"""What is told with the plan before anything is done: until when what is kept will stay, and what
will be decided for each version of a model. The job decides again when it begins: then more people
may wait, and other versions be there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import chain
from typing import Any

from django.utils import timezone

from erasure.domain import costs
from erasure.domain.models import (
    ACTIONS,
    Circumstances,
    Decision,
    ModelPolicy,
    decide,
    policy_of,
)
from erasure.domain.plan import MODEL_ACTIONS
from erasure.domain.steps import last_day
from erasure.models import ErasureRequest
from erasure.runs import quarantining
from erasure.runs.journal import RunStep
from erasure.runs.modelling import PERSON, inferred_from
from erasure.runs.pieces import Pieces
from erasure.runs.searching import Stores
from erasure.runs.segments import Entry
from erasure.stores.trained import TrainsModels

_CLASS = {"none": "", "refer": "assessed", "delete": "deleted", "quarantine": "out of service"}
_TRAINED = "bit-exact, or exact in distribution where a training cannot be repeated"


def last_days(
    steps: Sequence[RunStep], entries: Sequence[Entry], pieces: Pieces | None
) -> dict[int, date]:
    """By the ordinal of a step that keeps rows until a day: the day of the row that stays longest.
    ``pieces``: what is not among the entries. Left out is a step with a row that has no date:
    nobody can say when that goes."""
    kept = {s.ordinal: s.step for s in steps if s.step.dataset.until}
    packed = ((n, c) for n in kept if pieces for p in pieces.of(n) for c in p.carried())
    found: dict[int, set[date | None]] = {}
    for ordinal, carry in chain(((e.ordinal, e.carry) for e in entries), packed):
        if ordinal in kept:
            found.setdefault(ordinal, set()).add(last_day(kept[ordinal], carry))
    known = {n: [day for day in days if day] for n, days in found.items()}
    return {n: max(days) for n, days in known.items() if len(days) == len(found[n])}


def decisions(
    request: ErasureRequest, steps: Sequence[RunStep], entries: Sequence[Entry], stores: Stores
) -> dict[int, list[dict[str, Any]]]:
    """By the ordinal of a step on a model: per version what will be done, why, and how strong the
    guarantee is. Nobody's hash is in it."""
    told: dict[int, list[dict[str, Any]]] = {}
    case = Circumstances(
        now=timezone.now(),
        deadline=request.due_at,
        unlawful=request.ground == quarantining.GROUND,
    )
    for step in steps:
        adapter = stores.get(step.store) if step.step.action in MODEL_ACTIONS else None
        if not isinstance(adapter, TrainsModels):
            continue
        dataset = step.step.dataset
        keys = (e.key.values for e in entries if e.ordinal == step.ordinal)
        people = {str(v[2]) for v in keys if len(v) == 3 and v[1] == PERSON}
        if not people:
            continue
        policy = policy_of(dataset.model)
        facts = inferred_from(dataset.address, adapter.facts(dataset, people))
        told[step.ordinal] = [
            _shown(decide(one, policy, case), one.guarantee, policy) for one in facts
        ]
    return told


def _shown(decision: Decision, own: str, policy: ModelPolicy) -> dict[str, Any]:
    way = decision.action
    guarantee = _CLASS.get(way, own if way in ("unlearn", "approximate") else _TRAINED)
    if way == "retrain_shards":
        guarantee = own
    return {
        "version": decision.version,
        "action": way,
        "words": ACTIONS[way],
        "reason": decision.reason,
        "guarantee": guarantee,
        "cost": _cost(way, policy),
    }


def _cost(way: str, policy: ModelPolicy) -> str:
    """Whoever waits by then shares it; nothing where it costs nothing, or nobody has said."""
    if policy.cost is None:
        return ""
    expected = costs.forecast(
        [way], policy.cost, executions=policy.executions, references=policy.references
    )
    return str(expected) if expected.most else ""
