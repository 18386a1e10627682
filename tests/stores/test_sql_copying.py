"""A table is looked through as one stream of text: nothing that reading its rows would show is
missed, and nothing else is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import Hit, Searched
from erasure.stores.sql import scan
from tests.stores.postgresql import PostgresqlHarness

pytestmark = pytest.mark.postgres

NEEDLES = Matcher(
    [
        Needle(text="mira quell", category="user.name"),
        Needle(text="mira\tquell", category="user.name"),
        Needle(text="jürgen groß", category="user.name"),
        Needle(text="4915112345678901", category="user.contact.phone_number"),
        Needle(text="1990-05-17", category="user.demographic.birth_date"),
    ]
)
# Types, and values in which somebody stands.
PLACES = {
    "text": [
        "Mira Quell",
        "so\nMIRA QUELL\t",
        r"C:\Mira Quell",
        "Mira\tQuell",
        "JU\u0308RGEN GROSS",
    ],
    "varchar(40)": [r'{"a": "M\u0069ra Quell"}'],
    "char(30)": ["mira quell"],
    "text[]": ['{a,"Mira Quell"}'],
    "jsonb": ['{"who": "J\u00fcrgen Gro\u00df"}'],
    "json": [r'{"who": "J\u00fcrgen Gro\u00df"}'],
    "bigint": ["4915112345678901"],
    "numeric": ["4915112345678901.00", "4915112345678901"],
    "double precision": ["4915112345678901"],
    "date": ["1990-05-17"],
    "timestamp": ["1990-05-17 10:00"],
    "bytea": ["\\x" + b"dear Mira Quell".hex()],
}


@pytest.fixture
def harness(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    postgresql.clear()
    return postgresql


@contextmanager
def asked() -> Iterator[list[str]]:
    """What is sent while tables are read."""
    sent: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def looked(harness: PostgresqlHarness, **options: str) -> list[Hit | Searched]:
    store = harness.store(**options)
    seen = list(store.scan([], NEEDLES))
    store.close()
    return seen


def test_what_stands_in_a_row_is_seen_in_the_stream(
    harness: PostgresqlHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many tables as values: what one shows must not hide what another does not."""
    count = 0
    for kind, values in PLACES.items():
        for value in values:
            count += 1
            harness.execute(f'CREATE TABLE t{count:02} (id int PRIMARY KEY, "50% \\ it" {kind})')
            text = value.replace("'", "''")
            harness.execute(f"INSERT INTO t{count:02} VALUES (1, '{text}'), (2, NULL)")
    streamed = looked(harness)
    monkeypatch.setattr(scan, "rows_without", lambda *_: None)
    by_row = looked(harness)
    assert streamed == by_row
    hit = {h.collection for h in by_row if isinstance(h, Hit)}
    # A number among floats, or a day among moments, may be told in another way; then in both.
    assert len(hit) >= count - 2


def test_a_table_without_anybody_is_counted_and_not_taken_apart(
    harness: PostgresqlHarness,
) -> None:
    harness.execute("CREATE TABLE calm (id int PRIMARY KEY, said text, yes bool, at date)")
    harness.execute(
        r"INSERT INTO calm SELECT n, E'Mira\nsaid: \\.\tQuell', true, '2020-01-01' "
        "FROM generate_series(1, 30000) n"
    )
    harness.execute("CREATE TABLE empty (id int PRIMARY KEY)")
    with asked() as sent:
        seen = looked(harness)
    assert seen == [
        Searched(collection="calm", fields=4, rows=30_000),
        Searched(collection="empty", fields=1, rows=0),
    ]
    assert not [s for s in sent if '"calm"' in s]


def test_a_time_limit_on_statements_holds_so_the_table_is_read_in_parts(
    harness: PostgresqlHarness,
) -> None:
    harness.execute("CREATE TABLE calm (id int PRIMARY KEY, said text)")
    with asked() as sent:
        assert looked(harness, statement_timeout="30s")
    assert [s for s in sent if '"calm"' in s]
