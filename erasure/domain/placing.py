"""A value's place: what fits there, and the randomness that belongs to it alone. Pure.

Random values come from ``HMAC-SHA256(seed, key)``: the same place gets the same value while the
seed lives, and nobody can compute it afterwards.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from erasure.domain.errors import LetheError
from erasure.domain.values import Scalar, all_to_json

TOKEN = 16
MAIL_DOMAIN = "@example.invalid"
MAIL_LOCAL = 8

Family = Literal[
    "text", "integer", "decimal", "float", "boolean", "date", "datetime", "time", "uuid", "json",
    "bytes", "enum", "address", "other",
]  # fmt: skip


class CannotMask(LetheError):
    """A method that the column cannot take. The text holds no value."""


# First match wins; names of SQL, of Arrow and of fideslang.
_FAMILIES: tuple[tuple[Family, re.Pattern[str]], ...] = (
    ("enum", re.compile(r"ENUM")),
    ("integer", re.compile(r"U?(TINY|SMALL|MEDIUM|BIG)?INT(EGER)?\d*( UNSIGNED)?|\w*SERIAL|YEAR")),
    ("decimal", re.compile(r"NUMERIC|DECIMAL\d*|NUMBER")),
    ("float", re.compile(r"FLOAT\d*|REAL|DOUBLE( PRECISION)?")),
    ("boolean", re.compile(r"BOOL(EAN)?")),
    ("datetime", re.compile(r"DATETIME|TIMESTAMP.*")),
    ("date", re.compile(r"DATE\d*")),
    ("time", re.compile(r"TIME.*")),
    ("uuid", re.compile(r"UUID|UNIQUEIDENTIFIER")),
    ("json", re.compile(r"JSONB?")),
    ("address", re.compile(r"INET\d*")),
    ("bytes", re.compile(r"\w*BLOB|BYTEA|.*BINARY.*")),
    ("text", re.compile(r".*(CHAR|TEXT|STRING|CLOB).*")),
)
_BY_TYPE: Mapping[type, Family] = {
    bool: "boolean", int: "integer", float: "float", Decimal: "decimal", datetime: "datetime",
    date: "date", time: "time", UUID: "uuid", bytes: "bytes",
}  # fmt: skip
_BITS: Mapping[str, int] = {
    "TINYINT": 7, "SMALLINT": 15, "MEDIUMINT": 23, "INT2": 15, "INT8": 31, "INT16": 15
}  # fmt: skip


def family_of(data_type: str | None, value: Scalar) -> Family:
    """The kind of value a column takes; by the value itself where the type says nothing."""
    word = re.split(r"[(\[]", (data_type or "").upper(), maxsplit=1)[0].strip()
    if not word:
        return _BY_TYPE.get(type(value), "text")
    return next((family for family, names in _FAMILIES if names.fullmatch(word)), "other")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A value's place: what fits there, and the randomness that belongs to it alone."""

    value: Scalar
    data_type: str
    length: int | None
    nullable: bool
    unique: bool
    seed: bytes
    key: tuple[Scalar, ...]

    @property
    def family(self) -> Family:
        """The kind of value that fits."""
        return family_of(self.data_type, self.value)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Precision and scale, where the type names them."""
        return tuple(int(n) for n in re.findall(r"\d+", self.data_type.partition("(")[2]))

    def noise(self, label: str = "") -> bytes:
        """32 bytes that only the seed's owner can compute again."""
        text = json.dumps([label, *all_to_json(self.key)], ensure_ascii=False)
        return hmac.digest(self.seed, text.encode("utf-8", "surrogatepass"), "sha256")

    def below(self, limit: int) -> int:
        """A number from 0 up to, not including, ``limit``."""
        return int.from_bytes(self.noise()) % max(1, limit)

    def shaped(self, value: date | datetime | time) -> Scalar:
        """A moment as text where the column holds moments as text."""
        if not isinstance(self.value, str):
            return value
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()

    def fitting(self, text: str) -> str:
        """``text`` cut to the column's length."""
        return text if self.length is None else text[: self.length]


