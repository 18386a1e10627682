"""What commands share: progress on stderr, one-line errors with the right exit code."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.status import Status

from erasure.advance import Job
from erasure.domain.errors import EvidenceError, LetheError, UsageError
from erasure.domain.roles import Actor, console
from erasure.models import ErasureRequest
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


def parsed(arguments: list[str]) -> list[tuple[str, str]]:
    """``KIND=VALUE`` pairs. Raises UsageError."""
    pairs = []
    for argument in arguments:
        kind, equals, value = argument.partition("=")
        if not equals or not kind:
            raise UsageError("an identifier is written KIND=VALUE, as in email=person@example.com")
        pairs.append((kind, value))
    return pairs


def given(arguments: list[str], lines: Iterable[str]) -> list[tuple[str, str]]:
    """:func:`parsed`; ``-`` takes them from ``lines``, one on each, and keeps them out of the
    shell's history. Raises UsageError."""
    if arguments == ["-"]:
        arguments = [line.strip() for line in lines if line.strip()]
    return parsed(arguments)


def case_of(number: str) -> ErasureRequest:
    """The case of that number. Raises UsageError."""
    try:
        return ErasureRequest.objects.get(pk=UUID(number))
    except (ValueError, ErasureRequest.DoesNotExist):
        raise UsageError("no request has this number; the desk shows it") from None


def words_of(text: str) -> str:
    """A text, or with ``@FILE`` what stands in the file. Raises UsageError."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError("because: the file cannot be read as UTF-8 text") from None


def day_of(field: str, text: str) -> date | None:
    """A day like 2026-11-20; None for nothing. Raises UsageError."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{field}: must be a day like 2026-11-20") from None
