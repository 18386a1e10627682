"""Customers of TPC-H erased on PostgreSQL, against one hand-written, set-based transaction of the
same effect on the same data in the same run. Prints ratios; asserts no time."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from erasure.flow import decide, execute, identify, intake, planning
from erasure.models import ErasureRequest
from tests.benchmarks import tpch
from tests.flow.cast import APPROVER, OFFICER
from tests.stores.postgresql import scratch_database

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
]

ROUNDS = int(os.environ.get("BENCHMARK_ROUNDS", "1"))
CATALOGUE = Path(__file__).with_name("tpch.yml")
MANY_ORDERS = 2500


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the customers of TPC-H; ``BENCHMARK_TPCH_URL`` names one made before."""
    made = os.environ.get("BENCHMARK_TPCH_URL")
    if made:
        yield made
        return
    for url in scratch_database("tpch"):
        tpch.load_postgresql(url, tmp_path_factory.mktemp("tpch"))
        yield url


@dataclass
class Customers:
    """Hands out customers who have orders, each once."""

    connection: psycopg.Connection

    def take(self, count: int) -> list[int]:
        """The next ones; what was handed out has its rows deleted afterwards."""
        rows = self.connection.execute(
            "SELECT c_custkey FROM customer WHERE c_custkey IN (SELECT o_custkey FROM orders) "
            "ORDER BY md5(c_custkey::text) LIMIT %s",
            [count],
        )
        return [key for (key,) in rows]

    def take_one_with_many_rows(self) -> list[int]:
        """Somebody who has bought most of what others had ordered."""
        (key,) = self.take(1)
        self.connection.execute(
            "UPDATE orders SET o_custkey = %s WHERE o_orderkey IN "
            "(SELECT o_orderkey FROM orders ORDER BY md5(o_orderkey::text) LIMIT %s)",
            [key, MANY_ORDERS],
        )
        self.connection.execute("VACUUM ANALYZE orders")
        return [key]


def by_hand(url: str, people: Sequence[int]) -> float:
    """Seconds of what somebody who knows this schema would write."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        started = time.perf_counter()
        connection.execute(
            "DELETE FROM lineitem USING orders "
            "WHERE l_orderkey = o_orderkey AND o_custkey = ANY(%s)",
            [list(people)],
        )
        connection.execute("DELETE FROM orders WHERE o_custkey = ANY(%s)", [list(people)])
        connection.execute("DELETE FROM customer WHERE c_custkey = ANY(%s)", [list(people)])
        connection.commit()
        return time.perf_counter() - started


def by_lethe(people: Sequence[int]) -> float:
    """Seconds of find, write down, act and check for everybody together."""
    requests = [prepared(key) for key in people]
    started = time.perf_counter()
    run = execute.start_run(requests[0])
    assert run is not None
    execute.act_on_store(run.id, "tpch")
    took = time.perf_counter() - started
    assert run.requests.count() == len(people)
    assert run.stores.get(store="tpch").state == "done"
    return took


def prepared(key: int) -> ErasureRequest:
    """An approved request of the customer with that key."""
    request = intake.open_request([("customer_id", str(key))], by=OFFICER)
    identify.confirm_identity(request, by=OFFICER, method="benchmark")
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    return request


def left_of(connection: psycopg.Connection, people: Sequence[int]) -> int:
    """Rows of these people that are still there."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM customer WHERE c_custkey = ANY(%(people)s)) + "
        "(SELECT count(*) FROM orders WHERE o_custkey = ANY(%(people)s))",
        {"people": list(people)},
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(1, id="1"),
        pytest.param(50, id="50"),
        pytest.param(1000, id="1000", marks=pytest.mark.nightly),  # thousands of plans are made
        pytest.param(0, id="many rows"),
    ],
)
@pytest.mark.timeout(1800)
def test_customers_against_one_hand_written_transaction(
    count: int, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TPCH_URL", url)
    call_command("import_lineage", str(CATALOGUE), verbosity=0)
    ratios = []
    with psycopg.connect(url, autocommit=True) as connection:
        customers = Customers(connection)

        def take() -> list[int]:
            return customers.take(count) if count else customers.take_one_with_many_rows()

        for _ in range(ROUNDS):
            people = take()
            ours = by_lethe(people)
            assert left_of(connection, people) == 0
            others = take()
            hand = by_hand(url, others)
            assert left_of(connection, others) == 0
            ratios.append((ours / hand, ours))
    middle = statistics.median(ratio for ratio, _ in ratios)
    with capsys.disabled():
        spread = f"from {min(ratios)[0]:.2f} to {max(ratios)[0]:.2f}"
        took = statistics.median(took for _, took in ratios)
        sys.stdout.write(
            f"\nTPC-H scale {tpch.SCALE}, {count or 'one with many rows'}: {middle:.2f} × "
            f"({spread}; {took * 1000:.0f} ms)\n"
        )
