"""Really killed in the middle; ``test_every_crash`` counts every point, and kills nobody."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from tests.scenarios.conftest import Installation
from tests.scenarios.small_shop import EMAIL, NAME, dump, make_shop
from tests.scenarios.test_every_crash import assert_closed_once


def test_killed_in_the_middle_and_started_again_it_ends_in_the_same_state(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    def erase(name: str, statement: int) -> tuple[Installation, Path, int, str]:
        home = tmp_path / name / "home"
        shutil.copytree(catalogued("small_shop.yml"), home)
        shop = make_shop(tmp_path / name / "shop.sqlite3")
        made = Installation(home=home, environment={"SHOP_URL": f"sqlite:///{shop}"})
        done = made.python(
            "-m", "tests.crash", str(statement), "erase", f"email={EMAIL}", "--yes", "--json"
        )
        return made, shop, done.returncode, done.stderr

    _, whole, code, told = erase("whole", 0)
    assert code == 0, told
    statements = int(told.rpartition("statements: ")[2])
    made, shop, code, told = erase("half", statements // 2)
    assert code == -signal.SIGKILL, told
    made.must("erase", f"email={EMAIL}", "--yes", "--json")
    assert dump(shop) == dump(whole)
    assert_closed_once(made)
    assert made.bytes_holding(EMAIL, NAME) == []
    made.must("verify_evidence")
