"""``decide_lineage DATASET CHOICE --because TEXT``: what happens to a derived dataset."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from lineage.decisions import decide
from lineage.errors import CatalogueError
from lineage.event_models import CHOICES

_USAGE = 2


class Command(BaseCommand):
    """Records a decision, with its reason, its day and who took it."""

    help = (
        "Decide for a dataset that only lineage events know: build it anew without the person, it "
        "was assessed anonymous, or it is dropped."
    )
    group = "lineage"

    def add_arguments(self, parser: CommandParser) -> None:
        """The dataset, what was decided, why, by whom and when."""
        parser.add_argument("dataset", metavar="DATASET", help="its address, as the gate says it")
        parser.add_argument("choice", choices=CHOICES)
        parser.add_argument("--because", required=True, metavar="TEXT")
        parser.add_argument("--by", default="console", metavar="NAME", help="who decided")
        parser.add_argument("--on", metavar="DATE", help="when it was decided; today unless told")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 for an unknown dataset, or a decision without a reason."""
        try:
            on = date.fromisoformat(options["on"]) if options["on"] else timezone.localdate()
        except ValueError:
            raise CommandError("--on must be like 2026-11-20", returncode=_USAGE) from None
        try:
            row = decide(
                options["dataset"],
                choice=options["choice"],
                because=options["because"],
                by=options["by"],
                on=on,
            )
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
        self.stdout.write(f"{row.address}: {row.choice}, since {row.decided_on}")
