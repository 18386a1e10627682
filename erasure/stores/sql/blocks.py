"""Searching by one whole column: rows are handed over many together, as they were read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress, islice

import sqlalchemy as sa

from erasure.domain.bulk import Block
from erasure.domain.values import Value
from erasure.stores.base import Selector
from erasure.stores.sql.find import (
    Reading,
    part_of,
    query_for,
    reading_of,
    test_of,
)
from erasure.stores.sql.membership import batch_size, batches_of
from erasure.stores.sql.reflect import Schema
from erasure.stores.sql.streaming import SHORT, partitions

BLOCK = 20_000  # rows of keys alone
TEXTS = 500  # rows of which anything may be read


def block_reading(
    store: str, schema: Schema, selector: Selector, also: Sequence[str]
) -> Reading | None:
    """What is read for a search by one column; None where it is by more, or where some of it is
    inside of a column. Raises StoreError naming what is missing."""
    if selector.mode != "key" or len(selector.fields) != 1:
        return None
    reading = reading_of(store, schema, selector, also)
    return None if reading.insides else reading


def find_blocks(
    connection: sa.Connection, reading: Reading, values: Sequence[Value], also: Sequence[str]
) -> Iterator[Block]:
    """The rows that match any value, each once."""
    address, selector = reading.address, reading.selector
    (name,), width = selector.fields, len(address.key)
    names = (*address.key, *selector.guard, *selector.carry)
    places = [reading.place(n) for n in names]
    part, whole = part_of(places), places == list(range(len(reading.names)))
    more = part_of([reading.place(n) for n in also])
    for batch in batches_of(values, batch_size(connection)):
        test = test_of(reading, name, batch)
        if not test.wanted:
            continue
        query = query_for(connection, reading, {name: test})
        size, short = TEXTS if also else BLOCK, len(batch) <= SHORT
        for rows in partitions(connection, query, size, short=short):
            matched = test.all_matched(rows)
            if not all(matched):
                rows = list(compress(rows, matched))
                matched = list(filter(None, matched))
            packed = list(map(tuple if whole else part, rows))
            if any(None in column for column in islice(zip(*packed, strict=True), width)):
                for row in packed:
                    address.key_of(row)
            yield Block(width, packed, matched, list(map(more, rows)) if also else ())
