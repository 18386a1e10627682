"""Checks of the blocks we read ourselves: each takes an item and what it is called, and returns
the value or raises CatalogueError with the line and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from lineage.errors import CatalogueError, suggestion
from lineage.graph import Method
from lineage.importers.documents import Item

Check = Callable[[Item, str], Any]
DURATION = re.compile(r"\d{1,5}[ymwd]")
_UNTIL = re.compile(r"(?:end_of_year\(\s*([^()]+?)\s*\)|([^()+]+?))\s*\+\s*\d{1,5}[ymwd]")
_GENERALIZE = re.compile(r"year|month|zip3|bucket:[1-9]\d*")
_PLACEHOLDER = re.compile(r"\$\{[^}]+\}")
# What made-up values there are: the vocabularies of erasure.domain.vocabulary.
_FAKE_WORDS = (
    *("name", "first_name", "last_name", "email", "user_name", "phone", "company", "job", "text"),
    *("address", "street", "city", "state", "country", "postcode", "zip"),
)
_BARE_METHODS = ("null", "random", "pseudonymize", "keep")


def wrong(item: Item, what: str, expected: str) -> CatalogueError:
    """What was expected at that line. The value itself is not repeated."""
    return CatalogueError(item.place, f"{what} must be {expected}")


def text(item: Item, what: str) -> str:
    """Words; a number or a date counts as the text that was written."""
    if not item.scalar or item.value is None or not item.text.strip():
        raise wrong(item, what, "text")
    return item.text


def flag(item: Item, what: str) -> bool:
    """true or false."""
    if not isinstance(item.value, bool):
        raise wrong(item, what, "true or false")
    return item.value


def whole(low: int) -> Check:
    """A whole number from ``low`` on."""

    def check(item: Item, what: str) -> int:
        value = item.value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**31:
            raise wrong(item, what, f"a whole number from {low} on")
        return value

    return check


def number(item: Item, what: str) -> float | int:
    """Any finite number."""
    if isinstance(item.value, bool) or not isinstance(item.value, int | float):
        raise wrong(item, what, "a number")
    return item.value


def one_of(*allowed: str) -> Check:
    """One of the words of a list."""

    def check(item: Item, what: str) -> str:
        word = text(item, what)
        if word not in allowed:
            raise unknown(item.place, f"{what}: unknown word", word, allowed)
        return word

    return check


def unknown(place: str, what: str, word: str, known: Iterable[str]) -> CatalogueError:
    """A word that is not in a list: the nearest that is, or the list."""
    return CatalogueError(place, f"{what} '{word}'; {suggestion(word, known)}")


def list_of(check: Check) -> Check:
    """A list, each entry checked."""

    def checked(item: Item, what: str) -> list[Any]:
        return [check(entry, f"{what}[{i}]") for i, entry in enumerate(item.sequence(what))]

    return checked


def mapping(spec: Mapping[str, Check], *, required: Iterable[str] = ()) -> Check:
    """A mapping with known keys only. The result holds the keys that were given."""

    def checked(item: Item, what: str) -> dict[str, Any]:
        entries = item.mapping(what)
        for key in entries:
            if key not in spec:
                raise unknown(item.keys[key], f"{what}: unknown key", key, spec)
        for key in required:
            if key not in entries:
                raise CatalogueError(item.place, f"{what} has no '{key}'; add it")
        return {key: spec[key](value, f"{what}.{key}") for key, value in entries.items()}

    return checked


def text_mapping(item: Item, what: str) -> dict[str, str]:
    """A mapping of words to words."""
    return {key: text(value, f"{what}.{key}") for key, value in item.mapping(what).items()}


def free(item: Item, what: str) -> Any:
    """Any plain value: for parts whose meaning lies outside the catalogue."""
    return item.plain()


def or_placeholder(check: Check) -> Check:
    """``${NAME}`` is kept as it is, to be read at the moment of use."""

    def checked(item: Item, what: str) -> Any:
        if isinstance(item.value, str) and _PLACEHOLDER.search(item.value):
            return item.value
        return check(item, what)

    return checked


def duration(item: Item, what: str) -> str:
    """A number and y, m, w or d: ``8y``."""
    if not item.scalar or not DURATION.fullmatch(item.text):
        raise wrong(item, what, "a number with y, m, w or d, such as 8y")
    return item.text


def until(item: Item, what: str) -> str:
    """A date, ``column + 10y`` or ``end_of_year(column) + 8y``."""
    value = text(item, what).strip()
    if until_column(value) is None and not _is_date(value):
        raise wrong(item, what, "'column + 10y', 'end_of_year(column) + 8y' or a date 2031-12-31")
    return value


def until_column(value: str) -> str | None:
    """The column an ``until`` counts from; None for anything else."""
    match = _UNTIL.fullmatch(value)
    return (match[1] or match[2]) if match else None


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return len(value) == len("2031-12-31")


def on_erase(item: Item, what: str) -> tuple[str, bool]:
    """The effect, and whether a ghost takes the place of the reference."""
    if item.scalar:
        return one_of("deep", "shallow", "refcount")(item, what), False
    entries = mapping({"shallow": _null_or_ghost}, required=["shallow"])(item, what)
    return "shallow", entries["shallow"] == "ghost"


def _null_or_ghost(item: Item, what: str) -> str:
    if item.value is None:
        return "null"
    return str(one_of("null", "ghost")(item, what))


def method(item: Item, what: str) -> Method:
    """A word, or one word with its argument: ``null``, ``{generalize: year}``."""
    if item.scalar:
        word = "null" if item.value is None else text(item, what)
        if word in _ARGUED_METHODS:
            raise CatalogueError(item.place, f"{what}: {word} needs a value; write {{{word}: …}}")
        if word not in _BARE_METHODS:
            raise unknown(item.place, f"{what}: unknown method", word, _METHODS)
        return Method(name=word)
    entries = item.mapping(what)
    if len(entries) != 1:
        raise wrong(item, what, "one method, such as {generalize: year}")
    ((word, argument),) = entries.items()
    if word not in _ARGUED_METHODS:
        raise unknown(item.keys[word], f"{what}: unknown method", word, _METHODS)
    return Method(name=word, argument=_ARGUED_METHODS[word](argument, f"{what}.{word}"))


def _constant(item: Item, what: str) -> str:
    # An empty text is a legitimate constant; null has a method of its own.
    if not item.scalar or item.value is None:
        raise wrong(item, what, "a single value; for null write method: null")
    return item.text


def _generalize(item: Item, what: str) -> str:
    word = text(item, what)
    if not _GENERALIZE.fullmatch(word):
        raise wrong(item, what, "year, month, zip3 or bucket:N with N from 1 on")
    return word


_ARGUED_METHODS: Mapping[str, Check] = {
    "constant": _constant,
    "generalize": _generalize,
    "fake": one_of(*_FAKE_WORDS),
    "drop_key": text,
}
_METHODS = (*_BARE_METHODS, *_ARGUED_METHODS)
