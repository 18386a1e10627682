"""Send synthetic people through everything, have them forgotten, and look for them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure import canaries
from erasure.management.console import one_line_errors
from erasure.models import CanaryRound


class Command(BaseCommand):
    """``canaries [--now]``"""

    help = "Carry the open round of canaries on, or begin one where it is due."
    group = "upkeep"

    def add_arguments(self, parser: CommandParser) -> None:
        """Nothing else is asked."""
        parser.add_argument("--now", action="store_true", help="begin a round though none is due")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when a round ended clean or has to wait, 1 when something still knows them, 2
        where LETHE_CANARY_PLANT is not right."""
        with one_line_errors():
            opened = CanaryRound.objects.filter(state__in=("planted", "asked")).exists()
            if options["now"] and not opened:
                canaries.plant()
            current = canaries.go_on()
        if current is None:
            self.stdout.write("no round is due; begin one with --now")
            return
        for finding in current.findings:
            self.stderr.write(finding)
        if current.state == "alarm":
            raise CommandError(f"{len(current.findings)} findings in round {current.id}")
        self.stdout.write(f"round {current.id}: {current.state}, {current.count} people")
