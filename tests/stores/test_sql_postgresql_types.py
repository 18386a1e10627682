"""The SQL store on PostgreSQL: a column of every type, searched, guarded and anonymised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from erasure.domain import values
from erasure.domain.errors import StoreError
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.stores.base import Hit, Key, Selector, Work
from erasure.stores.sql import SqlStore
from lineage.graph import Field, Method
from tests.stores.company import (
    SECRETS,
    by,
    dataset,
)
from tests.stores.postgresql import PostgresqlHarness

pytestmark = pytest.mark.postgres


@pytest.fixture
def harness(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    return postgresql


TYPED = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN code AS varchar(8) CHECK (VALUE <> '');
CREATE TABLE typed (
  id uuid PRIMARY KEY, small smallint, price numeric(8,2), rate real, born date,
  seen timestamptz, at timestamp, feel mood NOT NULL, fixed char(6), plain bpchar, doc jsonb,
  host inet, raw bytea, label code, flag boolean NOT NULL, tags text[], odd point)
"""
UID = UUID("12345678-1234-4234-9234-123456789abc")
TYPED_ROW: dict[str, Any] = {
    "id": UID,
    "small": 7,
    "price": Decimal("19.90"),
    "rate": 0.1,
    "born": date(1980, 5, 6),
    "seen": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    "at": datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - a column without a zone
    "feel": "glad",
    "fixed": "AB",
    "plain": "CD",
    "doc": '{"mail": "mira.quell@example.com", "n": 1}',
    "host": "192.0.2.7",
    "raw": b"\x00\x01",
    "label": "x-1",
    "flag": True,
    "tags": ["a", "b"],
    "odd": "(1,2)",
}


@pytest.fixture
def typed(harness: PostgresqlHarness) -> Iterator[SqlStore]:
    harness.clear()
    harness.execute(TYPED)
    harness.insert("typed", TYPED_ROW)
    store = harness.store()
    yield store
    store.close()


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("id", str(UID)),
        ("id", str(UID).upper()),
        ("small", "7"),
        ("price", "19.9"),
        ("price", Decimal("19.90")),
        ("born", "1980-05-06"),
        ("seen", "2024-01-02T04:04:05+01:00"),
        ("at", "2024-01-02 03:04:05"),
        ("feel", "glad"),
        ("fixed", "AB"),
        ("plain", "CD"),
        ("host", "192.0.2.7"),
        ("host", "192.0.2.7/32"),
        ("raw", b"\x00\x01"),
        ("raw", "0001"),
        ("label", "x-1"),
        ("flag", "true"),
        ("flag", 1),
    ],
)
def test_a_value_is_found_in_a_column_of_its_type(
    typed: SqlStore, column: str, given: Scalar
) -> None:
    selector = by(dataset("typed"), column)
    (found,) = typed.find(selector, [given, "never there", "2" * 40, None])
    assert found.matched == (given,)
    assert found.key.values == (UID,)


@pytest.mark.parametrize("column", [name for name in TYPED_ROW if name != "id"])
def test_what_cannot_be_a_value_of_the_column_matches_nothing(typed: SqlStore, column: str) -> None:
    bad: list[Scalar] = [
        "sad no more",
        "ABCDEFGHIJ",
        2**80,
        "2020-13-01",
        "\x00",
        "maybe",
        b"\xff",
        1e300,
    ]
    assert list(typed.find(by(dataset("typed"), column), bad)) == []


@pytest.mark.parametrize("column", list(TYPED_ROW))
def test_every_type_can_be_a_guard(
    harness: PostgresqlHarness, typed: SqlStore, column: str
) -> None:
    selector = Selector(dataset=dataset("typed"), fields=("id",), guard=(column,))
    (key,) = (f.key for f in typed.find(selector, [UID]))
    stored = Key(
        values=values.all_from_json(json.loads(json.dumps(values.all_to_json(key.values)))),
        guard=values.all_from_json(json.loads(json.dumps(values.all_to_json(key.guard)))),
    )
    step = Step(dataset=dataset("typed"), action="delete", guard=(column,))
    (receipt,) = typed.act([Work(step=step, keys=(stored,))], SECRETS)
    assert (receipt.done, receipt.reused) == (1, ())
    assert harness.read("typed") == []


@pytest.mark.parametrize("method", [None, "random"])
@pytest.mark.parametrize("column", [n for n in TYPED_ROW if n not in ("id", "tags", "odd")])
def test_every_type_can_be_anonymised(
    harness: PostgresqlHarness, typed: SqlStore, column: str, method: str | None
) -> None:
    field = Field(
        name=column,
        categories=("user.demographic",),
        method=Method(name=method) if method else None,
    )
    step = Step(dataset=dataset("typed", field), action="anonymize", guard=(column,))
    selector = Selector(dataset=step.dataset, fields=("id",), guard=(column,))
    work = Work(step=step, keys=tuple(f.key for f in typed.find(selector, [UID])))
    first = typed.act([work], SECRETS)
    after = harness.read("typed")
    assert typed.check([work], SECRETS) == []
    assert typed.act([work], SECRETS) == first
    assert first[0].reused == ()
    assert harness.read("typed") == after
    if column not in ("feel", "flag"):  # two values only: the other one may be the same
        assert after[0][column] != TYPED_ROW[column]


