"""Runs of erasures as OpenLineage events: which datasets were changed and how, and nobody's data.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

PRODUCER = "urn:lethe"
NAMESPACE, JOB = "lethe", "erasure"
_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_CUSTOM = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/DatasetFacet"
# What is rewritten as a whole; rows elsewhere are changed in place.
_REWRITTEN = frozenset(["rebuild", "rewrite", "retrain", "unlearn"])
_LEFT_ALONE = frozenset(["retain", "restrict", "ignore", "notify", "manual", "expire"])
State = Literal["START", "COMPLETE", "ABORT"]


@dataclass(frozen=True, kw_only=True)
class Touched:
    """A dataset of a run: its names in events, and the actions of the run's steps there."""

    namespace: str
    name: str
    actions: tuple[str, ...]


def run_event(
    run: str, *, state: State, at: datetime, touched: Iterable[Touched] = ()
) -> dict[str, Any]:
    """One event of a run, with the same run id whenever it is made. Counts are left out: how many
    rows a person had is nobody's business there."""
    return {
        "eventType": state,
        "eventTime": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "producer": PRODUCER,
        "schemaURL": _EVENT,
        "run": {"runId": run, "facets": {"processing_engine": _engine()}},
        "job": {"namespace": NAMESPACE, "name": JOB, "facets": {"jobType": _job_type()}},
        "inputs": [],
        "outputs": [_output(one) for one in touched],
    }


def _output(one: Touched) -> dict[str, Any]:
    facets = {"lethe_erasure": _facet(actions=list(one.actions))}
    change = _change(one.actions)
    if change:
        facets["lifecycleStateChange"] = _facet(
            "1-0-1/LifecycleStateChangeDatasetFacet", lifecycleStateChange=change
        )
    return {"namespace": one.namespace, "name": one.name, "facets": facets}


def _change(actions: Iterable[str]) -> str:
    changing = set(actions) - _LEFT_ALONE
    if not changing:
        return ""
    return "OVERWRITE" if changing & _REWRITTEN else "ALTER"


def _engine() -> dict[str, Any]:
    return _facet("1-1-1/ProcessingEngineRunFacet", name="lethe", version="0.1.0")


def _job_type() -> dict[str, Any]:
    return _facet(
        "2-0-4/JobTypeJobFacet", processingType="BATCH", integration="LETHE", jobType="ERASURE"
    )


def _facet(which: str = "", /, **values: Any) -> dict[str, Any]:
    """A facet of the specification, ``VERSION/Name``; a custom one without."""
    path = f"facets/{which}.json#/$defs/{which.partition('/')[2]}"
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/{path}" if which else _CUSTOM, **values}
