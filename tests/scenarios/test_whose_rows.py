"""Values by which a stranger's rows could be taken for the person's, and what ends a case with a
row left: small shops, each on real files or a real server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from erasure.domain.errors import StoreError, UsageError
from erasure.inline import approve, open_case, run_inline
from erasure.models import ErasureRequest, StoreRun
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE, OFFICER
from tests.stores.postgresql import scratch_database

pytestmark = pytest.mark.django_db(transaction=True)

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


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    stores = STORES.replace('${SHOP_URL}"', f'${{SHOP_URL}}", options: {{purge: {purge}}}')
    catalog.upsert(fideslang.read_text(stores + CUSTOMER.replace("ACTION", action) + text, "s.yml"))


def erased() -> ErasureRequest:
    case = open_case([("email", SUBJECT)], by=OFFICER, method="test")
    approve(case, by=CONSOLE, because="test")
    run_inline(case)
    return case


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


def test_a_text_that_is_no_utf8_keeps_nobody_from_being_erased(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, name TEXT, note TEXT);"
        "CREATE TABLE other (id INTEGER PRIMARY KEY, said TEXT);"
        "INSERT INTO customer VALUES"
        " (1, 'ann.archer@example.com', CAST(x'4dfc6c6c6572' AS TEXT), 'x'),"
        " (2, CAST(x'62fc40652e636f6d' AS TEXT), 'Ben', CAST(x'6d6574fc20' AS TEXT)"
        " || 'ann.archer@example.com'), (3, 'c@e.com', 'Cy', CAST(x'4dfc20' AS TEXT));"
        "INSERT INTO other VALUES (1, CAST(x'4dfc6c6c6572' AS TEXT))",
    )
    described("""          - {name: name, data_categories: [user.name]}
          - {name: note, data_categories: [user.content], erasure: {free_text: true}}
""")
    case = erased()
    assert case.state == "completed", case.blocked_because
    assert run(shop, "SELECT id, CAST(note AS BLOB) FROM customer ORDER BY id") == [
        (2, b"met\xfc [erased]"),
        (3, b"M\xfc "),
    ]
    assert run(shop, "SELECT CAST(said AS BLOB) FROM other") == [(b"M\xfcller",)]


def test_what_stands_beside_bytes_that_are_no_utf8_is_seen_again(shop: Path) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT);"
        "CREATE TABLE other (id INTEGER PRIMARY KEY, said TEXT);"
        "INSERT INTO customer VALUES (1, 'ann.archer@example.com');"
        "INSERT INTO other VALUES (1, CAST(x'6d6574fc20' AS TEXT) || 'ann.archer@example.com')",
    )
    described("")
    case = erased()
    assert case.state == "blocked"
    assert "other" in case.blocked_because
    assert "refused" not in case.blocked_because


@pytest.mark.parametrize("bytes_", ["61fc62", "610062"])
@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_a_key_that_cannot_be_looked_for_is_refused_and_not_taken_for_one_that_nobody_has(
    shop: Path, bytes_: str, action: str
) -> None:
    run(
        shop,
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT, code TEXT);"
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, code TEXT);"
        f"INSERT INTO customer VALUES (1, 'ann.archer@example.com', CAST(x'{bytes_}' AS TEXT));"
        f"INSERT INTO orders VALUES (1, CAST(x'{bytes_}' AS TEXT))",
    )
    described(
        """          - {name: code}
      - name: orders
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: code
            fides_meta: {references: [{dataset: shop, field: customer.code, direction: from}]}
