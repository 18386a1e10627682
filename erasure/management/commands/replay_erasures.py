"""The restore gate: forget again everybody whom a restored backup has brought back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.domain.errors import UsageError
from erasure.inline import replay
from erasure.management.console import FAILED, Progress, add_accept, one_line_errors, operator


class Command(BaseCommand):
    """``replay_erasures STORE --taken-at T [--accept CODE…]``"""

    help = "After a restore: forget again everybody erased since the backup was taken."
    group = "upkeep"

    def add_arguments(self, parser: CommandParser) -> None:
        """STORE is the live store that was restored."""
        parser.add_argument("store")
        parser.add_argument(
            "--taken-at", required=True, help="when the backup was taken, ISO 8601 (UTC if no zone)"
        )
        add_accept(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when nobody who was erased is left in the store, else 1."""
        progress = Progress(quiet=not self.stderr.isatty())
        with one_line_errors(), progress.showing("recognising people"):
            taken_at = moment(options["taken_at"])
            done = replay(
                options["store"],
                taken_at=taken_at,
                by=operator(),
                tell=progress.job,
                accept=options["accept"],
            )
        blocked = [d for d in done if d.request.state == "blocked"]
        for item in done:
            self.stdout.write(f"request {item.original}: {item.request.state}")
        self.stdout.write(f"{len(done)} people were back and have been forgotten again")
        if blocked:
            raise CommandError(
                f"{len(blocked)} cases are blocked; keep {options['store']} closed to use",
                returncode=FAILED,
            )


def moment(text: str) -> datetime:
    """An ISO 8601 time. Raises UsageError."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("--taken-at: not an ISO 8601 time, such as 2026-11-20T02:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
