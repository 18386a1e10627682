"""What is looked for in a row, and a prefilter that passes over raw lines without it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import ahocorasick

from erasure.domain.escapes import escaped
from erasure.domain.needles import SHORTEST, Matcher, Needle
from erasure.domain.values import Scalar, canonical, mailbox
from erasure.stores.objects import documents
from erasure.stores.objects.documents import Row
from lineage.graph import Dataset

# The field of a key that was found in a line which its format cannot read.
LINE = "(line)"
_FEW = 8  # patterns; from there on one pass of an automaton is faster than a search for each
_ANCHORED = 64
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
# A regular expression for where a format puts a value, from escaped field names and values.
Anchor = Callable[[Sequence[bytes], Sequence[bytes]], bytes]
_KEYLIKE_DIGITS = 7


def forms(value: Any) -> Iterator[str]:
    """Every text under which a stored value is asked for.

    Bytes are also the text, or the UUID, that they encode: writers without a text type store
    them so.
    """
    if isinstance(value, bytes):
        yield from _forms_of_bytes(value)
    elif isinstance(value, float | Decimal):
        if math.isfinite(value):
            yield canonical(value)
        yield str(value)
    elif isinstance(value, datetime | date | time):
        yield canonical(value)
        yield str(value)
    else:
        yield canonical(value)


def _forms_of_bytes(value: bytes) -> Iterator[str]:
    yield value.hex()
    if len(value) == 16:
        yield str(UUID(bytes=value))
    try:
        yield value.decode().strip()
    except UnicodeDecodeError:
        return


def folds(dataset: Dataset, field: str) -> bool:
    """True where case does not matter: the field is declared an email identity."""
    declared = dataset.get(field)
    return declared is not None and declared.identity == "email"


class Wanted:
    """The values that one field may equal: canonical text → the values as they were given."""

    def __init__(self, values: Iterable[Scalar], *, fold_case: bool) -> None:
        self.fold_case = fold_case
        self.given: dict[str, list[Scalar]] = {}
        for value in values:
            # An empty identity is nobody's, and NULL equals nothing.
            for form in forms(value) if value not in (None, "", b"") else ():
                self.given.setdefault(self._text(form), []).append(value)

    def _text(self, form: str) -> str:
        return mailbox(form) if self.fold_case else form

    def match(self, value: Any) -> str | None:
        """The wanted text that a stored value equals, or None. NULL equals nothing."""
        if value is None:
            return None
        return next((t for t in map(self._text, forms(value)) if t in self.given), None)


@dataclass(frozen=True)
class Sight:
    """One reason why a row is looked for: the field, the text in it, the values as given."""

    field: str
    text: str
    given: tuple[Scalar, ...]


@dataclass(kw_only=True)
class Query:
    """What is looked for in the rows of one dataset: fields that equal a value, and texts that
    stand in fields. ``also`` names fields that whoever asks wants to see in a matching row."""

    equal: Mapping[str, Wanted] = default(default_factory=dict)
    texts: Sequence[Scalar] = ()
    text_fields: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._given: dict[str, list[Scalar]] = {}
        for value in self.texts:
            if value is not None and str(value).strip():
                self._given.setdefault(str(value), []).append(value)
        self.matcher = Matcher(Needle(text=t, category="") for t in self._given)

    @cached_property
    def _in_lines(self) -> Matcher:
        """Made for the first line that no format explains: few objects have one."""
        return Matcher(Needle(text=t, category="") for t in self._line_texts())

    def _line_texts(self) -> Iterator[str]:
        """What is asked for in a line that no format explains: nothing that is short or a small
        number, which there could mean anything."""
        yield from self._given
        for wanted in self.equal.values():
            for text in wanted.given:
                small = text.isdigit() and len(text) < _KEYLIKE_DIGITS
                if len(text) >= SHORTEST and not small:
                    yield text

    def as_text(self) -> list[Scalar]:
        """The values, as given, that are worth seeking where there are no fields."""
        found = (
            v for t in self._line_texts() for w in self.equal.values() for v in w.given.get(t, ())
        )
        return list(dict.fromkeys(found))

    @property
    def searched(self) -> tuple[str, ...]:
        """The fields that decide whether a row matches."""
        return tuple(dict.fromkeys((*self.equal, *(self.text_fields if self.matcher else ()))))

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that must be read of a matching row."""
        return tuple(dict.fromkeys((*self.searched, *self.also)))

    def sights(self, row: Row) -> list[Sight]:
        """Why the row matches; empty when it does not."""
        found = [s for f, w in self.equal.items() for s in _equal(row, f, w)]
        if self.matcher:
            found += [s for f in self.text_fields for s in self._standing(row, f)]
        return list(dict.fromkeys(found))

    def _standing(self, row: Row, field: str) -> Iterator[Sight]:
        for _, value in documents.slots(row, field):
            for text in documents.texts(value):
                for index in sorted(self.matcher.found_in(str(text))):
                    yield self._text_sight(field, self.matcher.needles[index].text)

    def line_sights(self, text: str) -> list[Sight]:
        """Why a line matches that its format cannot read."""
        found = sorted(self._in_lines.found_in(text))
        return [self._text_sight(LINE, self._in_lines.needles[i].text) for i in found]

    def _text_sight(self, field: str, text: str) -> Sight:
        given = list(self._given.get(text, ()))
        for wanted in self.equal.values():
            given += wanted.given.get(text, ())
        return Sight(field, text, tuple(dict.fromkeys(given)))

    def prefilter(self, *, escapes: bytes, quotes: str, anchor: Anchor | None) -> Prefilter:
        """See :class:`Prefilter`. Small numbers stand in many lines that do not match, so they
        are sought only where the format puts a field's value."""
        folding = bool(self.texts) or any(w.fold_case for w in self.equal.values())
        sought = set(self._given) | {t for w in self.equal.values() for t in w.given}
        sought |= {written for text in self._line_texts() for written in escaped(text)}
        made = Prefilter(sought, folding=folding, escapes=escapes, quotes=quotes)
        if anchor and sought and not any(self._line_texts()):
            made.anchor(anchor, self.equal)
        return made


