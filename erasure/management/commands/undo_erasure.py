"""Undo an erasure while its window is open: put back what was deleted and changed."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.domain.errors import UsageError
from erasure.inline import undo_case
from erasure.management.console import FAILED, USAGE, Progress, one_line_errors, operator
from erasure.models import ErasureRequest
from erasure.runs import windows
from erasure.runs.undoing import BACK


class Command(BaseCommand):
    """``undo_erasure REQUEST [--because TEXT] [--together] [--yes]``"""

    help = "Put back what an erasure took, while its undo window is open."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """REQUEST is the case's number."""
        parser.add_argument("request")
        parser.add_argument("--because", default="", help="the reason; it is kept with the case")
        parser.add_argument(
            "--together", action="store_true", help="also those who share rows with this person"
        )
        parser.add_argument("--yes", action="store_true", help="without asking, on record")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when every row is as it was, 1 when some had to be left or it is still at it, 2
        when it cannot be undone."""
        progress = Progress(quiet=not self.stderr.isatty())
        with one_line_errors():
            request = _request(options["request"])
            because = options["because"] or self._asked(request, "Why? ")
            if not options["yes"] and self._asked(request, "Put it all back? Type yes: ") != "yes":
                return
            with progress.showing("putting back"):
                done = undo_case(
                    request,
                    by=operator(),
                    because=because,
                    together=options["together"],
                    tell=progress.job,
                )
        left = [member for member in done if not self._tell(member)]
        if left:
            raise CommandError("not everything is as it was; see above", returncode=FAILED)

    def _asked(self, request: ErasureRequest, question: str) -> str:
        if not sys.stdin.isatty():
            raise CommandError("nobody to ask here; say --because TEXT and --yes", returncode=USAGE)
        window = windows.window_of(request)
        until = f"until {window.closes_at:%Y-%m-%d %H:%M} UTC" if window else "not at all"
        return input(f"Request {request.id} can be undone {until}. {question}").strip()

    def _tell(self, request: ErasureRequest) -> bool:
        """Say what became of the case; True when everything was put back."""
        window = windows.window_of(request)
        self.stdout.write(f"request {request.id}: {request.state}")
        words = set()
        for table, counts in (window.report if window else {}).items():
            for word, count in counts.items():
                self.stdout.write(f"  {table}: {count} rows {word}")
                words.add(word)
        if window and window.error:
            self.stdout.write(f"  {window.error}")
        return request.state == "undone" and words <= {BACK}


def _request(text: str) -> ErasureRequest:
    """The case of that number. Raises UsageError."""
    try:
        return ErasureRequest.objects.get(pk=UUID(text))
    except (ValueError, ErasureRequest.DoesNotExist):
        raise UsageError(
            "no request has this number; the desk and `erase --json` show it"
        ) from None
