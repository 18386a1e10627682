"""The shop of ``tests.flow.cast``, fresh for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from erasure.stores import registry
from tests.flow.cast import MemoryShop, Shop, SqliteShop
from tests.flow.inbox import Inbox, free_port, mail_through, serving
from tests.flow.postgresql_shop import PostgresqlShop
from tests.flow.spied import KINDS, Spied
from tests.servers import postgresql_server


@pytest.fixture(autouse=True)
def spied_kinds() -> Iterator[None]:
    """The spying kinds are known while a test of this folder runs, and to no other."""
    for kind, path in KINDS.items():
        registry.register(kind, path)
    yield
    for kind in KINDS:
        registry._entries.pop(kind, None)


@pytest.fixture(params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path) -> Iterator[Shop]:
    """The shop with its catalogue, in memory and in SQLite files."""
    made = MemoryShop() if request.param == "memory" else SqliteShop(tmp_path)
    made.describe()
    yield made
    made.close()
    Spied.asked.clear()
    Spied.before.clear()


@pytest.fixture
def memory_shop(transactional_db: None) -> Iterator[MemoryShop]:
    """The shop in memory."""
    made = MemoryShop()
    made.describe()
    yield made
    made.close()
    Spied.asked.clear()
    Spied.before.clear()


@pytest.fixture
def sqlite_shop(transactional_db: None, tmp_path: Path) -> Iterator[SqliteShop]:
    """The shop in SQLite files: for what needs threads or a real database."""
    made = SqliteShop(tmp_path)
    made.describe()
    yield made
    Spied.asked.clear()
    Spied.before.clear()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def sql_shop(
    request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path
) -> Iterator[SqliteShop]:
    """The shop in SQLite files, and in databases of PostgreSQL."""
    sqlite = request.param == "sqlite"
    made = SqliteShop(tmp_path) if sqlite else PostgresqlShop(postgresql_server())
    made.describe()
    yield made
    made.close()
    Spied.asked.clear()
    Spied.before.clear()


@pytest.fixture
def inbox(settings: LazySettings) -> Iterator[Inbox]:
    """A mail server on this machine, and the settings that lead to it."""
    port = free_port()
    mail_through(settings, port)
    with serving(port, Inbox()) as kept:
        yield kept
