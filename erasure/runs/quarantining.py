"""Data without a lawful basis: a model that learnt from them, and everything derived from it, is
taken out of service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from erasure.connect import open_store
from erasure.domain.errors import StoreError
from erasure.domain.models import Decision, policy_of
from erasure.models import ErasureRequest, ModelJob
from erasure.runs import owners, promoting
from erasure.stores.trained import Order, TrainsModels
from lineage import selectors
from lineage.graph import Dataset

GROUND = "unlawful"  # Art. 17(1)(d)
_WHY = "made from a model that learnt from data without a lawful basis"


def is_unlawful(job: ModelJob) -> bool:
    """Whether somebody who waits says that their data were never lawfully there."""
    return ErasureRequest.objects.filter(run__in=job.runs.all(), ground=GROUND).exists()


def derived(job: ModelJob, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Take out of service every model that lineage leads to from one whose versions were, for
    want of a lawful basis. Returns what was, for the evidence; raises StoreError where one of
    them cannot be."""
    out = any(d.action == "quarantine" for d in decisions)
    if not out or not is_unlawful(job):
        return {}
    done: dict[str, list[str]] = {}
    for dataset in downstream(job.dataset):
        with open_store(dataset.store) as store:
            if not isinstance(store, TrainsModels):
                raise StoreError(dataset.address, "its store cannot take a model out of service")
            versions = [f.version for f in store.facts(dataset, ())]
            loads = out_of_service(store, dataset, versions, _WHY)
        words = f"{dataset.address}: {_WHY}{still({'loads': loads})}"
        owners.tell(dataset, "is out of service", words)
        done[dataset.address] = versions
    return {"derived_out_of_service": done} if done else {}


def out_of_service(
    store: TrainsModels, dataset: Dataset, versions: Sequence[str], why: str
) -> dict[str, str]:
    """Take versions out of service, whoever is in them; endpoints are told where none is left to
    serve. Returns which can be had all the same, and
    how. Raises StoreError."""
    told = store.carry_out(
        Order(
            dataset=dataset,
            people=frozenset(),
            actions=dict.fromkeys(versions, "quarantine"),
            policy=policy_of(dataset.model),
            reasons=dict.fromkeys(versions, why),
        )
    )
    promoting.withdrawn(store, dataset, why)
    return dict(told.get("loads") or {})


def still(report: Mapping[str, Any]) -> str:
    """Of each version that can still be had though it is out of service, how; for a person, after
    the reason."""
    loads = report.get("loads") or {}
    return "".join(f"; version {version} {how}" for version, how in sorted(loads.items()))


def downstream(address: str) -> Iterator[Dataset]:
    """Models derived from it, and from those; each once."""
    seen, front = {address}, {address}
    while front:
        front = set(selectors.made_from(front)) - seen
        seen |= front
        found = selectors.entries(front)
        yield from (found[name] for name in sorted(found) if found[name].model)
