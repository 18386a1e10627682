"""What may be put in the place of a value, best first. Pure and repeatable: the run's sealed seed
decides, so that a second execution tries the same values in the same order.

After a few values of the type come those that the column's constraints hint at: texts of an IN
list or of a pattern, numbers around and between bounds, texts of a given length. Which of them is
let in, the database says. Nothing of the value that goes is used but its kind: its length, or
where its digits stand, would tell of it.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import count, pairwise
from typing import TypeVar
from uuid import UUID

from erasure.domain.expressions import NO_HINTS, Hints
from erasure.domain.patterns import like, matching
from erasure.domain.placing import TOKEN, Family, Slot, labels_of, random_value, token
from erasure.domain.values import Scalar

_TRIES = 3  # of the plain kind, before the hints
_PATTERN = re.compile(r"[%^$\[(*\\]")
_SINGLE = 6  # digits that single precision keeps, and double precision anyhow
_RANGE = 2  # so many texts may be bounds, more are a list
_BOUNDS = 5  # texts behind which something is looked for
_MORE = 64  # after them: where a unique column has little room
_LONGEST = 4000
_ALPHABETS = (string.ascii_lowercase, string.ascii_uppercase, string.digits)

Item = TypeVar("Item")


def random_candidates(slot: Slot, hints: Hints = NO_HINTS) -> Iterator[Scalar]:
    """Fresh values of the column's type. Raises CannotMask where there is none for the type."""
    yield random_value(slot)
    for attempt in range(1, _TRIES):
        yield random_value(slot.again(attempt))
    yield from _HINTED.get(slot.family, _nothing)(slot, hints)
    for attempt in range(_TRIES, _MORE):
        yield random_value(slot.again(attempt))


def shuffled(slot: Slot, items: Sequence[Item]) -> list[Item]:
    """In an order that only the seed decides."""
    return [items[i] for i in sorted(range(len(items)), key=lambda i: slot.noise(f"order {i}"))]


