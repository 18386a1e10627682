"""A scratch database on the PostgreSQL server, one per test session."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.stores.sql_harness import SqlHarness, bytes_at, quoted

SERVER = os.environ.get("TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")


def scratch_database(purpose: str = "test") -> Iterator[str]:
    """The url of a new database; dropped afterwards. Skips without a server, fails in the gate."""
    name = f"lethe_{purpose}_{os.getpid()}"
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
    blob = "BYTEA"

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg.connect(url, autocommit=True)

    def execute(self, statement: str, *rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        answer: list[tuple[Any, ...]] = []
        with self._connection.transaction():
            for row in rows or [None]:
                cursor = self._connection.execute(statement, row)
                answer = cursor.fetchall() if cursor.description else []
        return answer

    def script(self, statements: Sequence[str]) -> None:
        self.execute(";".join(statements))

    def clear(self) -> None:
        self.execute("DROP SCHEMA IF EXISTS public, other CASCADE; CREATE SCHEMA public;")

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()

    def add_foreign_key(self, table: str, column: str, target: str, on_delete: str) -> None:
        self.execute(
            f'ALTER TABLE "{table}" ADD FOREIGN KEY ("{column}") REFERENCES "{target}" (id) '
            f"ON DELETE {on_delete}"
        )

    def add_trigger(self, table: str) -> None:
        self.execute(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        )
        self.execute(
            f'CREATE TRIGGER watch BEFORE UPDATE ON "{table}" '
            "FOR EACH ROW EXECUTE FUNCTION nothing()"
        )

    def folding(self) -> str:
        self.execute(
            "CREATE COLLATION IF NOT EXISTS folding "
            "(provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
        )
        return "VARCHAR(40) COLLATE folding"

    def raw(self, table: str) -> bytes:
        self.execute("CHECKPOINT")
        relations = (
            "SELECT pg_relation_filepath(c.oid) FROM pg_class c, pg_class t "
            "WHERE t.oid = %s::regclass AND (c.oid IN (t.oid, t.reltoastrelid) OR c.oid IN "
            "(SELECT indexrelid FROM pg_index WHERE indrelid IN (t.oid, t.reltoastrelid)))"
        )
        ((folder,),) = self.execute("SHOW data_directory")
        return bytes_at(Path(folder, p) for (p,) in self.execute(relations, [quoted(table)]))

    def columns(self, table: str) -> list[str]:
        statement = (
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "AND NOT attisdropped ORDER BY attnum"
        )
        return [name for (name,) in self.execute(statement, [quoted(table)])]
