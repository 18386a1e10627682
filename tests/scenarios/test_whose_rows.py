"""Values by which a stranger's rows could be taken for the person's, and what ends a case with a
row left: small shops, each on real files or a real server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from erasure.domain.errors import StoreError, UsageError
from erasure.inline import approve, open_case, run_inline
from erasure.models import ErasureRequest, Event
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE, OFFICER
from tests.scenarios.whose_cast import (
    CUSTOMER,
    STORES,
    SUBJECT,
    described,
    erased,
    run,
    server_fixture,
    shop_fixture,
)

__all__ = ["server_fixture", "shop_fixture"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_whoever_has_given_no_number_is_not_everybody_else_who_has_given_none(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, phone TEXT);"
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, phone TEXT);"
        "INSERT INTO customer VALUES (1, 'ann.archer@example.com', ''), (2, 'b@example.com', ' ');"
        "INSERT INTO calls VALUES (1, ''), (2, ' '), (3, '030 5550001')",
    )
    described("""          - {name: phone, data_categories: [user.contact.phone_number]}
      - name: calls
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: phone
            fides_meta: {references: [{dataset: shop, field: customer.phone, direction: from}]}
""")
    assert erased().state == "completed"
    assert run(shop, "SELECT id FROM calls ORDER BY id") == [(1,), (2,), (3,)]
    assert run(shop, "SELECT id FROM customer") == [(2,)]


def test_a_shared_row_that_another_store_refers_to_is_not_counted_here_and_not_let_go(
    shop: Path,
) -> None:
    run(
        shop,
        "CREATE TABLE address (id INTEGER PRIMARY KEY, street TEXT);"
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, address_id INTEGER);"
        "INSERT INTO address VALUES (7, '12 Quiet Lane');"
        "INSERT INTO customer VALUES (1, 'ann.archer@example.com', 7)",
    )
    run(
        shop.with_name("crm.sqlite3"),
        "CREATE TABLE lead (id INTEGER PRIMARY KEY, email TEXT, address_id INTEGER);"
        "INSERT INTO lead VALUES (1, 'ben.baker@example.com', 7)",
    )
    refers = "fides_meta: {references: [{dataset: shop, field: address.id, direction: to}]}"
    described(f"""          - name: address_id
            {refers}
      - name: address
        erasure: {{action: delete}}
        fields:
          - {{name: id, fides_meta: {{primary_key: true}}}}
          - {{name: street, data_categories: [user.contact.address.street]}}
  - fides_key: crm
    erasure: {{store: crm_db}}
    collections:
      - name: lead
        erasure: {{action: delete}}
        fields:
          - {{name: id, fides_meta: {{primary_key: true}}}}
          - {{name: email, data_categories: [user.contact.email], fides_meta: {{identity: email}}}}
          - name: address_id
            {refers}
""")
    with pytest.raises(UsageError, match=r"shop\.address: is shared, and crm\.lead\.address_id"):
        open_case([("email", SUBJECT)], by=OFFICER, method="test")
    assert run(shop, "SELECT id FROM address") == [(7,)]


def test_a_part_of_a_foreign_key_leads_to_strangers_also_where_no_primary_key_says_so(
    shop: Path,
) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, branch INTEGER, no INTEGER,"
        " UNIQUE (branch, no));"
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, branch INTEGER, customer_no INTEGER,"
        " FOREIGN KEY (branch, customer_no) REFERENCES customer (branch, no));"
        "INSERT INTO customer VALUES (1, 'ann.archer@example.com', 1, 1), (2, 'b@e.com', 2, 1);"
        "INSERT INTO orders VALUES (1, 1, 1), (2, 2, 1)",
    )
    described("""          - {name: branch}
          - {name: "no"}
      - name: orders
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: customer_no
            fides_meta: {references: [{dataset: shop, field: customer.no, direction: from}]}
