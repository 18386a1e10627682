"""``import_lineage FILE… [--format fides|openlineage|dbt] [--prune]``: catalogue in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lineage import catalog, event_files
from lineage.errors import CatalogueError
from lineage.importers import fideslang

_USAGE = 2
_LISTED = 40


class Command(BaseCommand):
    """Reads catalogue files and writes what they say, or nothing at all."""

    help = (
        "Import catalogue files: an upsert by store name and by fides_key.collection.field. "
        "All files are taken together or not at all; exit 2 for a fault in one of them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The files, their format, and whether to prune."""
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--format", choices=["fides", "openlineage", "dbt"], default="fides")
        parser.add_argument(
            "--prune", action="store_true", help="remove what the files do not say any more"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError, exit 2, for anything wrong with a file."""
        if options["format"] == "openlineage":
            self._hear(options["files"])
            return
        if options["format"] != "fides":
            message = f"--format {options['format']} is not available yet; use fides"
            raise CommandError(message, returncode=_USAGE)
        kinds = [entry.name for entry in entry_points(group="lethe.stores")]
        try:
            read = fideslang.read(options["files"], extra_kinds=kinds)
            changes = catalog.upsert(read, prune=options["prune"])
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
        for warning in read.warnings:
            self.stderr.write(f"warning: {warning}")
        everything = options["verbosity"] > 1
        self._say("added", changes.added, listed=everything)
        self._say("changed", changes.changed, listed=True)
        self._say("removed", changes.removed, listed=True)

    def _hear(self, files: list[str]) -> None:
        try:
            total = event_files.hear(files)
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
        self.stdout.write(f"{total} events")

    def _say(self, verb: str, labels: list[str], *, listed: bool) -> None:
        self.stdout.write(f"{verb}: {_counted(labels)}")
        shown = labels if listed else []
        for label in shown[:_LISTED]:
            self.stdout.write(f"  {label}")
        if len(shown) > _LISTED:
            self.stdout.write(f"  … and {len(shown) - _LISTED} more")


def _counted(labels: Iterable[str]) -> str:
    """``2 stores, 1 field``: how many of each kind; the kind is a label's first word."""
    counts = Counter(label.partition(" ")[0] for label in labels)
    parts = (f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in counts.items())
    return ", ".join(parts) or "nothing"
