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
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from erasure.domain.errors import LetheError
from erasure.domain.values import Scalar, all_to_json

TOKEN = 16
# So many bits of chance that two rows never meet, and nobody's value is met by accident.
WIDE_BITS = 40
MAIL_DOMAIN = "@example.invalid"
MAIL_LOCAL = 8

Family = Literal[
    "text", "integer", "decimal", "float", "boolean", "date", "datetime", "time", "uuid", "json",
    "bytes", "enum", "set", "year", "address", "network", "hardware", "bits", "interval", "xml",
    "array", "empty", "other",
]  # fmt: skip


class CannotMask(LetheError):
    """A method that the column cannot take. The text holds no value."""


# First match wins; names of SQL, of Arrow and of fideslang.
_FAMILIES: tuple[tuple[Family, re.Pattern[str]], ...] = (
    ("enum", re.compile(r"ENUM")),
    ("set", re.compile(r"SET")),
    ("year", re.compile(r"YEAR")),
    ("integer", re.compile(r"U?(TINY|SMALL|MEDIUM|BIG)?INT(EGER)?\d*( UNSIGNED)?|\w*SERIAL|OID")),
    ("decimal", re.compile(r"(NUMERIC|DECIMAL\d*|NUMBER)( UNSIGNED)?")),
    ("float", re.compile(r"(FLOAT\d*|REAL|DOUBLE( PRECISION)?)( UNSIGNED)?")),
    ("boolean", re.compile(r"BOOL(EAN)?")),
    ("datetime", re.compile(r"DATETIME|TIMESTAMP.*")),
    ("date", re.compile(r"DATE\d*")),
    ("time", re.compile(r"TIME.*")),
    ("uuid", re.compile(r"UUID|UNIQUEIDENTIFIER")),
    ("json", re.compile(r"JSONB?")),
    ("address", re.compile(r"INET\d*")),
    ("network", re.compile(r"CIDR")),
    ("hardware", re.compile(r"MACADDR8?")),
    ("bits", re.compile(r"BIT( VARYING)?|VARBIT")),
    ("interval", re.compile(r"INTERVAL.*")),
    ("xml", re.compile(r"XML")),
    ("empty", re.compile(r"TSVECTOR|TSQUERY|HSTORE|\w+RANGE")),
    ("bytes", re.compile(r"\w*BLOB|BYTEA|.*BINARY.*")),
    ("text", re.compile(r".*(CHAR|TEXT|STRING|CLOB).*")),
)
_BY_TYPE: Mapping[type, Family] = {
    bool: "boolean", int: "integer", float: "float", Decimal: "decimal", datetime: "datetime",
    date: "date", time: "time", UUID: "uuid", bytes: "bytes",
}  # fmt: skip
_BITS: Mapping[str, int] = {
    "TINYINT": 7, "SMALLINT": 15, "SMALLSERIAL": 15, "INT2": 15, "INT16": 15, "MEDIUMINT": 23,
    "BIGINT": 63, "BIGSERIAL": 63, "INT64": 63,
}  # fmt: skip
_EXACT_BITS = 53  # a larger whole number is no exact float


def family_of(data_type: str | None, value: Scalar) -> Family:
    """The kind of value a column takes; by the value itself where the type says nothing."""
    if (data_type or "").endswith("[]"):
        return "array"
    # The kind is said before the numbers, and a sign after them: DECIMAL(8, 2) UNSIGNED.
    word = re.sub(r"\(.*\)|\[.*\]", "", (data_type or "").upper(), flags=re.DOTALL).strip()
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
    attempt: int = 0

    @property
    def family(self) -> Family:
        """The kind of value that fits."""
        return family_of(self.data_type, self.value)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Precision and scale, where the type names them."""
        return tuple(int(n) for n in re.findall(r"-?\d+", self.data_type.partition("(")[2]))

    @property
    def digits(self) -> tuple[int, int]:
        """Digits of a decimal in all, and behind its point."""
        precision, scale = (*self.numbers, 0)[:2] if self.numbers else (9, 0)
        return precision, scale

    @property
    def bits(self) -> int:
        """How large a whole number of the type may be, without its sign."""
        word = self.data_type.upper().partition("(")[0].removesuffix(" UNSIGNED").strip()
        return _BITS.get(word, 31)

    @property
    def wide(self) -> bool:
        """True where a random value is so unlikely that no other row holds it."""
        room = self.length if self.length is not None else TOKEN
        chance = {"text": room * 5, "bytes": room * 8, "uuid": 122, "integer": self.bits - 10}
        return chance.get(self.family, 0) >= WIDE_BITS

    def again(self, attempt: int) -> Slot:
        """The same place, with other randomness."""
        return replace(self, attempt=attempt)

    def noise(self, label: str = "") -> bytes:
        """32 bytes that only the seed's owner can compute again."""
        label = f"{label}#{self.attempt}" if self.attempt else label
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
    number = 1 + slot.below(2 ** min(slot.bits, _EXACT_BITS) - 1)
    return str(number) if isinstance(slot.value, str) else number


