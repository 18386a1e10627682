"""Opening a database: addresses, options, and what every connection is told first."""

from __future__ import annotations

import math
import os
import re
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from operator import methodcaller
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError
from sqlalchemy.pool import NullPool, QueuePool

from erasure.domain.errors import DriverMissing, StoreError, StoreUnreachable
from erasure.stores.sql import moments
from erasure.stores.sql.kinds import Bpchar, Xml
from lineage.errors import suggestion

OPTIONS = frozenset(
    {"schema", "lock_timeout", "statement_timeout", "purge", "refresh", "max_concurrent", "rescan"}
)
Purge = Literal["none", "vacuum", "vacuum_full"]
PURGES: tuple[Purge, ...] = ("none", "vacuum", "vacuum_full")
RESCANS = ("inline", "scheduled")
LOCK_TIMEOUT = 10.0
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_EXTRAS = {"mysql": "mysql", "mariadb": "mysql"}
_MYSQL = ("mysql", "mariadb")
# Set before anything else is asked of the server: nothing is cut or replaced without an error,
# and quotes and backslashes mean one thing whatever the server's own mode is.
_MYSQL_SESSION = {
    "charset": "utf8mb4",
    "sql_mode": "STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION",
}
# What a server may have set otherwise for everybody: references that do not act, answers that end
# early, a question for NULL that finds the latest row, and rows as they were once (MariaDB from
# 10.3).
_WHOLE = (
    "SET SESSION foreign_key_checks = 1, unique_checks = 1, sql_auto_is_null = 0, "
    "sql_safe_updates = 0, sql_select_limit = 18446744073709551615"
)
_OF_NOW = "SET SESSION system_versioning_asof = DEFAULT, check_constraint_checks = 1"
# A commit that a crash of the server takes back would have been called done.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'"
)
# Only a superuser may take it back; for others whoever has set it must.
_ACTING = """
SELECT CASE WHEN current_setting('session_replication_role') = 'origin' THEN true
  WHEN rolsuper THEN set_config('session_replication_role', 'origin', false) = 'origin'
  ELSE false END
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
# As long as MariaDB and MySQL can be told to wait for a table: a year.
_LONGEST = 31_536_000
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}
# An execution option: this connection will write, so take the lock at once (SQLite).
WRITING = "lethe_writing"
# This connection only reads: on PostgreSQL each statement by itself, outside a transaction.
READING = "lethe_reading"
# A statement may only take so long.
LIMITED = "lethe_limited"
# A text of SQLite's may be any bytes: what is no UTF-8 is read as half surrogates, which can be
# written again as it was.
_READ = methodcaller("decode", "utf-8", "surrogateescape")
# A connection that was used so many seconds ago is asked whether it still leads anywhere.
IDLE = 5.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a store of kind ``sql``, checked; times in seconds, 0 for no limit. ``refresh``:
    materialised views that are built anew after rows were deleted, in this order."""

    schema: str | None = None
    lock_timeout: float = LOCK_TIMEOUT
    statement_timeout: float = 0.0
    purge: Purge = "vacuum"
    refresh: tuple[str, ...] = ()
    rescan: str | None = None


def read_options(place: str, given: Mapping[str, Any]) -> Options:
    """Check the options of a store. Raises StoreError naming the option."""
    for name in given:
        if name not in OPTIONS:
            raise StoreError(place, f"unknown option '{name}'; {suggestion(name, OPTIONS)}")
    _one_of(place, "purge", given.get("purge", "vacuum"), PURGES)
    _one_of(place, "rescan", given.get("rescan", RESCANS[0]), RESCANS)
    return Options(
        schema=given.get("schema"),
        lock_timeout=_seconds(place, "lock_timeout", given.get("lock_timeout", LOCK_TIMEOUT)),
        statement_timeout=_seconds(place, "statement_timeout", given.get("statement_timeout", 0)),
        purge=given.get("purge", "vacuum"),
        refresh=_names(place, "refresh", given.get("refresh", ())),
        rescan=given.get("rescan"),
    )


def _one_of(place: str, name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise StoreError(place, f"option '{name}' must be one of: {', '.join(allowed)}")


def _names(place: str, name: str, value: object) -> tuple[str, ...]:
    listed = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str) and one for one in listed):
        raise StoreError(place, f"option '{name}' must be a list of names")
    return tuple(map(str, listed))


