"""The SQL store on SQLite: the conformance suite, and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.stores.company import RowHarness
from tests.stores.row_conformance import RowConformance
from tests.stores.sql_harness import SqlHarness


class SqliteHarness(SqlHarness):
    placeholder = "?"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "the shop?.db"
        self.url = f"sqlite:///{self.path}".replace("?", "%3F")
        self.path.touch()

    def execute(self, statement: str, *rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = ON")
            answer: list[tuple[Any, ...]] = []
            for row in rows or [()]:
                answer = connection.execute(statement, row).fetchall()
            return answer

    def clear(self) -> None:
        self.path.write_bytes(b"")

    def columns(self, table: str) -> list[str]:
        return [name for (name,) in self.execute("SELECT name FROM pragma_table_xinfo(?)", [table])]


@pytest.fixture
def harness(tmp_path: Path) -> SqliteHarness:
    return SqliteHarness(tmp_path)


class TestSqlite(RowConformance):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> RowHarness:
        return SqliteHarness(tmp_path)
