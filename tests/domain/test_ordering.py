"""Orders by pairs that must hold and pairs that should."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasure.domain.ordering import Pair, in_order

NAMES = "abcdef"
PAIRS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda p: p[0] != p[1])
)


def held(order: list[str], pairs: list[Pair]) -> bool:
    return all(order.index(first) < order.index(then) for first, then in pairs)


@pytest.mark.parametrize(
    ("wanted", "needed", "order"),
    [
        ("", "", "abc"),
        ("ca ba", "", "bca"),
        ("ab bc ca", "", "bca"),
        ("ab bc ca", "ca", "bca"),
        ("ab bc ca", "ab bc", "abc"),
        ("ab ba", "ba", "cba"),
        ("ab ba", "ab", "cab"),
    ],
)
def test_a_circle_gives_up_what_need_not_hold(wanted: str, needed: str, order: str) -> None:
    both = [[(p[0], p[1]) for p in pairs.split()] for pairs in (wanted, needed)]
    assert "".join(in_order("abc", *both)) == order


@given(order=st.permutations(NAMES), picked=st.lists(st.integers(0, 4)), wanted=PAIRS)
def test_what_must_hold_does_whatever_else_is_wanted(
    order: list[str], picked: list[int], wanted: list[Pair]
) -> None:
    steps = list(pairwise(order))
    needed = [steps[i] for i in picked]
    found = in_order(NAMES, wanted, needed)
    assert sorted(found) == list(NAMES)
    assert held(found, needed)


@given(order=st.permutations(NAMES), wanted=PAIRS)
def test_what_makes_no_circle_holds(order: list[str], wanted: list[Pair]) -> None:
    straight = [p for p in wanted if order.index(p[0]) < order.index(p[1])]
    assert held(in_order(NAMES, straight, []), straight)


def test_a_circle_elsewhere_disturbs_nobody() -> None:
    circle = [("x", "y"), ("y", "x")]
    chain = [("d", "c"), ("c", "b"), ("b", "a"), ("x", "d")]
    found = in_order("abcdxy", [*circle, *chain], [("y", "x")])
    assert held(found, [*chain, ("y", "x")])
