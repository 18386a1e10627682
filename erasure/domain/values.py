"""Values of keys and identities: one canonical text per value, and a typed JSON form.

A person is the same whether a database says ``42`` and a log says ``"42"``, whether a mailbox is
written ``Person@Example.COM`` or ``person@example.com``.
"""

from __future__ import annotations

import re
import unicodedata
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, product
from math import isfinite
from struct import calcsize, pack, unpack
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Many:
    """What one field holds where that may be several values: an array, a list in a document."""

    items: tuple[Any, ...] = ()


Scalar = str | int | float | bool | bytes | Decimal | datetime | date | time | UUID | Many | None

# A composite reference leads on by several values together.
Value = Scalar | tuple[Scalar, ...]
_TOGETHER = "\x1f"
_MOST_SPELT = 7
_TELLING = 3  # a value shorter than this stands in too many innocent words
_TELLING_BARE = 6  # and this, where blanks are left out of them

NORMALISER_VERSION = 1


def fold(text: str) -> str:
    """Unicode NFKC, case-folded: the form in which texts are compared."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def repeats(value: str, text: str) -> bool:
    """Whether a text holds a value, also with other blanks and marks, as telephone numbers and
    mailboxes are written, or without the zeros that it begins with."""
    if len(value) >= _TELLING and fold(value) in fold(text):
        return True
    bare = _bare(value).lstrip("0")
    return len(bare) >= _TELLING_BARE and bare in _bare(text)


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, fold(text)))


def mailbox(text: str) -> str:
    """The form in which mailboxes are compared: case does not matter, but ``ß`` is no ``ss`` and
    ``ς`` no ``σ``, with which names of the net are other people's (IDNA 2008)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def respelt(text: str) -> list[str]:
    """A mailbox in its other spellings, where it has ``ß`` or ``ss``: they may be somebody else's,
    or the same person's in a store that knows no ``ß``. None where there would be too many."""
    own = mailbox(text.strip())
    parts = re.split("ß|ss", own)
    if len(parts) > _MOST_SPELT:
        return []
    marks = product(("ß", "ss"), repeat=len(parts) - 1)
    spelt = {"".join(chain.from_iterable(zip(parts, (*some, ""), strict=True))) for some in marks}
    return sorted(spelt - {own})


def finite(value: float | Decimal) -> bool:
    """False for an infinity and for what is no number; a large Decimal is finite."""
    return value.is_finite() if isinstance(value, Decimal) else isfinite(value)


def _whole(value: float | Decimal) -> bool:
    return value == value.to_integral_value() if isinstance(value, Decimal) else value.is_integer()


def askable(text: str) -> bool:
    """False of a text that equals nothing in any store: it holds NUL, or is no whole text."""
    if text.isascii():
        return "\x00" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def canonical(value: Value, kind: str | None = None) -> str:
    """One text per value: integers and their text agree, emails ignore case.

    ``kind`` is the identity kind; only ``email`` is compared without regard to case.
    """
    plain = type(value)
    if plain is int:  # nearly all keys are whole numbers
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | Many):
        parts = value.items if isinstance(value, Many) else value
        return _TOGETHER.join([canonical(part, kind) for part in parts])
    if plain is not str:
        if isinstance(value, (float, Decimal)) and finite(value) and _whole(value):
            return f"{value:.0f}" if value else "0"  # may have more digits than int() tells
        if isinstance(value, (datetime, date, time)):
            return value.isoformat()
    text = str(value).strip()
    return mailbox(text) if kind == "email" else text


def hashed(value: Value, kind: str | None = None) -> str:
    """The text that keyed hashes are made of, by ``NORMALISER_VERSION``. It is coarser than
    :func:`canonical`, and stays so: without the values nothing can be hashed anew."""
    if kind != "email":
        return canonical(value, kind)
    if isinstance(value, tuple | Many):
        parts = value.items if isinstance(value, Many) else value
        return _TOGETHER.join([hashed(part, kind) for part in parts])
    return fold(canonical(value)) if isinstance(value, str) else canonical(value, kind)


