"""Give back a version of a model that was taken out of service."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from erasure.flow.release import release
from erasure.management.console import one_line_errors, operator


class Command(BaseCommand):
    """``release_model MODEL VERSION --because TEXT``"""

    help = "Let a version of a model that is out of service be used again."
    group = "models"

    def add_arguments(self, parser: CommandParser) -> None:
        """MODEL is its address in the catalogue."""
        parser.add_argument("model")
        parser.add_argument("version")
        parser.add_argument("--because", required=True, help="why it may be used; it is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when it loads again, 1 where it may not, 2 for what is no such model."""
        with one_line_errors():
            release(options["model"], options["version"], by=operator(), because=options["because"])
        self.stdout.write(f"{options['model']}: version {options['version']} can be used again")
