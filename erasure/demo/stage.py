"""Where the demo plays: a sandbox under ``LETHE_HOME``, wiped when a new one begins."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command

from erasure.connect import derived_key
from erasure.demo import company
from erasure.demo.company import Company

_STATE = "demo.json"


@dataclass
class Stage:
    """What the demo remembers between a kill and ``--resume``: how far it has come."""

    home: Path
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, *, resume: bool) -> Stage:
        """The stage that was left, or an empty one."""
        home = Path(settings.LETHE_HOME)
        path = home / _STATE
        if resume and path.exists():
            return cls(home, json.loads(path.read_text()))
        _wipe(home)
        return cls(home)

    @property
    def folder(self) -> Path:
        """Where the company's data lie."""
        return self.home / "company"

    def remember(self, **changes: Any) -> None:
        """Write down how far the demo has come; holds no identifier."""
        self.state.update(changes)
        draft = self.home / f".{_STATE}"
        draft.write_text(json.dumps(self.state))
        draft.replace(self.home / _STATE)

    def build(self, people: int, tell: Any) -> Company:
        """The company, its control database and its catalogue; made once."""
        os.environ[company.DEMO_DIR] = str(self.folder)
        key = derived_key(company.MODEL_STORE)
        built = company.load(self.folder, hash_key=key)
        if built is None:
            built = company.build(self.folder, people=people, hash_key=key, progress=tell)
        tell("control database")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("import_lineage", str(built.catalogue), verbosity=0, stdout=_Nowhere())
        return built


class _Nowhere:
    """What a command says that nobody needs to read."""

    def write(self, text: str) -> None:
        """Drop it."""


def _wipe(home: Path) -> None:
    for name in ("company", "certificates", "keys"):
        shutil.rmtree(home / name, ignore_errors=True)
    for path in [*home.glob("control.sqlite3*"), home / _STATE]:
        path.unlink(missing_ok=True)
