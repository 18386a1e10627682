"""Needles: the person's own values, and finding or redacting them inside any text.

Matching is case-insensitive, Unicode-normalised (NFKC) and on word boundaries, and sees a text
also as URLs and HTML escape it. Names count as full names in both orders; nothing shorter than four
characters is searched alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import ahocorasick

from erasure.domain.escapes import ends_escape, escaped
from erasure.domain.values import Scalar, canonical, each, fold
from lineage.graph import Dataset, Field, in_category

SHORTEST = 4
REDACTED = "[erased]"

# True of a great many people at once: looked for, reported, but never proof of one person.
COARSE_CATEGORIES = (
    "user.contact.address.city",
    "user.contact.address.country",
    "user.contact.address.postal_code",
    "user.contact.address.state",
    "user.contact.organization",
    "user.contact.url",
)
_KEYLIKE_DIGITS = 7
_NO_DATES = ("infinity", "-infinity")  # what stands in a date column for none, with anybody
_LONG = 2**15  # characters: from there on a text is searched for parts of the needles first
_PART = 5


@dataclass(frozen=True, kw_only=True, order=True)
class Needle:
    """One value of one person. ``coarse``: shared by nature (a city), so never redacted in other
    people's texts and never residue outside the person's own rows."""

    text: str
    category: str
    coarse: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A needle at ``start:end`` of the text as it was given."""

    needle: int
    start: int
    end: int


def needles_of_row(dataset: Dataset, row: dict[str, Scalar]) -> Iterator[Needle]:
    """The needles in one of the person's rows (field name → value)."""
    names: dict[str, list[str]] = {"first": [], "last": [], "full": []}
    for field in dataset.fields:
        if not field.needle:
            continue
        for value in each(row.get(field.name)):
            if _masked_before(field, value):
                continue
            if field.identity is None and in_category(field.categories, ("user.name",)):
                names[_name_part(field)].append(str(value))
            else:
                yield from value_needles(field, value)
    yield from full_names(names)


def _masked_before(field: Field, value: Scalar) -> bool:
    """What anonymising puts into everybody's row is nobody's value, also where it stands already:
    looked for, it would be found again wherever it has just been put."""
    method = field.method
    constant = method.argument if method and method.name == "constant" else None
    return constant is not None and canonical(value).strip() == constant.strip()


def _name_part(field: Field) -> str:
    for part in ("first", "last"):
        if in_category(field.categories, (f"user.name.{part}",)):
            return part
    return "full"


def value_needles(field: Field, value: Scalar) -> Iterator[Needle]:
    """The needle that one value of ``field`` is, if it can be searched for at all."""
    text = canonical(value, field.identity).strip()
    contact = in_category(
        field.categories, ("user.contact", "user.government_id", "user.financial")
    )
    if text.isdigit() and len(text) < _KEYLIKE_DIGITS and not contact:
        return  # a short number means nothing outside its own column: asked again by key instead
    if len(text) < SHORTEST or (field.identity is None and text in _NO_DATES):
        return
    coarse = bool(field.categories) and all(
        in_category((c,), COARSE_CATEGORIES) for c in field.categories
    )
    category = field.identity or (field.categories[0] if field.categories else "")
    yield Needle(text=text, category=category, coarse=coarse and field.identity is None)


def full_names(names: dict[str, list[str]]) -> Iterator[Needle]:
    """Full names in both orders from ``first``, ``last`` and ``full`` parts of one row."""
    pairs = [(f.strip(), n.strip()) for f in names["first"] for n in names["last"]]
    for full in names["full"]:
        words = full.replace(",", " ").split()
        if len(words) > 1:
            pairs.append((" ".join(words[:-1]), words[-1]))
    for first, last in pairs:
        if not first or not last:
            continue
        for text in (f"{first} {last}", f"{last} {first}", f"{last}, {first}"):
            if len(text) >= SHORTEST:
                yield Needle(text=text, category="user.name")


