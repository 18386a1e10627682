"""Link a case to the open one of the same person: it ends, the other goes on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from erasure.flow import route
from erasure.management.console import case_of, one_line_errors, operator


class Command(BaseCommand):
    """``link_duplicate REQUEST --of REQUEST``"""

    help = "The same person asked twice: the case ends, the other one goes on."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """Both by their numbers."""
        parser.add_argument("request")
        parser.add_argument("--of", required=True, metavar="REQUEST", help="that goes on")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 where they are not one person's, or the other is closed."""
        with one_line_errors():
            request, of = case_of(options["request"]), case_of(options["of"])
            route.link_duplicate(request, of=of, by=operator())
        self.stdout.write(f"{request.pk}: goes on in {of.pk}")
