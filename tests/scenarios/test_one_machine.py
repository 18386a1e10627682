"""One machine without a broker: the server's own worker carries out what the desk decides."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.scenarios.conftest import Installation
from tests.scenarios.small_shop import EMAIL, dump, make_shop
from tests.scenarios.test_workers import APPROVE, OPEN


def test_a_case_opened_beside_the_server_is_planned_and_carried_out(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    home, shop = tmp_path / "home", make_shop(tmp_path / "shop.sqlite3")
    shutil.copytree(catalogued("small_shop.yml"), home)
    made = Installation(
        home=home,
        environment={"SHOP_URL": f"sqlite:///{shop}", "LETHE_SWEEP_SECONDS": "1"},
    )
    server = made.start("runserver", "--noreload", "127.0.0.1:0")
    try:
        made.must("shell", "--no-imports", "-v", "0", "-c", OPEN)
        wait_for(home, "planned")
        made.must("shell", "--no-imports", "-v", "0", "-c", APPROVE)
        wait_for(home, "partly_granted")
    finally:
        server.kill()
        server.wait(timeout=30)
    customers = dump(shop)["customer"]
    assert customers[0] == (0, None, None, None)
    assert len(customers) == 3
    assert made.bytes_holding(EMAIL) == []


def wait_for(home: Path, state: str) -> None:
    """Until the only request is there; two minutes at most."""
    deadline = time.monotonic() + 120
    now = ""
    while now != state:
        assert time.monotonic() < deadline, f"still {now}"
        time.sleep(0.2)
        with closing(sqlite3.connect(f"file:{home / 'control.sqlite3'}?mode=ro", uri=True)) as db:
            (now,) = db.execute("select state from erasure_erasurerequest").fetchone()