def _seconds(place: str, name: str, value: object) -> float:
    """A number of seconds, or a number with ``ms``, ``s`` or ``min``."""
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise StoreError(place, f"option '{name}' must be seconds, or like 500ms, 5s, 2min")
    return float(match[1]) * _SECONDS[match[2] or "s"]


ENGINES = 32
_Known = tuple[int, str, str, Options, bool]
_engines: dict[_Known, sa.Engine] = {}
_opening = threading.Lock()


def engine_of(name: str, url: str, options: Options, *, pooled: bool = True) -> sa.Engine:
    """The engine of that address, kept for the process: a worker compiles a statement once and
    finds its connection open. Raises as :func:`make_engine`."""
    known = (os.getpid(), name, url, options, pooled)  # a forked child never shares a connection
    with _opening:
        engine = _engines.pop(known, None) or make_engine(name, url, options, pooled=pooled)
        _engines[known] = engine  # the latest used stands last
        if len(_engines) > ENGINES:
            _engines.pop(next(iter(_engines))).dispose()
    return engine


def release(engine: sa.Engine) -> None:
    """Done with it for now. A file may be replaced by its backup, so no handle to it is kept; a
    server's connection stays open for the next time."""
    if engine.dialect.name == "sqlite":
        engine.dispose()


@lru_cache(maxsize=ENGINES)
def reading(engine: sa.Engine) -> sa.Engine:
    """The engine for what only reads, which needs no transaction: every statement sees what is
    committed (READ COMMITTED), and beginning and ending one took two messages more than the
    statement itself."""
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT", **{READING: True})


@lru_cache(maxsize=ENGINES)
def writing(engine: sa.Engine) -> sa.Engine:
    """The engine for what will write, and takes its lock at once."""
    return engine.execution_options(**{WRITING: True})


class Reader:
    """What a store reads by. Questions follow each other closely, and to take a connection out of
    the pool and put it back costs as much as a short one: it is kept from one to the next, unless
    that is asked while an answer is still open, or much later."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = reading(engine)
        self._keeps = self._engine is not engine  # elsewhere it would keep a transaction open
        self._kept: list[tuple[sa.Connection, float]] = []

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection from :func:`reading`."""
        connection = self._take()
        try:
            yield connection
        except BaseException:  # whatever has ended it: an answer read in part is not kept open
            connection.close()
            raise
        if self._kept or not self._keeps:
            connection.close()
        else:
            self._kept.append((connection, time.monotonic()))

    def _take(self) -> sa.Connection:
        if self._kept:
            connection, used = self._kept.pop()
            if time.monotonic() - used <= IDLE:
                return connection
            connection.close()
        return self._engine.connect()

    def release(self) -> None:
        """Give back what is kept."""
        if self._kept:
            self._kept.pop()[0].close()


def is_reading(connection: sa.Connection) -> bool:
    """Whether it came from :func:`reading` and is in no transaction."""
    return bool(connection.get_execution_options().get(READING))


def is_limited(connection: sa.Connection) -> bool:
    """Whether a statement of it may only take so long."""
    return bool(connection.get_execution_options().get(LIMITED))


