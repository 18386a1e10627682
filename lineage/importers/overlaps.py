"""What the share of sampled values that are found in another table's key says of a reference.

``high``    the column is called like the other table or like its key, and nearly all of its
            sampled values are found there
``medium``  called like it, with no values to look at or some that are missing; called like it
            behind other words, or a name that only hints, where the values are found; no name at
            all where values that are no plain numbers are found
``low``     called like it, but most values are missing; a name that only hints, without values
            or with too few

Small numbers are found in every key, so without a name they say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from lineage.importers.joins import Candidate, How
from lineage.importers.roles import Link
from lineage.importers.suggestions import LEVELS, Confidence

_UNMEASURED: Mapping[How, Confidence] = {"named": "medium", "hinted": "low"}
_IN_WORDS: Mapping[How, str] = {"named": "name", "hinted": "a name that hints at it", "found": ""}
_NEARLY_ALL, _SOME = 0.95, 0.5
_FEW, _ENOUGH = 3, 10


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How many different sampled values there were, and how many were found in the key."""

    sampled: int
    found: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.found / self.sampled if self.sampled else 0.0


@dataclass(frozen=True, kw_only=True)
class Suggested:
    """A reference, how sure it is, and why."""

    link: Link
    confidence: Confidence
    reason: str


def judged(measured: Mapping[Candidate, Measure | None]) -> list[Suggested]:
    """What to suggest; ``None`` where nothing was measured. A column that fits two tables equally
    well is for a person to decide."""
    found: list[Suggested] = []
    by_column = groupby(measured.items(), key=lambda m: (m[0].link.holder, m[0].link.column))
    for _, group in by_column:
        own = [one for candidate, measure in group if (one := _judge(candidate, measure))]
        level = min((one.confidence for one in own), key=LEVELS.index, default="low")
        best = [one for one in own if one.confidence == level]
        doubted = level == "high" and len(best) > 1
        found += [_doubted(one) if doubted else one for one in best]
    return found


def _judge(candidate: Candidate, measure: Measure | None) -> Suggested | None:
    confidence = _confidence(candidate, measure)
    if confidence is None:
        return None
    link, name = candidate.link, _IN_WORDS[candidate.how]
    counted = "no values looked at"
    if measure and measure.sampled:
        where = f"{link.target}.{link.target_column}"
        counted = f"{measure.found} of {measure.sampled} different sampled values found in {where}"
    joint = " and " if measure and measure.share >= _NEARLY_ALL else ", but "
    reason = f"{name}{joint}{counted}" if name else counted
    return Suggested(link=link, confidence=confidence, reason=reason)


def _confidence(candidate: Candidate, measure: Measure | None) -> Confidence | None:
    if measure is None or not measure.sampled:
        return _UNMEASURED.get(candidate.how)
    enough = _ENOUGH if candidate.how == "found" else _FEW
    nearly_all = measure.share >= _NEARLY_ALL and measure.sampled >= enough
    if candidate.how != "named":
        too_few = candidate.how == "hinted" and measure.share >= _NEARLY_ALL
        return "medium" if nearly_all else "low" if too_few else None
    if nearly_all and candidate.sound:
        return "high"
    return "medium" if measure.share >= _SOME else "low"


def _doubted(one: Suggested) -> Suggested:
    reason = f"{one.reason}, and as many in another table"
    return replace(one, confidence="medium", reason=reason)
