"""Northwind on PostgreSQL: text and composite keys, and an employee whose reports stay."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.scenarios.conftest import Installation, shared
from tests.servers import postgresql_server

pytestmark = [pytest.mark.shared, pytest.mark.postgres]

Dump = dict[str, set[str]]


@pytest.fixture
def installation(tmp_path: Path, catalogued: Callable[[str], Path]) -> Installation:
    """An installation that knows the trading company's catalogue."""
    home = tmp_path / "home"
    shutil.copytree(catalogued("northwind.yml"), home)
    return Installation(home=home)


@pytest.fixture
def northwind(installation: Installation) -> Iterator[str]:
    """A scratch database with the trading company's data."""
    script = shared("northwind", "northwind.sql")
    server = postgresql_server()
    name = f"lethe_northwind_{os.getpid()}_{uuid4().hex[:6]}"
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = f"{server}/{name}"
    loaded = subprocess.run(
        ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    installation.environment["NORTHWIND_URL"] = url
    yield url
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def dump(url: str) -> Dump:
    """Every row of every table, as text."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables "
            "where table_schema = 'public' and table_type = 'BASE TABLE'"
        ).fetchall()
        return {
            name: {str(row) for row in connection.execute(f'select * from "{name}"').fetchall()}
            for (name,) in names
        }


def test_a_customer_with_a_text_key_goes_with_orders_and_composite_keyed_lines(
    installation: Installation, northwind: str
) -> None:
    before = dump(northwind)
    done = installation.erase("customer_id=ALFKI")
    after = dump(northwind)
    assert done["outcome"] == "completed"
    gone = {n: len(before[n]) - len(after[n]) for n in before if before[n] != after[n]}
    assert gone == {"customers": 1, "orders": 6, "order_details": 12}
    assert all(after[name] <= before[name] for name in before)
    residue = {s["dataset"]: s["residue"] for s in done["steps"]}
    assert residue["nw.customers"] == "logically_deleted"


def test_an_employee_goes_and_their_reports_and_orders_stay_with_the_reference_cut(
    installation: Installation, northwind: str
) -> None:
    with psycopg.connect(northwind) as connection:
        led = "select count(*) from employees where reports_to = 5"
        sold = "select count(*) from orders where employee_id = 5"
        reports = connection.execute(led).fetchone()
        orders = connection.execute(sold).fetchone()
    before = dump(northwind)
    assert reports is not None
    assert orders is not None
    assert reports[0] == 3
    assert orders[0] == 42
    done = installation.erase("employee_id=5")
    after = dump(northwind)
    assert done["outcome"] == "completed"
    assert len(before["employees"]) - len(after["employees"]) == 1
    assert len(before["orders"]) == len(after["orders"])
    assert before["order_details"] == after["order_details"]
    with psycopg.connect(northwind) as connection:
        cut = connection.execute("select count(*) from employees where reports_to is null")
        assert cut.fetchone() == (1 + 3,)
        assert connection.execute(sold).fetchone() == (0,)
