"""The logistic loss over rows: its optimum, and how far from that coefficients can be.

Source: for a μ-strongly convex loss ``‖w − w*‖ ≤ ‖∇L(w)‖ / μ`` (Boyd and Vandenberghe, "Convex
Optimization" (2004), eq. 9.11), where μ is 1 by the penalty alone and four digits by the rows.
How much of the latter there is on the way to the optimum: ``|σ″| ≤ σ′``, so where no row's log odds
are moved by more than ρ, no weight of the Hessian changes by more than ``exp(±ρ)`` (Bach,
"Self-concordant analysis for logistic regression" (2010), prop. 1 and 2). Rounding by Higham,
"Accuracy and Stability of Numerical Algorithms" (2002), section 3.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

CONVEXITY = 1.0  # μ: the loss below holds ½‖w‖², and the rest of it is convex
_ARMIJO = 1e-4  # share of the promised fall that a step must keep (Boyd and Vandenberghe, 9.2)
_PART = 2048  # rows at once
_SHORTEST = 1e-8  # of a step, before it is taken for rounding
_SINGLE = float(np.finfo(np.float32).eps) / 2
_DOUBLE = float(np.finfo(np.float64).eps) / 2
_ENTRY = 16  # roundings of a product of two entries of the scaled rows, at most
_FLOOR = 1e-7  # added to the weights in single precision, where some would be none
_FURTHEST = 1.0  # ρ, beyond which a Hessian says nothing any more
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Coefficients ``w`` (d + 1,) after ``steps``, at most ``bound`` from the optimum, by the norm
    of the ``gradient`` where it was taken last and the ``convexity`` (μ) there."""

    w: Floats
    steps: int
    gradient: float
    bound: float
    convexity: float = CONVEXITY


