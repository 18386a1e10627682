"""A whole installation in a folder of its own, driven through its commands as an operator would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import migrated
from tests.warm import carry_out

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHARED = ROOT.parent / "shared" / "data"


@dataclass
class Installation:
    """An empty home, and the environment that its commands run in."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``manage.py ARGUMENTS``."""
        return carry_out([str(ROOT / "manage.py"), *arguments], self.variables(), timeout=240)

    def python(self, *arguments: str, timeout: int = 240) -> subprocess.CompletedProcess[str]:
        """The interpreter with these arguments, in this installation's environment."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=self.variables(),
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """``manage.py ARGUMENTS`` in the background."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.variables(),
        )

    def variables(self) -> dict[str, str]:
        """The whole environment of its processes: ours without our own settings."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("LETHE_", "CELERY_"))}
        kept.pop("DATABASE_URL", None)
        return {**kept, "LETHE_HOME": str(self.home), **self.environment}

    def must(self, *arguments: str) -> str:
        """As ``run``, where exit 0 is expected; returns stdout."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def erase(self, *arguments: str) -> dict[str, Any]:
        """``erase … --yes --json`` with exit 0."""
        return json.loads(self.must("erase", *arguments, "--yes", "--json"))  # type: ignore[no-any-return]

    def bytes_holding(self, *values: str) -> list[str]:
        """Files of the home in which one of the values stands, as written or folded."""
        wanted = [v.encode() for value in values for v in (value, value.casefold())]
        files = [p for p in self.home.rglob("*") if p.is_file()]
        return [str(p) for p in files if any(w in p.read_bytes() for w in wanted)]


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated home, made once and copied for every test."""
    return migrated.home(tmp_path_factory)


@pytest.fixture
def installation(tmp_path: Path, fresh_home: Path) -> Installation:
    """A migrated installation with no catalogue."""
    home = tmp_path / "home"
    shutil.copytree(fresh_home, home)
    return Installation(home=home)


@pytest.fixture(scope="session")
def catalogued(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Homes with a catalogue of this folder imported, made once per catalogue."""
    made: dict[str, Path] = {}

    def home(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("catalogued") / "home"
            shutil.copytree(fresh_home, made[name])
            Installation(home=made[name]).must("import_lineage", str(HERE / name))
        return made[name]

    return home


def shared(*parts: str) -> Path:
    """A public data set beside the checkout; skips, saying so, where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the public data set ../shared/data/{'/'.join(parts)}")
    return path
