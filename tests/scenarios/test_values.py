"""A row stays and its person goes: what is put there instead is known to be accepted before
anybody approves the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasure.domain.errors import StoreError
from erasure.inline import approve, open_case, run_inline
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE, OFFICER
from tests.stores.test_sql_sqlite import SqliteHarness

pytestmark = pytest.mark.django_db(transaction=True)

SUBJECT = "ann.archer@example.com"
CATALOGUE = """
store:
  - {name: shop_db, kind: sql, url: "${SHOP_URL}"}
dataset:
  - fides_key: shop
    erasure: {store: shop_db}
    collections:
      - name: customer
        erasure: {action: anonymize, because: statistics need the row}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
          - {name: phone, data_categories: [user.contact.phone_number]}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteHarness:
    made = SqliteHarness(tmp_path)
    monkeypatch.setenv("SHOP_URL", made.url)
    catalog.upsert(fideslang.read_text(CATALOGUE, "shop.yml"))
    return made


def fill(shop: SqliteHarness, check: str) -> None:
    shop.create((), {})
    shop.execute(
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email VARCHAR(60) NOT NULL UNIQUE "
        f"CHECK (email LIKE '%_@_%._%'), phone VARCHAR(20) NOT NULL CHECK ({check}))"
    )
    shop.insert(
        "customer",
        {"id": 1, "email": SUBJECT, "phone": "0160-5550123"},
        {"id": 2, "email": "ben.baker@example.com", "phone": "0170-5550199"},
    )


def test_values_that_the_constraints_let_in_are_found(shop: SqliteHarness) -> None:
    fill(shop, "phone LIKE '____-_______' AND length(phone) = 12")
    case = open_case([("email", SUBJECT)], by=OFFICER, method="test")
    approve(case, by=CONSOLE, because="test")
    run_inline(case)
    assert case.state == "completed", case.blocked_because
    hers, his = shop.read("customer")
    assert "archer" not in str(hers["email"])
    assert hers["phone"] != "0160-5550123"
    assert his == {"id": 2, "email": "ben.baker@example.com", "phone": "0170-5550199"}


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ("id = 2 OR phone = '0160-5550123'", "no other value"),
        ("id = 2 OR hex(phone) LIKE '30313630%'", "refuses every new value"),
    ],
)
def test_where_there_is_none_planning_refuses_with_the_place_and_the_remedy(
    shop: SqliteHarness, check: str, why: str
) -> None:
    fill(shop, check)
    before = shop.read("customer")
    with pytest.raises(StoreError, match=rf"shop_db\.customer\.phone: .*{why}.*declare") as caught:
        open_case([("email", SUBJECT)], by=OFFICER, method="test")
    assert "0160" not in str(caught.value)
    assert shop.read("customer") == before


BOOK = """
      - name: number
        erasure: {action: anonymize, because: statistics need the row}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
          - {name: phone, data_categories: [user.contact.phone_number]}
"""
PART = """
      - name: part
        erasure: {action: anonymize, because: statistics need the row}
        fields:
          - name: id
            fides_meta:
              primary_key: true
              references: [{dataset: shop, field: number.id, direction: from}]
          - {name: phone, data_categories: [user.contact.phone_number]}
"""


def test_planning_refuses_it_for_rows_that_are_found_by_a_reference_too(
    shop: SqliteHarness,
) -> None:
    catalog.upsert(fideslang.read_text(CATALOGUE + BOOK, "shop.yml"))
    fill(shop, "true")
    shop.execute(
        "CREATE TABLE number (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer, "
        "phone VARCHAR(20) NOT NULL CHECK (customer_id = 2 OR hex(phone) LIKE '30313630%'))"
    )
    shop.insert("number", {"id": 1, "customer_id": 1, "phone": "0160-5550123"})
    with pytest.raises(StoreError, match=r"number\.phone: .*refuses every new value") as caught:
        open_case([("email", SUBJECT)], by=OFFICER, method="test")
    assert "0160" not in str(caught.value)


def test_planning_refuses_rows_that_stay_and_refer_by_their_key_to_rows_that_go(
    shop: SqliteHarness,
) -> None:
    going = BOOK.replace("anonymize, because: statistics need the row", "delete")
    catalog.upsert(fideslang.read_text(CATALOGUE + going + PART, "shop.yml"))
    fill(shop, "true")
    shop.execute(
        "CREATE TABLE number (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer, "
        "phone VARCHAR(20))"
    )
    shop.execute("CREATE TABLE part (id INTEGER PRIMARY KEY REFERENCES number, phone VARCHAR(20))")
    shop.insert("number", {"id": 1, "customer_id": 1, "phone": "0160-5550123"})
    shop.insert("part", {"id": 1, "phone": "0160-5550123"})
    with pytest.raises(StoreError, match=r"part\.id: rows here are to stay"):
        open_case([("email", SUBJECT)], by=OFFICER, method="test")
