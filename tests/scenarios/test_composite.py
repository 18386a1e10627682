"""References of several columns: branches number their customers and orders each from one, so a
part of a key alone is a stranger's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from erasure.domain.errors import UsageError
from erasure.inline import approve, open_case, run_inline
from erasure.models import ErasureRequest
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE, OFFICER
from tests.stores.postgresql import scratch_database

pytestmark = pytest.mark.django_db(transaction=True)

SUBJECT = "ann.archer@example.com"
SCHEMA = (
    "CREATE TABLE box (branch int, no int, street text, PRIMARY KEY (branch, no))",
    "CREATE TABLE customer (branch int, no int, email text, box_branch int, box_no int, "
    "PRIMARY KEY (branch, no), "
    "FOREIGN KEY (box_branch, box_no) REFERENCES box (branch, no))",
    "CREATE TABLE orders (branch int NOT NULL, no int, customer_no int NOT NULL, "
    "PRIMARY KEY (branch, no), "
    "FOREIGN KEY (branch, customer_no) REFERENCES customer (branch, no))",
    "CREATE TABLE line (branch int, order_no int, pos int, PRIMARY KEY (branch, order_no, pos), "
    "FOREIGN KEY (branch, order_no) REFERENCES orders (branch, no))",
    "CREATE TABLE courier (id int PRIMARY KEY, email text, last_branch int NOT NULL, last_order "
    "int, FOREIGN KEY (last_branch, last_order) REFERENCES orders (branch, no))",
)
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "box": [(1, 1, "12 Quiet Lane"), (2, 1, "7 Loud Street"), (1, 2, "3 Long Road")],
    "customer": [
        (1, 1, "Ann.Archer@example.com", 1, 1),
        (2, 1, "ben.baker@example.com", 2, 1),
        (1, 2, "cleo.carter@example.com", 1, 2),
    ],
    "orders": [(1, 1, 1), (1, 2, 2), (2, 1, 1), (2, 2, 1), (1, 3, 1)],
    "line": [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (2, 2, 1), (1, 3, 1), (2, 1, 2)],
    "courier": [(1, "eve@example.org", 1, 1), (2, "fay@example.org", 2, 1), (3, "gil@x.org", 1, 2)],
}
LEFT = {
    "box": [(1, 2, "3 Long Road"), (2, 1, "7 Loud Street")],
    "customer": [
        (1, 2, "cleo.carter@example.com", 1, 2),
        (2, 1, "ben.baker@example.com", 2, 1),
    ],
    "orders": [(1, 2, 2), (2, 1, 1), (2, 2, 1)],
    "line": [(1, 2, 1), (2, 1, 1), (2, 1, 2), (2, 2, 1)],
    "courier": [
        (1, "eve@example.org", 1, None),
        (2, "fay@example.org", 2, 1),
        (3, "gil@x.org", 1, 2),
    ],
}
CATALOGUE = """
store:
  - {name: shop_db, kind: sql, url: "${SHOP_URL}"}
