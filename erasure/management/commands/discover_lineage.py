"""``discover_lineage STORE [--out FILE]``: drafts catalogue YAML from a live store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.connect import make_store
from erasure.domain.errors import UsageError
from erasure.management.console import USAGE, one_line_errors
from erasure.stores.base import Store
from lineage import selectors
from lineage.graph import StoreEntry
from lineage.importers import sql_schema


class Command(BaseCommand):
    """Reads a live schema and writes a draft for a person to finish."""

    help = (
        "Draft catalogue YAML from a live store. STORE is a store of the catalogue, or the url "
        "of a database (sqlite:////abs/path, postgresql://…), so that nothing needs importing "
        "first. Lines marked 'decide' wait for a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The store, and where the draft goes."""
        parser.add_argument("store", metavar="STORE")
        parser.add_argument("--out", metavar="FILE", help="write here, not to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 for an unknown store, 1 for one that cannot be read."""
        with one_line_errors():
            given = options["store"]
            entry = entry_of_url(given) if "://" in given else selectors.store(given)
            store = make_store(entry)
            try:
                draft = self._draft(store, entry)
            finally:
                store.close()
        if options["out"]:
            self._write(options["out"], draft)
        else:
            self.stdout.write(draft, ending="")

    def _draft(self, store: Store, entry: StoreEntry) -> str:
        inspection = store.inspect()
        if not inspection.tables:
            raise CommandError(f"{entry.name}: has no tables to draft from", returncode=USAGE)
        return sql_schema.draft(inspection, written(entry))

    def _write(self, path: str, draft: str) -> None:
        try:
            # x: a finished draft holds a person's decisions and is not written over
            with Path(path).open("x", encoding="utf-8") as file:
                file.write(draft)
        except FileExistsError:
            message = f"{path}: is there already; remove it or name another file"
            raise CommandError(message, returncode=USAGE) from None
        except OSError as error:
            message = f"{path}: cannot be written: {error.strerror}"
            raise CommandError(message, returncode=USAGE) from None
        self.stderr.write(f"draft written to {path}")


def entry_of_url(url: str) -> StoreEntry:
    """A store for the database behind a url, named after the database. Raises UsageError."""
    try:
        path = unquote(urlsplit(url).path).rstrip("/")
    except ValueError:
        raise UsageError("STORE: is no url; write scheme://host/database") from None
    name = sql_schema.fides_key(re.sub(r"\.[A-Za-z0-9]+$", "", path.rpartition("/")[2]).lower())
    return StoreEntry(name=name, kind="sql", url=url)


def written(entry: StoreEntry) -> StoreEntry:
    """The entry as it goes to a file: a url that holds a password becomes ``${NAME_URL}``."""
    try:
        secret = urlsplit(entry.url).password
    except ValueError:
        secret = entry.url
    if not secret or secret.startswith("${"):
        return entry
    variable = re.sub(r"[^A-Z0-9]+", "_", f"{entry.name}_URL".upper())
    return StoreEntry(
        name=entry.name,
        kind=entry.kind,
        url=f"${{{variable}}}",
        role=entry.role,
        options=entry.options,
    )
