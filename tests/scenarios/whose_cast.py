"""Small shops of which one customer is forgotten, on real files or a real server, for what a value
may look like."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from erasure.inline import approve, open_case, run_inline
from erasure.models import ErasureRequest
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE, OFFICER
from tests.stores.postgresql import scratch_database

SUBJECT = "ann.archer@example.com"
STORES = """
store:
  - {name: shop_db, kind: sql, url: "${SHOP_URL}"}
  - {name: crm_db, kind: sql, url: "${CRM_URL}"}
dataset:
"""
CUSTOMER = """
  - fides_key: shop
    erasure: {store: shop_db}
    collections:
      - name: customer
        erasure: {action: ACTION}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
"""


@pytest.fixture(name="shop")
def shop_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two empty databases, that of the shop and another."""
    for name in ("SHOP", "CRM"):
        path = tmp_path / f"{name.lower()}.sqlite3"
        path.touch()
        monkeypatch.setenv(f"{name}_URL", f"sqlite:///{path}")
    return tmp_path / "shop.sqlite3"


def run(path: Path, script: str) -> list[tuple[Any, ...]]:
    """The statements; the rows of the last."""
    with closing(sqlite3.connect(path)) as connection, connection:
        rows: list[tuple[Any, ...]] = []
        for statement in script.split(";"):
            rows = connection.execute(statement).fetchall()
        return rows


def described(text: str, action: str = "delete", purge: str = "vacuum") -> None:
    """The catalogue: customers with ``action``, and what ``text`` adds to it."""
    stores = STORES.replace('${SHOP_URL}"', f'${{SHOP_URL}}", options: {{purge: {purge}}}')
    catalog.upsert(fideslang.read_text(stores + CUSTOMER.replace("ACTION", action) + text, "s.yml"))


def erased() -> ErasureRequest:
    """The subject's case, carried out."""
    case = open_case([("email", SUBJECT)], by=OFFICER, method="test")
    approve(case, by=CONSOLE, because="test")
    run_inline(case)
    return case


@pytest.fixture(name="server")
def server_fixture(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The shop's is PostgreSQL."""
    for url in scratch_database("whose"):
        monkeypatch.setenv("SHOP_URL", url)
        yield url
