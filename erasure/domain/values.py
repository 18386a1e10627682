"""Values of keys and identities: one canonical text per value, and a typed JSON form.

A person is the same whether a database says ``42`` and a log says ``"42"``, whether a mailbox is
written ``Person@Example.COM`` or ``person@example.com``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

Scalar = str | int | float | bool | bytes | Decimal | datetime | date | time | UUID | None

# A composite reference leads on by several values together.
Value = Scalar | tuple[Scalar, ...]
_TOGETHER = "\x1f"

NORMALISER_VERSION = 1


def fold(text: str) -> str:
    """Unicode NFKC, case-folded: the form in which texts are compared."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


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
    if isinstance(value, tuple):
        return _TOGETHER.join([canonical(part) for part in value])
    if plain is not str:
        if isinstance(value, (float, Decimal)) and isfinite(value) and value == int(value):
            return str(int(value))
        if isinstance(value, (datetime, date, time)):
            return value.isoformat()
    text = str(value).strip()
    return fold(text) if kind == "email" else text


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
    return _READERS[tag](text)


def all_to_json(values: Sequence[Scalar]) -> list[Any]:
    """:func:`to_json` over a sequence."""
    return [v if type(v) in _PLAIN else to_json(v) for v in values]


def all_from_json(plain: Sequence[Any]) -> tuple[Scalar, ...]:
    """The inverse of :func:`all_to_json`."""
    return tuple([p if type(p) in _PLAIN else from_json(p) for p in plain])
