"""Texts that a constraint's pattern describes."""

from __future__ import annotations

import random
import re

import pytest

from erasure.domain.patterns import like, matching


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$",
        r"^\+?[0-9]{7,15}$",
        r"^(\+\d{1,3} )?\d+$",
        r"^\d{3}-\d{2}-\d{4}$",
        r"^(?:m|f|[xd])$",
        r"^[^\s@]+@\S+$",
    ],
)
def test_a_text_is_drawn_that_the_pattern_matches(pattern: str) -> None:
    drawn = {matching(pattern, random.Random(seed).randrange) for seed in range(50)}
    assert all(text is not None and re.search(pattern, text) for text in drawn)
    assert len(drawn) > 2


def test_a_named_class_is_understood() -> None:
    assert re.fullmatch(r"\d{5}", str(matching("^[[:digit:]]{5}$", random.Random(1).randrange)))


@pytest.mark.parametrize("pattern", ["a(b", "[a", r"(a)\1", r"\p{L}", "(a{200}){200}", "a)"])
def test_what_is_not_understood_describes_nothing(pattern: str) -> None:
    assert matching(pattern, random.Random(1).randrange) is None


def test_a_text_is_drawn_that_a_like_pattern_matches() -> None:
    text = like("DE-%_", random.Random(1).randrange)
    assert re.fullmatch(r"DE-[a-z0-9]{7}", text)
