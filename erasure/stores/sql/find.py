"""Searching: by key, by mailbox, and by text. SQL narrows, Python confirms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Many, Scalar, Value
from erasure.stores.base import Found, Key, Selector
from erasure.stores.documents import legible, needles_in
from erasure.stores.documents import values as inside_values
from erasure.stores.insides import insides_of, joined, roots, values_of
from erasure.stores.rows import comparable, folded
from erasure.stores.sql.address import Address, address_of
from erasure.stores.sql.documents import PLAIN, Asked, condition, kind_of
from erasure.stores.sql.literals import array_type, written
from erasure.stores.sql.membership import (
    batch_size,
    batches_of,
    in_array,
    mailbox_in,
    member_of,
)
from erasure.stores.sql.reflect import Schema
from erasure.stores.sql.streaming import SHORT, Query, partitions, short_of
from lineage.graph import Dataset
from lineage.schema import Inside

CHUNK = 500
_SEPARATOR = "\x1f"  # is no letter, so no needle reaches from one value into the next
Wanted = dict[Hashable, list[Value]]
_Part = Callable[[Sequence[Any]], tuple[Any, ...]]
_WHOLE: Mapping[str, Many] = {}
_NOTHING: Mapping[str, Scalar] = MappingProxyType({})


@dataclass(frozen=True)
class Reading:
    """Which columns a search reads, once each, the key's first."""

    address: Address
    selector: Selector
    names: tuple[str, ...]
    insides: Mapping[str, Inside]

    def statement(self) -> sa.Select[Any]:
        """Everything that is read, without a condition."""
        return sa.select(*(self.address.column(n).label(f"c{i}") for i, n in enumerate(self.names)))

    @cached_property
    def places(self) -> tuple[_Part, list[tuple[str, int]]]:
        """The guard's values of a row, and where the carried ones stand in it."""
        guard = part_of([self.place(n) for n in self.selector.guard])
        return guard, [(n, self.place(n)) for n in self.selector.carry]

    def place(self, name: str) -> int:
        """Where a field's column stands in a row."""
        inside = self.insides.get(name)
        return self.names.index(inside.column if inside else name)

    def value(self, row: Sequence[Any], name: str) -> Scalar:
        """A field's value: several, where it is inside a document."""
        there: Scalar = row[self.place(name)]
        inside = self.insides.get(name)
        return there if inside is None else inside_values(there, inside)

    def found(
        self, row: Sequence[Any], matched: tuple[Value, ...], parts: Mapping[str, Many] = _WHOLE
    ) -> Found:
        """A row as the protocol has it; ``parts``: of the fields that hold several values, those
        that were looked for."""
        if self.insides:
            return self._found_inside(row, matched, parts)
        guard, carry = self.places
        key = Key(self.address.key_of(row), guard(row))
        return Found(key, matched, {n: row[i] for n, i in carry} if carry else _NOTHING)

    def _found_inside(
        self, row: Sequence[Any], matched: tuple[Value, ...], parts: Mapping[str, Many]
    ) -> Found:
        guard = [parts[n] if n in parts else self.value(row, n) for n in self.selector.guard]
        return Found(
            key=Key(values=self.address.key_of(row), guard=tuple(guard)),
            matched=matched,
            carry={n: self.value(row, n) for n in self.selector.carry},
        )


def part_of(places: Sequence[int]) -> _Part:
    """What takes the values at those places out of a row."""
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places) if places else lambda _: ()


def find(
    connection: sa.Connection,
    store: str,
    schema: Schema,
    selector: Selector,
    values: Sequence[Value],
) -> Iterator[Found]:
    """Stream the rows that match any value; a row matching several comes once."""
    reading = reading_of(store, schema, selector)
    insides, size = reading.insides, batch_size(connection)
    if selector.mode == "text":
        yield from _by_text(connection, reading, values)
    elif selector.mode == "together":
        _refuse_inside(reading)
        for batch in batches_of(values, size):
            yield from _by_parts(connection, reading, batch)
    else:
        found = (_by_value(connection, reading, batch) for batch in batches_of(values, size))
        # A row can match in two batches by two fields, or by two items of a list.
        several = len(selector.fields) > 1 or (insides and len(values) > size)
        each = chain.from_iterable(found)
        yield from _merged(each) if several else each


def reading_of(store: str, schema: Schema, selector: Selector, also: Sequence[str] = ()) -> Reading:
    """What is read for that selector. Raises StoreError naming what is missing."""
    needed = (*selector.fields, *selector.carry, *selector.guard, *also)
    address = address_of(store, schema, selector.dataset, needed)
    insides = insides_of(address.shape.table, needed)
    names = tuple(dict.fromkeys((*address.key, *roots(needed, insides))))
    return Reading(address, selector, names, insides)


