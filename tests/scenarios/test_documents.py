"""A club whose members live inside documents: identities, keys, references and texts in JSON and
arrays, from the request to the certificate."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from erasure.domain.errors import StoreError, UsageError
from erasure.flow import exempt, planning, watch
from erasure.inline import approve, open_case, run_inline
from erasure.models import Certificate, ErasureRequest, ScanResult
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE, OFFICER
from tests.stores import mariadb, postgresql
from tests.stores.mariadb_server import connect

pytestmark = pytest.mark.django_db(transaction=True)

SUBJECT = "ann.archer@example.com"
TABLES = {
    "account": "id INTEGER PRIMARY KEY, profile DOC NOT NULL",
    "device": "id VARCHAR(20) PRIMARY KEY, model VARCHAR(40)",
    "login": "id INTEGER PRIMARY KEY, mail VARCHAR(60)",
    "event": "id INTEGER PRIMARY KEY, payload DOC",
    "team": "id INTEGER PRIMARY KEY, members IDS NOT NULL",
    "entry": "id INTEGER PRIMARY KEY, doc DOC",
}
ANN = (
    '{ "name":{"first":"Ann", "last":"Archer"}, "email":"Ann.Archer@Example.com",'
    ' "phone":"+49 30 1234567", "devices":["d-ann", "d-shared"], "theme":"dark", "n":1.50 }'
)
BEN = (
    '{"name": {"first": "Ben", "last": "Baker"}, "email": "ben.baker@example.com",'
    ' "phone": "+49 30 1234567", "devices": ["d-shared", "d-ben"], "n": 2.50}'
)
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "account": [(1, ANN), (2, BEN), (3, '{"email": "cleo.carter@example.com"}')],
    "device": [("d-ann", "Phone A"), ("d-ben", "Phone B"), ("d-shared", "Tablet")],
    "login": [(1, "ANN.ARCHER@example.com"), (2, "ben.baker@example.com")],
    "event": [
        (1, '{"user": {"id": 1}, "what": "joined"}'),
        (2, '{"user": [{"id": "1"}]}'),
        (3, '{"user": {"id": 2}, "text": "met Ann Archer, then\\nAnn Archer again", "x": 1.0}'),
        (4, None),
    ],
    "team": [(1, "[1, 2]"), (2, "[2, 3]"), (3, "[3, 1]"), (4, "[11]")],
    "entry": [
        (1, '{"by": 1, "body": "mine"}'),
        (2, '{"by": 2, "body": {"Ann Archer": ["ann.archer@example.com"]}, "n": 1.20}'),
    ],
}
LEFT: dict[str, list[tuple[Any, ...]]] = {
    "account": [
        (1, ANN.replace('"Ann"', "null").replace('"Archer"', "null")
            .replace('"Ann.Archer@Example.com"', "null").replace('"+49 30 1234567"', "null")
            .replace('["d-ann", "d-shared"]', "[]")),
        *ROWS["account"][1:],
    ],
    "device": [("d-ben", "Phone B"), ("d-shared", "Tablet")],
    "login": [(2, "ben.baker@example.com")],
    "event": [
        (3, '{"user": {"id": 2}, "text": "met [erased], then\\n[erased] again", "x": 1.0}'),
        (4, None),
    ],
    "team": [(1, "[2]"), (2, "[2, 3]"), (3, "[3]"), (4, "[11]")],
    "entry": [(2, '{"by": 2, "body": {"[erased]": ["[erased]"]}, "n": 1.20}')],
}  # fmt: skip
CATALOGUE = """
store:
  - {name: club_db, kind: sql, url: "${CLUB_URL}"}
dataset:
  - fides_key: club
    erasure: {store: club_db}
    collections:
      - name: account
        erasure: {action: anonymize, because: the statistics count it}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: profile
            fides_meta: {data_type: object}
            fields:
              - name: name
                fields:
                  - {name: first, data_categories: [user.name.first]}
                  - {name: last, data_categories: [user.name.last]}
              - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
              - {name: phone, data_categories: [user.contact.phone_number]}
              - name: devices
                fides_meta: {references: [{dataset: club, field: device.id, direction: to}]}
      - name: device
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: model, data_categories: [user.device]}
      - name: login
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: mail
            data_categories: [user.contact.email]
            fides_meta:
              identity: email
              references: [{dataset: club, field: account.profile.email, direction: from}]
            erasure: {on_erase: deep}
      - name: event
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: payload
            fields:
              - name: user
                fields:
                  - name: id
                    fides_meta: {references: [{dataset: club, field: account.id, direction: from}]}
              - {name: text, erasure: {free_text: true}}
      - name: team
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: members
            fides_meta: {references: [{dataset: club, field: account.id, direction: from}]}
            erasure: {on_erase: shallow}
      - name: entry
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: doc
            fides_meta: {data_type: object}
            erasure: {free_text: true}
            fields:
              - name: by
                fides_meta: {references: [{dataset: club, field: account.id, direction: from}]}
