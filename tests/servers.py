"""The servers that tests talk to. Absent ones skip with a sentence; in the gate they fail.

Where PostgreSQL and MariaDB are installed, each test process starts one of its own at the first
test that asks, which does not wait for the disk: hundreds of databases are made and dropped.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pymysql
import pytest

from tests.processes import until_the_end
from tests.stores import mariadb_server as mariadb
from tests.stores import postgresql_server as postgresql


def absent(what: str) -> None:
    """Skip, or fail where the gate promised that the server is there."""
    if os.environ.get("CI_GATE"):
        pytest.fail(f"{what} is not reachable, and the gate needs it")
    pytest.skip(f"needs {what}")


@cache
def postgresql_server() -> str:
    """Address of a server without a database name, ``postgresql://user@host:port``."""
    if "TEST_POSTGRESQL" in os.environ:
        server = os.environ["TEST_POSTGRESQL"]
    elif postgresql.program("postgres"):
        return until_the_end(contextmanager(postgresql.own_server)()).address
    else:
        server = "postgresql://postgres@127.0.0.1:5432"
    try:
        psycopg.connect(server, dbname="postgres", connect_timeout=30).close()
    except psycopg.OperationalError:
        absent(f"PostgreSQL at {server.rpartition('@')[2]} (TEST_POSTGRESQL)")
    return server


@cache
def mariadb_server() -> str:
    """Address of a server without a database name, ``mysql://user@host:port``."""
    if "LETHE_TEST_MARIADB" in os.environ:
        server = os.environ["LETHE_TEST_MARIADB"]
    elif mariadb.program("mariadbd"):
        folder = tempfile.TemporaryDirectory(prefix="lethe-server-", ignore_cleanup_errors=True)
        own_server = contextmanager(mariadb.own_server)
        return until_the_end(own_server(Path(until_the_end(folder)), mariadb.ORDINARY)).address
    else:
        server = "mysql://root@127.0.0.1:3306"
    try:
        mariadb.connect(server).close()
    except pymysql.err.OperationalError:
        absent(f"MariaDB at {server.rpartition('@')[2]} (LETHE_TEST_MARIADB)")
    return server


def redis_server() -> str:
    """Address of a Redis database that tests may empty."""
    from redis import Redis
    from redis.exceptions import ConnectionError as Refused

    server = os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379/15")
    try:
        with Redis.from_url(server, socket_connect_timeout=30) as client:
            client.ping()
    except Refused:
        absent("Redis at 127.0.0.1:6379 (TEST_REDIS)")
    return server
