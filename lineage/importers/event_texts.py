"""What events carry and nothing is learnt from, but that may hold somebody's values: the text of
queries, source code and error messages. It is not stored. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Facet → its fields that are text of any kind (OpenLineage 2-0-2).
_TEXTS: Mapping[str, frozenset[str]] = {
    "sql": frozenset({"query"}),
    "sourceCode": frozenset({"sourceCode"}),
    "errorMessage": frozenset({"message", "stackTrace"}),
    "extractionError": frozenset({"errors"}),
}


def without_texts(plain: Any) -> Any:
    """A decoded event without those texts; the same object where it has none, or is no event."""
    for side in ("run", "job") if isinstance(plain, dict) else ():
        told = plain.get(side)
        facets = told.get("facets") if isinstance(told, dict) else None
        if isinstance(facets, dict) and not _TEXTS.keys().isdisjoint(facets):
            kept = {name: _stripped(name, facet) for name, facet in facets.items()}
            plain = {**plain, side: {**plain[side], "facets": kept}}
    return plain


def _stripped(name: str, facet: Any) -> Any:
    texts = _TEXTS.get(name)
    if texts is None or not isinstance(facet, dict):
        return facet
    return {field: value for field, value in facet.items() if field not in texts}
