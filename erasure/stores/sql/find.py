"""Searching: by key, by mailbox, and by text. SQL narrows, Python confirms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

import sqlalchemy as sa

from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Scalar, Value
from erasure.stores.base import Found, Key, Selector
from erasure.stores.rows import comparable, folded
from erasure.stores.sql.address import Address, address_of
from erasure.stores.sql.membership import batch_size, member_of, one_of
from erasure.stores.sql.reflect import Schema
from lineage.graph import Dataset

CHUNK = 500
_SEPARATOR = "\x1f"  # is no letter, so no needle reaches from one value into the next
Wanted = dict[Hashable, list[Value]]


@dataclass(frozen=True)
class _Reading:
    """Which columns a search reads, once each, the key's first."""

    address: Address
    selector: Selector
    names: tuple[str, ...]

    def statement(self) -> sa.Select[Any]:
        """Everything that is read, without a condition."""
        return sa.select(*(self.address.column(n).label(f"c{i}") for i, n in enumerate(self.names)))

    @cached_property
    def places(self) -> tuple[list[int], list[tuple[str, int]]]:
        """Where the guard's and the carried values stand in a row."""
        guard = [self.names.index(n) for n in self.selector.guard]
        return guard, [(n, self.names.index(n)) for n in self.selector.carry]

    def found(self, row: Sequence[Any], matched: tuple[Value, ...]) -> Found:
        """A row as the protocol has it."""
        guard, carry = self.places
        return Found(
            key=Key(values=self.address.key_of(row), guard=tuple([row[i] for i in guard])),
            matched=matched,
            carry={n: row[i] for n, i in carry},
        )


def find(
    connection: sa.Connection,
    store: str,
    schema: Schema,
    selector: Selector,
    values: Sequence[Value],
) -> Iterator[Found]:
    """Stream the rows that match any value; a row matching several comes once."""
    needed = (*selector.fields, *selector.carry, *selector.guard)
    address = address_of(store, schema, selector.dataset, needed)
    reading = _Reading(address, selector, tuple(dict.fromkeys((*address.key, *needed))))
    if selector.mode == "text":
        yield from _by_text(connection, reading, values)
    elif selector.mode == "together":
        for batch in _batches(values, batch_size(connection)):
            yield from _by_parts(connection, reading, batch)
    elif len(selector.fields) == 1:
        for batch in _batches(values, batch_size(connection)):
            yield from _by_value(connection, reading, batch)
    else:
        # Only here can a row match in two batches, by two fields.
        yield from _merged(
            found
            for batch in _batches(values, batch_size(connection))
            for found in _by_value(connection, reading, batch)
        )


def _batches(values: Sequence[Value], size: int) -> Iterator[list[Value]]:
    # One value in all its spellings stays in one batch, so that its row comes once.
    by_text: dict[str | None, list[Value]] = {}
    for value in values:
        by_text.setdefault(folded(value), []).append(value)
    by_text.pop(None, None)
    spellings = iter(by_text.values())
    while batch := list(islice(spellings, size)):
        yield [value for group in batch for value in group]


def _merged(stream: Iterator[Found]) -> Iterator[Found]:
    found: dict[tuple[Scalar, ...], Found] = {}
    for one in stream:
        known = found.get(one.key.values)
        if known:
            one = replace(known, matched=tuple(dict.fromkeys((*known.matched, *one.matched))))
        found[one.key.values] = one
    yield from found.values()


@dataclass(frozen=True)
class _Test:
    """One searched field: where it stands in a row, and the wanted values by their normal form."""

    position: int
    normal: Callable[[Any], Hashable]
    wanted: Wanted
    known: dict[Any, list[Value]] = field(default_factory=dict)

    def matched(self, row: Sequence[Any]) -> list[Value]:
        """The searched values, as given, that the row's value equals."""
        value = row[self.position]
        found = self.known.get(value)  # many rows hold one value: it is normalised once
        if found is None:
            found = self.wanted.get(self.normal(value), [])
            if found:  # odd candidates may be many, and each comes once
                self.known[value] = found
        return found


def _test(reading: _Reading, name: str, values: Sequence[Value]) -> _Test:
    email = reading.selector.mode == "email"
    normal = folded if email else reading.address.kind(name).normal
    wanted: Wanted = {}
    for value in values:
        if (form := normal(value)) is not None:
            wanted.setdefault(form, []).append(value)
    return _Test(reading.names.index(name), normal, wanted)


def _condition(
    connection: sa.Connection, reading: _Reading, name: str, test: _Test
) -> sa.ColumnElement[bool]:
    address = reading.address
    if reading.selector.mode == "email":
        return _mailbox(connection, address, name, list(test.wanted))
    given = (value for values in test.wanted.values() for value in values)
    return _one_of(connection, address, name, given)