def _random_decimal(slot: Slot) -> Scalar:
    precision, scale = slot.digits
    if precision > scale >= 0:
        number = Decimal(slot.below(10 ** min(15, precision - scale)))
    else:  # only behind the point, or in steps of hundreds
        number = Decimal(slot.below(10 ** min(15, precision))).scaleb(-scale)
    if isinstance(slot.value, Decimal):
        return number
    return int(number) if number == number.to_integral_value() else float(number)


def _random_boolean(slot: Slot) -> Scalar:
    bit = slot.below(2)
    return bool(bit) if isinstance(slot.value, bool) else bit


def _random_moment(slot: Slot) -> Scalar:
    if slot.family == "time":
        seconds = slot.below(86_400)
        zoned = UTC if isinstance(slot.value, time) and slot.value.tzinfo else None
        return slot.shaped(time(seconds // 3600, seconds // 60 % 60, seconds % 60, tzinfo=zoned))
    # After 1970, where MySQL's TIMESTAMP begins.
    day = date(1971, 1, 1) + timedelta(days=slot.below(17_000))
    if slot.family == "date" and not isinstance(slot.value, datetime):
        return slot.shaped(day)
    zone = UTC if isinstance(slot.value, datetime) and slot.value.tzinfo else None
    return slot.shaped(datetime(day.year, day.month, day.day, tzinfo=zone))


def _random_uuid(slot: Slot) -> Scalar:
    made = UUID(bytes=slot.noise()[:16], version=4)
    return str(made) if isinstance(slot.value, str) else made


def labels_of(slot: Slot) -> list[str]:
    """What an enumeration or a set may hold. Raises CannotMask."""
    labels = re.findall(r"'((?:[^']|'')*)'", slot.data_type)
    if not labels:
        raise CannotMask("an enumeration without labels; declare the method 'constant'")
    return [str(label).replace("''", "'") for label in labels]


def _random_enum(slot: Slot) -> Scalar:
    labels = labels_of(slot)
    return labels[slot.below(len(labels))]


def _random_year(slot: Slot) -> Scalar:
    year = 1970 + slot.below(50)
    return str(year) if isinstance(slot.value, str) else year


def _random_bytes(slot: Slot) -> Scalar:
    """As long as a type of fixed length is, which would fill the rest with zeros."""
    fixed = slot.data_type.upper().startswith("BINARY")
    length = slot.length or TOKEN
    blocks = (slot.noise(f"block {n}" if n else "") for n in range(-(-length // 32)))
    return b"".join(blocks)[: length if fixed else min(length, 32)]


def _random_address(slot: Slot) -> Scalar:
    """In the ranges that are kept for documentation, RFC 3849 and RFC 5737: nobody's."""
    host = slot.below(2**16 - 1) + 1
    if slot.data_type.upper() == "INET4":
        net = ("192.0.2", "198.51.100", "203.0.113")[host % 3]
        return f"{net}.{host // 3 % 256}"
    width = "/128" if "/" in str(slot.value) else ""
    return f"2001:db8::{host:x}{width}"


def _random_hardware(slot: Slot) -> Scalar:
    """Locally administered: no maker's."""
    size = 8 if slot.data_type.upper() == "MACADDR8" else 6
    return ":".join(["02", *(f"{byte:02x}" for byte in slot.noise()[: size - 1])])


def _random_bits(slot: Slot) -> Scalar:
    length = (slot.numbers or (1,))[0]
    number = slot.below(2 ** min(length, 200))
    return f"{number:0{length}b}" if isinstance(slot.value, str) else number


def _random_empty(slot: Slot) -> Scalar:
    """What says nothing: no words, no pairs, no range (PostgreSQL)."""
    word = slot.data_type.upper()
    return "{}" if word.endswith("MULTIRANGE") else "empty" if word.endswith("RANGE") else ""


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
    "bytes": _random_bytes,
    "enum": _random_enum,
    "set": _random_enum,
    "year": _random_year,
    "address": _random_address,
    "network": lambda slot: f"2001:db8:{slot.below(2**16 - 1) + 1:x}::/48",
    "hardware": _random_hardware,
    "bits": _random_bits,
    "interval": lambda slot: "00:00:00",
    "xml": lambda slot: "<erased/>",
    "array": lambda slot: "{}",
    "empty": _random_empty,
    "other": _random_other,
}
