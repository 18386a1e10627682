"""Retiring a model for another reason than a person: obsolete, no good any more, not safe.

The order is that of every retirement: assess, intention and record into the ledger, dependants
handled as decided, taken out of service, deleted, tried to be got back, listed again, proof into
the ledger. Between the two entries it may be killed anywhere: what was begun and has no proof yet
is known by the first, and a second call finishes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from erasure.connect import open_store
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.roles import deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import LedgerLeaf, ModelJob
from erasure.runs import copies, owners, promoting, quarantining
from erasure.stores.trained import TrainsModels
from lineage import selectors
from lineage.graph import Dataset

WAYS = ("retire", "retrain", "keep")
_SUBJECTS = {"retire": "is retired", "retrain": "is out of service", "keep": "is kept"}
_INTENTION, _PROOF = "model_retirement", "model_retired"  # what the ledger calls them
REASONS = ("obsolete", "underperforming", "security", "unlawful")


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What a retirement is about to do: ``versions`` that go, ``left`` that stay, and who depends
    on the model: derived datasets, of those the ``models`` that somebody has to decide on, and the
    places where it is ``deployed``. ``backups``: copies of its registry that no retirement
    reaches, with the day on which each goes; ``begun``: of the versions those that an earlier call,
    which was cut short, has removed, with the record it had kept of each."""

    dataset: Dataset
    versions: tuple[str, ...]
    left: tuple[str, ...]
    derived: tuple[str, ...]
    models: tuple[str, ...]
    backups: tuple[Mapping[str, str], ...]
    deployed: tuple[str, ...]
    serves: str
    begun: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def assess(address: str, versions: Sequence[str] = ()) -> Assessment:
    """Look, and touch nothing. Without ``versions``: all of them, also those that a call which was
    cut short has removed. Raises UsageError for what is
    no model or not there, CatalogueError for an unknown address."""
    dataset = selectors.dataset(address)
    with open_store(dataset.store) as store:
        if not isinstance(store, TrainsModels):
            raise UsageError(f"{address}: is no model of a registry that can retire it")
        records = store.records(dataset)
    present = [str(r["version"]) for r in records]
    begun = {v: one for v, one in _begun(address).items() if v not in present}
    if missing := [v for v in versions if v not in present and v not in begun]:
        known = ", ".join(present) or "none"
        raise UsageError(f"{address}: there is no version {', '.join(missing)}; there is: {known}")
    gone = tuple(versions or (*begun, *present))
    if not gone:
        raise UsageError(f"{address}: has no version that could be retired")
    serving = [str(r["version"]) for r in records if r["current"]]
    return Assessment(
        dataset=dataset,
        versions=gone,
        left=tuple(v for v in present if v not in gone),
        derived=tuple(selectors.made_from([address])),
        models=tuple(d.address for d in quarantining.downstream(address)),
        backups=tuple(copies.backups_of(dataset)),
        deployed=tuple(dataset.model.get("deployed") or ()),
        serves=next((v for v in serving if v in gone), ""),
        begun={v: one for v, one in begun.items() if v in gone},
    )


def _begun(address: str) -> dict[str, Mapping[str, Any]]:
    """Versions whose retirement was begun and has no proof yet, with the record that was kept."""
    found: dict[str, Mapping[str, Any]] = {}
    leaves = LedgerLeaf.objects.filter(kind__in=(_INTENTION, _PROOF)).order_by("index")
    for kind, text in leaves.values_list("kind", "payload"):
        said = json.loads(text)
        if said["model"] != address:
            continue
        if kind == _INTENTION:
            found |= {str(one["version"]): one for one in said["record"][address]}
        else:
            found = {v: one for v, one in found.items() if v not in said["versions"]}
    return found


def _intend(
    found: Assessment, ways: Mapping[str, tuple[str, str]], said: Mapping[str, Any]
) -> None:
    """Written down before anything is touched, with what is kept of each version that goes."""
    gone = [model for model, (way, _) in ways.items() if way == "retire"]
    records = {model: _records(selectors.dataset(model)) for model in gone}
    own = [one for one in _records(found.dataset) if str(one["version"]) in found.versions]
    records[found.dataset.address] = [*found.begun.values(), *own]
    decided = {model: way for model, (way, _) in ways.items()}
    ledger.record(_INTENTION, {**said, "derived_models": decided, "record": records})


