"""Record many requests from a CSV file, or say what would be recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.domain.errors import UsageError
from erasure.domain.saying import said
from erasure.domain.values import repeats
from erasure.flow import identify, intake
from erasure.management import bulk
from erasure.management.console import FAILED, Progress, one_line_errors, operator

_AT_ONCE = 500
_WORDS = 200


class Command(BaseCommand):
    """``import_requests FILE [--dry-run] [--identified METHOD] [--encoding NAME]``"""

    help = "Record requests from a CSV file; nothing is recorded while a line has a fault."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """FILE names the identity kinds in its first line."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="check, and record nothing")
        parser.add_argument("--encoding", default="utf-8", help="of the file; utf-8 unless told")
        parser.add_argument(
            "--identified",
            metavar="METHOD",
            help="how everybody's identity was checked; without it each waits for that",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1 when a line has a fault, 2 when the file cannot be used."""
        read = (options["file"], options["encoding"])
        progress = Progress(quiet=not self.stderr.isatty())
        method = options["identified"]
        with one_line_errors(), progress.showing("checking"):
            if method is not None:
                said(method, f"--identified: say how, in at most {_WORDS} characters", _WORDS)
            counts = self._checked(bulk.lines(*read), method or "")
            self.stdout.write(
                f"{counts['new']} new, {counts['open']} with an open case, "
                f"{counts['again']} twice in the file"
            )
            if counts["fault"]:
                more = f"; {counts['fault'] - bulk.FAULTS} more" * (counts["fault"] > bulk.FAULTS)
                raise CommandError(
                    f"{counts['fault']} lines have a fault{more}; nothing was recorded",
                    returncode=FAILED,
                )
            if not options["dry_run"]:
                opened = self._recorded(bulk.lines(*read), options["identified"], progress)
                self.stdout.write(f"{opened} requests recorded")

    def _checked(self, lines: Iterator[bulk.Line | bulk.Fault], method: str) -> Counter[str]:
        counts: Counter[str] = Counter()
        seen: set[int] = set()
        while some := list(islice(lines, _AT_ONCE)):
            good = [line for line in some if isinstance(line, bulk.Line)]
            if any(repeats(value, method) for line in good for _, value in line.identifiers):
                raise UsageError("--identified: repeats what somebody is known by; leave that out")
            for fault in (line for line in some if isinstance(line, bulk.Fault)):
                counts["fault"] += 1
                if counts["fault"] <= bulk.FAULTS:
                    self.stderr.write(f"line {fault.number}: {fault.why}")
            opened = intake.open_cases_of([line.identifiers for line in good])
            for line, is_open in zip(good, opened, strict=True):
                mark = hash(tuple(sorted((k, v.casefold()) for k, v in line.identifiers)))
                counts["again" if mark in seen else "open" if is_open else "new"] += 1
                seen.add(mark)
        return counts

    def _recorded(
        self, lines: Iterator[bulk.Line | bulk.Fault], method: str | None, progress: Progress
    ) -> int:
        """Each by itself: what a crash has left out is recorded when the file is taken again."""
        opened = 0
        for line in lines:
            if isinstance(line, bulk.Fault):  # somebody has changed the file since it was checked
                raise CommandError(
                    f"line {line.number}: {line.why}; {opened} were recorded", returncode=FAILED
                )
            (known,) = intake.open_cases_of([line.identifiers])
            request = intake.open_request(
                line.identifiers,
                by=operator(),
                law=line.law,
                channel=line.channel,
                received_at=line.received,
                asked_by=line.asked_by,
                child=line.child,
            )
            if request.state == "received" and method and line.asked_by == "self":
                identify.confirm_identity(request, by=operator(), method=method)
            opened += not known
            progress.says(f"{opened} recorded")
        return opened
