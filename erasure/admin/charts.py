"""A small chart that needs no script: figures as points, joined in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LEAST = 0.02  # of the figures' size: differences below that are drawn as small as they are
_MOST = 8  # that have room for their figures on a narrow page
_WIDTH, _HEIGHT, _SIDE, _TOP, _BOTTOM = 640, 150, 48, 28, 30


def line(name: str, points: Sequence[tuple[str, float, bool]]) -> dict[str, Any]:
    """Of (label, figure, whether it still counts): places for an SVG of ``width`` × ``height``, and
    the same in words; the latest eight. The axis is as long as the figures are apart, which is
    said, and two hundredths of them at least; empty for fewer than two."""
    points = points[-_MOST:]
    if len(points) < 2:
        return {}
    figures = [figure for _, figure, _ in points]
    low, high = min(figures), max(figures)
    span = max(high - low, _LEAST * max(abs(low), abs(high)))
    bottom = (low + high - span) / 2
    step = (_WIDTH - 2 * _SIDE) / (len(points) - 1)
    room = _HEIGHT - _TOP - _BOTTOM
    dots = [
        {
            "label": label,
            "figure": f"{figure:.4f}",
            "here": here,
            "x": f"{_SIDE + step * at:.1f}",
            "y": f"{_TOP + room * (1 - (figure - bottom) / span if span else 0.5):.1f}",
        }
        for at, (label, figure, here) in enumerate(points)
    ]
    told = "; ".join(f"version {d['label']}: {d['figure']}" for d in dots)
    return {
        "name": name,
        "dots": dots,
        "path": " ".join(f"{d['x']},{d['y']}" for d in dots),
        "words": f"{name}: {told}",
        "width": _WIDTH,
        "height": _HEIGHT,
        "foot": _HEIGHT - 8,
        "range": f"{low:.4f} to {high:.4f}" if f"{low:.4f}" != f"{high:.4f}" else f"{low:.4f}",
    }
