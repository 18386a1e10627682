"""TPC-H's customers with their orders and line items, in a scratch database.

Data from ``tpchgen-cli``, made anew for every session; ``BENCHMARK_TPCH_SCALE`` sets the scale
factor (1 is 150,000 customers and 6 million line items).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg

SCALE = os.environ.get("BENCHMARK_TPCH_SCALE", "0.05")
CUSTOMERS = int(150_000 * float(SCALE))
TABLES = {
    "customer": """
        c_custkey bigint PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
        c_nationkey int NOT NULL, c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL,
        c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL""",
    "orders": """
        o_orderkey bigint PRIMARY KEY, o_custkey bigint NOT NULL, o_orderstatus char(1) NOT NULL,
        o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL,
        o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL,
        o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL""",
    "lineitem": """
        l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL,
        l_linenumber int NOT NULL, l_quantity numeric(15,2) NOT NULL,
        l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
        l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL,
        l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
        l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
        l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber)""",
}
KEYS = (
    "ALTER TABLE orders ADD FOREIGN KEY (o_custkey) REFERENCES customer",
    "ALTER TABLE lineitem ADD FOREIGN KEY (l_orderkey) REFERENCES orders",
    "CREATE INDEX ON orders (o_custkey)",
)


def generated(folder: Path, table: str, scale: str = SCALE) -> Path:
    """A table's rows as CSV with a header."""
    tool = Path(sys.executable).with_name("tpchgen-cli")
    command: list[str | Path] = [
        tool,
        "csv",
        "-s",
        scale,
        "--tables",
        table,
        "--output-dir",
        folder,
        "--quiet",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder / f"{table}.csv"


def load_postgresql(url: str, folder: Path) -> None:
    """Tables, rows, keys and statistics."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            path = generated(folder, table)
            into = f"COPY {table} FROM STDIN (FORMAT csv, HEADER)"
            with connection.cursor().copy(into) as copy:
                for block in blocks(path):
                    copy.write(block)
            path.unlink()
        for statement in KEYS:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


def blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes, a mebibyte at a time."""
    with path.open("rb") as file:
        while block := file.read(2**20):
            yield block