def _one_of(
    connection: sa.Connection, address: Address, name: str, values: Iterable[Any]
) -> sa.ColumnElement[bool]:
    probes = dict.fromkeys(p for value in values for p in address.kind(name).probes(value))
    return member_of(connection, address.shape, name, list(probes))


def _by_parts(
    connection: sa.Connection, reading: _Reading, values: Sequence[Any]
) -> Iterator[Found]:
    """Each column narrows by itself; which rows hold the parts of one value is told here."""
    address, fields = reading.address, reading.selector.fields
    kinds = [address.kind(name) for name in fields]

    def normal(parts: Sequence[Any]) -> Hashable:
        forms = tuple([kind.normal(part) for kind, part in zip(kinds, parts, strict=True)])
        return None if None in forms else forms

    wanted: Wanted = {}
    for value in values:
        if (form := normal(value)) is not None:
            wanted.setdefault(form, []).append(value)
    if not wanted:
        return
    places = [reading.names.index(name) for name in fields]
    given: list[Any] = [value for spellings in wanted.values() for value in spellings]
    conditions = [
        _one_of(connection, address, name, {parts[i] for parts in given})
        for i, name in enumerate(fields)
    ]
    for row in _stream(connection, reading.statement().where(*conditions)):
        matched = wanted.get(normal([row[i] for i in places]))
        if matched:
            yield reading.found(row, tuple(matched))


def _by_value(
    connection: sa.Connection, reading: _Reading, values: Sequence[Value]
) -> Iterator[Found]:
    tests = {name: _test(reading, name, values) for name in reading.selector.fields}
    tests = {name: test for name, test in tests.items() if test.wanted}
    if not tests:
        return
    conditions = [_condition(connection, reading, name, test) for name, test in tests.items()]
    rows = _stream(connection, reading.statement().where(sa.or_(*conditions)))
    for row in rows:
        matched = [value for test in tests.values() for value in test.matched(row)]
        if matched:
            yield reading.found(row, tuple(dict.fromkeys(matched)))


def _mailbox(
    connection: sa.Connection, address: Address, name: str, folded: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """``lower(column)``, which an index can serve, or an odd value: lower() of a database is not
    Unicode's, so what has letters beyond ASCII or blanks around it is confirmed in Python."""
    text = address.column(name)
    if not isinstance(address.kind(name).native, sa.String):
        text = sa.cast(text, sa.Text())
    if connection.dialect.name == "sqlite":
        octets = sa.func.length(sa.cast(text, sa.LargeBinary()))
        characters = sa.func.length(text)
    else:
        octets, characters = sa.func.octet_length(text), sa.func.char_length(text)
    lowered = one_of(connection, sa.func.lower(text), folded, sa.Text())
    return sa.or_(lowered, octets != characters, text != sa.func.trim(text))


def _by_text(
    connection: sa.Connection, reading: _Reading, values: Sequence[Value]
) -> Iterator[Found]:
    """Every row with text is read once and tested in one pass, however many needles there are."""
    texts = [text for value in values if (text := comparable(value))]
    matcher = Matcher(Needle(text=text, category="") for text in texts)
    if not matcher:
        return
    places = [reading.names.index(name) for name in reading.selector.fields]
    filled = [reading.address.column(n).is_not(None) for n in reading.selector.fields]
    rows = _stream(connection, reading.statement().where(sa.or_(*filled)))
    while chunk := list(islice(rows, CHUNK)):
        joined = [
            _SEPARATOR.join(str(row[i]) for i in places if row[i] is not None) for row in chunk
        ]
        if not matcher.found_in(_SEPARATOR.join(joined)):
            continue
        for row, text in zip(chunk, joined, strict=True):
            hits = matcher.found_in(text)
            if hits:
                yield reading.found(row, tuple(matcher.needles[i].text for i in sorted(hits)))


def read(
    connection: sa.Connection, store: str, schema: Schema, dataset: Dataset, fields: Sequence[str]
) -> Iterator[tuple[Scalar, ...]]:
    """The values of ``fields`` of every row in which any of them is set, streamed."""
    address = address_of(store, schema, dataset, fields)
    columns = [address.column(name) for name in fields]
    statement = sa.select(*columns).where(sa.or_(*(c.is_not(None) for c in columns)))
    for row in _stream(connection, statement):
        yield tuple(row)


def _stream(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    streaming = connection.execution_options(stream_results=True, max_row_buffer=CHUNK * 4)
    with streaming.execute(statement) as result:
        for part in result.partitions(CHUNK):
            yield from part
