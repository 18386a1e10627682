"""Snapshots of the demo company: they see every loss of somebody else, and no erasure."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from erasure.demo.company import Company
from erasure.demo.snapshot import mentioned, snapshots
from erasure.domain.needles import Matcher
from tests.scenarios.company_cast import (
    build_company,
    erase_from_lake,
    rows,
    text_of,
    write,
)


@pytest.fixture
def own(tmp_path: Path) -> Company:
    """To be changed."""
    return build_company(tmp_path / "own")


def test_a_snapshot_does_not_see_the_leaver_go(own: Company) -> None:
    before = snapshots(own)
    leaver = own.leaver
    redact = Matcher(mentioned(leaver)).redact
    with closing(sqlite3.connect(own.database)) as connection:
        connection.create_function("redact", 1, lambda text: text and redact(text))
        connection.executescript(
            "UPDATE review SET reply_to = NULL WHERE reply_to IN (1, 4);"
            "DELETE FROM review WHERE customer_id = 42;"
            "DELETE FROM ticket_message WHERE author_id = 42;"
            "DELETE FROM order_line WHERE order_id IN"
            " (SELECT id FROM orders WHERE customer_id = 42);"
            "UPDATE orders SET customer_id = NULL, delivery_address_id = NULL, gift_message = NULL"
            " WHERE customer_id = 42;"
            "UPDATE ticket SET customer_id = NULL, subject = redact(subject)"
            " WHERE customer_id = 42;"
            "DELETE FROM customer WHERE id = 42;"
            "DELETE FROM address WHERE id = 401;"
            "UPDATE ticket_message SET body = redact(body);"
            "UPDATE review SET body = redact(body);"
            "UPDATE customer SET marketing_note = redact(marketing_note);"
        )
    for path in (p for p in own.logs.rglob("*") if p.is_file()):
        kept = _without(text_of(path).splitlines(keepends=True), leaver.email)
        content = redact("".join(kept)).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    erase_from_lake(own)
    assert rows(own.database, "PRAGMA foreign_key_check") == []
    assert snapshots(own) == before
    assert rows(own.database, "SELECT id FROM address WHERE id = 42")


def _without(lines: Iterable[str], email: str) -> list[str]:
    return [line for line in lines if not (line[0] == "{" and json.loads(line)["email"] == email)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE customer SET phone = NULL WHERE id = 43",
        "DELETE FROM ticket_message WHERE id = 3",
        "UPDATE ticket_message SET body = '' WHERE id = 4",
        "UPDATE ticket SET subject = '[erased]' WHERE id = 2",
        "UPDATE review SET customer_id = 44 WHERE id = 2",
        "UPDATE address SET street = '[erased]' WHERE id = 42",
        "UPDATE invoice SET billing_name = '' WHERE order_id = "
        "(SELECT min(id) FROM orders WHERE customer_id = 43)",
        "DELETE FROM order_line WHERE order_id = "
        "(SELECT min(id) FROM orders WHERE customer_id = 43)",
        "UPDATE product SET title = '' WHERE id = 1",
    ],
)
def test_a_snapshot_sees_what_somebody_else_loses(own: Company, statement: str) -> None:
    before = snapshots(own)
    write(own.database, statement)
    assert snapshots(own) != before


def test_a_snapshot_sees_a_lost_line_and_a_lost_lake_row(own: Company) -> None:
    before = snapshots(own)
    log = own.logs / "app" / "app.log"
    lines = text_of(log).splitlines(keepends=True)
    log.write_text("".join(line for line in lines if own.neighbour.email not in line))
    assert snapshots(own)["logs"] != before["logs"]
    path = next(iter(sorted(own.lake.iterdir())))
    pq.write_table(pq.ParquetFile(path).read().slice(1), path)
    assert snapshots(own)["lake"] != before["lake"]
