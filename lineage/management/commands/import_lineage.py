"""``import_lineage FILE… [--format fides|openlineage|dbt|mlflow|sql] [--store NAME] [--prune]``:
catalogue in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lineage import catalog, event_files, overlay, query_files, selectors, starts
from lineage.errors import CatalogueError
from lineage.importers import dbt, dbt_manifest, fideslang, mlflow_client
from lineage.importers.entries import Catalogue

_USAGE = 2
_LISTED = 40


class Command(BaseCommand):
    """Reads catalogue files and writes what they say, or nothing at all."""

    help = (
        "Import catalogue files: an upsert by store name and by fides_key.collection.field. "
        "All files are taken together or not at all; exit 2 for a fault in one of them."
    )
    group = "lineage"

    def add_arguments(self, parser: CommandParser) -> None:
        """The files, their format, and whether to prune."""
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument(
            "--format",
            choices=["fides", "openlineage", "dbt", "mlflow", "sql"],
            help="found out from the files where it is not given",
        )
        parser.add_argument(
            "--store",
            metavar="NAME",
            help="dbt, mlflow, sql: the store that the tables or models are in",
        )
        parser.add_argument(
            "--prune", action="store_true", help="remove what the files do not say any more"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError, exit 2, for anything wrong with a file."""
        form = options["format"] or _format(options["files"])
        if form in ("openlineage", "sql"):
            self._hear(form, options)
            return
        if form != "fides" and options["prune"]:
            message = f"--prune: {form} is not all there is; prune with the catalogue's files"
            raise CommandError(message, returncode=_USAGE)
        try:
            read = _READERS[form](options)
            changes = catalog.upsert(read, prune=options["prune"])
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
        kinds = {entry.name: entry.kind for entry in selectors.stores()}
        for warning in (*read.warnings, *starts.unheeded(read.datasets, kinds)):
            self.stderr.write(f"warning: {warning}")
        everything = options["verbosity"] > 1
        self._say("added", changes.added, listed=everything)
        self._say("changed", changes.changed, listed=True)
        self._say("removed", changes.removed, listed=True)

    def _hear(self, form: str, options: dict[str, Any]) -> None:
        """What is learnt and not written: events, and the text of queries."""
        try:
            if form == "openlineage":
                self.stdout.write(f"{event_files.hear(options['files'])} events")
                return
            if options["store"] is None:
                raise CatalogueError("--store", "say which store these queries were written for")
            total, warnings = query_files.hear(options["files"], store=options["store"])
        except CatalogueError as error:
            raise CommandError(str(error), returncode=_USAGE) from None
        for warning in warnings:
            self.stderr.write(f"warning: {warning}")
        self.stdout.write(f"{total} tables that queries fill")

    def _say(self, verb: str, labels: list[str], *, listed: bool) -> None:
        self.stdout.write(f"{verb}: {_counted(labels)}")
        shown = labels if listed else []
        for label in shown[:_LISTED]:
            self.stdout.write(f"  {label}")
        if len(shown) > _LISTED:
            self.stdout.write(f"  … and {len(shown) - _LISTED} more")


def _format(files: Iterable[str]) -> str:
    return "dbt" if all(dbt_manifest.is_artifact(path) for path in files) else "fides"


def _fides(options: dict[str, Any]) -> Catalogue:
    kinds = [entry.name for entry in entry_points(group="lethe.stores")]
    return fideslang.read(options["files"], extra_kinds=kinds)


def _dbt(options: dict[str, Any]) -> Catalogue:
    if options["store"] is not None:
        selectors.store(options["store"])  # a name that is not there is refused
    known = selectors.snapshot()
    return dbt.read(
        options["files"],
        store=options["store"],
        stores=[replace(s, url=overlay.resolved(s.url)) for s in known.stores],
        datasets=known.datasets,
        references=known.references,
    )


def _mlflow(options: dict[str, Any]) -> Catalogue:
    """Each FILE is a tracking address."""
    name = options["store"]
    kinds = ("model_registry", "mlflow")
    registries = [entry.name for entry in selectors.stores() if entry.kind in kinds]
    if name is not None:
        selectors.store(name)
    elif len(registries) != 1:
        which = (
            f" ({', '.join(registries)})" if registries else "; declare one first, of kind mlflow"
        )
        raise CatalogueError("--store", f"say which registry the models are in{which}")
    total = Catalogue()
    for uri in options["files"]:
        stores, datasets = tuple(selectors.stores()), selectors.datasets()
        total += mlflow_client.read(
            uri, store=name or registries[0], stores=stores, datasets=datasets
        )
    return total


_READERS: dict[str, Callable[[dict[str, Any]], Catalogue]] = {
    "fides": _fides,
    "dbt": _dbt,
    "mlflow": _mlflow,
}


def _counted(labels: Iterable[str]) -> str:
    """``2 stores, 1 field``: how many of each kind; the kind is a label's first word."""
    counts = Counter(label.partition(" ")[0] for label in labels)
    parts = (f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in counts.items())
    return ", ".join(parts) or "nothing"
