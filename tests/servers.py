"""The servers that tests talk to. Absent ones skip with a sentence; in the gate they fail."""

from __future__ import annotations

import os

import psycopg
import pymysql
import pytest


def absent(what: str) -> None:
    """Skip, or fail where the gate promised that the server is there."""
    if os.environ.get("CI_GATE"):
        pytest.fail(f"{what} is not reachable, and the gate needs it")
    pytest.skip(f"needs {what}")


def postgresql_server() -> str:
    """Address of a server without a database name, ``postgresql://user@host:port``."""
    server = os.environ.get("TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")
    try:
        psycopg.connect(server, dbname="postgres", connect_timeout=3).close()
    except psycopg.OperationalError:
        absent(f"PostgreSQL at {server.rpartition('@')[2]} (TEST_POSTGRESQL)")
    return server


def mariadb_server() -> str:
    """Address of a server without a database name, ``mysql://user@host:port``."""
    from tests.stores.mariadb import SERVER, connect

    try:
        connect(SERVER).close()
    except pymysql.err.OperationalError:
        absent("MariaDB at 127.0.0.1:3306 (LETHE_TEST_MARIADB)")
    return SERVER


def redis_server() -> str:
    """Address of a Redis database that tests may empty."""
    from redis import Redis
    from redis.exceptions import ConnectionError as Refused

    server = os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379/15")
    try:
        with Redis.from_url(server, socket_connect_timeout=3) as client:
            client.ping()
    except Refused:
        absent("Redis at 127.0.0.1:6379 (TEST_REDIS)")
    return server
