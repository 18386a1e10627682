"""Dead at each statement of a whole case, all of them counted, the same command ends alike."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.scenarios.conftest import Installation
from tests.scenarios.crashing import dying
from tests.scenarios.small_shop import EMAIL, NAME, dump, make_shop


@pytest.mark.timeout(1200)
def test_killed_at_every_statement_and_started_again_it_ends_in_the_same_state(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    folder = tmp_path / "installation"
    shutil.copytree(catalogued("small_shop.yml"), folder / "home")
    shop = make_shop(folder / "shop.sqlite3")
    made = Installation(home=folder / "home", environment={"SHOP_URL": f"sqlite:///{shop}"})
    command = ("erase", f"email={EMAIL}", "--yes")
    with dying(made, command, command, ("verify_evidence",)) as crashes:
        assert (crashes.code, crashes.statements > 200, len(crashes) > 20) == (0, True, True)
        expected = dump(shop)
        assert_closed_once(made)
        for crash in crashes:
            assert crash.go_on() == [0, 0], crash
            assert dump(shop) == expected, crash
            assert_closed_once(made)
            assert made.bytes_holding(EMAIL, NAME) == [], crash


def assert_closed_once(made: Installation) -> None:
    """One case was closed with a certificate; one opened after that tells what the first keeps."""
    with closing(sqlite3.connect(made.home / "control.sqlite3")) as control:
        states = control.execute("select state from erasure_erasurerequest").fetchall()
        assert states in ([("partly_granted",)], [("partly_granted",)] * 2)
        certificates = control.execute("select count(*) from erasure_certificate").fetchone()
        assert certificates == (len(states),)
        left = control.execute(
            "select count(*) from erasure_datakey "
            "where destroyed_at is null and purpose = 'identifiers'"
        )
        assert left.fetchone() == (0,)
