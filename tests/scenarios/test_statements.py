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
from erasure.runs import acting
from erasure.runs.acting import TOGETHER
from erasure.runs.journal import AT_ONCE, SLICE
from lineage import catalog
from lineage.importers import fideslang
from lineage.prepared import Prepared
from tests.flow.cast import CONSOLE
from tests.scenarios.three_tables import CATALOGUE, SCHEMA
from tests.stores.postgresql import scratch_database

# What counts on a commit does not happen inside the transaction of a test.
pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

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
        found["ours"] += not sql.startswith(("SAVEPOINT", "RELEASE", "BEGIN"))
        found["transactions"] += sql.startswith("BEGIN")
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


def test_a_run_takes_few_statements_however_many_rows_there_are(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A hold is asked for every few seconds, which is no matter of rows.
    monkeypatch.setattr(acting, "HOLDS", 3600.0)
    text = CATALOGUE.replace("URL", url)
    catalog.upsert(fideslang.read_text(text, "statements.yml"), prune=True)
    few, many = run_of(url, 1, FEW), run_of(url, 2, MANY)
    # Per table: found, deleted, checked, vacuumed. Beside them what acts by itself is looked at
    # twice, and before the commit; values are gathered where there are any; and the purge tells
    # what the planner's statistics and the write-ahead log keep.
    assert few["target"] <= 4 * TABLES + 5
    # Per batch: deleted, looked at, checked.
    assert many["target"] - few["target"] <= 2 * -(-MANY // 10_000)
    assert many["target"] - few["target"] <= 3 * -(-MANY // SLICE)
    assert few["ours"] <= 40
    # Found and sealed; about to be carried out; carried out; ended.
    assert few["transactions"] == 4
    # Intent and done, each fenced, and the leaves of the ledger are written for many batches.
    # Several receipts are a statement of their own.
    assert many["ours"] <= few["ours"] + 1
    monkeypatch.setattr(acting, "TOGETHER", 1)
    monkeypatch.setattr(acting, "_DUE", Prepared(acting._due))
    alone = run_of(url, 3, MANY)
    assert alone["ours"] - few["ours"] <= 10 * (MANY // SLICE) + 1
    # With those that write the keys down, at most one for 50,000 of them, as was asked for.
    assert 10 / (TOGETHER * SLICE) + 1 / (AT_ONCE * SLICE) <= 1 / 50_000


def test_a_small_case_reads_the_catalogue_once(url: str) -> None:
    text = CATALOGUE.replace("URL", url)
    catalog.upsert(fideslang.read_text(text, "statements.yml"), prune=True)
    email = fill(url, 4, 2)
    with counted() as found:
        request = inline.open_case([("email", email)], by=CONSOLE, method="console")
        inline.approve(request, by=CONSOLE, because="asked")
        inline.run_inline(ErasureRequest.objects.get(pk=request.pk))
    assert ErasureRequest.objects.get(pk=request.pk).state == "completed"
    # Read once, in six; where the person is known, which identities there are, and where a store
    # is, whenever one is opened. That nothing has changed is one statement of its own.
    assert found["catalogue"] <= 11
    assert found["ours"] <= 221
