"""Retiring a model for another reason than a person: obsolete, no good any more, not safe.

The order is that of every retirement: assess, dependants told, record kept, taken out of service,
deleted, tried to be got back, listed again, ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from erasure.connect import open_store
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.roles import deed
from erasure.evidence import ledger
from erasure.models import ModelJob
from erasure.runs import owners
from erasure.stores.trained import TrainsModels
from lineage import selectors
from lineage.graph import Dataset

REASONS = ("obsolete", "underperforming", "security", "unlawful")


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What a retirement is about to do: ``versions`` that go, ``left`` that stay, and who depends
    on the model: derived datasets and the places where it is ``deployed``."""

    dataset: Dataset
    versions: tuple[str, ...]
    left: tuple[str, ...]
    derived: tuple[str, ...]
    deployed: tuple[str, ...]
    serves: str


def assess(address: str, versions: Sequence[str] = ()) -> Assessment:
    """Look, and touch nothing. Without ``versions``: all of them. Raises UsageError for what is
    no model or not there, CatalogueError for an unknown address."""
    dataset = selectors.dataset(address)
    with open_store(dataset.store) as store:
        if not isinstance(store, TrainsModels):
            raise UsageError(f"{address}: is no model of a registry that can retire it")
        records = store.records(dataset)
    present = [str(r["version"]) for r in records]
    if missing := [v for v in versions if v not in present]:
        known = ", ".join(present) or "none"
        raise UsageError(f"{address}: there is no version {', '.join(missing)}; there is: {known}")
    gone = tuple(versions or present)
    if not gone:
        raise UsageError(f"{address}: has no version that could be retired")
    serving = [str(r["version"]) for r in records if r["current"]]
    return Assessment(
        dataset=dataset,
        versions=gone,
        left=tuple(v for v in present if v not in gone),
        derived=tuple(selectors.made_from([address])),
        deployed=tuple(dataset.model.get("deployed") or ()),
        serves=next((v for v in serving if v in gone), ""),
    )


@deed("retire")
def retire_model(found: Assessment, *, reason: str, because: str, by: str) -> dict[str, Any]:
    """Carry it out; returns the proof, which also stands in the ledger. Raises UsageError without
    a reason, WrongState while a job is at work on the model, StoreError where a version comes
    back."""
    address = found.dataset.address
    if reason not in REASONS:
        raise UsageError(f"{address}: the reason must be one of {', '.join(REASONS)}")
    if not because.strip():
        raise UsageError(f"{address}: say why it is retired")
    if ModelJob.objects.filter(dataset=address, state="running").exists():
        raise WrongState(f"{address}: a job is at work on it; wait for it, or cancel it")
    words = f"versions {', '.join(found.versions)} are retired ({reason}): {because.strip()}"
    told = owners.tell(found.dataset, "is retired", words)
    with open_store(found.dataset.store) as store:
        assert isinstance(store, TrainsModels)  # noqa: S101 - it was when it was assessed
        done = store.retire(found.dataset, found.versions)
    proof = {
        "model": address,
        "versions": list(found.versions),
        "reason": reason,
        "because": because.strip(),
        "by": by,
        "derived": list(found.derived),
        "deployed": list(found.deployed),
        "owner_told": told,
        **done,
    }
    ledger.record("model_retired", proof)
    return proof