"""
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Club:
    """The tables in a real database. ``doc`` and ``ids``: its types for documents and lists."""

    url: str
    doc: str
    ids: str

    def connect(self) -> Any:
        if self.url.startswith("sqlite"):
            return sqlite3.connect(self.url.removeprefix("sqlite:///"))
        if self.url.startswith("mysql"):
            return connect(self.url)
        return psycopg.connect(self.url)

    def run(self, *statements: str) -> None:
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def fill(self) -> None:
        for table, columns in TABLES.items():
            declared = columns.replace("DOC", self.doc).replace("IDS", self.ids)
            self.run(f"CREATE TABLE {table} ({declared})")
            for row in ROWS[table]:
                self.run(f"INSERT INTO {table} VALUES ({', '.join(map(self.literal, row))})")

    def literal(self, value: Any) -> str:
        if value is None or isinstance(value, int):
            return "NULL" if value is None else str(value)
        if self.ids.endswith("[]") and value.startswith("["):
            value = f"{{{value[1:-1]}}}"
        if self.url.startswith("mysql"):
            value = value.replace("\\", "\\\\")
        return f"'{value}'"

    def read(self) -> Rows:
        """Everything, in order."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            found: Rows = {}
            for table in TABLES:
                cursor.execute(f"SELECT * FROM {table} ORDER BY id")
                found[table] = [tuple(map(self.plain, row)) for row in cursor.fetchall()]
            return found

    def expected(self, rows: Rows) -> Rows:
        return {table: [tuple(map(self.plain, row)) for row in rows[table]] for table in TABLES}

    def plain(self, value: Any) -> Any:
        """As it stands where the database keeps the text of a document, else what it says."""
        keeps = not self.url.startswith("postgresql")
        if keeps or not isinstance(value, str) or value[:1] not in "{[":
            return value
        return json.loads(value)


@pytest.fixture(
    params=[
        ("sqlite", "JSON", "JSON"),
        pytest.param(("postgresql", "JSONB", "INTEGER[]"), marks=pytest.mark.postgres),
        pytest.param(("postgresql", "JSON", "JSONB"), marks=pytest.mark.postgres),
        pytest.param(("mariadb", "JSON", "JSON"), marks=pytest.mark.mariadb),
    ],
    ids="-".join,
)
def club(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Club]:
    """The club, on every engine."""
    engine, doc, ids = request.param
    urls = {
        "sqlite": lambda: iter([f"sqlite:///{tmp_path / 'club.sqlite3'}"]),
        "postgresql": lambda: postgresql.scratch_database("documents"),
        "mariadb": lambda: mariadb.scratch_database("documents"),
    }
    (tmp_path / "club.sqlite3").touch()
    for url in urls[engine]():
        found = Club(url=url, doc=doc, ids=ids)
        found.fill()
        monkeypatch.setenv("CLUB_URL", url)
        yield found


def opened(catalogue: str = CATALOGUE) -> ErasureRequest:
    catalog.upsert(fideslang.read_text(catalogue, "club.yml"))
    return open_case([("email", SUBJECT)], by=OFFICER, method="test")


def seen(case: ErasureRequest) -> set[tuple[str, str, str]]:
    """What the re-scan saw: collection, field, verdict."""
    results = ScanResult.objects.filter(request=case)
    return {(r.collection, r.field, r.verdict) for r in results}


def test_nothing_of_the_person_is_left_in_any_document(club: Club) -> None:
    case = opened()
    approve(case, by=CONSOLE, because="test")
    run_inline(case)
    assert case.state == "completed", case.blocked_because
    left = club.read()
    assert left == club.expected(LEFT)
    shared = {("account", "profile.phone", "shared"), ("device", "model", "shared")}
    assert seen(case) == shared
    assert Certificate.objects.filter(request=str(case.id), kind="certificate").exists()


