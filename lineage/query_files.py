"""Queries from files: scripts (``.sql``) and query logs of PostgreSQL (``.csv``, ``.json``). Only
the lineage in them is kept: somebody's values stand in their texts.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.utils.dateparse import parse_datetime

from lineage import hearing, intake, naming, overlay, reading, selectors
from lineage.columns import Relation, Relations
from lineage.errors import CatalogueError
from lineage.graph import StoreEntry
from lineage.importers.queries import Name, Parts, Queries, Query

_LARGEST_SCRIPT = 2**24  # bytes
_DIALECTS = {"postgres": "postgres", "mysql": "mysql", "sqlite": "sqlite", "redshift": "redshift"}
# Columns of PostgreSQL's csvlog, by their place, and keys of its jsonlog.
_CSV = {"at": 0, "database": 2, "message": 13}
_JSON = {"at": "timestamp", "database": "dbname", "message": "message"}
_LOGGED = re.compile(
    r"(?:duration: [\d.]+ ms +)?(?:statement|execute [^:]*): (?P<text>.*)", re.DOTALL
)
_ZONE = re.compile(r" [A-Z]{3,5}$")


def hear(paths: Iterable[str], *, store: str) -> tuple[int, list[str]]:
    """Learn from the queries of these files, or of all such files in these folders, written for a
    store of the catalogue; returns how many tables something flows into, and warnings.

    Giving a file again does no harm. Raises CatalogueError for a store or file that is not there.
    """
    entry = selectors.store(store)
    queries = _queries_for(entry)
    database = unquote(urlsplit(overlay.resolved(entry.url)).path.strip("/"))
    for path in (file for given in paths for file in _files(Path(given))):
        try:
            if path.suffix == ".sql":
                queries.script(_script(path))
            else:
                queries.read(_logged(path, database))
        except OSError as error:
            raise CatalogueError(str(path), f"cannot be read: {error.strerror}") from None
        except (ValueError, csv.Error):
            raise CatalogueError(str(path), "is not written in UTF-8, or no log") from None
    events = list(queries.events())
    refused = intake.take(events).refused
    hearing.learn()
    return len(events) - len(refused), [*queries.warnings, *(why for _, why in refused)]


def _queries_for(store: StoreEntry) -> Queries:
    datasets = [d for d in reading.written().datasets.values() if d.store == store.name]
    names: dict[str, Name] = {d.address: overlay.names_of(d, store)[0] for d in datasets}
    relations = Relations(
        Relation(
            address=d.address,
            parts=(d.schema, d.name) if d.schema else (d.name,),
            columns=tuple(f.name for f in d.fields),
        )
        for d in datasets
    )
    url = overlay.resolved(store.url)

    def elsewhere(parts: Parts) -> Name:
        schema = parts[-2].lower() if len(parts) > 1 else None
        name = parts[-1].lower()
        found = naming.of_store(store.kind, url, schema, name)
        return found or (store.name, f"{schema}.{name}" if schema else name)

    scheme = naming.scheme_of(url)
    return Queries(relations, names, elsewhere, _DIALECTS.get(scheme))


def _files(given: Path) -> list[Path]:
    kinds = (".sql", ".csv", ".json")
    if given.is_dir():
        return sorted(p for p in given.rglob("*") if p.suffix in kinds and p.is_file())
    if given.suffix not in kinds:
        raise CatalogueError(str(given), f"is no {', '.join(kinds)} and no folder")
    return [given]


def _script(path: Path) -> Query:
    """As old as the file, so that the same file is the same event."""
    stat = path.stat()
    if stat.st_size > _LARGEST_SCRIPT:
        raise CatalogueError(str(path), f"is larger than {_LARGEST_SCRIPT // 2**20} MiB; split it")
    at = datetime.fromtimestamp(int(stat.st_mtime), UTC)
    return Query(place=str(path), job=path.name, text=path.read_text(encoding="utf-8"), at=at)


def _logged(path: Path, database: str) -> Iterator[Query]:
    """Statements that were carried out in this database."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = _json_lines(file) if path.suffix == ".json" else _csv_lines(file)
        for number, line in enumerate(lines, start=1):
            told = _LOGGED.match(line["message"])
            at = parse_datetime(_ZONE.sub("+00:00", line["at"]))
            if told and at and line["database"] in ("", database):
                at = at if at.tzinfo else at.replace(tzinfo=UTC)
                yield Query(place=f"{path}:{number}", job="query log", text=told["text"], at=at)


def _csv_lines(file: Iterable[str]) -> Iterator[Mapping[str, str]]:
    usual = csv.field_size_limit(_LARGEST_SCRIPT)
    try:
        for row in csv.reader(file):
            if len(row) > _CSV["message"]:
                yield {name: row[place] for name, place in _CSV.items()}
    finally:
        csv.field_size_limit(usual)  # it is the process's, and tells broken files by it


def _json_lines(file: Iterable[str]) -> Iterator[Mapping[str, str]]:
    for line in file:
        plain: Any = json.loads(line) if line.strip() else None
        if isinstance(plain, dict):
            yield {name: str(plain.get(key, "")) for name, key in _JSON.items()}
