"""What a management command leaves when it dies at any of its statements, and the end of the next.

``python -m tests.crash_everywhere writes|all FOLDER COMMAND…`` works inside FOLDER. The command
runs once to its end; before each statement its folder is copied as it lies there, which is what
``kill -9`` leaves: files and journals, and nothing of the process. Then the command is started
anew in each of the copies. ``writes`` leaves out the points before a statement that only reads:
nothing durable happens between that one and the next that writes. Each run is a forked child of a
process that has loaded what it needs, so that hundreds of points take minutes and not hours. One
JSON object a line: first the number of points and the end of the whole run, then a line per point.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

OK = 0
LATE = "modules"
_READS = ("SELECT", "PRAGMA", "SAVEPOINT", "RELEASE")


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


def photographed(command: Sequence[str], every: bool, folder: Path, album: Path) -> int:
    """Run the command and copy ``folder`` into ``album`` at each point; what was imported on the
    way is listed there."""
    from django.db import connection
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    loaded, points = set(sys.modules), itertools.count(1)

    def copy(*_: Any) -> None:
        # By a child: closing a database's file here would drop the locks that are held on it.
        assert forked(partial(kept, folder, album / str(next(points)))) == OK

    def before(sql: str) -> None:
        if every or not sql.lstrip().upper().startswith(_READS):
            copy()

    def control(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        before(sql)
        return execute(sql, *arguments)

    event.listen(Engine, "before_cursor_execute", lambda _c, _x, sql, *_: before(sql))
    event.listen(Engine, "commit", copy)
    with connection.execute_wrapper(control):
        code = carry_out(command)
    (album / LATE).write_text("\n".join(sorted(sys.modules.keys() - loaded)))
    return code


def kept(folder: Path, copy: Path) -> int:
    """``folder`` as it lies there, in ``copy``."""
    shutil.copytree(folder, copy)
    return OK


def dump(folder: Path) -> dict[str, list[str]]:
    """Every row of every table of every database in ``folder`` itself."""
    found = {}
    for path in sorted(folder.glob("*.sqlite3")):
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("select name from sqlite_schema where type = 'table'")
            for (name,) in names.fetchall():
                rows = connection.execute(f"select * from {name}").fetchall()
                found[f"{path.name}.{name}"] = sorted(map(repr, rows))
    return found


def ended() -> dict[str, Any]:
    """How the cases ended, but those that found nobody any more, and how many certificates."""
    control = Path(os.environ["LETHE_HOME"]) / "control.sqlite3"
    with closing(sqlite3.connect(control)) as connection:
        states = connection.execute("select state from erasure_erasurerequest").fetchall()
        (sealed,) = connection.execute("select count(*) from erasure_certificate").fetchone()
    return {"states": [s for (s,) in states if s != "no_data"], "certificates": sealed}


def tell(line: dict[str, Any]) -> None:
    """One line of the answer."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def put_back(folder: Path, copy: Path) -> None:
    """``folder`` as it was at that point."""
    shutil.rmtree(folder)
    shutil.move(copy, folder)


def main() -> None:
    """See the module."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    every, folder, command = sys.argv[1] == "all", Path(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory() as aside:
        album = Path(aside)
        code = forked(partial(photographed, command, every, folder, album))
        expected = dump(folder)
        for name in (album / LATE).read_text().splitlines():
            importlib.import_module(name)
        points = sorted(int(path.name) for path in album.iterdir() if path.name != LATE)
        tell({"statements": len(points), "code": code, **ended()})
        for point in points:
            put_back(folder, album / str(point))
            again = forked(partial(carry_out, command))
            line = {"point": point, "again": again, "same": dump(folder) == expected}
            tell({**line, **ended()})


if __name__ == "__main__":
    main()
