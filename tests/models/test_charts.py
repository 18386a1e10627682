"""The chart of a figure across versions shows how far figures are apart, and no farther."""

from __future__ import annotations

import pytest

from erasure.admin import charts


def heights(*figures: float) -> list[float]:
    chart = charts.line("roc_auc", [(str(n), figure, True) for n, figure in enumerate(figures)])
    return [float(dot["y"]) for dot in chart["dots"]]


def test_what_hardly_differs_is_drawn_hardly_apart() -> None:
    first, second = heights(0.66741, 0.66739)
    assert first < second
    assert second - first < 1
    assert charts.line("f", [("1", 0.66741, True), ("2", 0.66739, True)])["range"] == "0.6674"


def test_the_greatest_stands_at_the_top_and_the_least_at_the_bottom() -> None:
    top, bottom, middle = heights(0.9, 0.7, 0.8)
    assert (top, bottom) == (28.0, 120.0)
    assert middle == pytest.approx(74.0)


def test_figures_of_nothing_and_a_single_one_are_no_fault() -> None:
    assert heights(0.0, 0.0) == [74.0, 74.0]
    assert charts.line("f", [("1", 0.5, True)]) == {}
