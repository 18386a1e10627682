"""Real workers on PostgreSQL and Redis: killed in the middle, the broker wiped, nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from redis import Redis

from tests.scenarios.conftest import ROOT, Installation
from tests.scenarios.small_shop import EMAIL, NAME, SCRIPT
from tests.servers import postgresql_server, redis_server

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

OPEN = f"""
from erasure.advance import Job
from erasure.flow import identify, intake
from erasure.tasks import enqueue
from tests.flow.cast import OFFICER
request = intake.open_request([("email", "{EMAIL}")], by=OFFICER, channel="desk")
identify.confirm_identity(request, by=OFFICER, method="at the counter")
enqueue(Job("advance", request.id))
"""
APPROVE = """
from erasure.advance import Job
from erasure.flow import decide
from erasure.models import ErasureRequest
from erasure.tasks import enqueue
from tests.flow.cast import APPROVER
request = ErasureRequest.objects.get()
digest = request.plans.get(state="draft").digest
decide.approve_plan(request, digest=digest, by=APPROVER)
enqueue(Job("advance", request.id))
"""


@dataclass
class Estate:
    """An installation whose control database and shop are on PostgreSQL, its broker on Redis."""

    installation: Installation
    control: str
    shop: str
    broker: Redis

    def state(self) -> str:
        """Of the only request."""
        with psycopg.connect(self.control) as connection:
            row = connection.execute("select state from erasure_erasurerequest").fetchone()
            return str(row[0]) if row else ""

    def wait_for(self, *states: str) -> None:
        """Until the request is in one of them; two minutes at most."""
        deadline = time.monotonic() + 120
        while self.state() not in states:
            assert time.monotonic() < deadline, f"still {self.state()}"
            time.sleep(0.1)

    def shell(self, code: str) -> None:
        """Run Python inside the installation."""
        self.installation.must("shell", "--no-imports", "-v", "0", "-c", code)

    @contextmanager
    def worker(self, statements: int = 0) -> Iterator[subprocess.Popen[bytes]]:
        """A Celery worker; it dies at its N-th statement, or lives until the block ends."""
        with self._process("-m", "tests.crash", str(statements), "worker") as process:
            yield process

    @contextmanager
    def beat(self) -> Iterator[subprocess.Popen[bytes]]:
        """Celery beat, sweeping every second."""
        schedule = str(self.installation.home / "beat")
        with self._process("-m", "celery", "-A", "config", "beat", "-s", schedule) as process:
            yield process

    @contextmanager
    def _process(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = {**os.environ, **self.installation.environment}
        environment["LETHE_HOME"] = str(self.installation.home)
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=30)


@contextmanager
def scratch(server: str, label: str) -> Iterator[str]:
    """A database that lives as long as the block."""
    name = f"lethe_{label}_{os.getpid()}_{uuid4().hex[:6]}"
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def estate(tmp_path: Path, fresh_home: Path) -> Iterator[Estate]:
    """Everything beyond one machine, with the small shop in it."""
    server, broker = postgresql_server(), redis_server()
    home = tmp_path / "home"
    shutil.copytree(fresh_home, home)
    with scratch(server, "control") as control, scratch(server, "shop") as shop:
        with psycopg.connect(shop) as connection:
            connection.execute(SCRIPT.encode())
        environment = {
            "DATABASE_URL": control,
            "CELERY_BROKER_URL": broker,
            "LETHE_SWEEP_SECONDS": "1",
            "SHOP_URL": shop,
        }
        installation = Installation(home=home, environment=environment)
        installation.must("migrate", "--verbosity", "0")
        installation.must("import_lineage", str(Path(__file__).parent / "small_shop.yml"))
        with Redis.from_url(broker) as client:
            client.flushdb()
            yield Estate(installation, control, shop, client)
            client.flushdb()


def assert_forgotten(estate: Estate) -> None:
    """She is gone, the neighbour is whole, and no database or broker of ours holds her values."""
    with psycopg.connect(estate.shop) as connection:
        customers = connection.execute("select id, name, email from customer order by id")
        assert customers.fetchall()[0][1:] == (None, None)
        orders = connection.execute("select id from orders").fetchall()
        assert orders == [(3,)]
        body = connection.execute("select body from message where id = 2").fetchone()
        assert body == ("[erased] and Ben Baker wrote from [erased]",)
        street = connection.execute("select street from address where id = 1").fetchone()
        assert street == ("12 Quiet Lane",)
    dumped = subprocess.run(
        ["pg_dump", estate.control], capture_output=True, text=True, check=True
    ).stdout.casefold()
    assert EMAIL.casefold() not in dumped
    assert NAME.casefold() not in dumped
    estate.installation.must("verify_evidence")


def plan_and_approve(estate: Estate) -> None:
    estate.shell(OPEN)
    with estate.worker():
        estate.wait_for("planned")
    for key in estate.broker.keys("*"):
        assert EMAIL.encode() not in (estate.broker.dump(key) or b"")
    estate.shell(APPROVE)


def test_a_worker_killed_in_the_middle_and_a_wiped_broker_lose_nothing(estate: Estate) -> None:
    plan_and_approve(estate)
    with estate.worker(statements=160) as worker:
        assert worker.wait(timeout=120) == -signal.SIGKILL
    assert estate.state() in ("approved", "executing", "verifying")
    estate.broker.flushdb()
    with estate.worker(), estate.beat():
        estate.wait_for("partly_granted", "blocked")
    assert estate.state() == "partly_granted"
    assert_forgotten(estate)


def test_two_workers_at_once_do_the_work_once(
    estate: Estate, tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    plan_and_approve(estate)
    with estate.worker(), estate.worker(), estate.beat():
        estate.wait_for("partly_granted", "blocked")
    assert estate.state() == "partly_granted"
    assert_forgotten(estate)
    with psycopg.connect(estate.control) as connection:
        certificates = connection.execute("select count(*) from erasure_certificate").fetchone()
        assert certificates == (1,)
        runs = connection.execute("select count(*) from erasure_run").fetchone()
        assert runs == (1,)
