"""Comparing in Python what no database compares: one value against many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Scalar, Value
from erasure.stores.base import Selector
from erasure.stores.rows import comparable, folded


def single_values(place: str, selector: Selector, values: Sequence[Value]) -> list[Scalar]:
    """The values, for a store that compares one field at a time. Raises StoreError for others."""
    if selector.mode == "together":
        names = ", ".join(selector.fields)
        raise StoreError(
            place, f"a reference of several fields ({names}) can be followed in databases only"
        )
    return [value for value in values if not isinstance(value, tuple)]


def value_matcher(mode: str, values: Sequence[Value]) -> Callable[[Value], Sequence[Value]]:
    """Which of ``values`` a value equals."""
    normal = folded if mode == "email" else comparable
    wanted: dict[str, list[Value]] = {}
    for value in values:
        if (form := normal(value)) is not None:
            wanted.setdefault(form, []).append(value)
    return lambda value: wanted.get(normal(value) or "", ()) if value is not None else ()


def text_matcher(values: Sequence[Value]) -> Callable[[Value], Sequence[Value]]:
    """Which of ``values`` stand in a text."""
    texts = [text for value in values if (text := comparable(value))]
    matcher = Matcher(Needle(text=text, category="") for text in texts)

    def match(value: Value) -> list[Value]:
        hits = matcher.found_in(str(value)) if value is not None else ()
        return [matcher.needles[i].text for i in sorted(hits)]

    return match
