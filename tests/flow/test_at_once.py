"""Runs beside each other and beside the application, on servers: the end is what one after the
other would have left, nobody else's row changes, and nothing that came late is said to be done."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pymysql
import pytest
from django.db import connection

from erasure.advance import Job, perform
from erasure.domain.errors import StoreError
from erasure.flow import decide, planning
from erasure.models import Certificate, ErasureRequest
from tests.flow.cast import (
    ANN,
    APPROVER,
    BEN,
    CLEO,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    Row,
    SqliteShop,
)
from tests.flow.deeds import approved, identified, started, work_off
from tests.flow.mariadb_shop import MariadbShop
from tests.flow.postgresql_shop import PostgresqlShop
from tests.flow.spied import Spied
from tests.servers import mariadb_server, postgresql_server


@pytest.fixture(
    params=[
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def server_shop(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[SqliteShop]:
    """The shop on a server, where many may write at once."""
    on_postgresql = request.param == "postgresql"
    made: SqliteShop = (
        PostgresqlShop(postgresql_server()) if on_postgresql else MariadbShop(mariadb_server())
    )
    made.describe()
    yield made
    made.close()
    Spied.asked.clear()
    Spied.before.clear()


def at_once(*deeds: Callable[[], None]) -> None:
    """In threads of their own, all to their end; what one raises is raised."""

    def carry(deed: Callable[[], None]) -> None:
        try:
            deed()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        for carried in [pool.submit(carry, deed) for deed in deeds]:
            carried.result(120)


def acting(request: ErasureRequest) -> Callable[[], None]:
    """The run acts on the shop; a passing fault is tried again, as a worker does."""

    def act() -> None:
        for _ in range(5):
            with suppress(StoreError):
                assert request.run_id is not None
                perform(Job("act", request.run_id, "shop_db"))
                return
        raise AssertionError("never got through")

    return act


def meet(number: int) -> None:
    """Everybody waits for the others just before the first act."""
    gate = threading.Barrier(number, timeout=60)

    def wait() -> None:
        if not gate.broken:
            with suppress(threading.BrokenBarrierError):
                gate.wait()
                gate.abort()

    Spied.before["shop_db", "act"] = wait


def started_by_phone(phone: str) -> ErasureRequest:
    """The same person asks again, known by something else."""
    request = identified(("phone", phone))
    planning.make_plan(request, by=OFFICER)
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    return started(request)


def finished(*requests: ErasureRequest) -> None:
    """Every case comes to its end; one that saw something new is tried again."""
    Spied.before.clear()
    work_off(*requests)
    for request in requests:
        for _ in range(3):
            if request.state == "blocked":
                decide.retry_blocked(request, by=OFFICER)
                work_off(request)
        assert request.state == "partly_granted", request.blocked_because
        assert Certificate.objects.filter(pk=f"lethe-{request.id}").exists()


def assert_gone(shop: SqliteShop, person: int) -> None:
    customer = shop.row("customer", person)
    assert customer is not None
    assert (customer["name"], customer["email"], customer["phone"]) == (None, None, None)
    assert [r for r in shop.rows("orders") if r["customer_id"] == person] == []
    assert [r for r in shop.rows("message") if r["author_id"] == person] == []


def others(shop: SqliteShop) -> list[object]:
    """What belongs to nobody who leaves here."""
    return [shop.row("customer", CLEO), shop.row("address", 2), *shop.rows("employee")]


def test_two_runs_on_one_person_at_once_end_as_one_after_the_other(
    server_shop: SqliteShop,
) -> None:
    before = server_shop.everything()
    mail, phone = started(approved(SUBJECT)), started_by_phone("030 5550001")
    assert mail.run != phone.run
    meet(2)
    at_once(acting(mail), acting(phone))
    finished(mail, phone)
    assert_gone(server_shop, ANN)
    after = server_shop.everything()
    for table in ("customer", "orders", "invoice", "address", "employee"):
        kept = [r for r in before[f"shop_db.{table}"] if ANN not in (r["id"], r.get("customer_id"))]
        left = [r for r in after[f"shop_db.{table}"] if ANN not in (r["id"], r.get("customer_id"))]
        assert left == kept, table


def test_two_runs_on_neighbours_at_once_take_their_shared_address_exactly_once(
    server_shop: SqliteShop,
) -> None:
    before = others(server_shop)
    ann, ben = started(approved(SUBJECT)), started(approved(NEIGHBOUR))
    assert ann.run != ben.run
    meet(2)
    at_once(acting(ann), acting(ben))
    finished(ann, ben)
    assert_gone(server_shop, ANN)
    assert_gone(server_shop, BEN)
    assert server_shop.row("address", 1) is None
    assert others(server_shop) == before


def test_a_newcomer_at_the_shared_address_keeps_it(server_shop: SqliteShop) -> None:
    """Somebody moves in just while the last two move out: either they find it, or there is no
    such row any more and the application is told so; nobody refers to nothing."""
    ann, ben = started(approved(SUBJECT)), started(approved(NEIGHBOUR))
    meet(3)
    newcomer: Row = {
        "id": 90,
        "name": "Nora Newcomer",
        "email": "nora@example.org",
        "phone": None,
        "address_id": 1,
        "rep_id": None,
        "remark": None,
    }

    def move_in() -> None:
        Spied.before["shop_db", "act"]()
        with suppress(psycopg.errors.ForeignKeyViolation, pymysql.err.IntegrityError):
            server_shop.insert("customer", newcomer)

    at_once(acting(ann), acting(ben), move_in)
    finished(ann, ben)
    moved_in = server_shop.row("customer", 90)
    assert moved_in in (None, newcomer)
    assert (server_shop.row("address", 1) is not None) == (moved_in is not None)


def test_rows_that_are_written_while_the_run_goes_are_never_lost(server_shop: SqliteShop) -> None:
    """The application orders, engraves and writes for the person all the while."""
    request = started(approved(SUBJECT))
    numbers, over = itertools.count(100), threading.Event()
    written: list[int] = []

    def write() -> None:
        while not over.is_set() and len(written) < 200:
            number = next(numbers)
            server_shop.insert("orders", {"id": number, "customer_id": ANN, "wish": None})
            written.append(number)
            # Its order may have gone again by then.
            with suppress(psycopg.errors.ForeignKeyViolation, pymysql.err.IntegrityError):
                server_shop.insert("line", {"id": number, "order_id": number, "engraving": None})

    def stop() -> None:
        over.set()
        writer.join(60)

    writer = threading.Thread(target=write)
    Spied.before["shop_db", "scan"] = stop
    writer.start()
    try:
        for _ in range(4):
            with suppress(StoreError):
                work_off(request)
                break
    finally:
        stop()
    assert written
    request.refresh_from_db()
    if request.state == "partly_granted":  # said to be done: then it is
        assert_gone(server_shop, ANN)
    finished(request)
    assert_gone(server_shop, ANN)
    assert [r["id"] for r in server_shop.rows("orders")] == [3]
    assert [r["id"] for r in server_shop.rows("line")] == [2]
