"""A whole case on MariaDB: drafted, imported, erased and certified through the commands."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from erasure.stores.sql import SqlStore
from tests.scenarios.conftest import HERE, Installation, shared
from tests.scenarios.test_chinook import EMAIL, HIS, Dump, removed
from tests.stores.mariadb import MariadbHarness, scratch_database

pytestmark = [pytest.mark.shared, pytest.mark.mariadb]


@pytest.fixture(scope="module")
def database() -> Iterator[MariadbHarness]:
    """Chinook, as its SQLite file has it, in a database whose collation ignores case."""
    path = shared("chinook", "Chinook_Sqlite.sqlite")
    source = SqlStore(name="chinook", url=f"sqlite:///{path}", options={})
    tables = source.inspect().tables
    source.close()
    for url in scratch_database("chinook"):
        harness = MariadbHarness(url)
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            rows = {
                n: [dict(r) for r in connection.execute(f'select * from "{n}"')] for n in tables
            }
        harness.clear()
        harness.execute("SET foreign_key_checks = 0")  # tables come in the order of their names
        harness.fill(list(tables.values()), rows)
        harness.execute("SET foreign_key_checks = 1")
        yield harness
        harness.close()


@pytest.fixture
def installed(installation: Installation, database: MariadbHarness, tmp_path: Path) -> Installation:
    """An installation that knows the shop's catalogue, with a MariaDB address."""
    text = (HERE / "chinook.yml").read_text()
    catalogue = tmp_path / "chinook.yml"
    catalogue.write_text(text.replace("sqlite:///${CHINOOK_FILE}", "${CHINOOK_URL}"))
    installation.environment["CHINOOK_URL"] = database.url
    installation.must("import_lineage", str(catalogue))
    return installation


def dump(harness: MariadbHarness) -> Dump:
    """Every row of every table."""
    names = [name for (name,) in harness.execute("SHOW TABLES")]
    return {name: set(harness.execute(f'SELECT * FROM "{name}"')) for name in names}


def test_a_customer_goes_with_invoices_and_lines_and_nobody_else_is_touched(
    installed: Installation, database: MariadbHarness
) -> None:
    before = dump(database)
    planned = installed.must("erase", f"email={EMAIL}", "--dry-run", "--json")
    assert dump(database) == before
    assert EMAIL not in planned
    done = installed.erase(f"email={EMAIL.upper()}")
    assert done["outcome"] == "completed"
    assert removed(before, dump(database)) == {"Customer": 1, "Invoice": 7, "InvoiceLine": 38}
    rows = {s["dataset"]: (s["action"], s["rows"], s["residue"]) for s in done["steps"]}
    assert rows["shop.InvoiceLine"] == ("delete", 38, "logically_deleted")
    installed.must("verify_evidence", done["certificate"])
    assert installed.bytes_holding(*HIS) == []


def test_a_draft_of_it_names_people_and_references(
    installation: Installation, database: MariadbHarness
) -> None:
    drafted = installation.must("discover_lineage", database.url)
    assert "name: Email, data_categories: [user.contact.email]" in drafted
    assert "references: [{dataset: " in drafted
    assert "Customer.CustomerId, direction: from}]" in drafted
