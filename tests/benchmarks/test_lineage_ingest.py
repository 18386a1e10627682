"""Real events sent to one server process on PostgreSQL, and learnt from beside it. Prints rates and
latencies; asserts only that nothing acknowledged was lost. BENCHMARK_SECONDS: how long (10)."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.lineage.events import SAMPLES, sample
from tests.scenarios.test_workers import scratch
from tests.servers import postgresql_server

pytestmark = [pytest.mark.benchmark, pytest.mark.postgres, pytest.mark.shared]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = int(os.environ.get("BENCHMARK_SECONDS", "2"))
CLIENTS = int(os.environ.get("BENCHMARK_CLIENTS", "8"))
RATE = 300
# The server that Django itself threads, in a process of its own; it writes head and body of an
# answer apart, and with Nagle's algorithm each would wait 40 ms for the client's acknowledgement.
_SERVE = """
import sys
from django.core.servers.basehttp import WSGIRequestHandler, run
WSGIRequestHandler.disable_nagle_algorithm = True
from django.core.wsgi import get_wsgi_application
run("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), threading=True)
"""
_LEARN = """
import time, django
django.setup()
from lineage import hearing
while True:
    hearing.learn() or time.sleep(0.2)
"""


@contextmanager
def process(environment: dict[str, str], code: str, *arguments: str) -> Iterator[Any]:
    """Python code of the product, in a process of its own."""
    made = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield made
    finally:
        made.kill()
        made.wait(timeout=30)


def bodies() -> list[tuple[bytes, bytes]]:
    """Every sample that is a sound event, cut in two where something of its own goes in."""
    made = []
    for path in sorted(SAMPLES.glob("0*.json")):
        plain = sample(path.stem)
        if "run" in plain:
            plain["run"]["runId"] = _HERE
        else:
            plain["producer"] = f"urn:{_HERE}"
        before, _, after = json.dumps(plain).partition(_HERE)
        made.append((before.encode(), after.encode()))
    return made


_HERE = "00000000-here"


@dataclass
class Load:
    """Clients that send samples for a while, each over a connection of its own."""

    port: int
    key: str
    rate: float | None
    took: list[tuple[float, int]] = field(default_factory=list)

    def run(self) -> list[tuple[float, int]]:
        """Seconds and status of every request."""
        until = time.monotonic() + SECONDS
        threads = [Thread(target=self._client, args=(until,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.took

    def _client(self, until: float) -> None:
        events = itertools.cycle(bodies())
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        due = time.monotonic()
        while time.monotonic() < until:
            before, after = next(events)
            raw = before + str(uuid4()).encode() + after
            due += CLIENTS / self.rate if self.rate else 0.0
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            connection.request("POST", "/api/v1/lineage", raw, headers)
            answer = connection.getresponse()
            answer.read()
            self.took.append((time.monotonic() - began, answer.status))
        connection.close()


def told(title: str, took: list[tuple[float, int]]) -> None:
    """Rate and latencies."""
    times = sorted(seconds * 1000 for seconds, _ in took)
    cuts = statistics.quantiles(times, n=100)
    say(
        f"\n{title}: {len(took) / SECONDS:.0f} events/s for {SECONDS} s; POST p50 "
        f"{cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, longest {times[-1]:.0f} ms\n"
    )


def say(text: str) -> None:
    """Past pytest, with -s."""
    sys.stdout.write(text)


def spent(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Resident MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def test_a_server_process_takes_real_events_and_another_learns_from_them(tmp_path: Path) -> None:
    with scratch(postgresql_server(), "lineage") as database, socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        found.close()
        environment = {
            **os.environ,
            "LETHE_HOME": str(tmp_path),
            "DATABASE_URL": database,
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }

        def manage(*arguments: str) -> str:
            command = [sys.executable, "manage.py", *arguments]
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
            )
            return done.stdout.strip()

        manage("migrate", "-v0")
        key = manage("lineage_key", "bench")
        with process(environment, _SERVE, str(port)) as server:
            _wait(port)
            before = spent(server.pid)
            flat_out = Load(port, key, None).run()
            each = (spent(server.pid) - before) / len(flat_out) * 1000
            told(f"as fast as {CLIENTS} clients can", flat_out)
            say(f"the server: {each:.2f} ms of processor an event, {memory(server.pid):.0f} MiB\n")
            with process(environment, _LEARN):
                _learnt(database)
                steady = Load(port, key, RATE).run()
                told(f"at {RATE}/s, learning beside it", steady)
                _learnt(database)
        statuses = {status for _, status in [*flat_out, *steady]}
        assert statuses == {201}
        with psycopg.connect(database) as connection:
            stored = connection.execute("select count(*) from lineage_storedevent").fetchone()
            failed = connection.execute(
                "select count(*) from lineage_storedevent where error <> ''"
            ).fetchone()
        assert stored == (len(flat_out) + len(steady),)
        assert failed == (0,)


def _learnt(database: str) -> None:
    """Wait for whatever is left to learn, and tell how fast that goes without load."""
    with psycopg.connect(database, autocommit=True) as connection:
        query = "select count(*) from lineage_storedevent where processed_at is null"
        began, (left,) = time.monotonic(), connection.execute(query).fetchone() or (0,)
        first = left
        while left and time.monotonic() - began < 300:
            time.sleep(0.2)
            (left,) = connection.execute(query).fetchone() or (0,)
    seconds = time.monotonic() - began
    rate = f" ({first / seconds:.0f} events/s)" if first else ""
    say(f"left to learn: {first} events, in {seconds:.1f} s{rate}\n")


def _wait(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server never came up")
