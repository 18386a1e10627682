"""One person's part of a batch: the keys to act on, as compact text that is then sealed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby, repeat
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from erasure.domain.finding import KeyText, People, Person, key_text
from erasure.domain.values import Scalar, rows_from_json, rows_to_json
from erasure.stores.base import Key

# Without a call of Python per row.
_row_key = partial(tuple.__new__, Key)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_LONG = 1 << 14  # bytes, from which on it is worth the while to compress them
_PACKED = b"\x78"  # the first byte of zlib's format (RFC 1950, 2.2)
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


def packed(text: bytes) -> bytes:
    """What has much in common, as rows with a date, is a fraction of it then."""
    return zlib.compress(text, 1) if len(text) >= _LONG else text


def unpacked(text: bytes) -> bytes:
    """The text again; JSON never begins as what is compressed does."""
    return zlib.decompress(text) if text[:1] == _PACKED else text


def to_text(entries: Iterable[Entry], pieces: Iterable[bytes] = ()) -> bytes:
    """Entries in order, then groups that are text already. Those of one shape stand together, so
    that what they have in common is said once:
    ``[step, width of key, width of guard, names of carry, rows, whole]``."""
    groups: list[bytes] = []
    for shape, alike in groupby(entries, key=_shape):
        ordinal, width, guard, names, whole = shape
        listed = list(alike)
        rows = rows_to_json([(*e.key.values, *e.key.guard, *e.carry.values()) for e in listed])
        objects = None if whole else [[e.key.count, e.key.version] for e in listed]
        groups.append(group_text([ordinal, width, guard, names, rows, objects]))
    return b"[" + b",".join(chain(groups, pieces)) + b"]"


def group_text(group: Sequence[Any]) -> bytes:
    """One group."""
    return _encode(group).encode()


def _shape(entry: Entry) -> tuple[int, int, int, tuple[str, ...], bool]:
    key = entry.key
    whole = key.count == 1 and not key.version
    return entry.ordinal, len(key.values), len(key.guard), tuple(entry.carry), whole


class Group(NamedTuple):
    """Entries of one shape, as they are written down: of each the values of its key, of its guard
    and those that led on, one after the other. ``plain``: all of them are texts, integers or
    NULL; ``objects``: count and version of each key, where it is no single row."""

    ordinal: int
    width: int
    guard: int
    names: Sequence[str]
    rows: Sequence[tuple[Scalar, ...]]
    plain: bool
    objects: Sequence[tuple[int, str]] | None

    def keys(self) -> list[Key]:
        """The keys, in order."""
        width, end = self.width, self.width + self.guard
        if self.objects is not None:
            pairs = zip(self.rows, self.objects, strict=True)
            return [Key(row[:width], row[width:end], *odd) for row, odd in pairs]
        values: Iterable[tuple[Scalar, ...]] = self.rows
        guards: Iterable[tuple[Scalar, ...]] = repeat(())
        if self.guard or self.names:
            values = map(itemgetter(slice(width)), self.rows)
        if self.guard:
            guards = map(itemgetter(slice(width, end)), self.rows)
        return list(map(_row_key, zip(values, guards, repeat(1), repeat(""))))

    def counted(self) -> int:
        """How many rows they stand for; a step about a whole set has none."""
        if not self.width:
            return 0
        return sum(o[0] for o in self.objects) if self.objects is not None else len(self.rows)

    def carried(self) -> list[dict[str, Scalar]]:
        """The different values that led on."""
        end = self.width + self.guard
        different = {key_text(row[end:]): row[end:] for row in self.rows}
        return [dict(zip(self.names, values, strict=True)) for values in different.values()]

    def entries(self, people: People) -> Iterator[Entry]:
        """The same as entries of ``people``."""
        names, end = self.names, self.width + self.guard
        for key, row in zip(self.keys(), self.rows, strict=True):
            carry = dict(zip(names, row[end:], strict=True)) if names else {}
            yield Entry(self.ordinal, key, key_text(key.values), people, carry)


def from_text(text: bytes) -> list[Group]:
    """What one person's segment holds, in the order in which it was written."""
    groups = []
    for ordinal, width, guard, names, rows, objects in json.loads(text.decode()):
        plain, values = rows_from_json(rows)
        groups.append(Group(ordinal, width, guard, names, values, plain, objects))
    return groups