@pytest.mark.parametrize(
    ("kind", "value", "empty"),
    [
        ("tsvector", "to_tsvector('Mira Quell')", ""),
        ("tsquery", "'mira'", ""),
        ("daterange", "'[2024-01-01,2024-01-02)'", "empty"),
        ("int4multirange", "'{[1,3)}'", "{}"),
        ("mood[]", "'{sad,glad}'", "{NULL,NULL}"),
        ("bytea[]", "ARRAY['a'::bytea]", "{NULL}"),
    ],
)
def test_a_column_that_refuses_null_and_knows_an_empty_value_gets_that(
    harness: PostgresqlHarness, kind: str, value: str, empty: str
) -> None:
    """The words of a text for searching are the text's."""
    harness.execute("DROP TABLE IF EXISTS found; DROP TYPE IF EXISTS mood CASCADE")
    harness.execute("CREATE TYPE mood AS ENUM ('glad', 'sad')")
    harness.execute(f"CREATE TABLE found (id int PRIMARY KEY, it {kind} NOT NULL)")
    harness.execute(f"INSERT INTO found VALUES (1, {value})")
    field = Field(name="it", categories=("user.content",))
    step = Step(dataset=dataset("found", field), action="anonymize")
    work = Work(step=step, keys=(Key(values=(1,)),))
    store = harness.store()
    store.foresee([work], SECRETS)
    store.act([work], SECRETS)
    assert store.check([work], SECRETS) == []
    assert harness.execute("SELECT it::text FROM found") == [(empty,)]
    store.close()


@pytest.mark.parametrize("column", ["fixed", "plain", "price", "rate", "doc"])
def test_a_constant_comes_back_as_it_was_written(
    harness: PostgresqlHarness, typed: SqlStore, column: str
) -> None:
    constant = {"price": "3", "rate": "0.1", "doc": "{}"}.get(column, "x")
    method = Method(name="constant", argument=constant)
    step = Step(dataset=dataset("typed", Field(name=column, method=method)), action="anonymize")
    work = Work(step=step, keys=(Key(values=(UID,)),))
    typed.act([work], SECRETS)
    assert typed.check([work], SECRETS) == []
    state = harness.read("typed")
    typed.act([work], SECRETS)
    assert harness.read("typed") == state


@pytest.mark.parametrize(
    ("kind", "value", "constant"),
    [
        ("point", "'(1,2)'", "(0,0)"),
        ("polygon", "'((0,0),(1,1),(1,0))'", "((0,0))"),
        ('"Full Name"', "ROW('Mira','Quell')", "(,)"),
        ("pg_lsn", "'0/1A'", "0/0"),
    ],
)
def test_a_type_that_nobody_knows_takes_a_constant(
    harness: PostgresqlHarness, kind: str, value: str, constant: str
) -> None:
    harness.clear()
    harness.execute('CREATE TYPE "Full Name" AS (first text, last text)')
    harness.execute(f"CREATE TABLE place (id int PRIMARY KEY, it {kind} NOT NULL)")
    harness.execute(f"INSERT INTO place VALUES (1, {value})")
    store = harness.store()
    field = Field(name="it", categories=("user.location",))
    step = Step(dataset=dataset("place", field), action="anonymize")
    work = Work(step=step, keys=(Key(values=(1,)),))
    with pytest.raises(StoreError, match=r"shop\.place\.it: .*declare the method 'constant'"):
        store.foresee([work], SECRETS)
    fixed = replace(field, method=Method(name="constant", argument=constant))
    work = replace(work, step=replace(step, dataset=dataset("place", fixed)))
    store.foresee([work], SECRETS)
    store.act([work], SECRETS)
    assert store.check([work], SECRETS) == []
    assert harness.execute("SELECT it::text FROM place") == [(constant,)]
    store.close()


def test_a_needle_in_a_document_is_found_redacted_and_no_longer_scanned(
    harness: PostgresqlHarness, typed: SqlStore
) -> None:
    document = dataset("typed", Field(name="doc", free_text=True))
    selector = Selector(dataset=document, mode="text", fields=("doc",))
    keys = tuple(f.key for f in typed.find(selector, ["mira.quell@example.com"]))
    step = Step(dataset=document, action="redact", via="mention", redact=("doc",))
    typed.act([Work(step=step, keys=keys)], SECRETS)
    assert harness.read("typed")[0]["doc"] == {"mail": "[erased]", "n": 1}
    assert [h for h in typed.scan([], SECRETS.needles) if isinstance(h, Hit)] == []