dataset:
  - fides_key: shop
    erasure: {store: shop_db}
    collections:
      - name: box
        erasure: {action: delete}
        fields:
          - {name: branch, fides_meta: {primary_key: true}}
          - {name: "no", fides_meta: {primary_key: true}}
          - {name: street, data_categories: [user.contact.address.street]}
      - name: customer
        erasure: {action: delete, composite: [[box_branch, box_no]]}
        fields:
          - {name: branch, fides_meta: {primary_key: true}}
          - {name: "no", fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
          - name: box_branch
            fides_meta: {references: [{dataset: shop, field: box.branch, direction: to}]}
          - name: box_no
            fides_meta: {references: [{dataset: shop, field: box.no, direction: to}]}
      - name: orders
        erasure: {action: delete, composite: [[branch, customer_no]]}
        fields:
          - name: branch
            fides_meta:
              primary_key: true
              references: [{dataset: shop, field: customer.branch, direction: from}]
          - {name: "no", fides_meta: {primary_key: true}}
          - name: customer_no
            fides_meta: {references: [{dataset: shop, field: customer.no, direction: from}]}
      - name: line
        erasure: {action: delete, composite: [[branch, order_no]]}
        fields:
          - name: branch
            fides_meta:
              primary_key: true
              references: [{dataset: shop, field: orders.branch, direction: from}]
          - name: order_no
            fides_meta:
              primary_key: true
              references: [{dataset: shop, field: orders.no, direction: from}]
          - {name: pos, fides_meta: {primary_key: true}}
      - name: courier
        erasure: {action: delete, composite: [[last_branch, last_order]]}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
          - name: last_branch
            fides_meta: {references: [{dataset: shop, field: orders.branch, direction: from}]}
          - name: last_order
            fides_meta: {references: [{dataset: shop, field: orders.no, direction: from}]}
"""
Rows = dict[str, list[tuple[Any, ...]]]


class Database:
    """The branches' tables in a real database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(self) -> sqlite3.Connection | psycopg.Connection:
        if self.url.startswith("sqlite"):
            return sqlite3.connect(self.url.removeprefix("sqlite:///"))
        return psycopg.connect(self.url)

    def fill(self) -> None:
        """Tables and rows."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            for statement in SCHEMA:
                cursor.execute(statement)
            for table, rows in ROWS.items():
                for row in rows:
                    values = ", ".join("NULL" if v is None else repr(v) for v in row)
                    cursor.execute(f"INSERT INTO {table} VALUES ({values})")
            connection.commit()

    def read(self) -> Rows:
        """Everything, in order."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            rows: Rows = {}
            for table in ROWS:
                cursor.execute(f"SELECT * FROM {table}")
                rows[table] = sorted(map(tuple, cursor.fetchall()), key=repr)
            return rows


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The branches, on both engines."""
    if request.param == "sqlite":
        path = tmp_path / "shop.sqlite3"
        path.touch()
        urls: Iterator[str] = iter([f"sqlite:///{path}"])
    else:
        urls = scratch_database("composite")
    for url in urls:
        found = Database(url)
        found.fill()
        yield found


@pytest.fixture
def case(database: Database, monkeypatch: pytest.MonkeyPatch) -> ErasureRequest:
    """The subject's case, with its plan."""
    monkeypatch.setenv("SHOP_URL", database.url)
    catalog.upsert(fideslang.read_text(CATALOGUE, "shop.yml"))
    return open_case([("email", SUBJECT)], by=OFFICER, method="test")


def test_only_rows_that_match_in_every_column_are_the_persons(
    database: Database, case: ErasureRequest
) -> None:
    approve(case, by=CONSOLE, because="test")
    run_inline(case)
    assert case.state == "completed", case.blocked_because
    assert database.read() == LEFT


def test_the_plan_counts_them_and_names_the_columns_together(case: ErasureRequest) -> None:
    steps = {(s.dataset, s.via): s for s in case.plans.get().steps.all()}
    assert {place: s.counted for place, s in steps.items()} == {
        ("shop.box", "refcount"): 1,
        ("shop.customer", "deep"): 1,
        ("shop.orders", "deep"): 2,
        ("shop.line", "deep"): 3,
        ("shop.courier", "deep"): 0,
        ("shop.courier", "shallow"): 1,
    }
    path = steps["shop.line", "deep"].path
    assert path[-1] == "shop.orders.branch+no → shop.line.branch+order_no (deep)"


def test_a_child_added_later_is_found_by_all_its_columns(
    database: Database, case: ErasureRequest
) -> None:
    approve(case, by=CONSOLE, because="test")
    with closing(database.connect()) as connection:
        connection.cursor().execute("INSERT INTO line VALUES (1, 3, 9)")
        connection.cursor().execute("INSERT INTO line VALUES (2, 2, 9)")
        connection.commit()
    run_inline(case)
    assert case.state == "completed", case.blocked_because
    assert (2, 2, 9) in database.read()["line"]
    assert (1, 3, 9) not in database.read()["line"]


def test_a_reference_to_a_part_of_a_key_is_refused_before_anything_is_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", database.url)
    parts = CATALOGUE.replace(", composite: [[branch, order_no]]", "")
    catalog.upsert(fideslang.read_text(parts, "shop.yml"))
    with pytest.raises(UsageError, match=r"shop\.line\.branch: refers to a part of the key"):
        open_case([("email", SUBJECT)], by=OFFICER, method="test")
    assert database.read() == {table: sorted(rows, key=repr) for table, rows in ROWS.items()}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_children_whose_reference_is_their_key_go_with_a_cascade_as_planned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their reference guards nothing, as no key does, and is known to the plan all the same."""
    with closing(database.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE line")
        cursor.execute(SCHEMA[3].replace("orders (branch, no)", "orders ON DELETE CASCADE"))
        for row in ROWS["line"]:
            cursor.execute(f"INSERT INTO line VALUES {row}")
        connection.commit()
    monkeypatch.setenv("SHOP_URL", database.url)
    catalog.upsert(fideslang.read_text(CATALOGUE, "shop.yml"))
    case = open_case([("email", SUBJECT)], by=OFFICER, method="test")
    assert case.plans.get().findings == []
    approve(case, by=CONSOLE, because="test")
    run_inline(case)
    assert case.state == "completed", case.blocked_because
    assert database.read() == LEFT