""")
    with pytest.raises(UsageError, match=r"refers to a part of the key of shop\.customer"):
        open_case([("email", SUBJECT)], by=OFFICER, method="test")
    assert run(shop, "SELECT id FROM orders ORDER BY id") == [(1,), (2,)]


def test_a_restricted_row_is_kept_and_the_case_ends(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, restricted INTEGER);"
        "INSERT INTO customer VALUES (1, 'ann.archer@example.com', 0)",
    )
    described("          - {name: restricted}\n", action="restrict")
    case = erased()
    assert case.state == "partly_granted", case.blocked_because


def test_columns_may_be_called_like_whatever_a_statement_needs(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, k0 TEXT, g0 TEXT, v0 TEXT);"
        "INSERT INTO customer VALUES (1, 'ann.archer@example.com', 'a', 'b', 'c')",
    )
    described(
        "".join(f"          - {{name: {n}, data_categories: [user.name]}}\n" for n in ("k0", "v0")),
        action="anonymize",
    )
    case = erased()
    assert case.state == "completed", case.blocked_because
    ((email, k0, g0, v0),) = run(shop, "SELECT email, k0, g0, v0 FROM customer")
    assert email != SUBJECT
    assert (k0, g0, v0) == (None, "b", None)


def asked() -> ErasureRequest:
    return open_case([("email", SUBJECT)], by=OFFICER, method="test")


OTHERS = "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT);"


def test_nothing_is_said_to_be_held_before_it_was_looked_for_by_value(shop: Path) -> None:
    run(
        shop,
        f"{OTHERS}INSERT INTO customer VALUES (2, 'ben.baker@example.com');"
        "CREATE TABLE newsletter (id INTEGER PRIMARY KEY, mail TEXT, note TEXT);"
        "INSERT INTO newsletter VALUES (1, 'Ann.Archer@example.com', ''),"
        " (2, NULL, 'ask ann.archer@example.com'), (3, NULL, 'told ann.archer@example.com')",
    )
    described("")
    case = asked()
    assert case.state == "blocked"
    assert case.blocked_because == (
        "no search by key leads to the person, but a look by value has seen them: "
        "shop_db.newsletter.mail (1), shop_db.newsletter.note (2); "
        "declare it in the catalogue, then plan again"
    )
    run(shop, "DELETE FROM newsletter")
    assert asked().state == "no_data"


def test_what_is_seen_by_value_in_somebody_elses_row_does_not_stand_in_the_way(
    shop: Path,
) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, friend TEXT);"
        f"INSERT INTO customer VALUES (2, 'ben.baker@example.com', '{SUBJECT}')",
    )
    described("          - {name: friend, data_categories: [user.contact.email]}\n")
    assert asked().state == "no_data"


def test_a_store_that_is_away_says_nothing_of_what_it_holds(shop: Path) -> None:
    run(shop, OTHERS)
    described("")
    shop.with_name("crm.sqlite3").unlink()
    with pytest.raises(StoreError, match="crm_db"):
        asked()
    assert ErasureRequest.objects.get().state == "identified"


def test_a_store_that_is_searched_by_schedule_is_named_where_nothing_was_found(
    shop: Path,
) -> None:
    run(shop, OTHERS)
    run(
        shop.with_name("crm.sqlite3"),
        f"CREATE TABLE lead (mail TEXT);INSERT INTO lead VALUES ('{SUBJECT}')",
    )
    by_schedule = 'url: "${CRM_URL}", options: {rescan: scheduled}}'
    stores = STORES.replace('url: "${CRM_URL}"}', by_schedule)
    catalog.upsert(fideslang.read_text(stores + CUSTOMER.replace("ACTION", "delete"), "s.yml"))
    case = asked()
    assert case.state == "no_data"
    told = Event.objects.filter(subject_id=str(case.pk)).latest("id").because
    assert told == (
        "no store knows these identifiers; not looked for by value in crm_db (rescan: scheduled)"
    )


def test_a_reference_by_mailbox_is_followed_whatever_its_letters(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT);"
        "CREATE TABLE news (id INTEGER PRIMARY KEY, mail TEXT);"
        f"INSERT INTO customer VALUES (1, '{SUBJECT}'), (2, 'ben.baker@example.com');"
        "INSERT INTO news VALUES (1, 'Ann.Archer@Example.com'), (2, 'Ben.Baker@Example.com'),"
        f" (3, ' {SUBJECT.upper()}'), (4, NULL)",
    )
    described("""      - name: news
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: mail
            data_categories: [user.contact.email]
            fides_meta: {references: [{dataset: shop, field: customer.email, direction: from}]}
""")
    case = erased()
    assert case.state == "completed", case.blocked_because
    assert run(shop, "SELECT id FROM news ORDER BY id") == [(2,), (4,)]


def test_a_reference_by_anything_but_a_mailbox_is_exact(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, code TEXT);"
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, code TEXT);"
        f"INSERT INTO customer VALUES (1, '{SUBJECT}', 'aB12'), (2, 'b@example.com', 'Ab12');"
        "INSERT INTO calls VALUES (1, 'aB12'), (2, 'Ab12')",
    )
    described("""          - {name: code, fides_meta: {identity: loyalty}}
      - name: calls
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: code
            fides_meta: {references: [{dataset: shop, field: customer.code, direction: from}]}
""")
    erased()
    assert run(shop, "SELECT id FROM calls") == [(2,)]


@pytest.mark.postgres
def test_an_address_of_the_network_is_looked_for_as_it_is_written(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE customer (id int PRIMARY KEY, email text, ip inet, note text);"
            "INSERT INTO customer VALUES"
            " (1, 'ann.archer@example.com', '203.0.113.77', 'x'),"
            " (2, 'ben.baker@example.com', '203.0.113.78', 'seen from 203.0.113.77 too')"
        )
        described("""          - {name: ip, data_categories: [user.device.ip_address]}
          - {name: note, data_categories: [user.content], erasure: {free_text: true}}
""")
        assert erased().state == "completed"
        rows = connection.execute("SELECT id, note FROM customer").fetchall()
    assert [number for number, _ in rows] == [2]
    assert "203.0.113.77" not in rows[0][1]


@pytest.mark.postgres
def test_what_a_trigger_says_is_not_repeated(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE customer (id int PRIMARY KEY, email text);"
            "INSERT INTO customer VALUES (1, 'ann.archer@example.com');"
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE 'permission denied for customer %', OLD.email"
            " USING ERRCODE = 'insufficient_privilege', TABLE = OLD.email; END $$;"
            "CREATE TRIGGER no BEFORE DELETE ON customer FOR EACH ROW EXECUTE FUNCTION no()"
        )
    described("")
    case = open_case([("email", SUBJECT)], by=OFFICER, method="test")
    codes = [finding["code"] for finding in case.plans.get().findings]
    approve(case, by=CONSOLE, because="test", accept=codes)
    run_inline(case)
    assert case.state == "blocked"
    assert "42501" in case.blocked_because
    assert "ann" not in case.blocked_because
