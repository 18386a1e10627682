"""An erasure undone on a whole installation: killed anywhere, and nothing kept after its day."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import Installation
from tests.scenarios.crashing import dying
from tests.scenarios.small_shop import EMAIL, NAME, dump, make_shop

WHY = "the wrong customer was looked up"


@pytest.fixture
def installations(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> Callable[[str], tuple[Installation, Path]]:
    """Fresh installations with a small shop and an undo window, by name."""

    def make(name: str) -> tuple[Installation, Path]:
        home = tmp_path / name / "home"
        shutil.copytree(catalogued("small_shop.yml"), home)
        shop = make_shop(tmp_path / name / "shop.sqlite3")
        environment = {"SHOP_URL": f"sqlite:///{shop}", "LETHE_UNDO_WINDOW": "24h"}
        return Installation(home=home, environment=environment), shop

    return make


def control(made: Installation, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(made.home / "control.sqlite3")) as connection, connection:
        return connection.execute(statement).fetchall()


@pytest.mark.timeout(1200)
def test_killed_anywhere_an_undo_goes_on_to_the_same_end(
    installations: Callable[[str], tuple[Installation, Path]],
) -> None:
    made, shop = installations("erased")
    before = dump(shop)
    erased = made.erase(f"email={EMAIL}")
    assert (erased["outcome"], erased["certificate"]) == ("awaiting_window", None)
    assert dump(shop) != before
    # What an operator does after a crash, the same again, and what the sweep does.
    undo = ("undo_erasure", erased["request"], "--because", WHY, "--yes")
    sweep = ("shell", "--no-imports", "-v", "0", "-c", SWEEP)
    with dying(made, undo, undo, sweep, ("verify_evidence",)) as crashes:
        assert (crashes.code, crashes.statements > 100, len(crashes) > 10) == (0, True, True)
        assert dump(shop) == before
        for crash in crashes:
            _, *ends = crash.go_on()
            assert ends == [0, 0], crash
            states = control(made, "select state from erasure_erasurerequest")
            assert states == [("undone",)], crash
            assert dump(shop) == before, crash
            assert made.bytes_holding(EMAIL, NAME) == [], crash
            assert control(made, "select count(*) from erasure_capture") == [(0,)], crash
            assert control(made, KEYS) == [(0,)], crash


KEYS = "select count(*) from erasure_datakey where destroyed_at is null"
SWEEP = (
    "from erasure.advance import due_jobs, finish_keys, perform; finish_keys(); "
    "[perform(job) for job in due_jobs()]; finish_keys()"
)


def test_after_the_deadline_not_a_byte_of_the_images_is_left(
    installations: Callable[[str], tuple[Installation, Path]],
) -> None:
    made, _ = installations("closed")
    erased = made.erase(f"email={EMAIL}")
    sealed = [bytes(row[0]) for row in control(made, "select sealed from erasure_imagechunk")]
    assert sealed
    assert all(len(part) > 100 for part in sealed)
    assert made.bytes_holding(EMAIL, NAME) == []
    assert holding(made, sealed) != []
    control(made, "update erasure_undowindow set closes_at = '2020-01-01 00:00:00'")
    made.must("shell", "-c", SWEEP)
    assert control(made, "select state from erasure_erasurerequest") == [("partly_granted",)]
    assert control(made, "select count(*) from erasure_imagechunk") == [(0,)]
    assert holding(made, sealed) == []
    assert made.bytes_holding(EMAIL, NAME) == []
    late = made.run("undo_erasure", erased["request"], "--because", WHY, "--yes")
    assert (late.returncode, late.stderr.count("\n")) == (2, 1)
    assert "could be undone until 2020-01-01 00:00 UTC; that has passed" in late.stderr
    made.must("verify_evidence")


def holding(made: Installation, parts: list[bytes]) -> list[str]:
    """Files of the home in which a stretch of one of the parts stands: what follows the first
    bytes, however a database page cuts it."""
    wanted = [part[at : at + 32] for part in parts for at in range(0, len(part) - 32, 64)]
    files = [p for p in made.home.rglob("*") if p.is_file()]
    return [str(p) for p in files if any(w in p.read_bytes() for w in wanted)]


def test_the_command_asks_and_does_nothing_without_an_answer(
    installations: Callable[[str], tuple[Installation, Path]],
) -> None:
    made, shop = installations("asked")
    erased = made.erase(f"email={EMAIL}")
    after = dump(shop)
    for arguments, said in [
        ((erased["request"],), "nobody to ask here"),
        ((erased["request"], "--because", WHY), "nobody to ask here"),
        ((erased["request"], "--because", f"{EMAIL} rang", "--yes"), "leave that out"),
        (("no-number", "--yes"), "no request has this number"),
    ]:
        done = made.run("undo_erasure", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr
        assert EMAIL not in done.stderr
    assert dump(shop) == after
    assert control(made, "select state from erasure_erasurerequest") == [("awaiting_window",)]


def test_what_could_not_be_put_back_is_said_with_exit_1(
    installations: Callable[[str], tuple[Installation, Path]],
) -> None:
    made, shop = installations("changed")
    erased = made.erase(f"email={EMAIL}")
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("UPDATE message SET body = 'edited' WHERE id = 2")
    done = made.run("undo_erasure", erased["request"], "--because", WHY, "--yes")
    assert done.returncode == 1, done.stdout
    assert "shop_db.message: 1 rows left: changed by somebody since" in done.stdout
    assert "shop_db.customer: 1 rows put back" in done.stdout
    assert dump(shop)["message"][1][2] == "edited"


def test_no_undo_is_final_at_once(
    installations: Callable[[str], tuple[Installation, Path]],
) -> None:
    made, _ = installations("final")
    done = made.must("erase", f"email={EMAIL}", "--yes", "--no-undo", "--json")
    assert json.loads(done)["outcome"] == "partly_granted"
    assert control(made, "select count(*) from erasure_undowindow") == [(0,)]
