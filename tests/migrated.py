"""A home whose control database has been migrated, made once however many processes run the tests:
migrating takes seconds, a copy none."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def home(factory: pytest.TempPathFactory) -> Path:
    """To be copied, and not to be written to."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which all of them share
    made = folder / "migrated"
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "done").exists():
            _migrate(made)
            (made / "done").touch()
    return made / "home"


def _migrate(folder: Path) -> None:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("LETHE_", "CELERY_"))}
    kept.pop("DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**kept, "LETHE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
