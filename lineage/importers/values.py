"""What a column's sampled values look like, in counts only: no value leaves this module.

Pure: the values are handed in, a :class:`Look` comes out. Every value that repeats is judged once
and counted as often as it stands there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lineage.importers.detectors import DETECTORS, EMAIL, Detector, plausible, year_of
from lineage.importers.guesses import guess
from lineage.importers.terms import Guess
from lineage.importers.words import words
from lineage.schema import Column

# Of values that are all alike, one says as much as a thousand.
ENOUGH, FEW = 10, 3
# So many are tried before a detector is given up.
_PEEK = 20
_HALF = 0.5
# No number that identifies anything has as many digits.
_LONGEST = 30
# Free text: long, of many words, hardly ever the same.
_LONG, _WORDY, _VARIED = 45, 7, 0.6
_TEXTS = 5
# Birth dates lie decades apart.
_GENERATION = 25
_BORN = (1900, 2020)
_DEPTH, _KEYS = 5, 50
# A key of documents is shown only where it recurs; what stands in one of them may be a value.
_RECURS = 0.1
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")


@dataclass(frozen=True, kw_only=True)
class Nested:
    """A key inside JSON documents: its dotted path, what its name suggests, and its values."""

    path: str
    guess: Guess | None
    look: Look


@dataclass(frozen=True, kw_only=True)
class Look:
    """``values``: how many were sampled, without NULLs and empty texts. ``fitting``: how many can
    be what the name says, None where none could disagree; ``fitting_words`` names them.
    ``proof``: what most values are, whatever the name says, and how many. ``holding``: texts with
    an email address inside. ``born``: dates spread as birth dates are."""

    values: int = 0
    distinct: int = 0
    fitting: int | None = None
    fitting_words: str = ""
    proof: Detector | None = None
    proven: int = 0
    long_text: bool = False
    holding: int = 0
    born: bool = False
    nested: tuple[Nested, ...] = ()

    @property
    def agrees(self) -> bool | None:
        """Whether most values can be what the name says; None where nothing was seen."""
        if self.fitting is None or not self.values:
            return None
        return self.fitting >= 0.8 * self.values

    @property
    def share(self) -> float:
        """The share of values that are what ``proof`` says."""
        return self.proven / self.values if self.values else 0.0


UNSEEN = Look()


def text_of(value: object) -> str:
    """A value as it would be written; empty for what no detector reads."""
    if value is None or isinstance(value, bool | bytes | memoryview):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else ""
    if isinstance(value, Decimal):
        readable = value.is_finite() and value.adjusted() < _LONGEST
        return str(int(value)) if readable and value == value.to_integral_value() else ""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).strip()


def look(found: Guess | None, values: Iterable[object]) -> Look:
    """Judge the sampled values of a column whose name suggests ``found``."""
    given = list(values)
    counts = Counter(filter(None, map(text_of, given)))
    total = sum(counts.values())
    if not total:
        return UNSEEN
    documents = _documents(counts)
    if documents:
        nested = tuple(_nested(documents))
        return Look(values=total, distinct=len(counts), nested=nested, holding=_holding(counts))
    seen = replace(_proof(counts), values=total, distinct=len(counts))
    test = plausible(found.category) if found else None
    if test:
        fitting = sum(n for text, n in counts.items() if test[1](text))
        seen = replace(seen, fitting=fitting, fitting_words=test[0])
    if any(isinstance(value, str) for value in given):
        long_text = _is_long(counts, total)
        holding = _holding(counts) if long_text else 0
        seen = replace(seen, long_text=long_text, holding=holding)
    return replace(seen, born=_born(given))


def _proof(counts: Mapping[str, int]) -> Look:
    """The detector that most values pass, where at least half do."""
    best = UNSEEN
    for detector in DETECTORS:
        peeked = list(counts)[:_PEEK]
        if sum(map(detector.test, peeked)) < _HALF * len(peeked):
            continue
        passed = {text: n for text, n in counts.items() if detector.test(text)}
        if len(passed) >= FEW and sum(passed.values()) > best.proven:
            best = Look(proof=detector, proven=sum(passed.values()))
    return best if best.proven >= _HALF * sum(counts.values()) else UNSEEN


def _is_long(counts: Mapping[str, int], total: int) -> bool:
    if total < _TEXTS or len(counts) < _VARIED * total:
        return False
    lengths = sum(len(text) * n for text, n in counts.items())
    pieces = sum(len(text.split()) * n for text, n in counts.items())
    return lengths >= _LONG * total and pieces >= _WORDY * total


def _holding(counts: Mapping[str, int]) -> int:
    return sum(n for text, n in counts.items() if EMAIL.search(text))


def _born(values: Iterable[object]) -> bool:
    """Dates only, decades apart, none of them of late: weak, and useful beside a name alone."""
    years = []
    for value in values:
        year = _year(value)
        if year is None and value is not None:
            return False
        years += [] if year is None else [year]
    if len(set(years)) < ENOUGH:
        return False
    years.sort()
    return _BORN[0] <= years[0] and years[-1] <= _BORN[1] and years[-1] - years[0] >= _GENERATION


def _year(value: object) -> int | None:
    if isinstance(value, date | datetime):
        return value.year
    if isinstance(value, str) and re.search(r"\D", value):
        return year_of(value.strip())
    return None


# --- documents ---------------------------------------------------------------------------------


def _documents(counts: Mapping[str, int]) -> list[Any]:
    """The values as JSON documents, once for each time they stand there; empty where most are
    none."""
    if sum(text[0] in "{[" for text in counts) < _HALF * len(counts):
        return []
    found = []
    for text, n in counts.items():
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            continue
        found += [document] * n
    return found if len(found) >= _HALF * sum(counts.values()) else []


def _nested(documents: list[Any]) -> Iterator[Nested]:
    """Every path whose keys recur and whose name or values suggest something."""
    by_path: dict[tuple[str, ...], list[object]] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    for document in documents:
        leaves = list(_leaves(document))
        for path, value in leaves:
            by_path.setdefault(path, []).append(value)
        seen.update({path[:end] for path, _ in leaves for end in range(1, len(path) + 1)})
    least = max(FEW, _RECURS * len(documents))
    for path, values in sorted(by_path.items()):
        if all(seen[path[:end]] >= least for end in range(1, len(path) + 1)):
            found = guess(Column(name=path[-1], data_type=""), words(path[-1]))
            inner = look(found, values)
            if found or inner.proof:
                yield Nested(path=".".join(path), guess=found, look=inner)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Plain values with the keys that lead to them; the items of a list share a path."""
    if isinstance(value, dict) and len(path) < _DEPTH:
        for key, inner in list(value.items())[:_KEYS]:
            if _KEY.fullmatch(key):
                yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and path:
        for inner in value[:_KEYS]:
            yield from _leaves(inner, path)
    elif path and not isinstance(value, dict | list):
        yield path, value
