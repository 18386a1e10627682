"""That one dataset was made from another, and how its columns were. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


class Flow(NamedTuple):
    """``mine`` was made from ``theirs``; ``how``: IDENTITY, TRANSFORMATION, AGGREGATION, INDIRECT.
    Masking is noted, and is not erasure."""

    mine: str
    theirs: str
    how: str
    masking: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Derivation:
    """``downstream`` was made from ``upstream``; ``columns`` maps mine to theirs where a person
    said so, ``flows`` is what lineage events or a query told."""

    upstream: str
    downstream: str
    kind: Literal["derived", "trained", "backed_up", "logged", "exported"] = "derived"
    columns: Mapping[str, str] = field(default_factory=dict)
    flows: tuple[Flow, ...] = ()


def plain(value: Any) -> dict[str, Any]:
    """A value with slots (a reference, derivation or edge) as name → value, not copied deeply."""
    return {name: getattr(value, name) for name in value.__slots__}
