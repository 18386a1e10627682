"""Values that a database holds and a program does not expect: a case of a small shop goes on, or
says what stops it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from erasure.domain.errors import StoreError
from erasure.inline import approve, open_case, run_inline
from erasure.models import StoreRun
from tests.flow.cast import CONSOLE, OFFICER
from tests.scenarios.whose_cast import SUBJECT, described, erased, run, server_fixture, shop_fixture

__all__ = ["server_fixture", "shop_fixture"]
pytestmark = pytest.mark.django_db(transaction=True)


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