def token(noise: bytes, length: int) -> str:
    """Letters and digits out of noise; five bits each, at most 51 of them."""
    return base64.b32encode(noise).decode().lower()[:length]


def random_value(slot: Slot) -> Scalar:
    """A fresh value of the column's type and length. Raises CannotMask."""
    return _RANDOM[slot.family](slot)


def _random_text(slot: Slot) -> Scalar:
    room = slot.length if slot.length is not None else TOKEN + len(MAIL_DOMAIN)
    if "@" in str(slot.value) and room >= MAIL_LOCAL + len(MAIL_DOMAIN):
        return token(slot.noise(), min(TOKEN, room - len(MAIL_DOMAIN))) + MAIL_DOMAIN
    return token(slot.noise(), min(TOKEN, room))


def _random_integer(slot: Slot) -> Scalar:
    word = slot.data_type.upper().partition("(")[0].strip()
    bits = _BITS.get(word, 53 if word in ("BIGINT", "BIGSERIAL", "INT64") else 31)
    number = 1950 + slot.below(70) if word == "YEAR" else 1 + slot.below(2**bits - 1)
    return str(number) if isinstance(slot.value, str) else number


def _random_decimal(slot: Slot) -> Scalar:
    precision, scale = (*slot.numbers, 9, 0)[:2] if slot.numbers else (9, 0)
    if len(slot.numbers) == 1:
        scale = 0
    number = slot.below(10 ** min(15, max(0, precision - scale)))
    return Decimal(number) if isinstance(slot.value, Decimal) else number


def _random_boolean(slot: Slot) -> Scalar:
    bit = slot.below(2)
    return bool(bit) if isinstance(slot.value, bool) else bit


def _random_moment(slot: Slot) -> Scalar:
    if slot.family == "time":
        seconds = slot.below(86_400)
        return slot.shaped(time(seconds // 3600, seconds // 60 % 60, seconds % 60))
    # A TIMESTAMP of MySQL begins with 1970.
    first = 1971 if slot.data_type.upper().startswith("TIMESTAMP") else 1950
    day = date(first, 1, 1) + timedelta(days=slot.below(18_000 if first == 1971 else 25_000))
    if slot.family == "date" and not isinstance(slot.value, datetime):
        return slot.shaped(day)
    zone = UTC if isinstance(slot.value, datetime) and slot.value.tzinfo else None
    return slot.shaped(datetime(day.year, day.month, day.day, tzinfo=zone))


def _random_uuid(slot: Slot) -> Scalar:
    made = UUID(bytes=slot.noise()[:16], version=4)
    return str(made) if isinstance(slot.value, str) else made


def _random_enum(slot: Slot) -> Scalar:
    labels = re.findall(r"'((?:[^']|'')*)'", slot.data_type)
    if not labels:
        raise CannotMask("an enumeration without labels; declare the method 'constant'")
    return str(labels[slot.below(len(labels))]).replace("''", "'")


def _random_address(slot: Slot) -> Scalar:
    """In the ranges that are kept for documentation, RFC 3849 and 5737: nobody's."""
    if slot.data_type.upper() == "INET4":
        return f"192.0.2.{slot.below(254) + 1}"
    width = "/128" if "/" in str(slot.value) else ""
    return f"2001:db8::{slot.below(2**16 - 1) + 1:x}{width}"


def _random_other(slot: Slot) -> Scalar:
    raise CannotMask(f"no random value for type {slot.data_type}; declare the method 'constant'")


_RANDOM: Mapping[Family, Callable[[Slot], Scalar]] = {
    "text": _random_text,
    "integer": _random_integer,
    "decimal": _random_decimal,
    "float": lambda slot: float(slot.below(10**6)),
    "boolean": _random_boolean,
    "date": _random_moment,
    "datetime": _random_moment,
    "time": _random_moment,
    "uuid": _random_uuid,
    "json": lambda slot: "{}",
    "bytes": lambda slot: slot.noise()[: slot.length or TOKEN],
    "enum": _random_enum,
    "address": _random_address,
    "other": _random_other,
}
