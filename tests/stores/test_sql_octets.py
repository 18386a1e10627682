"""Texts in columns of bytes: in whatever encoding or packing the application keeps them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import pytest

from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import Hit
from erasure.stores.sql.octets import LARGEST, readings
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_harness import SqlHarness
from tests.stores.test_sql_sqlite import SqliteHarness

NAME, MAIL = "Jörg Müller", "mira.quell@example.com"
NEEDLES = Matcher(
    [Needle(text=NAME, category="user.name"), Needle(text=MAIL, category="user.contact.email")]
)
TEXT = f"{NAME} <{MAIL}>"
PACKED = {
    "gzip": gzip.compress(TEXT.encode()),
    "zlib": zlib.compress(TEXT.encode()),
    "COMPRESS() of MySQL": len(TEXT.encode()).to_bytes(4, "little") + zlib.compress(TEXT.encode()),
    "bz2": bz2.compress(TEXT.encode()),
    "xz": lzma.compress(TEXT.encode()),
    "gzip twice": gzip.compress(gzip.compress(TEXT.encode())),
    "gzip of UTF-16": gzip.compress(TEXT.encode("utf-16")),
}
WRITTEN = {
    **{name: TEXT.encode(name) for name in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32")},
    "latin-1": TEXT.encode("latin-1"),
    "utf-16 among bytes": b"\x00\xff\x01\x04" + TEXT.encode("utf-16-le") + b"\xff\x01",
    "utf-16 at an odd place": b"\xff\x01\x04" + TEXT.encode("utf-16-le"),
    "utf-8 among bytes": b"\xff\xfe\x00\x01" + TEXT.encode() + b"\xff",
    "a gzip that was cut": PACKED["gzip"][:-9],
}


def seen(harness: SqlHarness) -> set[int]:
    store = harness.store()
    found = {h.needle for h in store.scan([], NEEDLES) if isinstance(h, Hit)}
    store.close()
    return found


@pytest.mark.parametrize("octets", [*WRITTEN.values(), *PACKED.values()], ids=[*WRITTEN, *PACKED])
def test_a_text_is_seen_however_its_bytes_are_made(tmp_path: Path, octets: bytes) -> None:
    harness = SqliteHarness(tmp_path)
    harness.execute("CREATE TABLE paper (id INTEGER PRIMARY KEY, scan BLOB)")
    harness.insert("paper", {"id": 1, "scan": octets})
    assert seen(harness) == {0, 1}


@pytest.mark.parametrize(
    "octets",
    [gzip.compress(b"tea"), b"\x1f\x8b\x08 no gzip", b"x\x9c no zlib", b"BZh9 none", b""],
    # said by name: a gzip holds the second it was made in, and each worker would name it otherwise
    ids=["a packed word", "no gzip", "no zlib", "no bzip2", "nothing"],
)
def test_bytes_that_hold_nobody_or_nothing_readable_hide_and_invent_nothing(
    tmp_path: Path, octets: bytes
) -> None:
    harness = SqliteHarness(tmp_path)
    harness.execute("CREATE TABLE paper (id INTEGER PRIMARY KEY, scan BLOB, note TEXT)")
    harness.insert("paper", {"id": 1, "scan": octets, "note": None})
    assert seen(harness) == set()
    harness.insert("paper", {"id": 2, "scan": octets + MAIL.encode(), "note": NAME})
    assert 0 in seen(harness)


def test_a_small_value_cannot_fill_the_memory() -> None:
    bomb = gzip.compress(b"\x20" * (LARGEST * 4), 1)
    assert all(len(text) <= LARGEST for text in readings(bomb))


@pytest.mark.postgres
@pytest.mark.parametrize(
    "expression",
    ["ARRAY[{}]", "ROW('a', {})::paper", "ARRAY[ROW('a', {})::paper]"],
    ids=["array", "composite", "array of composites"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_bytes_inside_other_types_are_looked_into(
    postgresql: PostgresqlHarness, expression: str, encoding: str
) -> None:
    postgresql.clear()
    postgresql.execute("CREATE TYPE paper AS (name text, scan bytea)")
    octets = f"decode('{TEXT.encode(encoding).hex()}', 'hex')"
    postgresql.execute(
        f"CREATE TABLE file AS SELECT 1 AS id, {expression.format(octets)} AS papers"
    )
    assert seen(postgresql) == {0, 1}