class Loss:
    """``½‖w‖² + weight Σ log(1 + exp(−s wᵀx)) + tiltᵀw`` over (n, d) rows with a constant column
    added; ``second`` (n,): of which class; ``tilt`` (d + 1,): the gradient of a linear term.

    Rows are gone through in parts that stay in the processor's cache, so that a gradient reads
    them from memory once and nothing of their size is copied. NaN and infinite values among them
    make every gradient NaN or infinite.
    """

    def __init__(
        self,
        features: Floats,
        second: NDArray[np.bool_],
        weight: float,
        tilt: Floats | float = 0.0,
    ) -> None:
        self.tilt = tilt
        self.features = features
        self._second = second
        self.weight = weight

    def __len__(self) -> int:
        return len(self.features)

    def _parts(self) -> Iterator[tuple[slice, Floats]]:
        for start in range(0, len(self), _PART):
            place = slice(start, start + _PART)
            yield place, self.features[place]

    def value(self, w: Floats) -> float:
        totals = []
        for place, rows in self._parts():
            odds = _odds(rows, w)
            totals.append(float((np.logaddexp(0.0, odds) - self._second[place] * odds).sum()))
        return float(0.5 * w @ w + self.weight * math.fsum(totals) + np.sum(self.tilt * w))

    def gradient(self, w: Floats) -> Floats:
        """(d + 1,)"""
        return self._gradient(w)[0]

    def _gradient(self, w: Floats, beside: Singles | None = None) -> tuple[Floats, float]:
        """With it, the furthest that a row's log odds are from those ``beside`` (n,)."""
        slope, apart = np.zeros(len(w)), 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # whoever asks looks at what came of it
            for place, rows in self._parts():
                odds = _odds(rows, w)
                if beside is not None:
                    apart = max(apart, float(np.abs(odds - beside[place]).max()))
                expit(odds, out=odds)
                odds -= self._second[place]
                slope[:-1] += odds @ rows
                slope[-1] += odds.sum()
            return np.asarray(w + self.weight * slope + self.tilt), apart

    def step(self, w: Floats, gradient: Floats) -> Floats:
        """Newton's direction, uphill."""
        return np.asarray(np.linalg.solve(self.hessian(w), gradient), dtype=np.float64)

    def hessian(self, w: Floats) -> Floats:
        """(d + 1, d + 1)."""
        found, space = np.eye(len(w)), np.empty((min(_PART, len(self)), len(w)))
        with np.errstate(over="ignore", invalid="ignore"):
            for _, rows in self._parts():
                chance, part = expit(_odds(rows, w)), space[: len(rows)]
                part[:, :-1], part[:, -1] = rows, 1.0
                part *= np.sqrt(self.weight * chance * (1.0 - chance))[:, None]
                found += part.T @ part  # one array against itself: half the work for BLAS
        return found

    def located(self, w: Floats, tolerance: float) -> Found:
        """Coefficients from elsewhere: the Hessian is only asked where the penalty alone does not
        show that they are within the tolerance."""
        with np.errstate(over="ignore"):
            slope = float(np.linalg.norm(self.gradient(w)))
            if not slope > tolerance or not math.isfinite(slope):
                return Found(w=w, steps=0, gradient=slope, bound=slope)
            hessian = self.hessian(w)
            reach = math.sqrt(float(np.vdot(self.features, self.features)) + len(self))
        convexity = _least(hessian) - (len(self) + _ENTRY) * _DOUBLE * float(np.trace(hessian))
        bound = _away(slope, convexity, reach)
        if not bound < slope:
            return Found(w=w, steps=0, gradient=slope, bound=slope)
        return Found(w=w, steps=0, gradient=slope, bound=bound, convexity=convexity)

    def minimised(self, w: Floats, tolerance: float, most: int) -> Found:
        """Newton with backtracking from ``w`` until the gradient is within the tolerance or
        rounding lets it fall no more."""
        steps, slope = 0, self.gradient(w)
        while steps < most and float(np.linalg.norm(slope)) > tolerance:
            after, slope_after = self._downhill(w, slope)
            if after is w:
                break
            w, slope, steps = after, slope_after, steps + 1
        size = float(np.linalg.norm(slope))
        return Found(w=w, steps=steps, gradient=size, bound=size / CONVEXITY)

    def _downhill(self, w: Floats, slope: Floats) -> tuple[Floats, Floats]:
        """Newton's step where it halves the gradient at least, as it does near the optimum; else
        the longest of its halves that lessens the loss; ``w`` itself when none does. With the
        gradient there."""
        step = self.step(w, slope)
        after = w - step
        slope_after = self.gradient(after)
        if 2.0 * np.linalg.norm(slope_after) <= np.linalg.norm(slope):
            return after, slope_after
        value, fall, length = self.value(w), float(slope @ step), 1.0
        while length > _SHORTEST:
            after = w - length * step
            if self.value(after) < value - _ARMIJO * length * fall:
                return after, self.gradient(after)
            length /= 2
        return w, slope

    def followed(self, w: Floats, near: Nearby, tolerance: float, most: int) -> Found:
        """From ``w`` near the optimum, by steps with the one Hessian ``near`` it, until what it
        proves of the last of them is within the tolerance, or a step leaves more than a tenth of
        the gradient. The first follows from single precision; each other from a gradient in
        double, by which it is proved as well, so that none is taken where the last has ended."""
        size, bound, steps = math.inf, math.inf, 0
        step = near.step(near.slope)
        while steps < most:
            w, steps = w - step, steps + 1
            if bound <= tolerance:
                return Found(w=w, steps=steps, gradient=size, bound=bound, convexity=near.convexity)
            slope, apart = self._gradient(w, near.odds)
            before, size = size, float(np.linalg.norm(slope))
            if size <= tolerance or not 10.0 * size <= before:
                break
            step, bound = near.proved(slope, apart)
        return Found(w=w, steps=steps, gradient=size, bound=size / CONVEXITY)

    def nearby(self, w: Floats) -> Nearby | None:
        """The Hessian at ``w``, in one pass; None where single precision does not do for it."""
        width, weight = len(w), self.weight
        space = np.empty((min(_PART, len(self)), width + 1), dtype=np.float32)
        there, single = np.empty(len(self), dtype=np.float32), w.astype(np.float32)
        found, size = np.zeros((width + 1, width + 1)), 0.0
        with np.errstate(all="ignore"):  # looked at below
            for place, rows in self._parts():
                part = space[: len(rows)]
                part[:, :-2], part[:, -2], part[:, -1] = rows, 1.0, 0.0
                size += float(np.vdot(part, part))
                odds = there[place] = part[:, :-1] @ single
                chance = expit(odds)
                root = np.sqrt(weight * (chance * (1.0 - chance) + _FLOOR))
                part *= root[:, None]
                # one array against itself is half the work for BLAS, and the gradient comes along
                part[:, -1] = weight * (chance - self._second[place]) / root
                found += part.T @ part
            slope = w + found[-1, :-1] + self.tilt
        near = Nearby(
            hessian=np.eye(width) + found[:-1, :-1],
            slope=slope,
            odds=there,
            size=size,
            weight=weight,
            part=len(space),
        )
        return near if near.leads else None


