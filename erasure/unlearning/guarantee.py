"""What a removal promises, and the number that shows it was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Guarantee(StrEnum):
    """How the model after forgetting stands to one trained without the person.

    Always relative to the hyperparameters, which may have been chosen with the person's data.
    """

    BIT_EXACT = "bit-exact"
    EXACT_IN_DISTRIBUTION = "exact in distribution"
    EXACT_TO_TOLERANCE = "exact to tolerance"
    EPSILON_DELTA = "(ε,δ)"
    EMPIRICAL = "empirical"
    DELETED = "deleted"
    FILTERED = "filtered"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a kind of estimator forgets. ``family``: what it is to the table of decisions; ``rows``:
    what ``forget`` is handed, the people's ``own`` rows or those that are ``left``."""

    family: Literal["statistics", "convex", "sharded", "forest", "smooth"]
    guarantee: Guarantee
    rows: Literal["own", "left"]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The numeric evidence of one removal: no values, only counts and distances.

    ``people`` and ``rows`` count what this step took out (0 of an audit by ``certify``),
    ``left`` the training rows that remain. ``bound`` is at least the distance that ``measure``
    names, in its unit; ``numbers`` hold what the bound was computed from.
    """

    method: str
    guarantee: Guarantee
    measure: str
    bound: float
    tolerance: float
    left: int
    people: int = 0
    rows: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the bound is within the tolerance; a bound that is no number is not."""
        return math.isfinite(self.bound) and self.bound <= self.tolerance

    def plain(self) -> dict[str, Any]:
        """For evidence: texts, whole numbers and floats."""
        return {**asdict(self), "guarantee": self.guarantee.value, "holds": self.holds}
