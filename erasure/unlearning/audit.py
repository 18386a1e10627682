"""Whether a model still knows people whom it was to forget: attacks with their measured power, the
drift of its answers, and whether an approximate step went the right way.

Source: the loss-threshold attack of Yeom et al., "Privacy Risk in Machine Learning" (2018), per
person rather than per row, because the rows of one person are not independent; intervals by
Wilson (1927); the population stability index as in credit scoring.

A pass proves nothing unless the same attack recognises people who are known to be in: its power.
Prediction distance between two models is not used for trees: dropping one person and training
again moves single answers far, and says nothing of memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

Floats = NDArray[np.float64]
FALSE_POSITIVES = 0.05  # how many who never were in may be taken for members
_SURE = 0.01  # a failure by chance is rarer than this
TOO_FEW = "too few people"
_Z = 1.959963984540054  # 95 % of a normal distribution lie within
_SMALLEST = 1e-12
_BINS = 10
_FEWEST = 20  # people of a kind, below whom no rate is worth a word


@dataclass(frozen=True, kw_only=True)
class Sample:
    """(n, d) rows, n targets, and whose each row is."""

    features: Floats
    target: NDArray[Any]
    people: Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of ``of`` people, with its 95 % interval."""

    share: float
    low: float
    high: float
    of: int

    def words(self) -> str:
        """For evidence: no float in JSON."""
        return f"{self.share:.4f} [{self.low:.4f}, {self.high:.4f}] of {self.of}"


def rate(hits: int, of: int) -> Rate:
    """Wilson's interval; of nobody, anything is possible."""
    if not of:
        return Rate(share=0.0, low=0.0, high=1.0, of=0)
    share, z = hits / of, _Z * _Z / of
    middle = (share + z / 2) / (1 + z)
    half = _Z * math.sqrt(share * (1 - share) / of + z / of / 4) / (1 + z)
    return Rate(share=share, low=max(0.0, middle - half), high=min(1.0, middle + half), of=of)


@dataclass(frozen=True, kw_only=True)
class Membership:
    """What the attack takes for members: of those who are (``power``), of those who never were
    (``others``) and of those who were to be forgotten. ``chance``: of so many hits or more;
    ``rarest``: of nothing but hits, which is as sure as the attack can become."""

    power: Rate
    others: Rate
    forgotten: Rate
    chance: float
    rarest: float = 0.0

    @property
    def has_power(self) -> bool:
        """Whether the attack tells members from others at all."""
        enough = min(self.power.of, self.others.of) >= _FEWEST
        return enough and self.power.low > self.others.high

    @property
    def verdict(self) -> str:
        """``failed``: the forgotten are recognised more often than chance allows; ``without
        power``: the attack recognises nobody, so it says nothing; ``too few people``: had it
        recognised all of them, it could be chance, so it cannot fail; else ``passed``."""
        if not self.has_power:
            return "without power"
        if self.rarest >= _SURE:
            return TOO_FEW
        return "failed" if self.chance < _SURE else "passed"

    def plain(self) -> dict[str, str]:
        """For evidence."""
        return {
            "verdict": self.verdict,
            "power": self.power.words(),
            "never_members": self.others.words(),
            "forgotten": self.forgotten.words(),
            "by_chance": f"{self.chance:.3g}",
        }


def losses(model: Any, features: Floats, target: NDArray[Any]) -> Floats:
    """(n,) how badly the model knows each row: minus the log of the probability that it gives the
    true class, else 0 or 1; of a regressor the squared error."""
    if not len(features):  # estimators refuse to say anything about nobody
        return np.zeros(0)
    if not is_classifier(model):
        return np.asarray((model.predict(features) - target) ** 2, dtype=np.float64)
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(features) != target, dtype=np.float64)
    classes = np.asarray(model.classes_)
    place = np.minimum(np.searchsorted(classes, target), len(classes) - 1)
    chance = model.predict_proba(features)[np.arange(len(features)), place]
    chance = np.where(classes[place] == target, chance, 0.0)
    return np.asarray(-np.log(np.maximum(chance, _SMALLEST)))


def membership(model: Any, *, forgotten: Sample, members: Sample, others: Sample) -> Membership:
    """Attack a model by the losses of each person's rows."""
    known, never, gone = (per_person(s, losses(model, s.features, s.target))
                          for s in (members, others, forgotten))  # fmt: skip
    return compared(known, never, gone)


