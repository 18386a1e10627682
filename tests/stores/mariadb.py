"""A scratch database on the MariaDB server, one per test session."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pymysql
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from erasure.stores.base import Receipt
from tests.servers import mariadb_server
from tests.stores.mariadb_server import connect
from tests.stores.sql_accepted_any import Kind
from tests.stores.sql_harness import SqlHarness, bytes_at, quoted


def scratch_database(purpose: str = "test") -> Iterator[str]:
    """The url of a new database; dropped afterwards. Skips without a server, fails in the gate."""
    server, name = mariadb_server(), f"lethe_{purpose}_{os.getpid()}"
    with connect(server) as administrator, administrator.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE DATABASE {name}")
        yield f"{server}/{name}"
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def moments(first: int, *, exact: bool = False) -> st.SearchStrategy[str]:
    """Moments from that year on, with or without a fraction of a second."""
    made = st.datetimes(datetime(first, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - as stored
    return made.map(lambda m: (m if exact else m.replace(microsecond=0)).isoformat(" "))


KINDS = [
    Kind("TINYINT", st.integers(-128, 127)),
    Kind("TINYINT UNSIGNED", st.integers(0, 255)),
    Kind("MEDIUMINT", st.integers(-(2**23), 2**23 - 1)),
    Kind("INT UNSIGNED", st.integers(0, 2**32 - 1)),
    Kind("BIGINT UNSIGNED", st.integers(0, 2**63 - 1)),
    Kind("DECIMAL(8,2) UNSIGNED", st.integers(0, 999).map(lambda n: n / 4)),
    Kind("FLOAT", st.integers(-999, 999).map(lambda n: n / 8), ordered=False),
    Kind("YEAR", st.integers(1901, 2155)),
    Kind("DATETIME", moments(1000)),
    Kind("DATETIME(6)", moments(1000, exact=True)),
    Kind("TIME", st.times().map(lambda t: t.replace(microsecond=0).isoformat())),
    Kind("ENUM('glad','sad','it''s')", st.sampled_from(["glad", "sad"]), ordered=False),
    Kind("SET('a','b','c')", st.sampled_from(["a", "a,c"]), ordered=False),
    Kind("INET6", st.sampled_from(["2001:db8:7::1", "::1"]), ordered=False),
    Kind("INET4", st.sampled_from(["192.0.2.1", "127.0.0.1"]), ordered=False),
    Kind("UUID", st.uuids(version=4).map(str), wide=True, ordered=False),
    Kind("BINARY(16)", st.binary(min_size=16, max_size=16), wide=True, ordered=False),
    Kind("VARBINARY(9)", st.binary(min_size=8, max_size=9), wide=True, ordered=False),
    Kind("BLOB", st.binary(min_size=9, max_size=20), wide=True, ordered=False),
    Kind("BIT(5)", st.integers(1, 31), ordered=False),
    Kind("JSON", st.sampled_from(['{"a": 1}', "[1]"]), ordered=False),
    Kind("TINYTEXT", st.text("ABCabc", min_size=5), wide=True, ordered=False),
]


class MariadbHarness(SqlHarness):
    """Tables in a scratch database, with the server's own collation, which ignores case."""

    placeholder = "%s"
    blob = "LONGBLOB"
    serial = "INTEGER AUTO_INCREMENT"
    kinds = KINDS
    matches = "REGEXP"
    folds = True
    defers = False
    versioned = False
    longest = 700

    def takes(self, name: str) -> bool:
        return all(ord(letter) < 0x10000 for letter in name) and len(name) <= 64

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = str(make_url(url).database)
        self._connection = connect(url)

    def execute(self, statement: str, *rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        self._connection.begin()
        with self._connection.cursor() as cursor:
            for row in rows or [None]:
                cursor.execute(statement, row)
            answer = list(cursor.fetchall())
        self._connection.commit()
        return answer

    def clear(self) -> None:
        self.execute("SET foreign_key_checks = 0")
        self.execute(f"CREATE OR REPLACE DATABASE {self.database}")
        self.execute("SET foreign_key_checks = 1")
        self.execute(f"USE {self.database}")

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()

    def add_foreign_key(self, table: str, column: str, target: str, on_delete: str) -> None:
        self.execute(
            f'ALTER TABLE "{table}" ADD FOREIGN KEY ("{column}") REFERENCES "{target}" (id) '
            f"ON DELETE {on_delete}"
        )

    def add_trigger(self, table: str) -> None:
        self.execute(f'CREATE TRIGGER watch BEFORE UPDATE ON "{table}" FOR EACH ROW SET @seen = 1')

    def folding(self) -> str:
        return "VARCHAR(40)"

    def analyse(self, table: str) -> None:
        self.execute(f"ANALYZE TABLE {quoted(table)}")

    def raw(self, table: str) -> bytes:
        self.execute(f"FLUSH TABLES {quoted(table)} FOR EXPORT")  # the file is the table now
        in_file = "SELECT @@datadir, CAST(CONVERT(%s USING filename) AS BINARY)"
        ((folder, name),) = self.execute(in_file, [table])
        raw = bytes_at([Path(folder, self.database, f"{name.decode()}.ibd")])
        self.execute("UNLOCK TABLES")
        return raw

    def columns(self, table: str) -> list[str]:
        return [row[0] for row in self.execute(f"SHOW COLUMNS FROM {quoted(table)}")]


def waiting_for_a_lock(harness: MariadbHarness, acting: Future[list[Receipt]]) -> int:
    """The connection that waits, once it does."""
    waits = (
        "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX "
        "WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id IN "
        "(SELECT id FROM information_schema.PROCESSLIST WHERE db = DATABASE())"
    )
    deadline = monotonic() + 60
    while not (found := harness.execute(waits)) and not acting.done() and monotonic() < deadline:
        sleep(0.2)  # the server looks again only after a pause
    assert found, "it must wait"
    return int(found[0][0])


def cut_off(harness: MariadbHarness, acting: Future[list[Receipt]]) -> None:
    """End the connection that waits. The server may miss a word that comes as the wait begins:
    then it is said again, until nobody of that number is left."""
    waiting, deadline = waiting_for_a_lock(harness, acting), monotonic() + 60
    with suppress(pymysql.err.OperationalError):
        while not acting.done() and monotonic() < deadline:
            harness.execute(f"KILL {waiting}")
            sleep(0.2)