class Nearby:
    """A Hessian (d + 1, d + 1) summed in single precision, and what it proves about steps with it.

    ``slope`` (d + 1,): the gradient there, to lead only. ``odds`` (n,): the log odds that its
    weights are of. ``size``: the sum of the rows' squares, so no row is longer than its root.
    ``leads``: whether there is a step downhill with it.
    """

    def __init__(
        self,
        *,
        hessian: Floats,
        slope: Floats,
        odds: Singles,
        size: float,
        weight: float,
        part: int,
    ) -> None:
        self.slope = slope
        self.odds = odds
        self._hessian = hessian
        terms = (part + _ENTRY) * _SINGLE
        self._reach = math.sqrt(size * (1.0 + part * len(slope) * _SINGLE) * 1.01)
        # of each part's products, and of chances next to 0 and 1
        self._noise = terms * float(np.trace(hessian))
        self._noise += (_FLOOR + _ENTRY * _SINGLE) * weight * self._reach**2
        least = _least(hessian)
        self.leads = least > 0 and bool(np.isfinite(slope).all())
        self.convexity = least - self._noise

    def step(self, slope: Floats) -> Floats:
        return np.asarray(np.linalg.solve(self._hessian, slope), dtype=np.float64)

    def proved(self, slope: Floats, apart: float) -> tuple[Floats, float]:
        """The step for the gradient at some coefficients, where log odds are at most ``apart``
        from these; and how far from the optimum it ends at most, inf where that is not known.

        With g the gradient, H this Hessian and Ĥ the mean one from there to the optimum, the step
        is off by ``(Ĥ⁻¹ − H⁻¹) g``. Since ``Ĥ ≽ H / (1 + ε)``, that is at most
        ``ε √(gᵀ H⁻¹ g / λ)``, λ the least eigenvalue of H.
        """
        step = self.step(slope)
        if not (apart < _FURTHEST and self.convexity > self._noise):
            return step, math.inf
        there = math.exp(-apart) * self.convexity
        way = self._reach * _away(float(np.linalg.norm(slope)), there, self._reach)
        if not way < _FURTHEST:
            return step, math.inf
        spread = math.exp(apart + way) / (1.0 - self._noise / self.convexity) - 1.0
        rest = float(np.linalg.norm(slope - self._hessian @ step)) / self.convexity
        return step, spread * math.sqrt(float(slope @ step) / self.convexity) + rest


def _odds(rows: Floats, w: Floats) -> Floats:
    odds = rows @ w[:-1]
    odds += w[-1]
    return np.asarray(odds)


def _least(hessian: Floats) -> float:
    """The least eigenvalue; NaN where something has grown beyond numbers."""
    return float(np.linalg.eigvalsh(hessian)[0]) if np.isfinite(hessian).all() else math.nan


def _away(slope: float, convexity: float, reach: float) -> float:
    """How far the optimum can be from coefficients with a gradient of norm ``slope`` and a Hessian
    of no eigenvalue below ``convexity``, where no row is longer than ``reach``; inf where the
    Hessian need not hold on all of the way."""
    if not (convexity > 0 and reach * slope < convexity):
        return math.inf
    return -math.log1p(-reach * slope / convexity) / reach
