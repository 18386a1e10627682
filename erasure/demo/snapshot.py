"""Everything in the demo company that is not the leaver's: taken before and after, the two must be
equal. The texts of others that mention the leaver are compared with the mention left out."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from typing import Any

import pyarrow.parquet as pq

from erasure.demo.company import MODEL, Company
from erasure.demo.people import Person
from erasure.domain.needles import Matcher, Needle, full_names
from erasure.stores.model_registry.folder import ModelFolder
from erasure.stores.model_registry.manifest import Hasher

_FREE_TEXT = {"marketing_note", "subject", "body"}


def snapshots(company: Company) -> dict[str, Any]:
    """By store, then by table or file: every row, line or member but the leaver's."""
    mentions = Matcher(mentioned(company.leaver))
    return {
        "shop": _shop(company, mentions),
        "lake": _lake(company),
        "logs": _logs(company, mentions),
        "models": _model(company),
        "backups": {p.name: p.stat().st_size for p in sorted(company.backup.parent.iterdir())},
    }


def mentioned(person: Person) -> list[Needle]:
    """What others write of a person: the name in both orders, the address of their mailbox."""
    names = {"first": [person.first_name], "last": [person.last_name], "full": []}
    return [Needle(text=person.email, category="email"), *full_names(names)]


def _shop(company: Company, mentions: Matcher) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(f"file:{company.database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        listed = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1"
        )
        tables = [row[0] for row in listed if not row[0].startswith("sqlite_")]
        return {table: _rows(connection, table, company, mentions) for table in tables}


def _rows(
    connection: sqlite3.Connection, table: str, company: Company, mentions: Matcher
) -> list[dict[str, Any]]:
    key = "order_id, line_no" if table == "order_line" else "id"
    name = "orders" if table == "order_line" else table
    mine = frozenset(company.mine.get(name, ()))
    rows = connection.execute(f"SELECT * FROM {table} ORDER BY {key}")  # noqa: S608 - our tables
    owner = "order_id" if table == "order_line" else "id"
    return [_row(dict(r), company, mentions) for r in rows if r[owner] not in mine]


def _row(row: dict[str, Any], company: Company, mentions: Matcher) -> dict[str, Any]:
    for name in _FREE_TEXT & row.keys():
        if row[name] is not None:
            row[name] = mentions.redact(row[name])
    if row.get("reply_to") in company.mine["review"]:
        row["reply_to"] = None
    return row


def _lake(company: Company) -> dict[str, list[dict[str, Any]]]:
    return {
        path.name: [r for r in _parquet(path) if r["customer_id"] != company.leaver.id]
        for path in sorted(company.lake.iterdir())
    }


def _parquet(path: Any) -> list[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        rows: list[dict[str, Any]] = file.read().to_pylist()
        return rows


def _logs(company: Company, mentions: Matcher) -> dict[str, list[str]]:
    found = {}
    for path in sorted(p for p in company.logs.rglob("*") if p.is_file()):
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            lines = [line for line in file if not _is_leavers(line, company.leaver)]
        found[path.name] = [mentions.redact(line) for line in lines]
    return found


def _is_leavers(line: str, leaver: Person) -> bool:
    if not line.startswith("{"):
        # a line of text about nobody else
        return line.rstrip().endswith((leaver.email, "sent to [erased]"))
    plain: dict[str, Any] = json.loads(line)
    return bool(leaver.id == plain["customer_id"] or leaver.email == plain["email"])


def _model(company: Company) -> dict[str, int]:
    """People and row counts of the current version."""
    folder = ModelFolder(company.models, MODEL, "models")
    found = folder.manifest(str(folder.current()))
    leaver = Hasher(company.hash_key, MODEL)(company.leaver.id)
    return {person: rows for person, rows in found.people.items() if person != leaver}
