"""Databases of made-up companies, and what is found in them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from erasure.management.commands.discover_lineage import find
from erasure.stores.sql import SqlStore
from lineage.importers.discovery import Findings
from tests.discovery.strangers import Company
from tests.servers import postgresql_server

Make = Callable[[Company], str]


def statements(company: Company, placeholder: str) -> Iterator[tuple[str, list[Any]]]:
    """What makes each table, and what fills it with its rows."""
    for table, columns in company.tables.items():
        yield f"create table {table} ({columns})", []
        rows = list(company.rows[table])
        places = ", ".join([placeholder] * len(rows[0]))
        yield f"insert into {table} values ({places})", rows


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Make:
    def make(company: Company) -> str:
        path = tmp_path / f"{uuid4().hex}.sqlite"
        with closing(sqlite3.connect(path)) as database, database:
            for statement, rows in statements(company, "?"):
                database.executemany(statement, rows or [()])
        return f"sqlite:///{path}"

    return make


@pytest.fixture
def empty_postgresql() -> Iterator[str]:
    """The url of a new database; dropped afterwards."""
    server = postgresql_server()
    name = f"lethe_discovery_{os.getpid()}_{uuid4().hex[:6]}"
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield f"{server}/{name}"
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def on_postgresql(empty_postgresql: str) -> Make:
    def make(company: Company) -> str:
        with psycopg.connect(empty_postgresql) as connection, connection.cursor() as cursor:
            for statement, rows in statements(company, "%s"):
                cursor.executemany(statement, rows or [()])
        return empty_postgresql

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a database of a company on either kind of server, and returns its url."""
    made: Make = request.getfixturevalue(f"on_{request.param}")
    return made


def findings(url: str, rows: int = 200, **options: Any) -> Findings:
    """What the command finds behind a url."""
    store = SqlStore(name="shop", url=url, options=options)
    try:
        return find(store, rows, lambda _: None)
    finally:
        store.close()
