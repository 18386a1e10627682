"""What follows when a new version takes the place of an old one: where it came from is signed and
registered, and the endpoints are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from erasure.evidence import keys, ledger, signing
from erasure.models import ModelJob
from erasure.runs import owners, pipelines
from erasure.stores.trained import TrainsModels
from lineage.graph import Dataset

_PROVENANCE = (
    "old", "new", "old_artifact", "new_artifact", "old_people_root", "new_people_root", "old_data",
    "new_data", "guarantee", "action", "method", "reexecution_matched",
)  # fmt: skip

_TAKEN = ("quarantine", "delete")


def signed_provenance(job: ModelJob, report: Mapping[str, Any]) -> dict[str, Any]:
    """Which version this is, what it replaces and why it may: under this installation's key."""
    said = {name: report[name] for name in _PROVENANCE if name in report}
    value = {
        **said,
        "model": job.dataset,
        "job": str(job.id),
        "promoted_by": job.accepted_by or "policy",
        "at": timezone.now().isoformat(timespec="seconds"),
    }
    signer = signing.signer()
    signature = signer.sign(keys.MODEL_CONTEXT, value)
    return {"value": value, "key": signer.key_id, "signature": signature}


def promoted(
    job: ModelJob, dataset: Dataset, store: TrainsModels, report: Mapping[str, Any]
) -> dict[str, Any]:
    """Once for each new version: what is added to the job's report. Nothing where none took a
    place, but that endpoints are told where none is left. On record first, in ledger and report
    together; the mark beside the version comes last and with the same signature, so that whoever
    dies in between leaves nothing out."""
    new = str(report.get("new", ""))
    known = {str(r["version"]): r for r in store.records(dataset)}
    if not any(r["current"] for r in known.values()):
        why = [d["reason"] for d in job.decisions if d["action"] in _TAKEN]
        return withdrawn(store, dataset, "; ".join(why[-1:]), f"{job.id}.{job.round}.none")
    recorded = {k: job.report[k] for k in ("provenance", "endpoints") if k in job.report}
    if new not in known or known[new]["signed"]:
        return recorded
    if recorded.get("provenance", {}).get("value", {}).get("new") != new:
        recorded = _recorded(job, dataset, report)
    store.provenance(dataset, new, recorded["provenance"])
    return recorded


def withdrawn(
    store: TrainsModels, dataset: Dataset, why: str, key: str = ""
) -> dict[str, dict[str, str]]:
    """Where no version of a model is served any more, its endpoints are told so: ``version`` is
    null. Returns what became of it, for the evidence; nothing where one is served. Told again
    after a crash."""
    if any(r["current"] for r in store.records(dataset)):
        return {}
    told = {"model": dataset.address, "version": None, "because": why,
            "at": timezone.now().isoformat(timespec="seconds")}  # fmt: skip
    return _told(dataset, told, key or str(uuid4()), "is served no more")


def back(store: TrainsModels, dataset: Dataset, version: str) -> None:
    """Endpoints are told that a version which had been out of service is the one served again."""
    if any(r["current"] and str(r["version"]) == version for r in store.records(dataset)):
        told = {"model": dataset.address, "version": version, "replaces": "",
                "at": timezone.now().isoformat(timespec="seconds")}  # fmt: skip
        _told(dataset, told, str(uuid4()), "is served again")


def _told(
    dataset: Dataset, told: Mapping[str, Any], key: str, what: str
) -> dict[str, dict[str, str]]:
    endpoints = pipelines.tell_endpoints(dataset, told, key)
    if missed := [host for host, outcome in endpoints.items() if outcome != "told"]:
        owners.tell(dataset, what, f"not told: {', '.join(missed)}")
    return {"endpoints": endpoints} if endpoints else {}


def _recorded(job: ModelJob, dataset: Dataset, report: Mapping[str, Any]) -> dict[str, Any]:
    new = str(report["new"])
    signed = signed_provenance(job, report)
    told = {"model": job.dataset, "version": new, "replaces": report.get("old", ""),
            "at": signed["value"]["at"]}  # fmt: skip
    endpoints = _told(dataset, told, f"{job.id}.{new}", "is served in a new version")
    added = {"provenance": signed, **endpoints}
    signature = {"signature": signed["signature"]}
    with transaction.atomic():
        ledger.record("model_promoted", {"job": str(job.id), **told, **signature})
        job.report = {**job.report, **added}
        job.save(update_fields=["report"])
    return added
