"""Take a closed case up again."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from erasure.domain.reopening import WHYS
from erasure.flow import reopen
from erasure.management.console import case_of, given, one_line_errors, operator, words_of


class Command(BaseCommand):
    """``reopen_case REQUEST KIND=VALUE… --why CODE --because TEXT``"""

    help = "Take a closed case up again, by what the person gives now."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """``-`` reads the identifiers from standard input, one on a line."""
        parser.add_argument("request")
        parser.add_argument("identifier", nargs="+", metavar="KIND=VALUE")
        parser.add_argument("--why", choices=list(WHYS), required=True)
        parser.add_argument(
            "--because", required=True, help="is sealed; @FILE takes it from a file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 for what cannot be."""
        with one_line_errors():
            case = reopen.reopen_case(
                case_of(options["request"]),
                identifiers=given(options["identifier"], sys.stdin),
                why=options["why"],
                because=words_of(options["because"]),
                by=operator(),
            )
        self.stdout.write(f"request {case.pk}: {case.state}; check identity, then it is planned")