def compared(known: Floats, never: Floats, gone: Floats) -> Membership:
    """From one number per person, the lower the more like a member. The threshold takes at most
    FALSE_POSITIVES of ``never`` for members."""
    limit = float(np.quantile(never, FALSE_POSITIVES, method="lower")) if len(never) else -math.inf
    # the loss of many rows may be one number: only what is really below counts
    hits = [int((each < limit).sum()) for each in (known, never, gone)]
    among = rate(hits[1], len(never))
    by_chance = max(among.high, FALSE_POSITIVES)
    return Membership(
        power=rate(hits[0], len(known)),
        others=among,
        forgotten=rate(hits[2], len(gone)),
        chance=_at_least(hits[2], len(gone), by_chance),
        rarest=by_chance ** len(gone),
    )


def per_person(sample: Sample, each: Floats) -> Floats:
    """The mean over each person's rows, in the order of the people's texts."""
    if not len(each):
        return np.zeros(0)
    _, place = np.unique(np.asarray(list(map(str, sample.people))), return_inverse=True)
    return np.asarray(np.bincount(place, each) / np.bincount(place))


def _at_least(hits: int, of: int, chance: float) -> float:
    """The probability of so many hits or more, if each comes by ``chance``."""
    if not hits:
        return 1.0
    return math.fsum(
        math.exp(
            math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
            + k * math.log(chance) + (of - k) * math.log1p(-chance)
        )
        for k in range(hits, of + 1)
    )  # fmt: skip


def answers(model: Any, features: Floats) -> Floats:
    """(n,) what drift is measured on: the probability of the last class, else the prediction."""
    if is_classifier(model) and hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(features)[:, -1], dtype=np.float64)
    told = model.predict(features)
    if is_classifier(model):
        told = np.searchsorted(np.asarray(model.classes_), told)
    return np.asarray(told, dtype=np.float64)


def stability(before: Floats, after: Floats) -> float:
    """The population stability index over tenths of ``before``, of few answers over larger parts;
    above 0.25 much has moved."""
    # between two answers: one that stands on an edge would cross it by rounding alone
    known = np.unique(before)
    between = (known[1:] + known[:-1]) / 2
    parts = int(np.clip(len(before) // _FEWEST, 2, _BINS))
    wanted = np.quantile(before, np.linspace(0, 1, parts + 1)[1:-1])
    near = np.clip(np.searchsorted(between, wanted), 0, max(len(between) - 1, 0))
    edges = np.unique(between[near]) if len(between) else between
    old, new = (
        np.bincount(np.searchsorted(edges, each, side="right"), minlength=len(edges) + 1)
        for each in (before, after)
    )
    old, new = ((each + 0.5) / (each.sum() + 0.5 * len(each)) for each in (old, new))
    return float(np.sum((new - old) * np.log(new / old)))


def kolmogorov_smirnov(before: Floats, after: Floats) -> float:
    """The largest difference of the two distributions' shares."""
    places = np.sort(np.concatenate([before, after]))
    old, new = (np.searchsorted(np.sort(each), places, side="right") for each in (before, after))
    return float(np.abs(old / len(before) - new / len(after)).max(initial=0.0))


def figure(model: Any, features: Floats, target: NDArray[Any], spread: float) -> float:
    """Share of right answers; of a regressor 1 less the squared error over ``spread``, the
    variance of the whole target."""
    told = model.predict(features)
    if is_classifier(model):
        return float(np.mean(told == target))
    return 1.0 - float(np.mean((told - target) ** 2)) / spread if spread > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Nearer:
    """Root mean square distances of answers to those of a model that was trained without the
    people: of the model that knew them (``before``) and of the one that was changed."""

    before: float
    after: float

    @property
    def refused(self) -> bool:
        """Doing nothing would have been as good: the step went the wrong way, or nowhere."""
        return not (math.isfinite(self.after) and self.after < self.before)


def nearer(reference: Any, before: Any, after: Any, features: Floats) -> Nearer:
    """Compare an approximate step with an independent training: for smooth models only."""
    aim = answers(reference, features)
    apart = [float(np.sqrt(np.mean((answers(m, features) - aim) ** 2))) for m in (before, after)]
    return Nearer(before=apart[0], after=apart[1])
