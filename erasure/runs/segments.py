"""One person's part of a batch: the keys to act on, as compact text that is then sealed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from erasure.domain.finding import KeyText, People, Person, key_text
from erasure.domain.values import Scalar, rows_from_json, rows_to_json
from erasure.stores.base import Key

Became = Literal["", "done", "kept", "reused"]


@dataclass(slots=True)
class Entry:
    """A key to act on (``text``: its values as comparable text), by which step, for whom, and the
    values that led on from it.

    ``at``: its place in each person's segment of its batch; ``became``: empty until the batch is
    done, then what the store's receipt said of the key.
    """

    ordinal: int
    key: Key
    text: KeyText
    people: People
    carry: Mapping[str, Scalar] = field(default_factory=dict)
    at: dict[Person, int] = field(default_factory=dict)
    became: Became = ""


def to_text(entries: Iterable[Entry]) -> bytes:
    """Entries in order. Those of one shape stand together, so that what they have in common is
    said once: ``[step, width of key, width of guard, names of carry, rows, whole]``."""
    groups: list[list[Any]] = []
    for shape, alike in groupby(entries, key=_shape):
        ordinal, width, guard, names, whole = shape
        listed = list(alike)
        rows = rows_to_json([(*e.key.values, *e.key.guard, *e.carry.values()) for e in listed])
        objects = None if whole else [[e.key.count, e.key.version] for e in listed]
        groups.append([ordinal, width, guard, names, rows, objects])
    return json.dumps(groups, separators=(",", ":")).encode()


def _shape(entry: Entry) -> tuple[int, int, int, tuple[str, ...], bool]:
    key = entry.key
    whole = key.count == 1 and not key.version
    return entry.ordinal, len(key.values), len(key.guard), tuple(entry.carry), whole


def from_text(text: bytes, people: People) -> Iterator[Entry]:
    """The entries of ``people``, who are one, in the order in which they were written."""
    for ordinal, width, guard, names, rows, objects in json.loads(text):
        carried = width + guard
        for i, row in enumerate(rows_from_json(rows)):
            key = Key(row[:width], row[width:carried], *(objects[i] if objects else ()))
            carry = dict(zip(names, row[carried:], strict=True)) if names else {}
            yield Entry(ordinal, key, key_text(key.values), people, carry)
