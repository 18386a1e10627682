"""Kill a management command at every one of its statements in turn, and run it again each time.

``python -m tests.crash_everywhere writes|all FOLDER COMMAND…`` works inside FOLDER, which is put
back as it was before every point. ``writes`` leaves out the points before a statement that only
reads: nothing durable happens between that one and the next that writes. Django is set up once and
each run is a forked child, so that hundreds of points take minutes and not hours. One JSON object
a line: first the number of points and the end of the whole run, then a line per point.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from tests.crash import Fuse

OK = 0
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


def carry_out(command: Sequence[str], every: bool, length: int, count: Path | None = None) -> int:
    """Run the command with a fuse that burns at ``every`` statement, or at those that write; its
    output is thrown away."""
    from django.core.management import call_command
    from django.core.management.base import CommandError
    from django.db import connection
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    fuse = Fuse(length)

    def burn(sql: str) -> None:
        if every or not sql.lstrip().upper().startswith(_READS):
            fuse.burn()

    def control(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        burn(sql)
        return execute(sql, *arguments)

    def target(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        burn(sql)

    def committing(_: Any) -> None:
        fuse.burn()

    event.listen(Engine, "before_cursor_execute", target)
    event.listen(Engine, "commit", committing)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        with connection.execute_wrapper(control):
            call_command(*command)
    except CommandError as error:
        return error.returncode
    finally:
        if count is not None:
            count.write_text(str(fuse.burnt))
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


def put_back(folder: Path, pristine: Path) -> None:
    """``folder`` as it was before anything ran."""
    shutil.rmtree(folder)
    shutil.copytree(pristine, folder)


def main() -> None:
    """See the module."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    every, folder, command = sys.argv[1] == "all", Path(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory() as aside:
        pristine, count = Path(aside) / "pristine", Path(aside) / "count"
        shutil.copytree(folder, pristine)
        code = forked(partial(carry_out, command, every, 0, count))
        statements, expected = int(count.read_text()), dump(folder)
        tell({"statements": statements, "code": code, **ended()})
        for point in range(1, statements + 1):
            put_back(folder, pristine)
            killed = forked(partial(carry_out, command, every, point))
            again = forked(partial(carry_out, command, every, 0))
            line = {"point": point, "killed": killed == -signal.SIGKILL, "again": again}
            same = dump(folder) == expected
            tell({**line, "same": same, **ended()})


if __name__ == "__main__":
    main()