def holds(now: Scalar, then: Scalar) -> bool:
    """Whether a guard's value still holds: it is the same, or, of a field with several values,
    what was met then is among them."""
    if isinstance(now, Many):
        texts = {canonical(item) for item in now.items}
        return all(canonical(item) in texts for item in each(then))
    return now == then


def each(value: Scalar) -> Iterator[Scalar]:
    """The values that a field holds; none for NULL."""
    if isinstance(value, Many):
        yield from value.items
    elif value is not None:
        yield value


_PLAIN = frozenset({int, str, type(None)})
_TAGS: dict[type, str] = {
    bytes: "bytes",
    Decimal: "decimal",
    datetime: "datetime",
    date: "date",
    time: "time",
    UUID: "uuid",
}


def to_json(value: Scalar) -> Any:
    """JSON has no dates, decimals or bytes: those become ``{"tag": text}``."""
    if isinstance(value, Many):
        return {"many": all_to_json(value.items)}
    tag = _TAGS.get(type(value))
    if tag is None:
        return value
    if isinstance(value, bytes):
        return {tag: value.hex()}
    return {tag: value.isoformat() if isinstance(value, datetime | date | time) else str(value)}


_READERS: dict[str, Callable[[str], Scalar]] = {
    "bytes": bytes.fromhex,
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "uuid": UUID,
}


def from_json(plain: Any) -> Scalar:
    """The inverse of :func:`to_json`."""
    if not isinstance(plain, dict):
        return plain  # type: ignore[no-any-return]
    ((tag, text),) = plain.items()
    if tag == "many":
        return Many(all_from_json(text))
    return _READERS[tag](text)


# So many rows are written down column by column.
_MANY = 32
_WIDTHS = (("b", 7), ("h", 15), ("i", 31), ("q", 63))


def rows_to_json(rows: Sequence[Sequence[Scalar]]) -> Any:
    """Many rows as JSON: each as a list, or, where they are many of one width with whole numbers
    among them, ``{"columns": …}``. Of those a column of whole numbers is one text, which says how
    wide they are and then their bytes, lowest first, in base64; any other is a list."""
    if len(rows) >= _MANY and len(set(map(len, rows))) == 1:
        columns = [_packed(column) for column in zip(*rows, strict=True)]
        if any(isinstance(column, str) for column in columns):
            return {"columns": columns}
    plain = _PLAIN.issuperset(map(type, chain.from_iterable(rows)))
    return rows if plain else [all_to_json(row) for row in rows]


def _packed(column: Sequence[Any]) -> str | list[Any]:
    if set(map(type, column)) == {int}:
        low, high = min(column), max(column)
        for code, bits in _WIDTHS:
            if -(1 << bits) <= low and high < 1 << bits:
                data = pack(f"<{len(column)}{code}", *column)
                return code + b2a_base64(data, newline=False).decode()
    return all_to_json(column)


def rows_from_json(rows: Any) -> tuple[bool, list[tuple[Scalar, ...]]]:
    """The inverse of :func:`rows_to_json`; and whether all of it are texts, integers or NULL, of
    which no two are equal that are written differently."""
    if isinstance(rows, dict):
        columns = rows["columns"]
        plain = all(isinstance(c, str) or _PLAIN.issuperset(map(type, c)) for c in columns)
        return plain, list(zip(*map(_unpacked, columns), strict=True))
    plain = _PLAIN.issuperset(map(type, chain.from_iterable(rows)))
    return plain, list(map(tuple if plain else all_from_json, rows))


def _unpacked(column: str | list[Any]) -> Sequence[Scalar]:
    if not isinstance(column, str):
        return all_from_json(column)
    code, data = column[0], a2b_base64(column[1:])
    return unpack(f"<{len(data) // calcsize(f'<{code}')}{code}", data)


def all_to_json(values: Sequence[Scalar]) -> list[Any]:
    """:func:`to_json` over a sequence."""
    return [v if type(v) in _PLAIN else to_json(v) for v in values]


def all_from_json(plain: Sequence[Any]) -> tuple[Scalar, ...]:
    """The inverse of :func:`all_to_json`."""
    return tuple([p if type(p) in _PLAIN else from_json(p) for p in plain])