""",
        action=action,
    )
    with pytest.raises(StoreError, match=r"shop\.customer\.code: a value that leads"):
        erased()
    assert run(shop, "SELECT id FROM customer") == [(1,)]


@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_a_row_that_only_broken_text_identifies_is_refused_with_its_column(
    shop: Path, action: str
) -> None:
    run(
        shop,
        "CREATE TABLE customer (id TEXT PRIMARY KEY, email TEXT);"
        "INSERT INTO customer VALUES (CAST(x'61fc62' AS TEXT), 'ann.archer@example.com')",
    )
    described("", action=action)
    try:
        told = erased().blocked_because
    except StoreError as error:
        told = str(error)
    assert "shop_db.customer.id: a row is identified by a text" in told
    assert run(shop, "SELECT email FROM customer") == [(SUBJECT,)]


@pytest.fixture
def server(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for url in scratch_database("whose"):
        monkeypatch.setenv("SHOP_URL", url)
        yield url


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


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_dates_that_only_the_database_has_stop_nothing(server: str, kind: str, action: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE customer (id int, since {kind}, email text, born {kind},"
            " PRIMARY KEY (id, since));"
            "INSERT INTO customer SELECT n, d, 'ann.archer@example.com', d"
            " FROM unnest('{infinity,-infinity,0044-03-15 BC,12026-01-01,2020-01-01}'"
            f"::{kind}[]) WITH ORDINALITY AS u (d, n);"
            "INSERT INTO customer VALUES (9, 'infinity', 'b@e.com', 'infinity')"
        )
        more = """          - {name: since, fides_meta: {primary_key: true}}
          - {name: born, data_categories: [user.demographic.date_of_birth]}
"""
        described(more, action=action)
        case = erased()
        assert case.state == "completed", case.blocked_because
        asked = f"SELECT count(*) FROM customer WHERE email = '{SUBJECT}' OR born = 'infinity'"
        assert connection.execute(asked).fetchone() == (1,)
        if action == "anonymize":
            left = connection.execute("SELECT born FROM customer WHERE id <> 9").fetchall()
            assert left == [(None,)] * 5


@pytest.mark.postgres
def test_what_is_kept_until_infinity_is_kept_and_has_no_last_day(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE customer (id int PRIMARY KEY, email text);"
            "CREATE TABLE invoice (id int PRIMARY KEY, customer_id int, paid date);"
            "INSERT INTO customer VALUES (1, 'ann.archer@example.com');"
            "INSERT INTO invoice VALUES (1, 1, 'infinity'), (2, 1, '2026-01-01')"
        )
        described(
            """      - name: invoice
        erasure:
          action: retain
          until: paid + 10y
          exception: legal_obligation
          legal_reference: tax law
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: paid}
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
""",
            action="anonymize",
        )
        case = erased()
        assert case.state == "partly_granted", case.blocked_because
        (step,) = [s for s in case.plans.get().steps.all() if s.dataset == "shop.invoice"]
        assert "last_day" not in step.explained
        assert connection.execute("SELECT id FROM invoice ORDER BY id").fetchall() == [(1,), (2,)]


@pytest.mark.postgres
def test_what_went_along_is_purged_too_or_nothing_is_called_so(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE customer (id int PRIMARY KEY, email text);"
            "CREATE TABLE logbook (id serial PRIMARY KEY, said text, customer_id int"
            " REFERENCES customer ON DELETE CASCADE);"
            "CREATE INDEX ON logbook (customer_id);"
            "INSERT INTO customer VALUES (1, 'ann.archer@example.com'), (2, 'b@example.com');"
            "INSERT INTO logbook (said, customer_id) SELECT 'ann.archer@example.com', 1"
            " FROM generate_series(1, 50) UNION ALL SELECT n::text, 2 FROM generate_series(1, 9) n;"
            "ANALYZE"
        )
        described("", purge="vacuum_full")
        case = open_case([("email", SUBJECT)], by=OFFICER, method="test")
        codes = [finding["code"] for finding in case.plans.get().findings]
        approve(case, by=CONSOLE, because="test", accept=codes)
        run_inline(case)
        assert case.state == "completed", case.blocked_because
        assert {run.residue for run in StoreRun.objects.filter(store="shop_db")} == {"purged"}
        connection.execute("CHECKPOINT")
        read = "SELECT pg_read_binary_file(pg_relation_filepath('logbook'))"
        ((heap,),) = connection.execute(read).fetchall()
        stats = "SELECT FROM pg_stats WHERE most_common_vals::text ~ 'ann'"
        assert SUBJECT.encode() not in bytes(heap)
        assert connection.execute(stats).fetchall() == []
