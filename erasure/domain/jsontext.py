"""JSON as text, changed in place: what is not changed stays as it was written, byte for byte. Pure.

Numbers, blanks, escapes, the order of keys and keys that come twice are the writer's and stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal

from erasure.domain.values import Scalar

Path = Sequence[str]
_TOKEN = re.compile(r'\s*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+)', re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]+")
_KINDS: dict[str, Literal["object", "array"]] = {"{": "object", "[": "array"}
# A number of more digits, written out, is no value of anything.
_DIGITS = 1_000


@dataclass(slots=True)
class Node:
    """A value at ``start:end`` of the text. ``items`` of an array; ``members`` of an object, the
    key as a node of its own."""

    kind: Literal["object", "array", "scalar"]
    start: int
    end: int
    token: str = ""
    items: list[Node] = field(default_factory=list)
    members: list[tuple[Node, Node]] = field(default_factory=list)

    @property
    def text(self) -> str | None:
        """A string's characters; None for everything else."""
        if not self.token.startswith('"'):
            return None
        found = self.token[1:-1]
        return str(json.loads(self.token, strict=False)) if "\\" in found else found

    @property
    def value(self) -> Scalar:
        """A scalar as a plain value; numbers are whole or decimal."""
        if (text := self.text) is not None:
            return text
        words: dict[str, Scalar] = {"true": True, "false": False, "null": None}
        return words[self.token] if self.token in words else _number(self.token)


def _number(token: str) -> Scalar:
    if _INTEGER.fullmatch(token):
        return int(token) if len(token) < _DIGITS else token
    try:
        number = Decimal(token)
    except InvalidOperation:
        return token
    small = number.is_finite() and abs(number.adjusted()) < _DIGITS
    return number if small else token


def parse(text: str) -> Node:
    """The document. Raises ValueError where it is none."""
    try:
        json.loads(text, strict=False, parse_int=str, parse_float=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    building = _Building()
    for found in _TOKEN.finditer(text):
        token = found[1]
        if token in ("}", "]"):
            building.close(found.end())
        elif token not in (",", ":"):
            building.add(Node(_KINDS.get(token, "scalar"), found.start(1), found.end(), token))
    return building.root


class _Building:
    """A document whose tokens come one after the other."""

    def __init__(self) -> None:
        self.root = Node("scalar", 0, 0)
        # What is open, and the key in it that waits for its value.
        self._open: list[tuple[Node, list[Node]]] = []

    def add(self, node: Node) -> None:
        """A scalar, a key, or the beginning of a list or an object."""
        if not self._open:
            self.root = node
        else:
            parent, waiting = self._open[-1]
            if parent.kind == "array":
                parent.items.append(node)
            elif waiting:
                parent.members.append((waiting.pop(), node))
            else:
                waiting.append(node)
        if node.kind != "scalar":
            self._open.append((node, []))

    def close(self, end: int) -> None:
        """The end of the innermost list or object."""
        node, _ = self._open.pop()
        node.end = end


class _Object(tuple[tuple[str, Any], ...]):
    """Keys and values as they stand."""


@lru_cache(maxsize=8)  # a row is asked for the same field several times
def scalars_at(text: str, path: tuple[str, ...]) -> tuple[Scalar, ...]:
    """The plain values at a path, as :func:`values_at` finds them, of a text that is only read;
    none where it is no document."""
    return tuple(_scalars(_loaded(text), path))


@lru_cache(maxsize=2)  # or for several fields
def _loaded(text: str) -> Any:
    try:
        return json.loads(
            text,
            strict=False,
            parse_int=_number,
            parse_float=_number,
            parse_constant=str,  # NaN and the infinities, which are no value: as they stand
            object_pairs_hook=_Object,
        )
    except (ValueError, RecursionError):
        return None


def _scalars(value: Any, path: Path) -> Iterator[Scalar]:
    if not path:
        yield from _plain(value)
        return
    for one in value if isinstance(value, list) else (value,):
        for key, inner in one if isinstance(one, _Object) else ():
            if key == path[0]:
                yield from _scalars(inner, path[1:])


def _plain(value: Any) -> Iterator[Scalar]:
    if isinstance(value, list):
        for item in value:
            yield from _plain(item)
    elif value is not None and not isinstance(value, _Object):
        yield value


def at(node: Node, path: Path) -> Iterator[Node]:
    """What stands at a path; lists on the way are entered, and a key that comes twice counts."""
    if not path:
        yield node
        return
    for one in node.items if node.kind == "array" else (node,):
        for key, value in one.members:
            if key.text == path[0]:
                yield from at(value, path[1:])


def values_at(node: Node, path: Path) -> Iterator[Node]:
    """The values at a path: of a list its items, also of lists in it. An object is one value."""
    for found in at(node, path):
        yield from _items(found)


def _items(node: Node) -> Iterator[Node]:
    if node.kind != "array":
        yield node
    for item in node.items:
        yield from _items(item)


def arrays_at(node: Node, path: Path) -> Iterator[Node]:
    """The lists at a path, also those in them."""
    waiting = list(at(node, path))
    while waiting:
        found = waiting.pop()
        if found.kind == "array":
            yield found
            waiting += found.items


def strings(node: Node) -> Iterator[Node]:
    """Every scalar below a node, and every key."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if found.kind == "scalar":
            yield found
        waiting += found.items
        for key, value in found.members:
            yield key
            waiting.append(value)


@dataclass(frozen=True)
class Edit:
    """``text`` in the place of ``start:end``."""

    start: int
    end: int
    text: str


def put(node: Node, value: Scalar) -> Edit:
    """A scalar in the place of a value."""
    return Edit(node.start, node.end, written(value, like=node.token))


def without(parts: Sequence[tuple[int, int]], going: Iterable[int]) -> Iterator[Edit]:
    """Parts of a list or an object, given by their places, taken out with a comma each."""
    gone = sorted(set(going))
    stay = sorted(set(range(len(parts))) - set(gone))
    if gone and not stay:
        yield Edit(parts[0][0], parts[-1][1], "")
        return
    for i in gone:
        if i < stay[-1]:
            yield Edit(parts[i][0], parts[i + 1][0], "")
        else:
            yield Edit(parts[i - 1][1], parts[i][1], "")


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with every edit, of which no two overlap."""
    pieces, last = [], 0
    for edit in sorted(edits, key=lambda e: e.start):
        pieces += [text[last : edit.start], edit.text]
        last = edit.end
    return "".join([*pieces, text[last:]])


def written(value: Any, like: str = "") -> str:
    """A scalar as JSON; in ASCII where ``like`` is, or where it could not be written otherwise."""
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float | Decimal):
        return str(value)
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=like.isascii())