def _merged(stream: Iterator[Found]) -> Iterator[Found]:
    found: dict[tuple[Scalar, ...], Found] = {}
    for one in stream:
        known = found.get(one.key.values)
        if known:
            matched = tuple(dict.fromkeys((*known.matched, *one.matched)))
            one = known._replace(matched=matched, key=joined(known.key, one.key))
        found[one.key.values] = one
    yield from found.values()


@dataclass(frozen=True)
class _Test:
    """One searched field: where it stands in a row, and the wanted values by their normal form."""

    position: int
    normal: Callable[[Any], Hashable]
    wanted: Mapping[Hashable, Sequence[Value]]
    known: dict[Any, tuple[Value, ...]] = field(default_factory=dict)

    def matched(self, row: Sequence[Any]) -> tuple[Value, ...]:
        """The searched values, as given, that the row's value equals, each once."""
        value = row[self.position]
        found = self.known.get(value)  # many rows hold one value: it is normalised once
        if found is None:
            found = tuple(dict.fromkeys(self.wanted.get(self.normal(value), ())))
            if found:  # odd candidates may be many, and each comes once
                self.known[value] = found
        return found

    def all_matched(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Value, ...]]:
        """The same of many rows."""
        known, position, matched = self.known, self.position, self.matched
        try:  # nearly always: all that was looked for is known from the beginning
            return list(map(known.__getitem__, map(itemgetter(position), rows)))
        except KeyError:
            pass
        return [known.get(row[position]) or matched(row) for row in rows]


@dataclass(frozen=True)
class _TestInside(_Test):
    """A searched field inside a document."""

    inside: Inside = field(kw_only=True)

    def parts(self, row: Sequence[Any]) -> Many:
        """The values there, as they stand, that were looked for."""
        there = inside_values(row[self.position], self.inside).items
        return Many(tuple(dict.fromkeys([value for value in there if self._wanted(value)])))

    def matched(self, row: Sequence[Any]) -> tuple[Value, ...]:
        """The searched values, as given, that one of the values there equals, each once."""
        there = inside_values(row[self.position], self.inside).items
        return tuple(dict.fromkeys([given for value in there for given in self._wanted(value)]))

    def _wanted(self, value: Scalar) -> tuple[Value, ...]:
        found = self.known.get(value)
        if found is None:
            found = tuple(self.wanted.get(self.normal(value), ()))
            if found:
                self.known[value] = found
        return found


def test_of(reading: Reading, name: str, values: Sequence[Value]) -> _Test:
    """What confirms that a row's field equals one of the values."""
    inside = reading.insides.get(name)
    email = reading.selector.mode == "email"
    shape = reading.address.shape
    kind = kind_of(shape, inside) if inside else shape.kinds[name]
    normal = folded if email else kind.normal
    if not inside and not email and kind.as_given(values):
        known: dict[Any, tuple[Value, ...]] = dict(
            zip(values, zip(values, strict=True), strict=True)
        )
        return _Test(reading.names.index(name), normal, known, known)
    wanted: Wanted = {}
    for value in values:
        if (form := normal(value)) is not None:
            wanted.setdefault(form, []).append(value)
    if inside:
        return _TestInside(reading.place(name), normal, wanted, inside=inside)
    return _Test(reading.names.index(name), normal, wanted)


def query_for(connection: sa.Connection, reading: Reading, tests: Mapping[str, _Test]) -> Query:
    """What reads the rows of which one may hold a value. By one plain column, as nearly all are
    found, it is made once for each form that its parameter takes; no value is in it."""
    (name, test), *others = tests.items()
    address, plain = reading.address, type(test) is _Test and reading.selector.mode == "key"
    if others or not plain or connection.dialect.name != "postgresql":
        conditions = [condition_for(connection, reading, n, t) for n, t in tests.items()]
        return Query.of(reading.statement().where(sa.or_(*conditions)))
    bind = address.kind(name).bind
    value, item = written(_probes(address, name, _given(test)), bind)
    known, form = address.shape.statements, ("find", reading.names, name, item)
    if form not in known:
        array = sa.bindparam("given", type_=array_type(item, bind))
        whole = reading.statement().where(in_array(address.column(name), array))
        differs = array.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        text = "" if differs else str(whole.compile(dialect=connection.dialect))
        known[form] = whole, short_of(whole), text
    whole, few, text = known[form]
    return Query(whole, few, {"given": value}, text)


def condition_for(
    connection: sa.Connection, reading: Reading, name: str, test: _Test
) -> sa.ColumnElement[bool]:
    """What narrows to the rows that may."""
    address, email = reading.address, reading.selector.mode == "email"
    if isinstance(test, _TestInside):
        declared = reading.selector.dataset.get(name)
        values = list(test.wanted) if email else [v for vs in test.wanted.values() for v in vs]
        plain = declared is not None and declared.data_type in PLAIN
        asked = Asked(inside=test.inside, values=values, email=email, plain=plain)
        return condition(connection, address.shape, asked)
    if email:
        return _mailbox(connection, address, name, list(test.wanted))
    return _one_of(connection, address, name, _given(test))


