"""``compare_lineage [OLD] [NEW]``: what is new since a decision was made."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lineage import keeping, selectors
from lineage.errors import CatalogueError
from lineage.snapshot import Snapshot

_USAGE = 2


class Command(BaseCommand):
    """Compares the graph of a plan or a certificate with another, or with that of now."""

    help = (
        "What changed in the catalogue between two graphs that were kept with plans and "
        "certificates. OLD is the last one that was kept, NEW is now, unless told."
    )
    group = "lineage"

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
            before, given = keeping.kept(old), options["new"]
            after = keeping.kept(given).graph if given else keeping.graph_of(_now(before))
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
        lines = list(keeping.compare(before.graph, after))
        for line in lines or [f"nothing changed since {old[:12]}"]:
            self.stdout.write(line)


def _now(kept: keeping.Kept) -> Snapshot:
    """What a plan for the same people would be made on by now."""
    if kept.kinds is None:
        return selectors.snapshot()
    kinds = set(kept.kinds) & set(selectors.identity_kinds())
    return selectors.part(kinds, kept.store).catalogue
