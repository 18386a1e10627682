"""Customers of TPC-H erased on MariaDB, whose comments are free text in which others mention them,
against one hand-written transaction that deletes the same rows and redacts the same comments, in
the same run. Prints ratios; asserts no time."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pymysql
import pytest
from django.core.management import call_command
from sqlalchemy.engine import make_url

from tests.benchmarks import tpch
from tests.benchmarks.test_tpch_ratio import CATALOGUE, ROUNDS, by_lethe
from tests.stores.mariadb import scratch_database
from tests.stores.mariadb_server import connect

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.mariadb,
    pytest.mark.django_db(transaction=True),
]
SCALE = os.environ.get("BENCHMARK_TPCH_SCALE", "0.01")
KEYS = (
    "ALTER TABLE orders ADD FOREIGN KEY (o_custkey) REFERENCES customer (c_custkey)",
    "ALTER TABLE lineitem ADD FOREIGN KEY (l_orderkey) REFERENCES orders (o_orderkey)",
    "ANALYZE TABLE customer, orders, lineitem",
)
# Others write in an order of theirs where a customer can be called.
MENTION = "met somebody who is called under %s at the door"
COMMENT = "{name: c_comment, data_categories: [user.content], erasure: {free_text: true}}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for url in scratch_database("tpch"):
        load(url, tmp_path_factory.mktemp("tpch"))
        yield url


def load(url: str, folder: Path) -> None:
    """Tables, rows, keys and statistics."""
    address = make_url(url)
    with closing(
        pymysql.connect(
            host=address.host, port=address.port or 3306, user=address.username,
            database=address.database, autocommit=True, local_infile=True,
        )
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        for table, columns in tpch.TABLES.items():
            cursor.execute(f"CREATE TABLE {table} ({columns})")
            path = tpch.generated(folder, table, SCALE)
            cursor.execute(
                f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} FIELDS TERMINATED BY ',' "
                "OPTIONALLY ENCLOSED BY '\"' IGNORE 1 LINES"
            )
            path.unlink()
        for statement in KEYS:
            cursor.execute(statement)


class Customers:
    """Those who have orders and whom somebody else's order mentions; each handed out once."""

    def __init__(self, cursor: pymysql.cursors.Cursor) -> None:
        self.cursor = cursor

    def take(self, count: int) -> dict[int, str]:
        """The next ones with their telephones; what was handed out has its rows deleted
        afterwards."""
        self.cursor.execute(
            "SELECT c_custkey, c_phone FROM customer WHERE c_custkey IN (SELECT o_custkey FROM "
            "orders) ORDER BY md5(c_custkey) LIMIT %s",
            (2 * count,),
        )
        rows = self.cursor.fetchall()
        people, strangers = dict(rows[:count]), rows[count:]
        for phone, (stranger, _) in zip(people.values(), strangers, strict=True):
            self.cursor.execute(
                "UPDATE orders SET o_comment = %s WHERE o_custkey = %s LIMIT 1",
                (MENTION % phone, stranger),
            )
        return people

    def rest(self, people: Collection[int]) -> tuple[tuple[object, ...], ...]:
        """How much everybody else has, and what is written in it but for the mentions."""
        told = []
        for statement in (
            "SELECT count(*), sum(crc32(c_comment)) FROM customer WHERE c_custkey NOT IN %s",
            "SELECT count(*), sum(crc32(if(o_comment LIKE 'met %%', '', o_comment))) "
            "FROM orders WHERE o_custkey NOT IN %s",
            "SELECT count(*), sum(crc32(l_comment)) FROM lineitem "
            "JOIN orders ON o_orderkey = l_orderkey WHERE o_custkey NOT IN %s",
        ):
            self.cursor.execute(statement, (list(people),))
            told += self.cursor.fetchall()
        return tuple(told)

    def left(self, people: Mapping[int, str]) -> int:
        """Rows of these people, and comments that name them."""
        self.cursor.execute(
            "SELECT (SELECT count(*) FROM customer WHERE c_custkey IN %(people)s) + "
            "(SELECT count(*) FROM orders WHERE o_custkey IN %(people)s) + "
            "(SELECT count(*) FROM orders WHERE o_comment IN %(mentions)s)",
            {"people": list(people), "mentions": [MENTION % p for p in people.values()]},
        )
        ((count,),) = self.cursor.fetchall()
        return int(count)


def by_hand(url: str, people: Mapping[int, str]) -> float:
    """Seconds of what somebody who knows this schema would write."""
    keys, phones = list(people), "|".join(people.values())
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute("BEGIN")
        cursor.execute(
            "DELETE lineitem FROM lineitem JOIN orders ON o_orderkey = l_orderkey "
            "WHERE o_custkey IN %s",
            (keys,),
        )
        cursor.execute("DELETE FROM orders WHERE o_custkey IN %s", (keys,))
        cursor.execute("DELETE FROM customer WHERE c_custkey IN %s", (keys,))
        for table, column in (("customer", "c_comment"), ("orders", "o_comment"),
                              ("lineitem", "l_comment")):  # fmt: skip
            cursor.execute(
                f"UPDATE {table} SET {column} = regexp_replace({column}, %s, '[erased]') "
                f"WHERE {column} REGEXP %s",
                (phones, phones),
            )
        cursor.execute("COMMIT")
        return time.perf_counter() - started


@pytest.mark.parametrize("count", [1, 50, pytest.param(1000, marks=pytest.mark.nightly)])
@pytest.mark.timeout(1800)
def test_customers_and_what_others_wrote_of_them(
    count: int, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("TPCH_URL", url)
    call_command("import_lineage", str(with_comments(tmp_path)), verbosity=0)
    ratios = []
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        customers = Customers(cursor)
        for _ in range(ROUNDS):
            people = customers.take(count)
            before = customers.rest(people)
            ours = by_lethe(list(people))
            assert customers.left(people) == 0
            assert customers.rest(people) == before
            others = customers.take(count)
            hand = by_hand(url, others)
            assert customers.left(others) == 0
            ratios.append((ours / hand, ours))
    middle = statistics.median(ratio for ratio, _ in ratios)
    with capsys.disabled():
        spread = f"from {min(ratios)[0]:.2f} to {max(ratios)[0]:.2f}"
        took = statistics.median(took for _, took in ratios)
        sys.stdout.write(
            f"\nTPC-H scale {SCALE} on MariaDB, {count}: {middle:.2f} × "
            f"({spread}; {took * 1000:.0f} ms)\n"
        )


def with_comments(folder: Path) -> Path:
    """The catalogue of TPC-H, whose comments are free text here."""
    path = folder / "tpch.yml"
    text = CATALOGUE.read_text()
    for field, column in (("c_phone", "c_comment"), ("o_orderkey", "o_comment"),
                          ("l_linenumber", "l_comment")):  # fmt: skip
        line = next(line for line in text.splitlines() if f"name: {field}" in line)
        indent = line[: line.index("- {")]
        text = text.replace(line, f"{line}\n{indent}- {COMMENT.replace('c_comment', column)}")
    path.write_text(text)
    return path