def _nothing(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    yield from ()


def _texts(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    room = _LONGEST if slot.length is None else slot.length
    lengths = {int(n) + d for n in hints.numbers for d in (0, 1, -1) if 0 < n < _LONGEST}
    lengths = {n for n in lengths if 0 < n <= room} | {min(TOKEN, room)}
    for attempt in range(_MORE):
        again = slot.again(attempt)
        made, behind = list(_described(again, hints.texts)), list(_behind(again, hints.texts))
        if len(hints.texts) <= _RANGE:  # else the one bound that is let in would be everybody's
            made, behind = made + behind, []
        for texts in (made, behind):
            yield from (text[:room] for text in shuffled(again, list(dict.fromkeys(texts))))
        for length in sorted(lengths):
            yield from (drawn(again, letters, length) for letters in _ALPHABETS)
        if not attempt:  # a word of a list that looks like a pattern
            yield from (text for text in shuffled(again, hints.texts) if len(text) <= room)


def _described(slot: Slot, patterns: Sequence[str]) -> Iterator[str]:
    """Texts that the patterns of the constraints describe."""
    for place, pattern in enumerate(patterns):
        yield like(pattern, _dice(slot, f"like {place}"))
        made = matching(pattern, _dice(slot, f"matching {place}"))
        yield from () if made is None else (made,)


def _dice(slot: Slot, label: str) -> Callable[[int], int]:
    numbers = (int.from_bytes(slot.noise(f"{label} {n}")) for n in count())
    return lambda limit: next(numbers) % limit


def _behind(slot: Slot, bounds: Sequence[str]) -> Iterator[str]:
    """Behind a bound comes what begins with it."""
    plain = [text for text in bounds if not _PATTERN.search(text)]
    for text in plain[:_BOUNDS]:
        yield text + token(slot.noise("behind"), TOKEN)
        yield from (text + drawn(slot, letters, 1) for letters in _ALPHABETS)


def drawn(slot: Slot, letters: str, length: int) -> str:
    """So many of the letters, each by chance."""
    noise = b"".join(slot.noise(f"{letters[0]}{n}") for n in range(length // 32 + 1))
    return "".join(letters[byte % len(letters)] for byte in noise[:length])


def _numbers(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    bounds = sorted({*hints.numbers, Decimal(0), Decimal(1)})
    within = [low + (high - low) * Decimal(slot.again(n).below(1000)) / 1000
              for low, high in pairwise(bounds) for n in range(_TRIES)]  # fmt: skip
    beyond = [bounds[-1] + 1 + slot.below(1000), bounds[0] - 1 - slot.below(1000)]
    # In any order: else everybody gets the same, and who has it already keeps it.
    wanted = shuffled(slot, list(dict.fromkeys((*hints.numbers, *within, *beyond))))
    wanted += [bound + delta for bound in bounds for delta in (1, -1)]
    for low, high in pairwise(bounds):  # a small range whole, a large one at many places
        first, room = math.ceil(low), math.floor(high) - math.ceil(low)
        some = shuffled(slot, range(room)) if room <= _MORE else [
            slot.again(n).below(room) for n in range(_MORE)
        ]  # fmt: skip
        wanted += [Decimal(first + step) for step in some]
    for number in wanted:
        made = _as_number(slot, number)
        if made is not None:
            yield made
    if slot.family == "float":  # in a narrow range of double precision
        yield from map(float, wanted)


def _as_number(slot: Slot, number: Decimal) -> Scalar:
    """The nearest number that the type can hold; None where it can hold none near it."""
    if slot.family in ("integer", "year"):
        whole = math.floor(number)
        unsigned = "UNSIGNED" in slot.data_type.upper()
        # A column of SQLite may hold more than its type's name says; it says so itself.
        low, high = (0, 2 ** (slot.bits + 1)) if unsigned else (-(2**slot.bits), 2**slot.bits)
        if not low <= whole < high:
            return None
        return str(whole) if isinstance(slot.value, str) else whole
    if slot.family == "float":
        return float(f"{number:.{_SINGLE}g}")
    precision, scale = slot.digits
    rounded = Decimal(round(number, scale))
    if slot.numbers and abs(rounded) >= Decimal(10) ** (precision - scale):
        return None
    if isinstance(slot.value, Decimal):
        return rounded
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)


def _moments(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    """Around and between the moments that are named, long ago, and far ahead."""
    zone = slot.value.tzinfo if isinstance(slot.value, datetime) else None
    read = _read(datetime.fromisoformat, hints.texts)
    named = sorted({m.replace(tzinfo=(m.tzinfo or zone) if zone else None) for m in read})
    within = [low + timedelta(days=slot.again(n).below((high - low).days + 1))
              for low, high in pairwise(named) for n in range(_TRIES)]  # fmt: skip
    within += [low + (high - low) / 2 for low, high in pairwise(named)]
    beyond = [m + timedelta(days=d) for m in named for d in (slot.below(3000), -slot.below(3000))]
    wanted = shuffled(slot, [*named, *within, *beyond])
    wanted += [moment + timedelta(days=delta) for moment in named for delta in (1, -1)]
    begins = [datetime(year, 1, 1, tzinfo=zone) for year in (1902, 1972, 2000, 2030, 2090)]
    wanted += [begin + timedelta(days=slot.below(2500)) for begin in begins]
    for moment in wanted:
        whole = slot.family == "datetime" or isinstance(slot.value, datetime)
        yield slot.shaped(moment.replace(microsecond=0) if whole else moment.date())


def _times(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    zone = slot.value.tzinfo if isinstance(slot.value, time) else None
    named = _read(time.fromisoformat, hints.texts)
    hours = [time(hour) for hour in range(24)]
    for moment in (*shuffled(slot, named), *shuffled(slot, hours)):
        yield slot.shaped(moment.replace(tzinfo=moment.tzinfo or zone))


def _identifiers(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    for made in shuffled(slot, _read(UUID, hints.texts)):
        yield str(made) if isinstance(slot.value, str) else made


def _read(reader: Callable[[str], Item], texts: Sequence[str]) -> list[Item]:
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(reader(text))
    return found


def _labels(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    yield from shuffled(slot, labels_of(slot))
    if slot.family == "set":
        yield ""


def _booleans(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    bit = slot.below(2)
    yield from (bool(b) if isinstance(slot.value, bool) else b for b in (bit, 1 - bit))


def _bytes(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    for number in hints.numbers:
        if 0 < number <= min(_LONGEST, slot.length or _LONGEST):
            length = int(number)
            yield b"".join(slot.noise(f"long {n}") for n in range(length // 32 + 1))[:length]


def _documents(slot: Slot, hints: Hints) -> Iterator[Scalar]:
    yield from ("{}", "[]", "null", '""')


_HINTED: Mapping[Family, Callable[[Slot, Hints], Iterator[Scalar]]] = {
    "text": _texts,
    "integer": _numbers,
    "decimal": _numbers,
    "float": _numbers,
    "year": _numbers,
    "boolean": _booleans,
    "date": _moments,
    "datetime": _moments,
    "time": _times,
    "enum": _labels,
    "set": _labels,
    "uuid": _identifiers,
    "bytes": _bytes,
    "json": _documents,
}