def make_engine(name: str, url: str, options: Options, *, pooled: bool = True) -> sa.Engine:
    """An engine that connects lazily. Raises StoreError for an address it cannot read, and
    DriverMissing."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(name, "cannot read its url; write it as driver://…") from None
    kind = parsed.get_backend_name()
    if kind in _MYSQL and not parsed.database:
        raise StoreError(name, f"its url must name a database: {kind}://user@host:port/database")
    settings: dict[str, Any] = {"hide_parameters": True, "poolclass": NullPool}
    if pooled:
        # A thread uses one connection at a time, and a second beside a generator still open. No
        # thread waits for another's: those may be waiting, too.
        settings |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": -1}
    if kind == "sqlite":
        return _sqlite_engine(name, parsed, options, settings)
    try:
        engine = sa.create_engine(
            parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername)),
            isolation_level="READ COMMITTED",
            pool_pre_ping=pooled and kind != "postgresql",
            connect_args=_connecting(kind),
            execution_options={LIMITED: bool(options.statement_timeout)},
            **settings,
        )
    except NoSuchModuleError:
        raise StoreError(
            name, f"no dialect for '{kind}'; use sqlite, postgresql, mariadb, mysql"
        ) from None
    except ImportError:
        raise DriverMissing(name, _EXTRAS.get(kind, kind)) from None
    if kind == "postgresql":
        # Built-in types that SQLAlchemy does not know by name.
        dialect: Any = engine.dialect
        dialect.ischema_names = {**dialect.ischema_names, "bpchar": Bpchar, "xml": Xml}
        event.listen(engine, "checkout", _alive(dialect))
        event.listen(engine, "checkin", _used)
    event.listen(engine, "connect", _session(name, kind, options))
    return engine


def _connecting(kind: str) -> dict[str, Any]:
    if kind == "postgresql":
        # A prepared statement outlives what it was prepared for: a table that is altered, or a
        # database that is restored, while a worker runs.
        return {"prepare_threshold": None}
    return _MYSQL_SESSION if kind in _MYSQL else {}


def _alive(dialect: Any) -> Callable[[Any, Any, Any], None]:
    """A connection out of the pool still leads to its server. One that was closed can be read from
    (its end); only then, or after a while, is the server asked, which costs a message."""

    def test(connection: Any, record: Any, _fairy: Any) -> None:
        used = record.info.get("used")
        if used is None:
            return  # just opened
        try:
            poll = select.poll()
            poll.register(connection.fileno(), select.POLLIN)
            if poll.poll(0) or time.monotonic() - used > IDLE:
                dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error:
            raise DisconnectionError from None

    return test


def _used(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _session(name: str, kind: str, options: Options) -> Callable[[Any, Any], None]:
    """What a server is told on every new connection: how long to wait, to hide nothing, and to
    leave nothing out."""

    def tell(connection: Any, _record: Any) -> None:
        if kind == "postgresql":
            moments.read_all(connection)
        cursor = connection.cursor()
        for text in _told(kind, connection, options):
            cursor.execute(text)
        if kind == "postgresql" and not cursor.execute(_ACTING).fetchone()[0]:
            raise StoreError(
                name,
                "session_replication_role is not origin for its user, so that no reference and no "
                "trigger acts; ALTER ROLE … SET session_replication_role = origin",
            )
        cursor.close()
        connection.commit()

    return tell


def _told(kind: str, connection: Any, options: Options) -> list[str]:
    lock, statement = options.lock_timeout, options.statement_timeout
    if kind == "postgresql":
        return [
            f"SET lock_timeout = {int(lock * 1000)}",
            f"SET statement_timeout = {int(statement * 1000)}",
            # Rows that a policy hides would be taken for rows that are not there: refuse instead.
            "SET row_security = off",
            _DURABLE,
        ]
    if kind not in _MYSQL:
        return []
    seconds = min(math.ceil(lock) or _LONGEST, _LONGEST)
    told = [
        f"SET SESSION innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}",
        _WHOLE,
    ]
    mariadb = "MariaDB" in connection.get_server_info()
    if mariadb:
        told.append(_OF_NOW)
    if not statement:
        return told
    if mariadb:
        return [*told, f"SET SESSION max_statement_time = {statement}"]
    # MySQL can limit what reads only.
    return [*told, f"SET SESSION max_execution_time = {math.ceil(statement * 1000)}"]


def _sqlite_engine(name: str, url: URL, options: Options, settings: Mapping[str, Any]) -> sa.Engine:
    path = Path(url.database or "")
    if not path.is_absolute():
        raise StoreError(name, "its url must hold an absolute path: sqlite:////abs/path")

    def connect() -> sqlite3.Connection:
        if not path.is_file():
            raise StoreUnreachable(name, "the database file is not there; correct the store's url")
        # mode=rw: never create an empty database in place of a missing one.
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=options.lock_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = _READ
        # Foreign keys are off and deleted bytes stay unless asked otherwise (RESIDUE.md).
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, **settings)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    """The driver begins nothing by itself; a writer takes its lock first, or two may deadlock."""
    writing = connection.get_execution_options().get(WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
