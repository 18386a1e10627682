"""Fields inside documents (JSON, arrays, JSON in a text): read, and changed in place.

A document is handled as the text that stands in its column, so that what a step does not name
stays as it is. Arrays of a database come as JSON, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice

from erasure.domain.jsontext import (
    Edit,
    Node,
    arrays_at,
    at,
    edited,
    parse,
    put,
    scalars_at,
    strings,
    values_at,
    without,
    written,
)
from erasure.domain.needles import REDACTED, Matcher
from erasure.domain.values import Many, Scalar, canonical
from lineage.schema import Inside

# Puts a value in the place of the one that stands somewhere: field, its number there, the value.
Mask = Callable[[str, int, Scalar], Scalar]
_OPENING = ("{", "[", '"')
_ESCAPES = re.compile(r'(?:\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))+')
_CHUNK = 500
_SEPARATOR = "\x1f"  # is no letter, so no needle reaches from one value into the next


class Unreadable(ValueError):
    """A document that is none, or too deep, and in which something had to be changed."""


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What a step changes inside one column. ``dropped``: paths that go with their key."""

    cut: tuple[Inside, ...] = ()
    masked: tuple[Inside, ...] = ()
    dropped: tuple[Inside, ...] = ()
    redacted: tuple[Inside, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that change."""
        every = (*self.cut, *self.masked, *self.dropped, *self.redacted)
        return tuple(inside.name for inside in every)


def text_of(value: Scalar) -> str | None:
    """A column's value as JSON text; None for NULL. A document that stands alone as a number may
    have come as one."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return value if value is None or isinstance(value, str) else written(value)


def values(value: Scalar, inside: Inside) -> Many:
    """What the column's value holds at that field, in order; NULL and objects are no values."""
    text = text_of(value)
    return Many(scalars_at(text, inside.path)) if text else Many()


def change(
    value: Scalar,
    edits: Edits,
    *,
    theirs: Mapping[str, Many] | None,
    mask: Mask,
    needles: Matcher,
) -> Scalar:
    """The column's value after the edits. ``theirs``: of a field that is cut, the values that go;
    without it all of them do. Raises Unreadable; a text that is no document can be redacted."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return value
    before = text = text_of(value)
    if text is None:
        raise Unreadable
    for inside in edits.cut:
        going = None if theirs is None else theirs.get(inside.name, Many())
        text = _cut(text, inside, going)
    for inside in edits.masked:
        text = _masked(text, inside, mask)
    for inside in edits.dropped:
        text = _dropped(text, inside)
    for inside in edits.redacted:
        text = _redacted(text, inside, needles)
    if text == before:
        return value
    return text.encode() if isinstance(value, bytes) else text


def replaced(value: Scalar, inside: Inside, news: Mapping[str, Scalar]) -> Scalar:
    """The column's value with other values at that field, by the canonical text of the old ones;
    a text stays a text."""
    text = text_of(value)
    root = _parsed(text) if text is not None else None
    edits = []
    for node in values_at(root, inside.path) if root else ():
        old = canonical(node.value) if node.kind == "scalar" and node.value is not None else ""
        if old in news:
            new = news[old]
            edits.append(put(node, new if node.text is None else canonical(new)))
    return edited(text, edits) if text is not None and edits else value


def _cut(text: str, inside: Inside, going: Many | None) -> str:
    """An item of a list is taken out; a value elsewhere becomes null."""
    root = _must(text)
    texts = None if going is None else {canonical(item) for item in going.items}

    def goes(node: Node) -> bool:
        value = node.value if node.kind == "scalar" else None
        return value is not None and (texts is None or canonical(value) in texts)

    edits = [put(n, None) for n in at(root, inside.path) if n.kind != "array" and goes(n)]
    for array in arrays_at(root, inside.path):
        places = [(item.start, item.end) for item in array.items]
        gone = [i for i, item in enumerate(array.items) if item.kind == "scalar" and goes(item)]
        edits += without(places, gone)
    return edited(text, edits)


def _masked(text: str, inside: Inside, mask: Mask) -> str:
    edits = []
    for number, node in enumerate(values_at(_must(text), inside.path)):
        value = node.value if node.kind == "scalar" else None
        if node.kind != "scalar":
            edits.append(put(node, None))  # an object goes as a whole
        elif value is not None:
            new = mask(inside.name, number, value)
            if new != value or type(new) is not type(value):
                edits.append(put(node, new))
    return edited(text, edits)


def _dropped(text: str, inside: Inside) -> str:
    edits: list[Edit] = []
    for holder in at(_must(text), inside.path[:-1]):
        for one in holder.items if holder.kind == "array" else (holder,):
            places = [(key.start, value.end) for key, value in one.members]
            names = [key.text for key, _ in one.members]
            edits += without(places, [i for i, n in enumerate(names) if n == inside.path[-1]])
    return edited(text, edits)


def redacted(text: str, needles: Matcher, put_there: str = REDACTED) -> str:
    """A text with every needle replaced. Where it is a JSON document it stays one: in strings and
    keys, and a number that is a needle becomes null."""
    root = _parsed(text) if text.lstrip()[:1] in _OPENING else None
    if root is None:
        return needles.redact(text, put_there)
    return edited(text, _redactions(root, needles, put_there))


def _redacted(text: str, inside: Inside, needles: Matcher) -> str:
    """Of a path, only what is below it."""
    if not needles.found_in(legible(text)):
        return text
    root = _must(text) if inside.path else _parsed(text)
    if root is None:
        return needles.redact(text)
    found = {edit for node in at(root, inside.path) for edit in _redactions(node, needles)}
    return edited(text, found)


def _redactions(node: Node, needles: Matcher, put_there: str = REDACTED) -> Iterator[Edit]:
    holding = {found.start for found, _ in _holding(node, needles)}
    waiting = [node] if holding else []
    while waiting:
        found = waiting.pop()
        waiting += [*found.items, *(value for _, value in found.members)]
        if found.kind == "scalar" and found.start in holding:
            text = found.text
            new = None if text is None else needles.redact(text, put_there)
            yield Edit(found.start, found.end, written(new, like=found.token))
        elif any(key.start in holding for key, _ in found.members):
            yield from _keys(found, holding, needles, put_there)


def _keys(node: Node, holding: Set[int], needles: Matcher, put_there: str) -> Iterator[Edit]:
    """Keys of an object without needles, and without one of them becoming another's."""
    taken = {key.text for key, _ in node.members if key.start not in holding}
    for key, _ in node.members:
        if key.start in holding:
            name = needles.redact(key.text or "", put_there)
            number, new = 1, name
            while new in taken:
                number += 1
                new = f"{name} {number}"
            taken.add(new)
            yield Edit(key.start, key.end, written(new, like=key.token))


def _holding(node: Node, needles: Matcher) -> Iterator[tuple[Node, set[int]]]:
    """Scalars and keys that hold needles, and which; looked at many at a time."""
    nodes = strings(node)
    while some := list(islice(nodes, _CHUNK)):
        if needles.found_in(legible(_SEPARATOR.join([n.token for n in some]))):
            for one in some:
                if there := _needles_of(one, needles):
                    yield one, there


def _needles_of(node: Node, needles: Matcher) -> set[int]:
    """Needles inside a string; of a number, those that it is as a whole."""
    text = node.text
    if text is not None:
        return needles.found_in(text)
    value = node.value
    if value is None or isinstance(value, bool):
        return set()
    return needles.equals(canonical(value)) | needles.equals(node.token)


def _parsed(text: str) -> Node | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _must(text: str) -> Node:
    root = _parsed(text)
    if root is None:
        raise Unreadable
    return root


def legible(text: str) -> str:
    """A text in which needles can be looked for also where it is JSON, whose strings may hold
    escapes: beside it, itself without them. What is found there is to be confirmed."""
    if "\\" not in text:
        return text
    return f"{text}{_SEPARATOR}{_ESCAPES.sub(_unescaped, text)}"


def _unescaped(found: re.Match[str]) -> str:
    try:
        return str(json.loads(f'"{found[0]}"'))
    except ValueError:
        return found[0]


def array_text(text: str) -> str:
    """A list in JSON as PostgreSQL writes an array."""
    return _array(parse(text), text)


def _array(node: Node, whole: str) -> str:
    if node.kind == "array":
        return "{" + ",".join(_array(item, whole) for item in node.items) + "}"
    if node.token == "null":  # noqa: S105 - a word of JSON
        return "NULL"
    text = whole[node.start : node.end] if node.text is None else node.text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def needles_in(text: str, needles: Matcher, path: Sequence[str] = ()) -> set[int]:
    """Needles in a text; in a document, as :func:`redacted` finds them, below that path."""
    root = _parsed(text) if path or text.lstrip()[:1] in _OPENING else None
    if root is None:
        return set() if path else needles.found_in(legible(text))
    found = (there for node in at(root, path) for _, there in _holding(node, needles))
    return {needle for there in found for needle in there}


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A needle in a value of a document, at the declared field that it stands in, if any."""

    field: str
    needle: int
    whole: bool


def sightings(
    text: str, column: str, declared: Sequence[Inside], needles: Matcher
) -> list[Sighting]:
    """Every needle in a column's text, each field once. Of a document no path is told, since its
    keys are data, too: only the nearest declared field, or the column."""
    if not needles.found_in(legible(text)):
        return []
    root = _parsed(text) if declared or text.lstrip()[:1] in _OPENING else None
    if root is None:
        whole = needles.equals(text)
        found = {(column, needle, needle in whole) for needle in needles.found_in(text)}
    else:
        found = set(_sightings(root, column, declared, needles))
    # Where a needle stands alone and inside a text, the text is what tells.
    partly = {(name, needle) for name, needle, whole in found if not whole}
    return [
        Sighting(field=name, needle=needle, whole=(name, needle) not in partly)
        for name, needle in sorted({(name, needle) for name, needle, _ in found})
    ]


def _sightings(
    root: Node, column: str, declared: Sequence[Inside], needles: Matcher
) -> Iterator[tuple[str, int, bool]]:
    fields: dict[int, str] = {}
    for inside in sorted(declared, key=lambda i: len(i.path)):
        for node in at(root, inside.path):
            fields |= {scalar.start: inside.name for scalar in strings(node)}
    for node, there in _holding(root, needles):
        whole = needles.equals(node.text if node.text is not None else canonical(node.value))
        for needle in there:
            yield fields.get(node.start, column), needle, needle in whole
