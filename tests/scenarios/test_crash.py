"""The process may die at any statement; the same command again ends in the same state."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.conftest import Installation
from tests.scenarios.small_shop import EMAIL, NAME, dump, make_shop

PARTS = 4


@pytest.fixture
def installations(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> Callable[[str], tuple[Installation, Path]]:
    """Fresh installations with a small shop, by name."""

    def make(name: str) -> tuple[Installation, Path]:
        home = tmp_path / name / "home"
        shutil.copytree(catalogued("small_shop.yml"), home)
        shop = make_shop(tmp_path / name / "shop.sqlite3")
        return Installation(home=home, environment={"SHOP_URL": f"sqlite:///{shop}"}), shop

    return make


def erase_until(made: Installation, statement: int) -> subprocess.CompletedProcess[str]:
    return made.python(
        "-m", "tests.crash", str(statement), "erase", f"email={EMAIL}", "--yes", "--json"
    )


def test_killed_anywhere_and_started_again_it_ends_in_the_same_state(
    installations: Callable[[str], tuple[Installation, Path]],
) -> None:
    whole, shop = installations("whole")
    done = erase_until(whole, 0)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "partly_granted"
    expected = dump(shop)
    statements = int(done.stderr.rpartition("statements: ")[2])
    assert statements > PARTS * 4
    for part in range(1, PARTS + 1):
        point = statements * part // (PARTS + 1)
        made, shop = installations(f"at-{point}")
        assert erase_until(made, point).returncode == -signal.SIGKILL
        again = made.run("erase", f"email={EMAIL}", "--yes", "--json")
        assert again.returncode == 0, (point, again.stderr, again.stdout)
        assert dump(shop) == expected, point
        assert_one_certificate(made)
        assert made.bytes_holding(EMAIL, NAME) == [], point
        made.must("verify_evidence")


def assert_one_certificate(made: Installation) -> None:
    """One case was closed with a certificate; a case opened after that found nobody."""
    with sqlite3.connect(made.home / "control.sqlite3") as control:
        states = control.execute("select state from erasure_erasurerequest").fetchall()
        assert sorted(states) in ([("partly_granted",)], [("no_data",), ("partly_granted",)])
        assert control.execute("select count(*) from erasure_certificate").fetchone() == (1,)
        left = control.execute(
            "select count(*) from erasure_datakey "
            "where destroyed_at is null and purpose = 'identifiers'"
        )
        assert left.fetchone() == (0,)
