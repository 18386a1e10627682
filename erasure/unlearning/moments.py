"""Counts, means and centred scatter of rows: what some models are made of, and from which rows
can be taken out again.

Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances" (1979), eq. 2.1, solved for one part; rounding by Higham, "Accuracy and Stability of
Numerical Algorithms" (2002), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
UNIT = float(np.finfo(np.float64).eps) / 2
_SAFETY = 4.0
_BLOCK = 4096  # rows; sums of sums round less, and need less memory


@dataclass(frozen=True)
class Moments:
    """``count`` rows with ``mean`` (d,) and ``scatter``: the sum of the products of deviations
    from the mean, (d, d), or only its diagonal (d,).

    Rounding: entry (i, j) of the scatter is within ``sqrt(noise[i] * noise[j])`` of its exact
    value. ``fitted`` (d,) is the share of the first computation, ``step`` (d,) the largest of
    any of the ``steps`` removals since. Both are kept as powers of two, because a sharper bound
    would be made of the sums of squares of rows that have gone.
    """

    count: int
    mean: Floats
    scatter: Floats
    fitted: Floats
    step: Floats
    steps: int = 0

    @property
    def noise(self) -> Floats:
        """(d,)"""
        return self.fitted + self.steps * self.step


def moments(rows: Floats, *, full: bool = True, centre: bool = True) -> Moments:
    """Of (n, d) rows, n ≥ 1, in two passes; ``centre=False`` leaves the mean at zero."""
    count, width = rows.shape
    mean = rows.mean(axis=0) if centre else np.zeros(width)
    scatter = np.zeros((width, width) if full else width)
    off = np.zeros(width)  # what rounding left of the mean
    for start in range(0, count, _BLOCK):
        apart = rows[start : start + _BLOCK] - mean
        scatter += apart.T @ apart if full else np.einsum("ij,ij->j", apart, apart)
        off += apart.sum(axis=0)
    if centre:
        off /= count
        scatter -= count * _square(off, full)
        mean = mean + off
    depth = min(count, _BLOCK) + count // _BLOCK + 2
    noise = _SAFETY * depth * UNIT * _diagonal(scatter)
    return Moments(count, mean, scatter, _coarse(noise), np.zeros(width))


def without(whole: Moments, part: Moments) -> Moments:
    """What is left when ``part`` is taken out of ``whole``; some rows must be left."""
    left = whole.count - part.count
    share = part.count / left
    gap = part.mean - whole.mean
    full = whole.scatter.ndim == 2
    scatter = whole.scatter - part.scatter - whole.count * share * _square(gap, full)
    far = np.abs(part.mean) + np.abs(whole.mean)
    rounding = _diagonal(whole.scatter) + whole.count * share * far**2
    step = np.maximum(whole.step, _coarse(part.noise + 3 * _SAFETY * UNIT * rounding))
    return Moments(left, whole.mean - share * gap, scatter, whole.fitted, step, whole.steps + 1)


def _square(vector: Floats, full: bool) -> Floats:
    return np.outer(vector, vector) if full else vector**2


def _diagonal(scatter: Floats) -> Floats:
    return np.diagonal(scatter) if scatter.ndim == 2 else scatter


def _coarse(noise: Floats) -> Floats:
    """The next power of two; nothing stays nothing."""
    fraction, exponent = np.frexp(np.maximum(noise, 0.0))
    return np.where(fraction > 0, np.ldexp(1.0, exponent - (fraction == 0.5)), 0.0)
