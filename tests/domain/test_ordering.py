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
    ("pairs", "order"),
    [
        ("", "abc"),
        ("ca0 ba0", "bca"),
        ("ab0 bc0 ca0", "bca"),
        ("ab0 bc0 ca1", "bca"),
        ("ab1 bc1 ca0", "abc"),
        ("ab0 ba1", "bac"),
        ("ab1 ba0", "abc"),
        ("ab0 ba1 bc0", "bac"),
        ("ab2 bc1 ca2", "cab"),
        ("ab1 bc2 ca2", "bca"),
    ],
)
def test_a_circle_gives_up_what_matters_least(pairs: str, order: str) -> None:
    weighed = {(p[0], p[1]): int(p[2]) for p in pairs.split()}
    assert "".join(in_order("abc", weighed)) == order


@given(order=st.permutations(NAMES), picked=st.lists(st.integers(0, 4)), wanted=PAIRS)
def test_what_matters_holds_whatever_else_is_wanted(
    order: list[str], picked: list[int], wanted: list[Pair]
) -> None:
    steps = list(pairwise(order))
    needed = [steps[i] for i in picked]
    found = in_order(NAMES, dict.fromkeys(wanted, 0) | dict.fromkeys(needed, 1))
    assert sorted(found) == list(NAMES)
    assert held(found, needed)


@given(order=st.permutations(NAMES), wanted=PAIRS)
def test_what_makes_no_circle_holds(order: list[str], wanted: list[Pair]) -> None:
    straight = [p for p in wanted if order.index(p[0]) < order.index(p[1])]
    assert held(in_order(NAMES, dict.fromkeys(straight, 0)), straight)


@given(pairs=st.dictionaries(PAIRS.filter(bool).map(lambda listed: listed[0]), st.integers(0, 2)))
def test_what_is_in_no_circle_holds_whatever_matters_more(pairs: dict[Pair, int]) -> None:
    def behind(name: str) -> set[str]:
        found, waiting = set[str](), [name]
        while waiting:
            current = waiting.pop()
            new = {then for first, then in pairs if first == current} - found
            found |= new
            waiting += new
        return found

    straight = [(first, then) for first, then in pairs if first not in behind(then)]
    assert held(in_order(NAMES, pairs), straight)


def test_a_circle_elsewhere_disturbs_nobody() -> None:
    chain = [("d", "c"), ("c", "b"), ("b", "a"), ("x", "d")]
    found = in_order("abcdxy", {**dict.fromkeys(chain, 0), ("x", "y"): 0, ("y", "x"): 1})
    assert held(found, [*chain, ("y", "x")])
