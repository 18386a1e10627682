"""Rows that come under a person's own row whose key is personal: anonymised, it is at another key,
and what refers to it by another column still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from erasure.models import ErasureRequest
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import NEIGHBOUR, SUBJECT
from tests.flow.deeds import act, approved, started, work_off
from tests.stores.postgresql import scratch_database

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = (
    "CREATE TABLE customer (email text PRIMARY KEY, code int NOT NULL UNIQUE)",
    "CREATE TABLE entry (id int PRIMARY KEY, author int REFERENCES customer (code))",
    f"INSERT INTO customer VALUES ('{SUBJECT}', 5), ('{NEIGHBOUR}', 6)",
    "INSERT INTO entry VALUES (1, 5), (2, 6)",
)
CATALOGUE = """
store:
  - {name: shop_db, kind: sql, url: "URL"}
dataset:
  - fides_key: shop
    erasure: {store: shop_db}
    collections:
      - name: customer
        erasure: {action: anonymize}
        fields:
          - name: email
            data_categories: [user.contact.email]
            fides_meta: {identity: email, primary_key: true}
          - {name: code}
      - name: entry
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: author
            fides_meta: {references: [{dataset: shop, field: customer.code, direction: from}]}
"""


class Blog:
    """Customers by their address, and entries by their author's number."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.execute(*SCHEMA)
        read = fideslang.read_text(CATALOGUE.replace("URL", url), "shop.yml")
        catalog.upsert(read, prune=True)

    def execute(self, *texts: str) -> None:
        with self._engine.begin() as connection:
            for text in texts:
                connection.execute(sa.text(text))

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(f"SELECT * FROM {table}"))]

    @property
    def entries(self) -> list[tuple[Any, ...]]:
        return sorted(self.rows("entry"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def blog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blog]:
    if request.param == "sqlite":
        yield Blog(f"sqlite:///{tmp_path / 'blog.sqlite3'}")
        return
    for url in scratch_database("renamed"):
        yield Blog(url.replace("postgresql://", "postgresql+psycopg://", 1))


def before_the_act(blog: Blog, request: ErasureRequest, change: str) -> None:
    blog.execute(change)
    act(request)


def after_the_act(blog: Blog, request: ErasureRequest, change: str) -> None:
    act(request)
    blog.execute(change)


@pytest.mark.parametrize("when", [before_the_act, after_the_act])
def test_a_row_that_came_since_the_search_is_found_under_the_new_key(
    blog: Blog, when: Callable[[Blog, ErasureRequest, str], None]
) -> None:
    request = started(approved(SUBJECT))
    when(blog, request, "INSERT INTO entry VALUES (3, 5)")
    work_off(request)
    assert blog.entries == [(2, 6)]
    assert request.state == "completed"
    assert {code for _, code in blog.rows("customer")} == {5, 6}
    assert SUBJECT not in {email for email, _ in blog.rows("customer")}


def test_entries_of_a_newcomer_who_was_given_the_same_number_are_left_alone(blog: Blog) -> None:
    request = started(approved(SUBJECT))
    act(request)
    blog.execute(
        "DELETE FROM customer WHERE code = 5",
        "INSERT INTO customer VALUES ('nora.newcomer@example.com', 5)",
        "INSERT INTO entry VALUES (3, 5)",
    )
    work_off(request)
    assert blog.entries == [(2, 6), (3, 5)]
    assert ("nora.newcomer@example.com", 5) in blog.rows("customer")
