"""Events sent to a real server and learnt from by a real worker, with and without a broker."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import psycopg
import pytest

from tests.lineage.events import dataset, run_event
from tests.scenarios.conftest import Installation
from tests.scenarios.test_workers import Estate, estate

__all__ = ["estate"]
FLOWS = "select count(*) from lineage_heardflow"
EVENT = json.dumps(run_event(inputs=[dataset("a")], outputs=[dataset("b")])).encode()
LEARN = "from lineage import hearing; hearing.learn()"


@contextmanager
def serving(installation: Installation) -> Iterator[str]:
    """``runserver`` on a free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = installation.start("runserver", "--noreload", f"127.0.0.1:{port}")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=30)


def send(url: str, key: str) -> int:
    """Until the server is up; then the status."""
    request = Request(f"{url}/api/v1/lineage", EVENT, {"Authorization": f"Bearer {key}"})
    for _ in range(1200):
        try:
            with urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(0.1)
    raise AssertionError("the server never came up")


def wait_for(count: Callable[[], int], wanted: int) -> None:
    deadline = time.monotonic() + 120
    while count() < wanted:
        assert time.monotonic() < deadline, "nobody learnt from the event"
        time.sleep(0.1)


def test_one_machine_needs_no_broker_and_no_other_process(installation: Installation) -> None:
    key = installation.must("lineage_key", "spark").strip()

    def learnt() -> int:
        with closing(sqlite3.connect(installation.home / "control.sqlite3")) as connection:
            return int(connection.execute(FLOWS).fetchone()[0])

    with serving(installation) as url:
        assert send(url, key) == 201
        wait_for(learnt, 1)


@pytest.mark.postgres
@pytest.mark.redis
def test_a_worker_learns_from_what_the_web_took_and_the_sweep_from_what_was_lost(
    estate: Estate,
) -> None:
    key = estate.installation.must("lineage_key", "spark").strip()

    def learnt() -> int:
        with psycopg.connect(estate.control) as connection:
            row = connection.execute(FLOWS).fetchone()
            return int(row[0]) if row else 0

    with serving(estate.installation) as url:
        assert send(url, key) == 201
    estate.broker.flushdb()  # the message is lost, the event is not
    with estate.worker(), estate.beat():
        wait_for(learnt, 1)


@pytest.mark.postgres
@pytest.mark.redis
def test_of_several_who_learn_at_once_one_does(estate: Estate, tmp_path: Path) -> None:
    made = [
        run_event(inputs=[dataset(f"a{n % 7}")], outputs=[dataset(f"b{n % 5}")]) for n in range(700)
    ]
    path = tmp_path / "events.json"
    path.write_text(json.dumps(made))
    store = f"import json; from lineage import intake; intake.take(json.load(open({str(path)!r})))"
    estate.shell(store)
    threads = [threading.Thread(target=estate.shell, args=(LEARN,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(estate.control) as connection:
        rows = connection.execute(
            "select (select count(*) from lineage_heardflow), "
            "(select count(*) from lineage_heardrun), "
            "(select count(*) from lineage_heardname), (select count(*) from lineage_storedevent "
            "where processed_at is null or error <> '')"
        ).fetchone()
    assert rows == (35, 700, 12, 0)
