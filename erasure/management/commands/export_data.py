"""A person's data are gathered for them before they are erased, and written to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.advance import Job, perform
from erasure.domain.errors import UsageError
from erasure.flow import export
from erasure.management.console import FAILED, USAGE, Progress, one_line_errors, operator
from erasure.models import ErasureRequest, Export


class Command(BaseCommand):
    """``export_data REQUEST --out FILE [--handed-over]`` or ``export_data REQUEST --cancel``"""

    help = "Gather a person's data into an encrypted ZIP before they are erased."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """REQUEST is the case's number."""
        parser.add_argument("request")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--out", metavar="FILE", help="where to; must not be there yet")
        how.add_argument("--cancel", action="store_true", help="destroy it; the erasure goes on")
        parser.add_argument(
            "--handed-over", action="store_true", help="the person has it; the erasure goes on"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0, 1 when it cannot be gathered now, 2 for what does not fit."""
        with one_line_errors():
            case = _case(options["request"])
            made = case.exports.exclude(state="destroyed").first()
            if options["cancel"]:
                export.cancel_export(_there(made), by=operator())
                return
            if options["out"]:
                made = self._gathered(made or export.order_export(case, by=operator()))
                self._write(made, Path(options["out"]))
            if options["handed_over"]:
                export.hand_over(_there(made), by=operator())
            self._tell(_there(made))

    def _gathered(self, made: Export) -> Export:
        if made.state == "blocked":
            export.retry_export(made, by=operator())
        with Progress(quiet=not self.stderr.isatty()).showing("gathering"):
            perform(Job("gather", made.id))
        made.refresh_from_db()
        if made.state not in ("ready", "handed_over"):
            why = made.error or "it is gathered once there is a plan; plan the case first"
            raise CommandError(why, returncode=FAILED)
        return made

    def _write(self, made: Export, path: Path) -> None:
        pieces = export.read_export(made, by=operator())
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"--out: {error.strerror}", returncode=USAGE) from None
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
        if made.sealed_passphrase is not None:
            shown = export.show_passphrase(made, by=operator())
            self.stdout.write(f"passphrase, shown this once: {shown}")

    def _tell(self, made: Export) -> None:
        made.refresh_from_db()
        until = f" until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else ""
        self.stdout.write(f"export: {made.state}{until}, {made.rows} rows, {made.size} bytes")
        for dataset, why in made.unread.items():
            self.stdout.write(f"  not in it: {dataset}: {why}")


def _there(made: Export | None) -> Export:
    if made is None:
        raise UsageError("this request has no export; say --out FILE to make one")
    return made


def _case(text: str) -> ErasureRequest:
    """The case of that number. Raises UsageError."""
    try:
        return ErasureRequest.objects.get(pk=UUID(text))
    except (ValueError, ErasureRequest.DoesNotExist):
        raise UsageError("no request has this number; the desk shows it") from None