def test_the_plan_counts_rows_found_inside(club: Club) -> None:
    case = opened()
    steps = {(s.dataset, s.via): s.counted for s in case.plans.get().steps.all()}
    assert steps == {
        ("club.account", "deep"): 1,
        ("club.device", "refcount"): 2,
        ("club.login", "deep"): 1,
        ("club.event", "deep"): 2,
        ("club.event", "mention"): 1,
        ("club.team", "shallow"): 2,
        ("club.entry", "deep"): 1,
        ("club.entry", "mention"): 1,
    }


def test_two_people_in_one_run_leave_the_same_list(club: Club) -> None:
    first = opened()
    second = open_case([("email", "ben.baker@example.com")], by=OFFICER, method="test")
    for case in (first, second):
        approve(case, by=CONSOLE, because="test")
    run_inline(first)
    run_inline(second)
    assert (first.state, second.state) == ("completed", "completed")
    assert first.run == second.run
    left = club.read()
    assert left["team"] == club.expected(
        {**LEFT, "team": [(1, "[]"), (2, "[3]"), (3, "[3]"), (4, "[11]")]}
    )["team"]  # fmt: skip
    assert left["device"] == []
    assert left["account"][2] == club.expected(ROWS)["account"][2]


def test_who_joins_between_plan_and_run_stays(club: Club) -> None:
    case = opened()
    approve(case, by=CONSOLE, because="test")
    more = club.literal("[2, 1, 3]")
    club.run(f"UPDATE team SET members = {more} WHERE id = 1")
    club.run(f"INSERT INTO event VALUES (9, {club.literal(ROWS['event'][0][1])})")
    run_inline(case)
    assert case.state == "completed", case.blocked_because
    left = club.read()
    assert left["team"][0] == club.expected({**LEFT, "team": [(1, "[2, 3]")]})["team"][0]
    assert [row[0] for row in left["event"]] == [3, 4]


def test_what_is_planted_inside_afterwards_is_found(club: Club) -> None:
    case = opened()
    approve(case, by=CONSOLE, because="test")
    planted = '{"user": {"id": 3}, "deep": [{"cc": "x \\u0061nn.archer@example.com"}]}'
    club.run(f"INSERT INTO event VALUES (8, {club.literal(planted)})")
    run_inline(case)
    assert case.state != "completed"
    assert ("event", "payload", "residue") in seen(case)


@pytest.mark.parametrize("club", [("sqlite", "JSON", "JSON")], indirect=True, ids=["sqlite"])
@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ("{name: model,", "{name: model.x,", r"club\.device\.model\.x: .*no column of JSON|text"),
        ("name: payload", "name: payloads", r"club\.event\.payloads.*no column 'payloads'"),
        ("- name: doc\n", "- name: id2\n", r"no column 'id2'|the column id2"),
    ],
)
def test_a_path_in_no_document_is_refused_while_planning(
    club: Club, wrong: str, right: str, words: str
) -> None:
    before = club.read()
    with pytest.raises(StoreError, match=words):
        opened(CATALOGUE.replace(wrong, right))
    assert club.read() == before


def test_a_field_inside_a_document_is_kept_alone_until_its_day(club: Club) -> None:
    case = opened()
    exempt.add_exception(
        case, dataset="club.account", fields=["profile.phone"], code="legal_claims",
        legal_reference="Art. 17(3)(e)", until=timezone.localdate() + timedelta(days=30),
        because="a dispute", by=OFFICER,
    )  # fmt: skip
    planning.make_plan(case, by=OFFICER)
    approve(case, by=CONSOLE, because="test")
    run_inline(case)
    assert case.state == "partly_granted", case.blocked_because
    phone = '"+49 30 1234567"'
    without = str(LEFT["account"][0][1])
    kept = without.replace('"phone":null', f'"phone":{phone}')
    assert kept != without
    account = [(1, kept), *LEFT["account"][1:]]
    assert club.read() == club.expected({**LEFT, "account": account})
    assert ("account", "profile.phone", "retained") in seen(case)
    watch.act_on_dates(case, now=timezone.now() + timedelta(days=32))
    assert club.read() == club.expected(LEFT)


@pytest.mark.parametrize("club", [("sqlite", "JSON", "JSON")], indirect=True, ids=["sqlite"])
def test_a_document_of_which_a_part_goes_is_not_kept_as_one(club: Club) -> None:
    case = opened()
    with pytest.raises(UsageError, match=r"fields: profile and profile\.name\.first .* innermost"):
        exempt.add_exception(
            case, dataset="club.account", fields=["profile"], code="legal_claims",
            legal_reference="Art. 17(3)(e)", until=timezone.localdate() + timedelta(days=30),
            because="a dispute", by=OFFICER,
        )  # fmt: skip
    assert not case.exceptions.exists()
