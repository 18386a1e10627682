"""An installation on one machine whose command dies at any of its statements, all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.scenarios.conftest import ROOT, Installation

Command = Sequence[str]


class Crash:
    """The installation's folder is now as the process left it that died at statement ``point``."""

    def __init__(self, point: int, crashes: Crashes) -> None:
        self.point, self._crashes = point, crashes

    def __repr__(self) -> str:
        return f"dead at statement {self.point}"

    def go_on(self) -> list[int]:
        """Carry out the commands that follow, each in a process of its own; their exit codes."""
        return list(self._crashes.ask()["ends"])


class Crashes:
    """The command ran to its end with ``code`` after so many ``statements``, and the folder is as
    it left it; then, one after the other, the crashes that leave different bytes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        whole = self._told()
        self.code, self.statements, self._points = (
            whole["code"],
            whole["statements"],
            whole["points"],
        )

    def __len__(self) -> int:
        return int(self._points)

    def __iter__(self) -> Iterator[Crash]:
        for _ in range(self._points):
            yield Crash(self.ask()["point"], self)

    def ask(self) -> dict[str, Any]:
        """The next answer."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._told()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process ended; see what it wrote"
        return json.loads(line)  # type: ignore[no-any-return]


@contextmanager
def dying(made: Installation, command: Command, *then: Command) -> Iterator[Crashes]:
    """``manage.py COMMAND`` dies everywhere, and ``then`` is carried out after each crash, as often
    as it is asked for. Everything that counts is in the folder that holds the home."""
    arguments = [str(made.home.parent), json.dumps([command, *then])]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash_everywhere", *arguments],
        cwd=ROOT,
        env=made.variables(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # which closes its input; it ends at that
        try:
            yield Crashes(process)
        except BaseException:
            process.kill()
            raise
