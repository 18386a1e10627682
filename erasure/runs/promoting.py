"""What follows when a new version takes the place of an old one: where it came from is signed and
registered, and the endpoints are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    place. On record first, in ledger and report together; the mark beside the version comes last
    and with the same signature, so that whoever dies in between leaves nothing out."""
    new = str(report.get("new", ""))
    known = {str(r["version"]): r for r in store.records(dataset)}
    recorded = {k: job.report[k] for k in ("provenance", "endpoints") if k in job.report}
    if new not in known or known[new]["signed"]:
        return recorded
    if recorded.get("provenance", {}).get("value", {}).get("new") != new:
        recorded = _recorded(job, dataset, report)
    store.provenance(dataset, new, recorded["provenance"])
    return recorded


def _recorded(job: ModelJob, dataset: Dataset, report: Mapping[str, Any]) -> dict[str, Any]:
    new = str(report["new"])
    signed = signed_provenance(job, report)
    told = {"model": job.dataset, "version": new, "replaces": report.get("old", ""),
            "at": signed["value"]["at"]}  # fmt: skip
    endpoints = pipelines.tell_endpoints(dataset, told, f"{job.id}.{new}")
    added = {"provenance": signed, **({"endpoints": endpoints} if endpoints else {})}
    signature = {"signature": signed["signature"]}
    with transaction.atomic():
        ledger.record("model_promoted", {"job": str(job.id), **told, **signature})
        job.report = {**job.report, **added}
        job.save(update_fields=["report"])
    if missed := [host for host, outcome in endpoints.items() if outcome != "told"]:
        owners.tell(dataset, "is served in a new version", f"not told: {', '.join(missed)}")
    return added
