"""The values of a person that must be nowhere, and how they are taken out of a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tests.scenarios.generated.world import Column, Row, Table

NEEDLES = ("user.name", "user.contact", "user.government_id")
ERASED = "[erased]"


def constant_of(column: Column) -> str | None:
    """What the catalogue says that stands there afterwards."""
    word, _, argument = column.method.partition(" ")
    return argument if word == "constant" else None


def needles_in(table: Table, row: Row) -> Iterator[str]:
    """Values that must be nowhere afterwards; names in both orders. What anonymising puts into
    everybody's row is nobody's."""
    told = {c: v for c in table.columns if (v := row[c.name]) not in (None, constant_of(c))}
    first, last = (
        [str(v) for c, v in told.items() if c.category == f"user.name.{part}"]
        for part in ("first", "last")
    )
    names = [(f, n) for f in first for n in last]
    for column, value in told.items():
        if column.category == "user.name":
            one, _, other = str(value).rpartition(" ")
            names.append((one, other))
        elif column.identity or (
            column.category.startswith(NEEDLES) and not column.category.startswith("user.name")
        ):
            yield str(value)
    for one, other in names:
        yield from (f"{one} {other}", f"{other} {one}", f"{other}, {one}")


def spans(text: str, needles: Iterable[str]) -> list[tuple[int, int]]:
    """Where needles stand as whole words, whatever their case; what touches is one."""
    found = sorted(
        match.span(1)
        for needle in needles
        for match in re.finditer(rf"(?<!\w)(?=({re.escape(needle)})(?!\w))", text, re.IGNORECASE)
    )
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def redacted(text: str, needles: Iterable[str]) -> str:
    """The text with every needle taken out of it."""
    for start, end in reversed(spans(text, needles)):
        text = text[:start] + ERASED + text[end:]
    return text