def _equal(row: Row, field: str, wanted: Wanted) -> Iterator[Sight]:
    for value in documents.values(row, field):
        text = wanted.match(value)
        if text is not None:
            yield Sight(field, text, tuple(wanted.given[text]))


class Prefilter:
    """Tells from raw bytes (a line, or many) that nothing in them matches, so that they need not
    be parsed.

    ``escapes``: bytes that can hide any character (``\\u`` in JSON), ``quotes``: characters that
    the format writes in another way. Bytes with the first, or a value with the second, are always
    looked into; so are bytes beyond ASCII where case does not matter. Numbers are sought as they
    are written plainly, not with an exponent.
    """

    def __init__(self, texts: Iterable[str], *, folding: bool, escapes: bytes, quotes: str) -> None:
        self._folding = folding
        self._escapes = escapes
        sought = {mailbox(t) if folding else t for t in texts}
        self._always = any(_hidden(t, quotes) for t in sought)
        self._patterns = tuple(sorted(t.encode("utf-8", "surrogatepass") for t in sought))
        self._automaton = _automaton(self._patterns) if len(self._patterns) > _FEW else None
        self._anchored: re.Pattern[bytes] | None = None

    def anchor(self, anchor: Anchor, fields: Iterable[str]) -> None:
        """Seek the values only where ``anchor`` says that a field holds them."""
        names = [f.lower() if self._folding else f for f in fields]
        plain = all(_PLAIN.fullmatch(n) for n in names)
        if plain and len(self._patterns) <= _ANCHORED:
            source = anchor(
                [re.escape(n.encode()) for n in names], [re.escape(p) for p in self._patterns]
            )
            self._anchored = re.compile(source, re.MULTILINE)

    def __call__(self, raw: bytes) -> bool:
        """True when the bytes must be looked into."""
        if self._always or (self._escapes and self._escapes in raw):
            return True
        if (self._folding or self._anchored) and not raw.isascii():
            return True
        if self._folding:
            raw = raw.lower()
        if self._anchored is not None:
            return self._anchored.search(raw) is not None
        if self._automaton is not None:
            return next(self._automaton.iter(raw.decode("latin-1")), None) is not None
        return any(pattern in raw for pattern in self._patterns)


def _hidden(text: str, quotes: str) -> bool:
    return any(c in quotes or c < " " or "\x7f" <= c <= "\x9f" for c in text)


def _automaton(patterns: Sequence[bytes]) -> Any:
    made = ahocorasick.Automaton()
    for pattern in patterns:
        made.add_word(pattern.decode("latin-1"), 1)
    made.make_automaton()
    return made
