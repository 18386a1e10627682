"""Dead at each statement of a whole case, all of them counted, the same command ends alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.conftest import Installation
from tests.scenarios.small_shop import EMAIL, NAME, make_shop


@pytest.mark.parametrize("points", ["writes", pytest.param("all", marks=pytest.mark.nightly)])
@pytest.mark.timeout(3600)
def test_killed_at_every_statement_and_started_again_it_ends_in_the_same_state(
    points: str, tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    folder = tmp_path / "installation"
    shutil.copytree(catalogued("small_shop.yml"), folder / "home")
    shop = make_shop(folder / "shop.sqlite3")
    made = Installation(home=folder / "home", environment={"SHOP_URL": f"sqlite:///{shop}"})
    command = ("erase", f"email={EMAIL}", "--yes")
    done = made.python("-m", "tests.crash_everywhere", points, str(folder), *command, timeout=3500)
    assert done.returncode == 0, done.stderr[-2000:]
    whole, *lines = map(json.loads, done.stdout.splitlines())
    assert whole.pop("statements") == len(lines) > 50
    assert whole == {"code": 0, "states": ["partly_granted"], "certificates": 1}
    good = {"again": 0, "same": True, "states": ["partly_granted"]}
    assert [line for line in lines if line != {**line, **good, "certificates": 1}] == []
    assert made.bytes_holding(EMAIL, NAME) == []
