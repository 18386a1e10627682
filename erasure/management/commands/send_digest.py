"""Send the officers' daily digest now, or print it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from erasure.flow import digest
from erasure.management.console import USAGE


class Command(BaseCommand):
    """``send_digest [--print]``"""

    help = "Send what is overdue, due soon or blocked to LETHE_DIGEST_TO."
    group = "upkeep"

    def add_arguments(self, parser: CommandParser) -> None:
        """``--print`` sends nothing."""
        parser.add_argument("--print", action="store_true", help="to the terminal, not by mail")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 when there is nobody to send it to."""
        now = timezone.now()
        if options["print"]:
            self.stdout.write(digest.compose(now)[0])
            return
        if not settings.LETHE_DIGEST_TO:
            raise CommandError(
                "LETHE_DIGEST_TO: names nobody; set it, or say --print", returncode=USAGE
            )
        told = digest.send_digest(now)
        self.stdout.write(f"sent: {told} requests" if told else "nothing needs attention")