def _given(test: _Test) -> Iterator[Any]:
    return (value for values in test.wanted.values() for value in values)


def _probes(address: Address, name: str, values: Iterable[Any]) -> list[Any]:
    kind, given = address.kind(name), list(values)
    if kind.as_given(given):
        return list(dict.fromkeys(given))
    return list(dict.fromkeys(probe for value in given for probe in kind.probes(value)))


def _one_of(
    connection: sa.Connection, address: Address, name: str, values: Iterable[Any]
) -> sa.ColumnElement[bool]:
    return member_of(connection, address.shape, name, _probes(address, name, values))


def _by_parts(
    connection: sa.Connection, reading: Reading, values: Sequence[Any]
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
    connection: sa.Connection, reading: Reading, values: Sequence[Value]
) -> Iterator[Found]:
    tests = {name: test_of(reading, name, values) for name in reading.selector.fields}
    tests = {name: test for name, test in tests.items() if test.wanted}
    if not tests:
        return
    inside = {name: test for name, test in tests.items() if isinstance(test, _TestInside)}
    query = query_for(connection, reading, tests)
    rows = chain.from_iterable(partitions(connection, query, CHUNK, short=len(values) <= SHORT))
    first, *others = tests.values()
    for row in rows:
        matched = first.matched(row)
        for test in others:
            matched = tuple(dict.fromkeys((*matched, *test.matched(row))))
        if matched:
            parts = {n: test.parts(row) for n, test in inside.items()} if inside else _WHOLE
            yield reading.found(row, matched, parts)


def _mailbox(
    connection: sa.Connection, address: Address, name: str, folded: Sequence[Any]
) -> sa.ColumnElement[bool]:
    text = address.column(name)
    if not isinstance(address.kind(name).native, sa.String):
        text = sa.cast(text, sa.Text())
    return mailbox_in(connection, text, folded)


def _by_text(
    connection: sa.Connection, reading: Reading, values: Sequence[Value]
) -> Iterator[Found]:
    """Every row with text is read once and tested in one pass, however many needles there are."""
    texts = [text for value in values if (text := comparable(value))]
    matcher = Matcher(Needle(text=text, category="") for text in texts)
    if not matcher:
        return
    fields = roots(reading.selector.fields, reading.insides)
    places = [reading.names.index(name) for name in fields]
    filled = [reading.address.column(n).is_not(None) for n in fields]
    rows = _stream(connection, reading.statement().where(sa.or_(*filled)))
    while chunk := list(islice(rows, CHUNK)):
        joined = [
            _SEPARATOR.join(legible(str(row[i])) for i in places if row[i] is not None)
            for row in chunk
        ]
        if not matcher.found_in(_SEPARATOR.join(joined)):
            continue
        for row, text in zip(chunk, joined, strict=True):
            hits = matcher.found_in(text)
            if hits and (hits := _hits(reading, row, matcher)):
                yield reading.found(row, tuple(matcher.needles[i].text for i in sorted(hits)))


def _hits(reading: Reading, row: Sequence[Any], matcher: Matcher) -> set[int]:
    """The needles in the fields themselves, not elsewhere in their documents."""
    hits: set[int] = set()
    for name in reading.selector.fields:
        value, inside = row[reading.place(name)], reading.insides.get(name)
        if value is not None:
            path = inside.path if inside else ()
            hits |= needles_in(str(value), matcher, path)
    return hits


def _refuse_inside(reading: Reading) -> None:
    inside = next((n for n in reading.selector.fields if n in reading.insides), None)
    if inside is not None:
        raise StoreError(
            f"{reading.address.place}.{inside}",
            "a reference of several fields cannot lead into a document; declare another",
        )


def read(
    connection: sa.Connection, store: str, schema: Schema, dataset: Dataset, fields: Sequence[str]
) -> Iterator[tuple[Scalar, ...]]:
    """The values of ``fields`` of every row in which any of them is set, streamed."""
    address = address_of(store, schema, dataset, fields)
    insides = insides_of(address.shape.table, fields)
    names = roots(fields, insides)
    columns = [address.column(name) for name in names]
    statement = sa.select(*columns).where(sa.or_(*(c.is_not(None) for c in columns)))
    for row in _stream(connection, statement):
        values = tuple(row)
        if insides:
            values = values_of(fields, insides, dict(zip(names, values, strict=True)))
        yield values


def _stream(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    return chain.from_iterable(partitions(connection, Query.of(statement), CHUNK))
