"""The demo: one person with data in every store is forgotten, the neighbour loses nothing."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from erasure.demo import company as demo
from erasure.demo.snapshot import snapshots
from tests.scenarios.conftest import Installation

PEOPLE = "300"
LEAVER = ("mara.lindqvist@example.com", "Mara Lindqvist")


@pytest.fixture
def sandbox(tmp_path: Path) -> Installation:
    """A home in which nothing has been."""
    return Installation(home=tmp_path / "home")


def certificate_of(output: str) -> Path:
    """The path the demo printed, on a line of its own that can be copied."""
    (line,) = [line for line in output.splitlines() if line.startswith("Certificate: ")]
    return Path(line.removeprefix("Certificate: "))


def test_the_demo_forgets_one_person_everywhere_and_proves_it(sandbox: Installation) -> None:
    output = sandbox.must("demo", "--people", PEOPLE)
    flat = " ".join(output.split())
    for told in (
        "equals an independent retrain; the old version will not load",
        "Restore: 1 back, 0 after the replay; a newcomer with the reused key is unharmed",
        "Not erased: shop.invoice",
        "last copy until",
        "Canary: 1 made up, planted in 6 places, forgotten, looked for everywhere: unmeasured",
    ):
        assert told in flat
    home = sandbox.home / "demo"
    certificate = certificate_of(output)
    key = str(home / "keys" / "signing.pub")
    sandbox.must("verify_evidence", str(certificate), "--key", key)
    assert f"  export LETHE_HOME={home} LETHE_DEMO_DIR={home / 'company'}\n" in output
    assert_nothing_of_the_leaver_in(home)


def assert_nothing_of_the_leaver_in(home: Path) -> None:
    """In our own files: control database, keys, certificates, what the demo remembers."""
    own = [p for p in home.rglob("*") if p.is_file() and "backups" not in p.parts]
    assert len(own) > 10
    kept_by_law = {"shop.sqlite3"}  # retained invoices name her
    for path in own:
        content = path.read_bytes().lower()
        if path.name not in kept_by_law:
            assert not [v for v in LEAVER if v.lower().encode() in content], path.name


def test_a_demo_killed_while_it_builds_goes_on_with_resume(sandbox: Installation) -> None:
    shop = sandbox.home / "demo" / "company" / "shop.sqlite3"
    killed(sandbox, "demo", when=shop.exists)
    goes_on(sandbox)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose demo was killed when its company stood and its case had been opened: to be
    copied, since building takes as long as forgetting."""
    made = Installation(home=tmp_path_factory.mktemp("begun") / "home")
    control = made.home / "demo" / "control.sqlite3"
    killed(made, "demo", when=lambda: bool(state_of(control)))
    return made.home


@pytest.mark.parametrize("state", ["planned", "executing", "verifying"])
def test_a_killed_demo_goes_on_with_resume(sandbox: Installation, begun: Path, state: str) -> None:
    shutil.copytree(begun, sandbox.home)
    control = sandbox.home / "demo" / "control.sqlite3"
    killed(sandbox, "demo", "--resume", when=lambda: reached(control, state))
    goes_on(sandbox)


def killed(sandbox: Installation, *command: str, when: Callable[[], bool]) -> None:
    """Start it, and kill it then."""
    process = sandbox.start(*command, "--people", PEOPLE)
    wait_for(when, process)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


def goes_on(sandbox: Installation) -> None:
    """To its end, with everything it shows."""
    output = sandbox.must("demo", "--resume", "--people", PEOPLE)
    assert "0 after the replay" in " ".join(output.split())
    assert certificate_of(output).exists()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Two minutes at most, while the process lives."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the demo ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def state_of(control: Path) -> str:
    """Of the leaver's request; empty before there is one."""
    try:
        with closing(sqlite3.connect(f"file:{control}?mode=ro", uri=True)) as connection:
            row = connection.execute(
                "select state from erasure_erasurerequest where channel = 'demo'"
            ).fetchone()
    except sqlite3.OperationalError:
        return ""
    return str(row[0]) if row else ""


def reached(control: Path, state: str) -> bool:
    """In that state, or beyond it: looking can be too slow for a short one."""
    order = ["planned", "approved", "executing", "verifying", "awaiting_copies"]
    now = state_of(control)
    return now in order and order.index(now) >= order.index(state)


def test_the_neighbour_and_everybody_else_keep_what_is_theirs(
    tmp_path: Path, installation: Installation
) -> None:
    key = installation.must(
        "shell", "--no-imports", "-v", "0", "-c",
        "from erasure.connect import derived_key; print(derived_key('models'))",
    ).strip()  # fmt: skip
    company = demo.build(tmp_path / "company", people=int(PEOPLE), hash_key=key)
    installation.environment.update(company.environment)
    installation.must("import_lineage", str(company.catalogue))
    before = snapshots(company)
    done = installation.erase(f"email={company.leaver.email}")
    assert done["outcome"] == "awaiting_copies"
    assert snapshots(company) == before
    stores = {s["dataset"].partition(".")[0] for s in done["steps"] if s["rows"]}
    assert stores >= {"shop", "lake", "access", "app", "models", "backups"}
    assert installation.bytes_holding(*LEAVER) == []
