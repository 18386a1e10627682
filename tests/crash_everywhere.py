"""What a management command leaves when it dies at any of its statements, and what goes on from it.

``python -m tests.crash_everywhere FOLDER COMMANDS`` is driven by ``tests.scenarios.crashing``. The
first command runs once to its end inside FOLDER; before each of its statements and commits FOLDER
is copied as it lies there, which is what ``kill -9`` leaves: files and journals, and nothing of the
process. Most statements of a transaction leave no byte of it, so equal copies count as one. Then,
told by a line each, it puts a copy back, and carries out the other commands in it. Each is a forked
child of a process that has loaded what it needs, so that every point costs tenths of a second.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

OK = 0
LATE = "modules"
COUNT = "statements"


def forked(work: Callable[[], int]) -> int:
    """The end of ``work`` in a child: its exit code, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = work()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def carry_out(command: Sequence[str]) -> int:
    """Run the command; its output is thrown away."""
    from django.core.management import call_command
    from django.core.management.base import CommandError

    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        call_command(*command)
    except CommandError as error:
        return error.returncode
    return OK


class Camera:
    """Copies ``folder`` into ``album`` on demand, named by how often it was asked, unless it is as
    it was before. A process of its own: closing a database's file in the one that uses it would
    drop the locks that are held on it."""

    def __init__(self, folder: Path, album: Path) -> None:
        self.count = 0
        self._folder, self._album = folder, album
        self._shutter, hidden = socket.socketpair()
        if os.fork() == 0:
            try:
                self._shutter.close()
                self._serve(hidden)
            finally:
                os._exit(OK)
        hidden.close()

    def shoot(self, *_: Any) -> None:
        """Returns when it is done."""
        self.count += 1
        self._shutter.sendall(b"?")
        assert self._shutter.recv(1), "the folder could not be copied"

    def _serve(self, asked: socket.socket) -> None:
        seen, number = set(), 0
        while asked.recv(1):
            number += 1
            if (now := digest(self._folder)) not in seen:
                seen.add(now)
                shutil.copytree(self._folder, self._album / str(number))
            asked.sendall(b"!")


def digest(folder: Path) -> bytes:
    """Of every name and byte in it."""
    sums = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        sums.update(f"{path}\0{len(content)}\0".encode() + content)
    return sums.digest()


def photographed(command: Sequence[str], folder: Path, album: Path) -> int:
    """Run the command and copy ``folder`` into ``album`` at each point; how many statements there
    were, and what was imported on the way, is written there."""
    from django.db import connection
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    loaded, camera = set(sys.modules), Camera(folder, album)

    def control(execute: Callable[..., Any], *arguments: Any) -> Any:
        camera.shoot()
        return execute(*arguments)

    event.listen(Engine, "before_cursor_execute", camera.shoot)
    event.listen(Engine, "commit", camera.shoot)
    with connection.execute_wrapper(control):
        code = carry_out(command)
    (album / COUNT).write_text(str(camera.count))
    (album / LATE).write_text("\n".join(sorted(sys.modules.keys() - loaded)))
    return code


def tell(**line: Any) -> bool:
    """One line of the answer; whether there is another question."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return bool(sys.stdin.readline())


def main() -> None:
    """See the module."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    folder, (command, *then) = Path(sys.argv[1]), json.loads(sys.argv[2])
    with tempfile.TemporaryDirectory() as aside:
        album = Path(aside)
        code = forked(partial(photographed, command, folder, album))
        for name in (album / LATE).read_text().splitlines():
            importlib.import_module(name)
        gc.freeze()
        points = sorted(int(path.name) for path in album.iterdir() if path.is_dir())
        statements = int((album / COUNT).read_text())
        asked = tell(code=code, statements=statements, points=len(points))
        for point in points:
            shutil.rmtree(folder)
            shutil.move(album / str(point), folder)
            asked = asked and tell(point=point)
            if not asked:
                return
            asked = tell(ends=[forked(partial(carry_out, command)) for command in then])


if __name__ == "__main__":
    main()
