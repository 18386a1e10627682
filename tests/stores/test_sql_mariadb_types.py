"""The SQL store on MariaDB: a column of every type, searched, guarded and anonymised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from erasure.domain import values
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.stores.base import Hit, Key, Selector, Work
from erasure.stores.sql import SqlStore
from lineage.graph import Field, Method
from tests.stores.company import SECRETS, by, dataset
from tests.stores.mariadb import MariadbHarness

pytestmark = pytest.mark.mariadb

TYPED = """
CREATE TABLE typed (
  id uuid PRIMARY KEY, small tinyint, middle mediumint unsigned, large bigint unsigned,
  price decimal(30,4), rate float, ratio double, born date, at datetime(6), seen timestamp NULL,
  clock time(3), made year, feel enum('glad', 'it''s sad') NOT NULL, marks set('x', 'y'),
  fixed char(6), plain varchar(20) CHARACTER SET latin1, doc json, host inet6, raw varbinary(16),
  shape binary(4), old inet4, flag boolean NOT NULL, bits bit(12), place point, story mediumtext)
"""
UID = "12345678-1234-4234-9234-123456789abc"
ROW: dict[str, Any] = {
    "id": UID,
    "small": -7,
    "middle": 16_000_000,
    "large": 2**64 - 2,
    "price": Decimal("12345678901234567890.1250"),
    "rate": 0.1,
    "ratio": 1.0000000000000002,
    "born": date(1980, 5, 6),
    "at": datetime(2024, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001 - a column without a zone
    "seen": datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - in the session's zone
    "clock": "03:04:05.250",
    "made": 1999,
    "feel": "it's sad",
    "marks": "x,y",
    "fixed": "AB",
    "plain": "Ärger",
    "doc": '{"mail": "mira.quell@example.com", "n": 1}',
    "host": "2001:db8::7",
    "raw": b"\x00\x01",
    "shape": b"\x00\xff\x00\x01",
    "old": "192.0.2.200",
    "flag": True,
    "bits": 0b101000000001,
    "place": None,
    "story": "once",
}


@pytest.fixture
def harness(mariadb: MariadbHarness) -> MariadbHarness:
    mariadb.clear()
    mariadb.execute(TYPED)
    mariadb.insert("typed", ROW)
    mariadb.execute("UPDATE typed SET place = ST_GeomFromText('POINT(1 2)')")
    return mariadb


@pytest.fixture
def typed(harness: MariadbHarness) -> Iterator[SqlStore]:
    store = harness.store()
    yield store
    store.close()


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("id", UID),
        ("id", UID.upper()),
        ("small", "-7"),
        ("middle", 16_000_000),
        ("large", str(2**64 - 2)),
        ("price", "12345678901234567890.125"),
        ("price", Decimal("12345678901234567890.1250")),
        ("rate", 0.1),
        ("rate", "0.1"),
        ("ratio", 1.0000000000000002),
        ("born", "1980-05-06"),
        ("at", "2024-01-02T03:04:05.678901"),
        ("seen", "2024-01-02 03:04:05"),
        ("clock", time(3, 4, 5, 250_000)),
        ("made", "1999"),
        ("feel", "it's sad"),
        ("marks", "x,y"),
        ("fixed", "AB"),
        ("plain", "Ärger"),
        ("host", "2001:db8::7"),
        ("raw", b"\x00\x01"),
        ("raw", "0001"),
        ("shape", "00ff0001"),
        ("old", "192.0.2.200"),
        ("place", "POINT(1 2)"),
        ("flag", "true"),
        ("flag", 1),
        ("bits", 0b101000000001),
        ("story", "once"),
    ],
)
def test_a_value_is_found_in_a_column_of_its_type(
    typed: SqlStore, column: str, given: Scalar
) -> None:
    (found,) = typed.find(by(dataset("typed"), column), [given, "never there", "2" * 40, None])
    assert found.matched == (given,)
    assert found.key.values == (UID,)


@pytest.mark.parametrize("column", [name for name in ROW if name != "id"])
def test_what_cannot_be_a_value_of_the_column_matches_nothing(typed: SqlStore, column: str) -> None:
    bad: list[Scalar] = [
        "-7 and more",
        "1999x",
        "IT'S SAD",
        "ab",
        "ärger",
        2**80,
        "2020-13-01",
        "\x00",
        "maybe",
        "",
        b"\xff",
        1e300,
        0,
        False,
    ]
    assert list(typed.find(by(dataset("typed"), column), bad)) == []


@pytest.mark.parametrize("column", list(ROW))
def test_every_type_can_be_a_guard(harness: MariadbHarness, typed: SqlStore, column: str) -> None:
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
@pytest.mark.parametrize("column", [n for n in ROW if n not in ("id", "marks", "place", "bits")])
def test_every_type_can_be_anonymised(
    harness: MariadbHarness, typed: SqlStore, column: str, method: str | None
) -> None:
    before = harness.read("typed")
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
        assert after[0][column] != before[0][column]


@pytest.mark.parametrize(
    ("column", "constant"),
    [
        ("fixed", "x"), ("plain", "x"), ("price", "98765432109876543210.125"), ("rate", "0.3"),
        ("ratio", "0.3"), ("doc", "{}"), ("clock", "01:02:03"), ("made", "2001"),
        ("born", "2001-02-03"),
    ],
)  # fmt: skip
def test_a_constant_comes_back_as_it_was_written(
    harness: MariadbHarness, typed: SqlStore, column: str, constant: str
) -> None:
    method = Method(name="constant", argument=constant)
    step = Step(dataset=dataset("typed", Field(name=column, method=method)), action="anonymize")
    work = Work(step=step, keys=(Key(values=(UID,)),))
    typed.act([work], SECRETS)
    assert typed.check([work], SECRETS) == []
    state = harness.read("typed")
    typed.act([work], SECRETS)
    assert harness.read("typed") == state


@pytest.mark.parametrize(
    "span", [timedelta(hours=-1, minutes=-30), timedelta(hours=800, microseconds=5000)]
)
def test_a_time_that_is_no_time_of_day_can_be_read_and_guarded(
    harness: MariadbHarness, typed: SqlStore, span: timedelta
) -> None:
    harness.execute("UPDATE typed SET clock = %s", [span])
    selector = Selector(dataset=dataset("typed"), fields=("id",), guard=("clock",))
    (key,) = (f.key for f in typed.find(selector, [UID]))
    assert isinstance(key.guard[0], str)
    step = Step(dataset=dataset("typed"), action="delete", guard=("clock",))
    (receipt,) = typed.act([Work(step=step, keys=(key,))], SECRETS)
    assert (receipt.done, receipt.reused) == (1, ())


def test_a_date_that_is_none_is_read_as_it_stands(harness: MariadbHarness, typed: SqlStore) -> None:
    """Older servers let it in; the row must be found and go all the same."""
    harness.execute("SET STATEMENT sql_mode = '' FOR UPDATE typed SET born = '0000-00-00'")
    assert [s.rows for s in typed.scan([], SECRETS.needles) if not isinstance(s, Hit)] == [1]
    selector = Selector(dataset=dataset("typed"), fields=("id",), guard=("born",))
    keys = tuple(f.key for f in typed.find(selector, [UID]))
    step = Step(dataset=dataset("typed"), action="delete", guard=("born",))
    (receipt,) = typed.act([Work(step=step, keys=keys)], SECRETS)
    assert (receipt.done, receipt.reused) == (1, ())


def test_types_are_named_as_the_database_names_them(typed: SqlStore) -> None:
    columns = typed.inspect().tables["typed"].columns
    told = {c.name: (c.data_type, c.length) for c in columns}
    assert told["middle"] == ("MEDIUMINT(8) UNSIGNED", None)
    assert told["price"] == ("DECIMAL(30,4)", None)
    assert told["feel"] == ("ENUM('glad','it''s sad')", None)
    assert told["plain"] == ("VARCHAR(20)", 20)
    assert told["raw"] == ("VARBINARY(16)", 16)
    assert told["doc"] == ("JSON", None)
    assert told["story"] == ("MEDIUMTEXT", None)
    assert told["flag"] == ("TINYINT(1)", None)


def test_a_needle_in_a_document_is_found_redacted_and_no_longer_scanned(
    harness: MariadbHarness, typed: SqlStore
) -> None:
    document = dataset("typed", Field(name="doc", free_text=True))
    selector = Selector(dataset=document, mode="text", fields=("doc",))
    keys = tuple(f.key for f in typed.find(selector, ["mira.quell@example.com"]))
    step = Step(dataset=document, action="redact", via="mention", redact=("doc",))
    typed.act([Work(step=step, keys=keys)], SECRETS)
    assert json.loads(str(harness.read("typed")[0]["doc"])) == {"mail": "[erased]", "n": 1}
    assert [h for h in typed.scan([], SECRETS.needles) if isinstance(h, Hit)] == []
