"""One byte sequence per value: JSON by RFC 8785, without what reads differently elsewhere.

Floats are refused, because their text form is where implementations disagree: a figure with a
decimal point goes in as text.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import rfc8785

from erasure.domain.errors import EvidenceError

_LARGEST = 2**53 - 1  # beyond it JSON readers round
_DEEPEST = 32
_SALT_BYTES = 16
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plain(value: Any, place: str = "payload", depth: int = 0) -> Any:
    """A copy in dicts, lists, texts, whole numbers, booleans and None.

    Raises EvidenceError naming the place of the first value of another type, never the value.
    """
    if depth > _DEEPEST:
        raise EvidenceError(f"{place}: nested deeper than {_DEEPEST}; make it flatter")
    if value is None or isinstance(value, str | int):
        return _scalar(value, place)
    if isinstance(value, Mapping):
        return {_name(k, place): plain(v, f"{place}.{k}", depth + 1) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(v, f"{place}[{i}]", depth + 1) for i, v in enumerate(value)]
    raise EvidenceError(f"{place}: holds a {type(value).__name__}; write it as text")


def _name(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise EvidenceError(f"{place}: a key is {type(key).__name__}; use text")
    return str(_scalar(key, place))


def _scalar(value: str | int | None, place: str) -> str | int | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not (value.isascii() or _encodes(value)):
            raise EvidenceError(f"{place}: holds half a surrogate pair; use whole characters")
        return str.__str__(value)
    if abs(value) > _LARGEST:
        raise EvidenceError(f"{place}: a number beyond 2^53; write it as text")
    return int(value)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def canonical(value: Any, place: str = "payload", depth: int = 0) -> bytes:
    """The canonical UTF-8 bytes of ``value``. Raises EvidenceError, see :func:`plain`. ``depth``:
    how deep it will stand in another value."""
    copy = plain(value, place, depth)
    # What the standard library writes of ASCII alone is byte for byte the same, and much faster.
    text = _ENCODER.encode(copy)
    return text.encode() if text.isascii() else rfc8785.dumps(copy)


def digest(value: Any, place: str = "payload") -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return sha256(canonical(value, place)).hexdigest()


def commit(value: str | bytes, salt: bytes) -> str:
    """A hexadecimal commitment to something that may not be shown: HMAC-SHA-256 under ``salt``.

    With the salt destroyed nobody can confirm a guess. Raises EvidenceError for a short salt.
    """
    if len(salt) < _SALT_BYTES:
        raise EvidenceError(f"salt: needs {_SALT_BYTES} random bytes or more")
    data = value.encode() if isinstance(value, str) else value
    return hmac.new(salt, data, sha256).hexdigest()


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, always with six decimals. Raises EvidenceError without a time zone."""
    if moment.tzinfo is None:
        raise EvidenceError("time: has no time zone; use an aware one")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
