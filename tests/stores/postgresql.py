"""A scratch database on the PostgreSQL server, one per test session."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from tests.stores.sql_harness import SqlHarness

SERVER = os.environ.get("LETHE_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")


def scratch_database() -> Iterator[str]:
    """The url of a new database; dropped afterwards. Skips without a server, fails in the gate."""
    name = f"lethe_test_{os.getpid()}"
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=5)
    except psycopg.OperationalError:
        stop = pytest.fail if os.environ.get("CI_GATE") else pytest.skip
        stop("PostgreSQL does not answer at 127.0.0.1:5432")
    with server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {name}")
        yield f"{SERVER}/{name}"
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class PostgresqlHarness(SqlHarness):
    """Tables in the schema public of a scratch database."""

    placeholder = "%s"

    def __init__(self, url: str) -> None:
        self.url = url

    def execute(self, statement: str, *rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            answer: list[tuple[Any, ...]] = []
            for row in rows or [None]:
                cursor = connection.execute(statement, row)
                answer = cursor.fetchall() if cursor.description else []
            return answer

    def clear(self) -> None:
        self.execute("DROP SCHEMA IF EXISTS public CASCADE")
        self.execute("DROP SCHEMA IF EXISTS other CASCADE")
        self.execute("CREATE SCHEMA public")

    def columns(self, table: str) -> list[str]:
        statement = (
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "ORDER BY attnum"
        )
        return [name for (name,) in self.execute(statement, ['"' + table + '"'])]
