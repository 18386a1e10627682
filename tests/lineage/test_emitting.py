"""What we tell is what OpenLineage's own client would have told: its classes are generated from the
official schemas of the facets."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import attr
import pytest
from openlineage.client import generated

from lineage.emitting import Touched, run_event


def official() -> Mapping[str, Any]:
    """The classes of the facets, by the address of their schema."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        inside = vars(importlib.import_module(f"{generated.__name__}.{module.name}"))
        for kind in inside.values():
            schema: Any = getattr(kind, "_get_schema", None)
            base = getattr(kind, "__module__", "").endswith(".base")  # what any facet has
            if schema and attr.has(kind) and kind.__name__.endswith("Facet") and not base:
                found[schema()] = kind
    return found


def told(actions: tuple[str, ...]) -> dict[str, Any]:
    one = Touched(namespace="db", name="customer", actions=actions)
    return run_event("r", state="COMPLETE", at=datetime(2026, 11, 22, tzinfo=UTC), touched=[one])


def facets_of(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in (event["run"], event["job"], *event["outputs"]):
        yield from part["facets"].items()


def refused(facet: Mapping[str, Any], kind: Any) -> list[str]:
    """What the schema of that facet would say against it."""
    fields = {field.name.lstrip("_"): field for field in attr.fields(kind)}
    values = {name.lstrip("_"): value for name, value in facet.items()}
    found = [f"unknown: {name}" for name in values.keys() - fields.keys()]
    for name, field in fields.items():
        if field.default is attr.NOTHING and name not in values:
            found.append(f"missing: {name}")
    try:
        made = kind(**{n: v for n, v in values.items() if fields[n].init})
    except (KeyError, TypeError, ValueError) as error:
        return [*found, type(error).__name__]
    for name, value in values.items():
        allowed = getattr(kind, "__annotations__", {}).get(name, "")
        words = getattr(importlib.import_module(kind.__module__), str(allowed), None)
        if isinstance(words, type) and issubclass(words, Enum):
            found += [] if value in [one.value for one in words] else [f"{name}: {value}"]
    return found if made else [*found, "nothing"]


@pytest.mark.parametrize(
    "actions", [("delete",), ("anonymize", "redact"), ("retrain",), ("notify",)]
)
def test_every_facet_of_ours_is_as_its_official_schema_says(actions: tuple[str, ...]) -> None:
    known = official()
    custom = []
    for name, facet in facets_of(told(actions)):
        kind = known.get(facet["_schemaURL"])
        if kind is None:
            custom.append(name)
        else:
            assert refused(facet, kind) == [], name
    # Of our own, and said to be: it has our prefix, and the schema of any facet.
    assert custom == ["lethe_erasure"]


def test_a_facet_that_is_not_would_be_noticed() -> None:
    kind = official()[
        told(("delete",))["outputs"][0]["facets"]["lifecycleStateChange"]["_schemaURL"]
    ]
    assert refused({"lifecycleStateChange": "DESTROY"}, kind) == ["lifecycleStateChange: DESTROY"]
    assert "missing: lifecycleStateChange" in refused({}, kind)
    assert "unknown: rows" in refused({"lifecycleStateChange": "ALTER", "rows": 1}, kind)
