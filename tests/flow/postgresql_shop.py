"""The shop of ``tests.flow.cast`` on a PostgreSQL server, a scratch database per store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.flow.cast import ROWS, Row, SqliteShop, _create


class PostgresqlShop(SqliteShop):
    """Databases are made and dropped on ``server``, an address without a database name."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.names = {store: f"lethe_flow_{os.getpid()}_{store}" for store in ROWS}
        for store, tables in ROWS.items():
            self._drop(store)
            self._on("postgres", f"CREATE DATABASE {self.names[store]}")
            for name, rows in tables.items():
                self.create(name, rows, store)

    def urls(self) -> dict[str, str]:
        return {
            place: f"{self.server}/{self.names[store]}"
            for place, store in (("SHOP", "shop_db"), ("CRM", "crm_db"))
        }

    def rows(self, table: str, store: str = "shop_db") -> list[Row]:
        with psycopg.connect(f"{self.server}/{self.names[store]}", row_factory=dict_row) as known:
            return known.execute(f"select * from {table} order by id").fetchall()

    def create(self, table: str, rows: Sequence[Row], store: str = "shop_db") -> None:
        """All rows in one statement: they may refer to each other."""
        self.execute(store, _create(table, rows))
        places = ", ".join(["%s"] * len(rows[0]))
        every = ", ".join([f"({places})"] * len(rows))
        values = [value for row in rows for value in row.values()]
        self.execute(store, f"INSERT INTO {table} VALUES {every}", values)

    def execute(self, store: str, statement: str, values: Sequence[Any] = ()) -> None:
        self._on(self.names[store], statement.replace("?", "%s"), values)

    def close(self) -> None:
        for store in ROWS:
            self._drop(store)

    def _drop(self, store: str) -> None:
        self._on("postgres", f"DROP DATABASE IF EXISTS {self.names[store]} WITH (FORCE)")

    def _on(self, database: str, statement: str, values: Sequence[Any] = ()) -> None:
        with psycopg.connect(f"{self.server}/{database}", autocommit=True) as connection:
            connection.execute(statement, values or None)
