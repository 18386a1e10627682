"""What events carry and nothing is learnt from, but that may hold somebody's values: the text of
queries and their plans, source code, error messages, parameters, smallest and largest values. It
is not stored. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Facet → its fields that hold text or values of any kind (OpenLineage 2-0-2, Airflow, Spark).
_TEXTS: Mapping[str, frozenset[str]] = {
    "sql": frozenset({"query"}),
    "sourceCode": frozenset({"sourceCode"}),
    "errorMessage": frozenset({"message", "stackTrace"}),
    "extractionError": frozenset({"errors"}),
    "executionParameters": frozenset({"parameters"}),
    "environmentVariables": frozenset({"environmentVariables"}),
    "airflow": frozenset({"dagRun", "task"}),
    "spark.logicalPlan": frozenset({"plan"}),
    "dataQualityMetrics": frozenset({"columnMetrics"}),
    "dataQualityAssertions": frozenset({"assertions"}),
    "test": frozenset({"tests"}),
    "subset": frozenset({"inputCondition", "outputCondition"}),
}
_WITH_FACETS = ("facets", "inputFacets", "outputFacets")


def without_texts(plain: Any) -> Any:
    """A decoded event without those texts; the same object where it has none, or is no event."""
    if not isinstance(plain, dict):
        return plain
    changed: dict[str, Any] = {}
    for part in ("run", "job", "dataset", "inputs", "outputs"):
        told = plain.get(part)
        things = told if isinstance(told, list) else [told]
        kept = [_without(one) for one in things]
        if any(one is not other for one, other in zip(kept, things, strict=True)):
            changed[part] = kept if isinstance(told, list) else kept[0]
    return {**plain, **changed} if changed else plain


def _without(thing: Any) -> Any:
    """A run, job or dataset."""
    if not isinstance(thing, dict):
        return thing
    changed = {}
    for place in _WITH_FACETS:
        facets = thing.get(place)
        if isinstance(facets, dict) and not _TEXTS.keys().isdisjoint(facets):
            changed[place] = {name: _stripped(name, facet) for name, facet in facets.items()}
    return {**thing, **changed} if changed else thing


def _stripped(name: str, facet: Any) -> Any:
    texts = _TEXTS.get(name)
    if texts is None or not isinstance(facet, dict):
        return facet
    return {field: value for field, value in facet.items() if field not in texts}
