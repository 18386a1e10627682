"""What is proved about the optimum of a loss is never less than the truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from erasure.unlearning.logloss import Loss

ROWS, WIDTH = 3000, 5


def drawn(seed: int, weight: float, wide: float) -> tuple[Loss, NDArray[np.float64]]:
    """A loss, and its optimum to rounding."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(ROWS, WIDTH)) * wide
    odds = features @ rng.normal(size=WIDTH) / wide
    loss = Loss(features, odds + rng.logistic(size=ROWS) > 0, weight)
    optimum = loss.minimised(np.zeros(WIDTH + 1), 0.0, 60).w
    return loss, optimum


losses = st.builds(
    drawn,
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.01, 1.0, 100.0]),
    st.sampled_from([0.3, 1.0, 3.0]),
)
distances = st.integers(-6, -1).map(lambda exponent: 10.0**exponent)


def aside(optimum: NDArray[np.float64], distance: float, seed: int) -> NDArray[np.float64]:
    away = np.random.default_rng(seed).normal(size=len(optimum))
    return np.asarray(optimum + distance * away / np.linalg.norm(away))


@settings(max_examples=60, deadline=None)
@given(losses, distances, distances, st.integers(0, 99))
def test_a_step_ends_no_further_from_the_optimum_than_it_proves(
    drawn: tuple[Loss, NDArray[np.float64]], near: float, here: float, seed: int
) -> None:
    loss, optimum = drawn
    hessian = loss.nearby(aside(optimum, near, seed))
    assert hessian is not None
    w = aside(optimum, here, seed + 1)
    slope, apart = loss._gradient(w, hessian.odds)
    step, bound = hessian.proved(slope, apart)
    assert np.linalg.norm(w - step - optimum) <= bound + 1e-12
    if max(near, here) <= 1e-5:
        assert bound < here


@settings(max_examples=30, deadline=None)
@given(losses, distances, st.integers(0, 99))
def test_coefficients_are_no_further_from_the_optimum_than_is_found(
    drawn: tuple[Loss, NDArray[np.float64]], distance: float, seed: int
) -> None:
    loss, optimum = drawn
    found = loss.located(aside(optimum, distance, seed), 1e-14)
    assert distance <= found.bound * (1 + 1e-6) + 1e-12
    assert found.bound <= found.gradient


def test_the_rows_show_more_convexity_than_the_penalty_alone() -> None:
    loss, optimum = drawn(0, 1.0, 1.0)
    found = loss.located(aside(optimum, 1e-6, 0), 1e-8)
    least = np.linalg.eigvalsh(loss.hessian(optimum))[0]
    assert found.convexity == pytest.approx(least, rel=1e-3)
    assert found.bound < 1e-5 < found.gradient


def test_a_hessian_too_far_away_proves_nothing() -> None:
    loss, optimum = drawn(0, 1.0, 1.0)
    near = loss.nearby(optimum + 2.0)
    assert near is not None
    slope, apart = loss._gradient(optimum, near.odds)
    assert near.proved(slope, apart)[1] == np.inf


def test_rows_that_are_too_large_for_single_precision_have_no_hessian_in_it() -> None:
    features = np.array([[1e39], [1.0]])
    assert Loss(features, np.array([True, False]), 1.0).nearby(np.zeros(2)) is None


def test_what_is_found_says_where_it_was_proved() -> None:
    loss, optimum = drawn(0, 1.0, 1.0)
    begun = aside(optimum, 1e-4, 0)
    near = loss.nearby(begun)
    assert near is not None
    found = loss.followed(begun, near, 1e-8, 100)
    assert found.steps == 2
    assert np.linalg.norm(found.w - optimum) <= found.bound <= 1e-8 < found.gradient
    assert 1.0 < found.convexity <= np.linalg.eigvalsh(loss.hessian(optimum))[0]
    stopped = loss.followed(begun, near, 1e-8, 1)
    assert stopped.bound == stopped.gradient > 1e-8
    assert dataclasses.replace(stopped, w=found.w).steps == 1
