"""Names and values that mean it ill, through a whole case on every engine: found and erased where
they are legal, refused in one clear line where they are not, and never taken for statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy.engine import make_url

from erasure.domain.errors import UsageError
from erasure.flow import intake
from erasure.inline import run_inline
from erasure.models import ErasureRequest
from erasure.runs import given
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import OFFICER
from tests.scenarios.faults_cast import approved, describe, dump, fill
from tests.stores import mariadb as on_mariadb
from tests.stores import postgresql as on_postgresql
from tests.stores.mariadb_server import connect

pytestmark = pytest.mark.django_db(transaction=True)


class AnyDatabase:
    """A database of any of the three engines, past the store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.kind = make_url(url).get_backend_name()

    def open(self) -> Any:
        if self.kind == "sqlite":
            return sqlite3.connect(str(make_url(self.url).database))
        if self.kind == "mysql":
            return connect(self.url)
        return psycopg.connect(self.url)

    def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with closing(self.open()) as connection:
            cursor = connection.cursor()
            if self.kind == "sqlite" and values:
                statement = statement.replace("%s", "?")
            cursor.execute(statement, *([list(values)] if values else []))
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
        return rows


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyDatabase]:
    """An empty database."""
    if request.param == "sqlite":
        path = tmp_path / "shop.sqlite3"
        path.touch()
        yield AnyDatabase(f"sqlite:///{path}")
        return
    engine = on_postgresql if request.param == "postgresql" else on_mariadb
    for url in engine.scratch_database("values"):
        yield AnyDatabase(url)


HOSTILE = [
    "o'brien@example.com",
    '";--@example.com',
    "';DROP/**/TABLE/**/customer;--@example.com",
    "'OR'1'='1@example.com",
    "100%s%(x)s%@example.com",
    "\\';--\\@example.com",
    ":id{0}${HOME}$1?@example.com",
    "Ünï🦊ﬁ@exämple.顧客",
    "x" * 900 + "@example.com",
]


@pytest.mark.parametrize("email", HOSTILE, ids=lambda email: ascii(email)[:20])
def test_a_person_is_found_and_forgotten_whatever_their_address_looks_like(
    database: AnyDatabase, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    describe(monkeypatch, database.url, "purge: none")
    fill(database)
    name = f"Ann {email.partition('@')[0]}"
    database.execute("UPDATE customer SET email = %s, name = %s WHERE id = 0", email, name)
    database.execute("UPDATE message SET body = %s WHERE id = 2", f"it was ({email}) again")
    before = dump(database)
    request = approved(email.upper() if email.isascii() else email)
    run_inline(request)
    assert request.state == "partly_granted", request.blocked_because
    after = dump(database)
    assert after["customer"] == [(0, None, None, None), *before["customer"][1:]]
    assert after["orders"] == before["orders"][2:]
    assert after["message"] == [(2, 2, "it was ([erased]) again"), (3, 1, "Thank you")]
    assert after["address"] == before["address"]


@pytest.mark.parametrize("value", ["a\x00b@example.com", "\x00", "x" * 10_000, "a@b\n", "\ud800@b"])
def test_what_cannot_be_an_identity_is_refused_in_one_line_that_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    describe(monkeypatch, "sqlite:////nowhere/shop.sqlite3")
    if value == "a@b\n":
        assert given.checked([("email", value)]) == [("email", "a@b")]  # a slip of the keyboard
        return
    with pytest.raises(UsageError, match="too long or has control characters") as caught:
        intake.open_request([("email", value)], by=OFFICER)
    assert value not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not ErasureRequest.objects.exists()


NAMES = [
    'we"ird; DROP TABLE x; -- %s',
    "se'lect `from` {0} :id [y] <b>",
    "Größe 顧客 ½ \\ /",
]


@pytest.mark.parametrize("name", NAMES)
def test_tables_and_columns_of_any_legal_name_are_planned_acted_on_and_certified(
    database: AnyDatabase, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    table = '"' + name.replace('"', '""') + '"'
    database.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {table} VARCHAR(60))")
    people = "(0, 'ann.archer@example.com'), (1, 'ben.baker@example.com')"
    database.execute(f"INSERT INTO {table} VALUES {people}")
    field = {"name": name, "data_categories": ["user.contact.email"],
             "fides_meta": {"identity": "email"}}  # fmt: skip
    key = {"name": "id", "fides_meta": {"primary_key": True}}
    catalogue = {
        "store": [{"name": "shop_db", "kind": "sql", "url": database.url}],
        "dataset": [
            {
                "fides_key": "shop",
                "erasure": {"store": "shop_db"},
                "collections": [
                    {"name": name, "erasure": {"action": "delete"}, "fields": [key, field]}
                ],
            }
        ],
    }
    text = yaml.safe_dump(catalogue, allow_unicode=True)
    catalog.upsert(fideslang.read_text(text, "shop.yml"), prune=True)
    request = approved("Ann.Archer@example.com")
    run_inline(request)
    assert request.state == "completed", request.blocked_because
    assert database.execute(f"SELECT id FROM {table}") == [(1,)]
