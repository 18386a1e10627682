"""``discover_lineage STORE [--out FILE] [--rows N] [--no-values]``: drafts catalogue YAML from a
live store."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.connect import make_store
from erasure.domain.errors import UsageError
from erasure.management.console import USAGE, Progress, one_line_errors
from erasure.stores.base import Samples, Store
from erasure.stores.viewing import Views
from lineage import selectors
from lineage.graph import StoreEntry
from lineage.importers import sql_schema
from lineage.importers.discovery import Discovery, Findings
from lineage.importers.views import Viewed, read_views

ROWS, MOST_ROWS = 200, 10_000


class Command(BaseCommand):
    """Reads a live schema and writes a draft for a person to finish."""

    help = (
        "Draft catalogue YAML from a live store. STORE is a store of the catalogue, or the url "
        "of a database (sqlite:////abs/path, postgresql://…), so that nothing needs importing "
        "first. A few rows of each table are looked at; no value of them is shown or kept. Lines "
        "marked 'decide' or 'to confirm' wait for a person."
    )
    group = "lineage"

    def add_arguments(self, parser: CommandParser) -> None:
        """The store, and where the draft goes."""
        parser.add_argument("store", metavar="STORE")
        parser.add_argument("--out", metavar="FILE", help="write here, not to standard output")
        parser.add_argument(
            "--rows",
            metavar="N",
            type=_count,
            default=ROWS,
            help=f"rows of each table to look at (default {ROWS}, at most {MOST_ROWS})",
        )
        parser.add_argument(
            "--no-values", action="store_true", help="look at the schema and at no row"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 for an unknown store, 1 for one that cannot be read."""
        with one_line_errors():
            if options["out"] and Path(options["out"]).exists():
                raise UsageError(_taken(options["out"]))
            given = options["store"]
            entry = entry_of_url(given) if "://" in given else selectors.store(given)
            store = make_store(entry)
            try:
                with Progress().showing("reading the schema") as progress:
                    rows = 0 if options["no_values"] else options["rows"]
                    findings = find(store, rows, progress.says)
                    viewed = views_of(store, findings)
            finally:
                store.close()
        draft = sql_schema.draft(findings, written(entry), viewed)
        if options["out"]:
            self._write(options["out"], draft)
        else:
            self.stdout.write(draft, ending="")
        for line in sql_schema.summary(findings, draft):
            self.stderr.write(line)

    def _write(self, path: str, draft: str) -> None:
        try:
            # x: a finished draft holds a person's decisions and is not written over
            with Path(path).open("x", encoding="utf-8") as file:
                file.write(draft)
        except FileExistsError:
            raise CommandError(_taken(path), returncode=USAGE) from None
        except OSError as error:
            message = f"{path}: cannot be written: {error.strerror}"
            raise CommandError(message, returncode=USAGE) from None
        self.stderr.write(f"draft written to {path}")


def find(store: Store, rows: int, says: Callable[[str], None]) -> Findings:
    """What a draft of the store is written from. ``rows``: how many of each table are looked at,
    0 for none; ``says`` is told what is being done. Raises StoreError, UsageError."""
    inspection = store.inspect()
    if not inspection.tables:
        raise UsageError(f"{store.name}: has no tables to draft from")
    discovery = Discovery(inspection)
    if rows and isinstance(store, Samples):
        _look(store, discovery, list(inspection.tables), rows, says)
    return discovery.findings()


def views_of(store: Store, findings: Findings) -> Viewed:
    """The views of a store that keeps queries, with what they are made of. Raises StoreError."""
    kept = store.views() if isinstance(store, Views) else {}
    tables = findings.inspection.tables
    return read_views(tables, {name: view for name, view in kept.items() if name not in tables})


def _look(
    store: Samples,
    discovery: Discovery,
    names: Sequence[str],
    rows: int,
    says: Callable[[str], None],
) -> None:
    """Sample the tables, then look for the values of what may refer to something."""
    says(f"sampling {len(names)} tables")
    for number, sample in enumerate(store.sample(names, rows), 1):
        says(f"sampled {number} of {len(names)} tables")
        discovery.take(sample)
    candidates = discovery.candidates()
    for number, candidate in enumerate(candidates, 1):
        says(f"measuring {number} of {len(candidates)} possible references")
        link = candidate.link
        found = store.present(link.target, link.target_column, discovery.values(candidate))
        discovery.measured(candidate, found)


def _taken(path: str) -> str:
    return f"{path}: is there already; remove it or name another file"


def _count(text: str) -> int:
    """A number of rows. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_ROWS:
        raise ArgumentTypeError(
            f"must be a whole number from 1 to {MOST_ROWS}; for none, --no-values"
        )
    return int(text)


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