class Matcher:
    """Many needles searched in one pass (Aho-Corasick); immutable once made."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        self.needles: tuple[Needle, ...] = tuple(sorted(set(needles)))
        self._folded = [fold(n.text) for n in self.needles]
        self._automaton = ahocorasick.Automaton()
        by_text: dict[str, list[int]] = {}
        parts: set[str] = set()
        for index, text in enumerate(self._folded):
            part = _rare_part(text)
            for written in {text, *map(fold, escaped(text))}:
                by_text.setdefault(written, []).append(index)
                parts.add(part if part in written else _rare_part(written))
        for text, indexes in by_text.items():
            self._automaton.add_word(text, (len(text), indexes))
        self._parts = ahocorasick.Automaton()
        for part in parts:
            self._parts.add_word(part, part)
        if by_text:
            self._automaton.make_automaton()
            self._parts.make_automaton()

    def __bool__(self) -> bool:
        return bool(self.needles)

    def __len__(self) -> int:
        return len(self.needles)

    def precise(self) -> Matcher:
        """Only the needles that point at one person: what may be redacted in any text."""
        return Matcher(n for n in self.needles if not n.coarse)

    def found_in(self, text: str) -> set[int]:
        """Indexes of the needles that stand in ``text``."""
        if not self.needles:
            return set()
        folded = fold(text)
        hits: set[int] = set()
        if len(folded) >= _LONG and next(self._parts.iter(folded), None) is None:
            return hits  # thousands of whole needles do not fit into a processor's cache
        for end, (length, indexes) in self._automaton.iter(folded):
            if _bounded(folded, end + 1 - length, end + 1):
                hits.update(indexes)
        return hits

    def equals(self, text: str) -> set[int]:
        """Indexes of the needles that are the whole of ``text``."""
        folded = fold(text.strip())
        return {i for i in self.found_in(text) if self._folded[i] == folded}

    def matches(self, text: str) -> list[Match]:
        """Every occurrence, with offsets into ``text`` as given."""
        if not self.found_in(text):
            return []
        folded, offsets = _fold_with_offsets(text)
        found: list[Match] = []
        for end, (length, indexes) in self._automaton.iter(folded):
            start = end + 1 - length
            if _bounded(folded, start, end + 1):
                span = (offsets[start][0], offsets[end][1])
                found.extend(Match(i, *span) for i in indexes)
        return found

    def redact(self, text: str, put: str = REDACTED) -> str:
        """``text`` with every needle replaced by ``put``; overlapping needles become one."""
        spans = _merged([(m.start, m.end) for m in self.matches(text)])
        pieces, last = [], 0
        for start, end in spans:
            pieces += [text[last:start], put]
            last = end
        return "".join([*pieces, text[last:]])


def _rare_part(needle: str) -> str:
    """A part of a needle without which it stands nowhere: one of letters, since tables are full
    of digits and blanks."""
    parts = [needle[i : i + _PART] for i in range(max(1, len(needle) - _PART + 1))]
    return max(parts, key=lambda p: (sum(map(str.isalpha, p)), sum(map(str.isalnum, p)), p))


def _bounded(text: str, start: int, end: int) -> bool:
    """Word boundaries on both sides, where the needle itself begins or ends in a word. A blank that
    is written ``+`` does not lead to ``@``: that would be a part of a mailbox."""
    joined = start > 0 and _word(text[start - 1]) and _word(text[start])
    before = not joined or ends_escape(text, start)
    after = end == len(text) or not (_word(text[end]) and _word(text[end - 1]))
    return before and after and not (text[end : end + 1] == "@" and "+" in text[start:end])


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _fold_with_offsets(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Folded text, and for each folded character the span of ``text`` it came from.

    Folding cluster by cluster (a base character with its combining marks) gives the same text
    as folding the whole, because NFKC never composes across a starter that does not combine.
    """
    pieces: list[str] = []
    offsets: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        piece = fold(text[start:end])
        pieces.append(piece)
        offsets.extend([(start, end)] * len(piece))
        start = end
    return "".join(pieces), offsets


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
