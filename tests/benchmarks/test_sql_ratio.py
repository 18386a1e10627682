"""People erased from the demo company's database, against a hand-written transaction of the same
effect on the same data in the same run. Prints ratios; asserts no time."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command

from erasure.connect import derived_key
from erasure.demo import company as demo
from erasure.demo.people import Dice, Person, Population
from erasure.flow import decide, execute, identify, intake, planning
from erasure.models import ErasureRequest
from tests.flow.cast import APPROVER, OFFICER

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

ROUNDS = 3
PEOPLE = 5000


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> demo.Company:
    """The demo company, built once; its database is copied for every measurement."""
    folder = tmp_path_factory.mktemp("bench") / "company"
    return demo.build(folder, people=PEOPLE, hash_key=derived_key(demo.MODEL_STORE))


def by_hand(database: Path, people: Sequence[Person], *, texts: bool = True) -> None:
    """What somebody who knows this schema would write: one transaction, children first; with
    ``texts`` also what others wrote of these people."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.executescript("PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TEMP TABLE gone (id INTEGER PRIMARY KEY, address INTEGER)")
        connection.executemany(
            "INSERT INTO gone SELECT id, address_id FROM customer WHERE lower(email) = lower(?)",
            [(p.email,) for p in people],
        )
        for statement in _BY_HAND.split(";\n"):
            connection.execute(statement)
        for person in people if texts else ():
            for text in (person.email, person.name, person.phone):
                for table, column in _TEXTS:
                    connection.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, '[erased]') "
                        f"WHERE {column} LIKE '%' || ? || '%'",
                        (text, text),
                    )
        connection.execute("DROP TABLE gone")
        connection.execute("COMMIT")


_TEXTS = (
    ("ticket_message", "body"),
    ("ticket", "subject"),
    ("review", "body"),
    ("customer", "marketing_note"),
)
_BY_HAND = """
CREATE TEMP TABLE home AS SELECT address AS id FROM gone UNION
  SELECT delivery_address_id FROM orders WHERE customer_id IN (SELECT id FROM gone);
UPDATE review SET reply_to = NULL WHERE reply_to IN
  (SELECT id FROM review WHERE customer_id IN (SELECT id FROM gone));
DELETE FROM review WHERE customer_id IN (SELECT id FROM gone);
DELETE FROM ticket_message WHERE author_id IN (SELECT id FROM gone);
UPDATE ticket SET customer_id = NULL WHERE customer_id IN (SELECT id FROM gone);
DELETE FROM order_line WHERE order_id IN
  (SELECT id FROM orders WHERE customer_id IN (SELECT id FROM gone));
UPDATE orders SET customer_id = NULL, delivery_address_id = NULL, gift_message = NULL
  WHERE customer_id IN (SELECT id FROM gone);
DELETE FROM customer WHERE id IN (SELECT id FROM gone);
DELETE FROM address WHERE id IN (SELECT id FROM home)
  AND NOT EXISTS (SELECT 1 FROM customer WHERE address_id = address.id)
  AND NOT EXISTS (SELECT 1 FROM orders WHERE delivery_address_id = address.id);
"""


def by_lethe(people: Sequence[Person]) -> float:
    """Seconds of one run: schema looked at again, find, write down, act, check and purge."""
    requests = [prepared(person) for person in people]
    started = time.perf_counter()
    run = execute.start_run(requests[0])
    assert run is not None
    assert run.requests.count() == len(people)
    execute.act_on_store(run.id, "shop_db")
    return time.perf_counter() - started


def prepared(person: Person) -> ErasureRequest:
    """An approved request that looks at the shop's database alone."""
    request = intake.open_request([("email", person.email)], by=OFFICER, only_store="shop_db")
    identify.confirm_identity(request, by=OFFICER, method="benchmark")
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    return request


def measured(deed: Callable[[], object]) -> float:
    started = time.perf_counter()
    deed()
    return time.perf_counter() - started


@pytest.mark.parametrize("count", [1, 50])
def test_people_from_the_shop_against_one_hand_written_transaction(
    count: int,
    company: demo.Company,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(demo.DEMO_DIR, str(tmp_path))
    call_command("import_lineage", str(company.catalogue), verbosity=0)
    everybody = Population(PEOPLE, Dice(company.seed))
    ratios: list[tuple[float, float]] = []
    for round_ in range(ROUNDS):
        first = 10 + round_ * 100
        people = [everybody.people[n] for n in range(first, first + count)]
        hand, keys, ours = (tmp_path / f"{n}.sqlite3" for n in ("hand", "keys", "shop"))
        shutil.copy(company.database, hand)
        shutil.copy(company.database, ours)
        shutil.copy(company.database, keys)
        whole = measured(lambda: by_hand(hand, people))  # noqa: B023 - called at once
        rows_only = measured(lambda: by_hand(keys, people, texts=False))  # noqa: B023
        took = by_lethe(people)
        ratios.append((took / whole, took / rows_only))
        assert left(ours) == left(hand) == left(keys)
    with capsys.disabled():
        for name, column in (("the same effect", 0), ("the rows alone, no texts", 1)):
            listed = [pair[column] for pair in ratios]
            middle = statistics.median(listed)
            span = f"from {min(listed):.2f} to {max(listed):.2f}"
            sys.stdout.write(f"\n{count} people, by hand with {name}: {middle:.2f} × ({span})\n")


def left(path: Path) -> dict[str, int]:
    """Rows left per table."""
    tables = ("customer", "address", "orders", "order_line", "review", "ticket_message")
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in tables
        }
