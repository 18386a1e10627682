"""Events for tests: the shared samples, and small ones made here."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT.parent / "shared" / "data" / "openlineage"
_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACET = {"_producer": "https://example.com/tests", "_schemaURL": "https://example.com/facet"}
_runs = itertools.count(1)


def sample(name: str) -> dict[str, Any]:
    """One of the shared samples."""
    path = SAMPLES / f"{name}.json"
    if not path.exists():
        pytest.skip("needs the public data set ../shared/data/openlineage")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def dataset(name: str, namespace: str = "db", **facets: Any) -> dict[str, Any]:
    """A dataset of an event; each facet gets its base fields."""
    with_base = {
        key: {**_FACET, **value} if isinstance(value, dict) else value
        for key, value in facets.items()
    }
    return {"namespace": namespace, "name": name, "facets": with_base}


def schema(*names: str) -> dict[str, Any]:
    """A schema facet of text columns."""
    return {"fields": [{"name": name, "type": "text"} for name in names]}


def columns(source: str, *made: tuple[str, str, str], namespace: str = "db") -> dict[str, Any]:
    """A columnLineage facet: (mine, theirs, subtype, INDIRECT, or MASKED …) of one source."""
    fields: dict[str, Any] = {}
    for mine, theirs, how in made:
        kind = "INDIRECT" if how == "INDIRECT" else "DIRECT"
        named = {"INDIRECT": "FILTER", "MASKED": "TRANSFORMATION", "MASKED IDENTITY": "IDENTITY"}
        way = {"type": kind, "subtype": named.get(how, how), "masking": how.startswith("MASKED")}
        one = {"namespace": namespace, "name": source, "field": theirs, "transformations": [way]}
        fields.setdefault(mine, {"inputFields": []})["inputFields"].append(one)
    return {"fields": fields}


def run_event(
    *,
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    run: str | None = None,
    at: str = "2026-11-20T10:00:00Z",
    state: str = "COMPLETE",
    job: str = "job",
) -> dict[str, Any]:
    """A run event; each has a run of its own unless one is given."""
    return {
        "eventType": state,
        "eventTime": at,
        "run": {"runId": run or f"00000000-0000-4000-8000-{next(_runs):012d}", "facets": {}},
        "job": {"namespace": "jobs", "name": job, "facets": {}},
        "inputs": inputs,
        "outputs": outputs,
        "producer": "https://example.com/tests",
        "schemaURL": _SCHEMA,
    }
