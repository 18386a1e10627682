"""The independent search by value: every byte of every object, and its path, whatever the
catalogue says. Shares neither query nor prefilter with ``find``: only what opens a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as default
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import unquote

from erasure.domain.needles import Matcher
from erasure.domain.values import Scalar, canonical
from erasure.stores.base import Hit
from erasure.stores.objects import documents, streams
from erasure.stores.objects.documents import Row
from erasure.stores.objects.finding import as_scalar
from erasure.stores.objects.matching import LINE

PATH = "(path)"


@dataclass
class Census:
    """What was looked at in one collection; ``folding``: owners that are email identities;
    ``marks``: what else of a row is told with a hit."""

    collection: str
    owners: tuple[str, ...] = ()
    folding: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    fields: set[str] = default(default_factory=set)
    rows: int = 0


@dataclass(frozen=True)
class Look:
    """One row as searchable text; ``parse`` gives its fields where the format has any;
    ``hidden`` says that the text can hide a value (escapes), so that parsing cannot be spared;
    ``rows``: for how many rows it stands; a header is none, and lines in which there is nothing
    come together."""

    text: str
    parse: Callable[[], Row | None]
    hidden: bool = False
    rows: int = 1


Clean = Callable[[str], bool]


def in_path(matcher: Matcher, name: str) -> dict[int, bool]:
    """Needles in an object's path → whether one is a whole part of it.

    ``_`` and ``=`` part words in paths, ``%40`` stands for ``@``, and a suffix follows the name.
    """
    found: dict[int, bool] = {}
    plain = unquote(name)
    for text in {name, plain, plain.replace("_", " "), plain.replace("_", "/")}:
        found.update(dict.fromkeys(matcher.found_in(text), False))
    for part in plain.split("/"):
        value = part.partition("=")[2] or part
        found.update(dict.fromkeys(matcher.equals(value), True))
    return found


class Scan:
    """Hits in one object."""

    def __init__(self, matcher: Matcher, name: str, virtual: Row, census: Census) -> None:
        self.matcher = matcher
        self._name = name
        self._virtual = virtual
        self.census = census

    def path(self) -> Iterator[Hit]:
        """Needles in the path itself."""
        for needle, whole in sorted(in_path(self.matcher, self._name).items()):
            yield self.hit(PATH, (), needle, whole=whole, row=self._virtual)

    def rows(self, looks: Iterable[Look]) -> Iterator[Hit]:
        """Needles in any field, declared or not, of any row."""
        number = 0
        for look in looks:
            number += look.rows
            self.census.rows += look.rows
            inside = self.matcher.found_in(look.text)
            # The first row is always taken apart: it tells how many fields were searched.
            if inside or look.hidden or number == 1:
                yield from self._row(number, look, inside)

    def clean(self, text: str) -> bool:
        """True when no needle stands in the text."""
        return not self.matcher.found_in(text)

    def _row(self, number: int, look: Look, inside: set[int]) -> Iterator[Hit]:
        row = look.parse()
        if row is None:
            if look.rows:
                self.census.fields.add(LINE)
            yield from self._rest(number, look, inside, {})
            return
        seen: set[int] = set()
        for field, value in documents.leaves(row):
            self.census.fields |= {field} - {documents.KEY}
            for hit in self.text(field, (number,), str(value), row):
                seen.add(hit.needle)
                yield hit
        yield from self._rest(number, look, inside - seen, row)

    def text(self, field: str, place: tuple[Scalar, ...], text: str, row: Row) -> Iterator[Hit]:
        """Needles in one text of one field."""
        found = self.matcher.found_in(text)
        whole = self.matcher.equals(text) if found else set()
        for needle in sorted(found):
            yield self.hit(field, place, needle, whole=needle in whole, row=row)

    def _rest(self, number: int, look: Look, inside: set[int], row: Row) -> Iterator[Hit]:
        """Needles that stand in the line and in none of its fields."""
        whole = self.matcher.equals(look.text) if inside else set()
        for needle in sorted(inside):
            yield self.hit(LINE, (number,), needle, whole=needle in whole, row=row)

    def hit(
        self, field: str, place: tuple[Scalar, ...], needle: int, *, whole: bool, row: Row
    ) -> Hit:
        """A hit in a row. Its key is the one that ``find`` gives for the row's first owner (path,
        field, value), else the path and the row's number."""
        whole_row = {**self._virtual, **row}
        owner = self._owner(whole_row)
        known = next(iter(owner.items()), None)
        return Hit(
            collection=self.census.collection,
            field=field,
            key=(self._name, *(self._owner_key(*known) if known else place)),
            needle=needle,
            whole=whole,
            owner=owner,
            marks={n: as_scalar(documents.first(whole_row, n)) for n in self.census.marks},
        )

    def _owner(self, row: Row) -> Mapping[str, Scalar]:
        values = ((name, documents.first(row, name)) for name in self.census.owners)
        return {name: as_scalar(value) for name, value in values if value is not None}

    def _owner_key(self, field: str, value: Scalar) -> tuple[Scalar, ...]:
        return field, canonical(value, "email" if field in self.census.folding else None)


def line_looks(
    stream: BinaryIO, clean: Clean, parse: Callable[[str], Row | None]
) -> Iterator[Look]:
    """Lines that need a closer look, one by one; the others together."""
    first = True
    for block in streams.pieces(stream):
        text, encoding = streams.decoded(block)
        if not first and "\\" not in text and clean(text):
            yield Look("", lambda: None, rows=block.count(b"\n"))
            continue
        first = False
        for raw in streams.split(block):
            line = raw.decode(encoding)
            yield Look(line, partial(parse, line), hidden="\\" in line)


def parse_json(text: str) -> Row | None:
    """A JSON object with every value of a field that is named twice."""
    try:
        made = json.loads(text, object_pairs_hook=_all_values)
    except (ValueError, RecursionError):
        return None
    return made if isinstance(made, dict) else None


def _all_values(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        made[key] = [made[key], value] if key in made else value
    return made
