"""The shop of ``tests.flow.cast`` on a MariaDB server, a scratch database per store."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from pymysql.cursors import DictCursor

from tests.flow.cast import ROWS, Row, SqliteShop, _create
from tests.stores.mariadb_server import connect


class MariadbShop(SqliteShop):
    """Databases are made and dropped on ``server``, an address without a database name."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.names = {store: f"lethe_flow_{os.getpid()}_{store}" for store in ROWS}
        for store, tables in ROWS.items():
            self._on("", f"CREATE OR REPLACE DATABASE {self.names[store]} CHARACTER SET utf8mb4")
            for name, rows in tables.items():
                self.create(name, rows, store)

    def urls(self) -> dict[str, str]:
        return {
            place: f"{self.server}/{self.names[store]}"
            for place, store in (("SHOP", "shop_db"), ("CRM", "crm_db"))
        }

    def rows(self, table: str, store: str = "shop_db") -> list[Row]:
        with closing(connect(f"{self.server}/{self.names[store]}")) as known:
            cursor = known.cursor(DictCursor)
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            return list(cursor.fetchall())

    def create(self, table: str, rows: Sequence[Row], store: str = "shop_db") -> None:
        """All rows in one statement: they may refer to each other."""
        named = re.sub(r"REFERENCES (\w+)", r"REFERENCES \1 (id)", _create(table, rows))
        self.execute(store, named)
        for row in rows:
            self.insert(table, row, store)

    def execute(self, store: str, statement: str, values: Sequence[Any] = ()) -> None:
        self._on(self.names[store], statement.replace("?", "%s"), values)

    def close(self) -> None:
        for store in ROWS:
            self._on("", f"DROP DATABASE IF EXISTS {self.names[store]}")

    def _on(self, database: str, statement: str, values: Sequence[Any] = ()) -> None:
        with closing(connect(f"{self.server}/{database}")) as connection:
            cursor = connection.cursor()
            # Employees refer to each other, and a database goes with tables that do.
            cursor.execute("SET foreign_key_checks = %s", [self._checks(statement)])
            cursor.execute(statement, list(values) or None)

    @staticmethod
    def _checks(statement: str) -> bool:
        return "DATABASE" not in statement and "INTO employee" not in statement
