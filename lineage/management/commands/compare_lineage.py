"""``compare_lineage [OLD] [NEW]``: what is new since a decision was made."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lineage import keeping, selectors
from lineage.errors import CatalogueError

_USAGE = 2


class Command(BaseCommand):
    """Compares the graph of a plan or a certificate with another, or with that of now."""

    help = (
        "What changed in the catalogue between two graphs that were kept with plans and "
        "certificates. OLD is the last one that was kept, NEW is now, unless told."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Two hashes, as plans and certificates have them."""
        parser.add_argument("old", nargs="?", metavar="OLD")
        parser.add_argument("new", nargs="?", metavar="NEW")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 with or without a difference, 2 where no such graph is kept."""
        old = options["old"] or keeping.latest()
        if old is None:
            raise CommandError("no graph is kept yet; one is kept with every plan", returncode=2)
        try:
            before = keeping.kept(old)
            given = options["new"]
            after = keeping.kept(given) if given else keeping.graph_of(selectors.snapshot())
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
        lines = list(keeping.compare(before, after))
        for line in lines or [f"nothing changed since {old[:12]}"]:
            self.stdout.write(line)
