"""Real schemas: every column of people is found, and nothing else is taken for sure."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lineage.importers.discovery import Findings
from tests.discovery.conftest import findings
from tests.discovery.test_companies import references
from tests.scenarios.conftest import shared

pytestmark = pytest.mark.shared

ADDRESS = ("Address", "City", "State", "Country", "PostalCode")
CHINOOK = {
    "Customer": {"FirstName", "LastName", "Company", "Phone", "Fax", "Email", *ADDRESS},
    "Employee": {
        "LastName", "FirstName", "Title", "BirthDate", "HireDate", "Phone", "Fax", "Email",
        *ADDRESS,
    },
    "Invoice": {f"Billing{part}" for part in ADDRESS},
}  # fmt: skip
# Those who speak for a customer or a supplier are persons too.
_CONTACT = {
    "company_name", "contact_name", "contact_title", "address", "city", "region", "postal_code",
    "country", "phone", "fax",
}  # fmt: skip
NORTHWIND = {
    "customers": _CONTACT,
    "suppliers": {*_CONTACT, "homepage"},
    "employees": {
        "last_name", "first_name", "title", "title_of_courtesy", "birth_date", "hire_date",
        "address", "city", "region", "postal_code", "country", "home_phone", "extension", "photo",
        "photo_path", "notes",
    },
    "orders": {
        "ship_name", "ship_address", "ship_city", "ship_region", "ship_postal_code", "ship_country",
    },
}  # fmt: skip
# What a firm has as well: nobody's, and so never sure.
NORTHWIND_DOUBTS = {"shippers.company_name", "shippers.phone"}


@pytest.fixture
def chinook(tmp_path: Path) -> Findings:
    copy = shutil.copy(shared("chinook", "Chinook_Sqlite.sqlite"), tmp_path / "chinook.sqlite")
    return findings(f"sqlite:///{copy}")


@pytest.fixture
def northwind(empty_postgresql: str) -> Findings:
    script = shared("northwind", "northwind.sql")
    loaded = subprocess.run(
        ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), empty_postgresql],
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    return findings(empty_postgresql)


def at(found: Findings, *levels: str) -> set[str]:
    return {
        f"{table}.{column}"
        for (table, column), one in found.suggestions.items()
        if one.confidence in levels
    }


def flat(tables: dict[str, set[str]]) -> set[str]:
    return {f"{table}.{column}" for table, columns in tables.items() for column in columns}


def test_every_personal_column_of_chinook_is_found_and_no_other(chinook: Findings) -> None:
    assert at(chinook, "high", "medium") == flat(CHINOOK)
    assert at(chinook, "low") == set()
    assert len(at(chinook, "high")) == 17


@pytest.mark.postgres
def test_every_personal_column_of_northwind_is_found_and_none_is_falsely_sure(
    northwind: Findings,
) -> None:
    expected = flat(NORTHWIND)
    assert expected <= at(northwind, "high", "medium")
    assert at(northwind, "high") <= expected
    assert at(northwind, "high", "medium", "low") - expected == NORTHWIND_DOUBTS
    assert len(at(northwind, "high")) == 16


@pytest.mark.postgres
def test_declared_keys_are_not_suggested_again(northwind: Findings, chinook: Findings) -> None:
    assert (northwind.declared, references(northwind)) == (13, {})
    assert (chinook.declared, references(chinook)) == (11, {})


# As declared in the schema, without what only a person can know: ship_via is a shipper. The first
# table is empty, and only two employees are reported to.
NORTHWIND_REFERENCES = {
    "customer_customer_demo.customer_id": "medium customers.customer_id",
    "customer_customer_demo.customer_type_id": "medium customer_demographics.customer_type_id",
    "employee_territories.employee_id": "high employees.employee_id",
    "employee_territories.territory_id": "high territories.territory_id",
    "employees.reports_to": "low employees.employee_id",
    "order_details.order_id": "high orders.order_id",
    "order_details.product_id": "high products.product_id",
    "orders.customer_id": "high customers.customer_id",
    "orders.employee_id": "high employees.employee_id",
    "products.category_id": "high categories.category_id",
    "products.supplier_id": "high suppliers.supplier_id",
    "territories.region_id": "high region.region_id",
}


@pytest.mark.postgres
def test_references_of_northwind_are_found_again_when_its_foreign_keys_are_gone(
    empty_postgresql: str, northwind: Findings
) -> None:
    assert northwind.declared == 13
    drops = (
        "select format('alter table %I drop constraint %I', conrelid::regclass, conname) "
        "from pg_constraint where contype = 'f' \\gexec"
    )
    subprocess.run(
        ["psql", "-q", "-v", "ON_ERROR_STOP=1", empty_postgresql],
        input=drops,
        text=True,
        check=True,
        capture_output=True,
    )
    found = findings(empty_postgresql)
    assert found.declared == 0
    assert references(found) == NORTHWIND_REFERENCES
