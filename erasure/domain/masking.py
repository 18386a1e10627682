"""What anonymising puts in the place of a value. Pure; the run's sealed seed is an argument.

A method offers values, the best one first: a column may have constraints that only its database
can judge, and what is refused is followed by the next.

Random values come from ``HMAC-SHA256(seed, key)``: a second execution of the run puts the same
value there, and once the seed is destroyed nobody can say what was there before. Every method
leaves its own result unchanged, so "nothing would change any more" is the postcondition.

``pseudonymize`` is linkable by design: it is reported as ``pseudonymized``, never as anonymised.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from erasure.domain.candidates import random_candidates
from erasure.domain.expressions import NO_HINTS, Hints
from erasure.domain.placing import MAIL_LOCAL, TOKEN, Family, Slot, token
from erasure.domain.placing import CannotMask as CannotMask
from erasure.domain.values import Scalar
from erasure.domain.vocabulary import pick
from lineage.graph import Dataset, Field, Method

_PSEUDONYM_BODY = 10
_FAKES = 3


def replacement(
    method: Method | None,
    *,
    value: Scalar,
    data_type: str | None,
    length: int | None,
    nullable: bool,
    unique: bool,
    seed: bytes,
    key: Sequence[Scalar],
) -> Scalar:
    """What stands there afterwards: the first of :func:`candidates`. Raises CannotMask."""
    slot = Slot(
        value=value,
        data_type=data_type or "",
        length=length,
        nullable=nullable,
        unique=unique,
        seed=seed,
        key=tuple(key),
    )
    return next(candidates(method, slot))


def candidates(method: Method | None, slot: Slot, hints: Hints = NO_HINTS) -> Iterator[Scalar]:
    """What may stand there afterwards, best first. ``slot.key`` names the place: collection,
    field and row key.

    Without a method: NULL where the column takes it, else random. ``null`` on a column that
    refuses NULL is random too: the value goes in any case. Nothing stands for nothing: NULL stays.
    Raises CannotMask.
    """
    if slot.value is None:
        return iter((None,))
    name = method.name if method else "null"
    maker = _METHODS.get(name)
    if maker is None:
        raise CannotMask(f"unknown method '{name}'; known: {', '.join(sorted(_METHODS))}")
    return maker(slot, method.argument if method else None, hints)


def _default(slot: Slot, _: str | None, hints: Hints) -> Iterator[Scalar]:
    if slot.nullable:
        yield None
    yield from random_candidates(slot, hints)


def _random(slot: Slot, _: str | None, hints: Hints) -> Iterator[Scalar]:
    yield from random_candidates(slot, hints)
    if slot.nullable:
        yield None


def _keep(slot: Slot, _: str | None, hints: Hints) -> Iterator[Scalar]:
    yield slot.value


def _constant(slot: Slot, argument: str | None, hints: Hints) -> Iterator[Scalar]:
    if slot.unique:
        raise CannotMask("a unique column cannot hold one constant in many rows; use 'random'")
    text = "" if argument is None else str(argument)
    if slot.length is not None and len(text) > slot.length:
        raise CannotMask(f"the constant is longer than the column's {slot.length} characters")
    reader = _READERS.get(slot.family)
    try:
        yield reader(text) if reader and not isinstance(slot.value, str) else text
    except (ValueError, ArithmeticError):
        raise CannotMask(f"the constant is no {slot.family}") from None


_READERS: Mapping[Family, Callable[[str], Scalar]] = {
    "integer": int,
    "year": int,
    "decimal": Decimal,
    "float": float,
    "boolean": lambda text: text.strip().lower() in ("true", "1", "t", "yes"),
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "uuid": UUID,
    "bytes": str.encode,
}


def _generalize(slot: Slot, argument: str | None, hints: Hints) -> Iterator[Scalar]:
    """Coarser, or gone: what cannot be made coarser does not stay as it is."""
    name, _, size = (argument or "").partition(":")
    maker = _GENERALIZE.get(name)
    if maker is None:
        raise CannotMask("generalize takes one of: year, month, zip3, bucket:N")
    if slot.unique:
        raise CannotMask("a generalised value is not unique; use 'random'")
    if name == "bucket" and not (size.isdigit() and int(size) > 0):
        raise CannotMask("generalize takes bucket:N with N a whole number above 0")
    coarser = maker(slot.value, int(size or 1))
    if coarser is not None:
        yield coarser
    for made in _default(slot, None, hints):
        # Made coarser as well, where it can be: it would be the next time, and must not change.
        yield made if made is None else maker(made, int(size or 1)) or made


def _period(value: Scalar, *, months: bool) -> Scalar:
    if isinstance(value, datetime):
        month = value.month if months else 1
        return value.replace(month=month, day=1, hour=0, minute=0, second=0, microsecond=0)
    if isinstance(value, date):
        return value.replace(month=value.month if months else 1, day=1)
    if not isinstance(value, str):
        return None
    found = re.fullmatch(r"(\d{4})-(\d\d)(-\d\d)?([T ].*)?", value.strip())
    if found is None:
        return value if re.fullmatch(r"\d{4}", value) and not months else None
    rest = "-01" if found[3] else ""
    midnight = f"{found[4][0]}00:00:00" if found[4] else ""
    return f"{found[1]}-{found[2] if months else '01'}{rest}{midnight}"


def _zip3(value: Scalar, _: int) -> Scalar:
    text = re.sub(r"\W", "", str(value)) if isinstance(value, str | int) else ""
    if len(text) < 3 or isinstance(value, bool):
        return None
    return text[:3] if isinstance(value, str) else int(text[:3].ljust(len(text), "0"))


def _bucket(value: Scalar, size: int) -> Scalar:
    if isinstance(value, str):
        number = re.fullmatch(r"-?[0-9]+", value.strip())
        return str(int(number[0]) // size * size) if number else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not math.isfinite(value):
        return None
    if isinstance(value, float):
        return _float_bucket(value, size)
    floor = math.floor(value) // size * size
    return floor if isinstance(value, int) else Decimal(floor)


def _float_bucket(value: float, size: int) -> float:
    """Large floats are sparse: step down until the bucket's floor is one of them."""
    floor = float(math.floor(value) // size * size)
    while floor != value:
        value, floor = floor, float(math.floor(floor) // size * size)
    return floor


_GENERALIZE: Mapping[str, Callable[[Scalar, int], Scalar]] = {
    "year": lambda value, _: _period(value, months=False),
    "month": lambda value, _: _period(value, months=True),
    "zip3": _zip3,
    "bucket": _bucket,
}


def _fake(slot: Slot, argument: str | None, hints: Hints) -> Iterator[Scalar]:
    for attempt in range(_FAKES if slot.family == "text" else 0):
        again = slot.again(attempt)
        made = pick(argument or "", again.noise())
        if made is None:
            raise CannotMask(f"cannot fake '{argument}'; use name, email, address, city, phone …")
        if slot.unique:  # a vocabulary is small: make it unique by a part that is drawn, too
            made = f"{token(again.noise('unique'), MAIL_LOCAL)}.{made}"
        yield slot.fitting(made)
    yield from _random(slot, None, hints)


def _pseudonymize(slot: Slot, _: str | None, hints: Hints) -> Iterator[Scalar]:
    """Equal values get equal names while the seed lives; it knows its own results again."""
    if slot.family != "text" or (slot.length is not None and slot.length < TOKEN):
        raise CannotMask(f"a pseudonym needs a text column of {TOKEN} characters; use 'random'")
    text = str(slot.value)
    body = text[:_PSEUDONYM_BODY]
    if text != body + _check(slot.seed, body):
        body = token(_keyed(slot.seed, "body", text), _PSEUDONYM_BODY)
    yield body + _check(slot.seed, body)


def _check(seed: bytes, body: str) -> str:
    return token(_keyed(seed, "check", body), TOKEN - _PSEUDONYM_BODY)


def _keyed(seed: bytes, label: str, text: str) -> bytes:
    return hmac.digest(seed, f"pseudonym:{label}:{text}".encode("utf-8", "surrogatepass"), "sha256")


def _drop_key(slot: Slot, argument: str | None, hints: Hints) -> Iterator[Scalar]:
    """The document without that dotted path; what is no document does not stay."""
    if not argument:
        raise CannotMask("drop_key needs the path of the key, like 'contact.email'")
    try:
        document = json.loads(slot.value) if isinstance(slot.value, str | bytes) else None
    except ValueError:
        yield from _default(slot, None, hints)
        return
    dropped = _dropped(document, argument.split("."))
    yield json.dumps(document, ensure_ascii=False) if dropped else slot.value


def _dropped(document: Any, path: Sequence[str]) -> bool:
    if isinstance(document, list):
        return sum(_dropped(item, path) for item in document) > 0  # every item, not up to the first
    if not isinstance(document, dict) or path[0] not in document:
        return False
    if len(path) > 1:
        return _dropped(document[path[0]], path[1:])
    del document[path[0]]
    return True


_METHODS: Mapping[str, Callable[[Slot, str | None, Hints], Iterator[Scalar]]] = {
    "null": _default,
    "keep": _keep,
    "constant": _constant,
    "random": _random,
    "generalize": _generalize,
    "fake": _fake,
    "pseudonymize": _pseudonymize,
    "drop_key": _drop_key,
}


@lru_cache(maxsize=1024)
def _masked(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(
        f for f in fields if (f.personal or f.method) and not (f.method and f.method.name == "keep")
    )


def masked_fields(dataset: Dataset) -> tuple[Field, ...]:
    """The fields that anonymising a row changes: personal ones, and those with a method."""
    return _masked(dataset.fields)


def residue_of(dataset: Dataset) -> Literal["anonymized", "pseudonymized"]:
    """What an anonymised dataset may be called: one pseudonym makes all of it pseudonymous."""
    names = {f.method.name for f in masked_fields(dataset) if f.method}
    return "pseudonymized" if "pseudonymize" in names else "anonymized"
