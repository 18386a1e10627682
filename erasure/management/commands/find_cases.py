"""Find every case, open or closed, that knows what a person gives now."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from erasure.flow import route
from erasure.management.console import given, one_line_errors, operator


class Command(BaseCommand):
    """``find_cases KIND=VALUE…`` or ``find_cases -``"""

    help = "Find the cases that know an identifier; who has looked is on record."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """``-`` reads them from standard input, one on a line."""
        parser.add_argument("identifier", nargs="+", metavar="KIND=VALUE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0, also when there is none."""
        with one_line_errors():
            pairs = given(options["identifier"], sys.stdin)
            found = route.find_cases(pairs, by=operator())
        for case in found:
            self.stdout.write(f"{case.pk}  {case.received_at:%Y-%m-%d}  {case.right}  {case.state}")
        if not found:
            self.stdout.write("no case knows this person")