def _records(dataset: Dataset) -> list[Any]:
    with open_store(dataset.store) as store:
        return store.records(dataset) if isinstance(store, TrainsModels) else []


@deed("retire")
def retire_model(
    found: Assessment,
    *,
    reason: str,
    because: str,
    by: str,
    derived: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Carry it out; returns the proof, which also stands in the ledger. ``derived``: what becomes
    of each model that was made from it, one of ``retire``, ``retrain`` and ``keep: WHY``.

    Raises UsageError without a reason or a decision, WrongState while a job is at work on one of
    the models, StoreError where a version comes back; what was retired by then stays so, and a
    second call goes on.
    """
    address = found.dataset.address
    if reason not in REASONS:
        raise UsageError(f"{address}: the reason must be one of {', '.join(REASONS)}")
    because = said(because, f"{address}: say why it is retired")
    ways = _decided(found, derived or {})
    touched = [address, *(model for model, (way, _) in ways.items() if way != "keep")]
    busy = ModelJob.objects.filter(dataset__in=touched, state="running").order_by("dataset")
    if (job := busy.first()) is not None:
        raise WrongState(f"{job.dataset}: a job is at work on it; wait for it, or cancel it")
    said_of = {
        "model": address, "versions": list(found.versions), "reason": reason, "because": because,
        "by": by,
    }  # fmt: skip
    _intend(found, ways, said_of)
    words = f"versions {', '.join(found.versions)} are retired ({reason}): {because}"
    told = owners.tell(found.dataset, "is retired", words)
    # what was made from it first: cut short, it still stands there to be decided on
    handled = [_derivative(address, model, *way) for model, way in ways.items()]
    with open_store(found.dataset.store) as store:
        assert isinstance(store, TrainsModels)  # noqa: S101 - it was when it was assessed
        left = [v for v in found.versions if v not in found.begun]
        done = store.retire(found.dataset, left)
        done |= promoting.withdrawn(store, found.dataset, f"is retired ({reason}): {because}")
    proof = {
        **said_of,
        "derived": list(found.derived),
        "derived_models": handled,
        "deployed": list(found.deployed),
        "backups": [dict(copy) for copy in found.backups],
        "owner_told": told,
        **done,
        "record": [*found.begun.values(), *done["record"]],
    }
    ledger.record(_PROOF, proof)
    return proof


def _decided(found: Assessment, derived: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What becomes of each model made from it, and why where it is kept."""
    address = found.dataset.address
    if strangers := sorted(set(derived) - set(found.models)):
        raise UsageError(f"{address}: {', '.join(strangers)} is no model that was made from it")
    if open_ := [model for model in found.models if not derived.get(model, "").strip()]:
        told = f"decide what becomes of {', '.join(open_)}, which was made from it"
        raise UsageError(f"{address}: {told}: {', '.join(WAYS)}, the last with its reason")
    ways = {}
    for model in found.models:
        way, _, why = (part.strip() for part in derived[model].partition(":"))
        if way not in WAYS or (way == "keep") != bool(why):
            raise UsageError(f"{model}: must be retire, retrain, or keep: and why")
        ways[model] = (way, why)
    return ways


def _derivative(of: str, model: str, way: str, why: str) -> dict[str, Any]:
    """``retrain``: out of service, so that nothing made from it is served, until there is a version
    that was not; a model's owner trains it, since only they know from what."""
    dataset = selectors.dataset(model)
    said = {
        "retire": f"retired with {of}, which it was made from",
        "retrain": f"was made from {of}, which is retired; train it again without it",
        "keep": f"was made from {of}, which is retired; kept: {why}",
    }[way]
    done: dict[str, Any] = {"model": model, "decided": way, **({"because": why} if why else {})}
    with open_store(dataset.store) as store:
        if not isinstance(store, TrainsModels):
            raise UsageError(f"{model}: is no model of a registry that can retire it")
        versions = [str(r["version"]) for r in store.records(dataset)]
        if way == "retire" and versions:
            done |= store.retire(dataset, versions)
            done |= promoting.withdrawn(store, dataset, said)
        elif way == "retrain" and versions:
            out = quarantining.out_of_service(store, dataset, versions, said)
            done |= {"out_of_service": versions, **({"loads": out} if out else {})}
    if way != "keep":
        done["backups"] = copies.backups_of(dataset)
    done["owner_told"] = owners.tell(dataset, _SUBJECTS[way], f"{model}: {said}")
    return done
