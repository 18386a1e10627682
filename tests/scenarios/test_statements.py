"""How many statements a run needs: few per table and few per 10,000 keys, on the person's database
and on our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from django.db import connection

from erasure import inline
from erasure.flow import execute
from erasure.models import ErasureRequest
from erasure.runs.journal import SLICE
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE
from tests.stores.postgresql import scratch_database

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]

SCHEMA = """
CREATE TABLE customer (id bigint PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE purchase (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customer);
CREATE TABLE item (
    purchase_id bigint REFERENCES purchase, no int, title text, PRIMARY KEY (purchase_id, no)
);
CREATE INDEX ON purchase (customer_id);
"""
CATALOGUE = """
store:
  - {name: shop, kind: sql, url: "URL"}
dataset:
  - fides_key: shop
    erasure: {store: shop}
    collections:
      - name: customer
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
      - name: purchase
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
      - name: item
        erasure: {action: delete}
        fields:
          - {name: no, fides_meta: {primary_key: true}}
          - name: purchase_id
            fides_meta:
              primary_key: true
              references: [{dataset: shop, field: purchase.id, direction: from}]
"""
TABLES = 3
CATALOGUE_TABLES = ("store", "dataset", "field", "reference", "derivation", "hearddataset")
FEW, MANY = 1_000, 40_000  # items


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    for url in scratch_database("statements"):
        with psycopg.connect(url) as target:
            target.execute(SCHEMA)
        yield url


def fill(url: str, person: int, items: int) -> str:
    """Somebody with that many items; returns their email."""
    email = f"person{person}@example.com"
    with psycopg.connect(url) as target:
        target.execute("INSERT INTO customer VALUES (%s, %s)", [person, email])
        target.execute("INSERT INTO purchase VALUES (%s, %s)", [person, person])
        target.execute(
            "INSERT INTO item SELECT %s, n, 'tea' FROM generate_series(1, %s) n", [person, items]
        )
    return email


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Statements on the person's database and on our own, without those that only mark where a
    transaction begins and ends."""
    found: Counter[str] = Counter()

    def target(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        found["target"] += statement not in ("BEGIN", "ROLLBACK")

    def ours(run: object, sql: str, *more: object) -> object:
        found["ours"] += not sql.startswith(("SAVEPOINT", "RELEASE"))
        found["catalogue"] += any(f'"lineage_{table}"' in sql for table in CATALOGUE_TABLES)
        return run(sql, *more)  # type: ignore[operator]

    sa.event.listen(sa.Engine, "before_cursor_execute", target)
    try:
        with connection.execute_wrapper(ours):
            yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", target)


def run_of(url: str, person: int, items: int) -> Counter[str]:
    """What the keyed path of one person takes: find, write down, act, check."""
    email = fill(url, person, items)
    request = inline.open_case([("email", email)], by=CONSOLE, method="console")
    inline.approve(request, by=CONSOLE, because="asked")
    request = ErasureRequest.objects.get(pk=request.pk)
    with counted() as found:
        run = execute.start_run(request)
        assert run is not None
        execute.act_on_store(run.id, "shop")
    assert run.stores.get(store="shop").state == "done"
    with psycopg.connect(url) as target:
        assert target.execute("SELECT count(*) FROM item").fetchone() == (0,)
    return found


def test_a_run_takes_few_statements_however_many_rows_there_are(url: str) -> None:
    text = CATALOGUE.replace("URL", url)
    catalog.upsert(fideslang.read_text(text, "statements.yml"), prune=True)
    few, many = run_of(url, 1, FEW), run_of(url, 2, MANY)
    # Per table: found, deleted, checked, vacuumed. Beside them what acts by itself is looked at
    # twice, and before the commit; values are gathered where there are any.
    assert few["target"] <= 4 * TABLES + 5
    # Per batch: deleted, looked at, checked.
    assert many["target"] - few["target"] <= 2 * -(-MANY // 10_000)
    assert many["target"] - few["target"] <= 3 * -(-MANY // SLICE)
    assert few["ours"] <= 50
    # Per batch: intent and done, each fenced, and its leaf of the ledger.
    assert many["ours"] - few["ours"] <= 10 * -(-MANY // SLICE)


def test_a_small_case_reads_the_catalogue_once(url: str) -> None:
    text = CATALOGUE.replace("URL", url)
    catalog.upsert(fideslang.read_text(text, "statements.yml"), prune=True)
    email = fill(url, 3, 2)
    with counted() as found:
        request = inline.open_case([("email", email)], by=CONSOLE, method="console")
        inline.approve(request, by=CONSOLE, because="asked")
        inline.run_inline(ErasureRequest.objects.get(pk=request.pk))
    assert ErasureRequest.objects.get(pk=request.pk).state == "completed"
    # Read once, in six; where the person is known, which identities there are, and where a store
    # is, whenever one is opened. That nothing has changed is one statement of its own.
    assert found["catalogue"] <= 11
    assert found["ours"] <= 245
