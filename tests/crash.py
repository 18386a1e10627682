"""Run a management command and kill the process at its N-th statement, whichever database it is.

``python -m tests.crash N COMMAND…``; the command ``worker`` is a Celery worker. Counts the
statements of the control database and of every SQL store together; with N = 0 nothing is killed
and the number of statements goes to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any


class Fuse:
    """Burns down by one per statement."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.burnt = 0

    def burn(self) -> None:
        """Count one statement, and die of the last one."""
        self.burnt += 1
        if self.burnt == self.length:
            os.kill(os.getpid(), signal.SIGKILL)


def work() -> None:
    """A real worker whose tasks run in this thread, where the fuse burns."""
    from config.celery import app

    app.worker_main(["worker", "--pool=solo", "--loglevel=WARNING", "--without-gossip"])


def main() -> None:
    """See the module."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command
    from django.core.management.base import CommandError
    from django.db import connection
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    fuse = Fuse(int(sys.argv[1]))

    def control(execute: Callable[..., Any], *arguments: Any) -> Any:
        fuse.burn()
        return execute(*arguments)

    @event.listens_for(Engine, "before_cursor_execute")
    def target(*_: Any) -> None:
        fuse.burn()

    @event.listens_for(Engine, "commit")
    def committing(*_: Any) -> None:
        fuse.burn()

    try:
        with connection.execute_wrapper(control):
            if sys.argv[2] == "worker":
                work()
            else:
                call_command(*sys.argv[2:])
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.returncode)
    finally:
        sys.stderr.write(f"statements: {fuse.burnt}\n")


if __name__ == "__main__":
    main()
