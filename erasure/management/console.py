"""What commands share: progress on stderr, one-line errors with the right exit code."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.status import Status

from erasure.advance import Job
from erasure.domain.errors import EvidenceError, LetheError, UsageError
from erasure.domain.roles import Actor, console
from lineage.errors import LineageError

FAILED = 1
USAGE = 2


def operator() -> Actor:
    """The console operator, as recorded with what they decide."""
    return console(getpass.getuser())


def add_accept(parser: CommandParser) -> None:
    """The option by which a command accepts what a plan sets off beside its steps."""
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="CODE",
        help="a cascade or trigger that the plan names and that may happen; repeatable",
    )


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn our errors into one line and an exit code: 2 usage and catalogue, 1 failure."""
    try:
        yield
    except (UsageError, LineageError) as error:
        raise CommandError(str(error), returncode=USAGE) from None
    except (LetheError, EvidenceError) as error:
        raise CommandError(str(error), returncode=FAILED) from None


class Progress:
    """A spinner on stderr that says what is being done now."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._status: Status | None = None

    @contextmanager
    def showing(self, text: str) -> Iterator[Progress]:
        """Spin while the block runs."""
        with self._console.status(text) as self._status:
            yield self

    def says(self, text: str) -> None:
        """What is being done now."""
        if self._status is not None:
            self._status.update(text)

    def job(self, job: Job) -> None:
        """Tell of the next job."""
        self.says(f"acting on {job.store}" if job.name == "act" else "moving the case on")
