"""Which column flows into which, as SQL says it; and what is said where SQL cannot be read."""

from __future__ import annotations

import pytest

from lineage.columns import ColumnLineage, Flow, Kind, Relation, Relations, through
from lineage.importers.sql_columns import read_query
from lineage.importers.sql_statements import LONGEST, Script, Statement, read_script

CUSTOMER = Relation(
    address="shop.customer", parts=("db", "public", "customer"), columns=("id", "email", "name")
)
ORDER = Relation(
    address="shop.order", parts=("db", "public", "order"), columns=("no", "customer_id", "total")
)
RELATIONS = Relations([CUSTOMER, ORDER])
SHORT = {"identity": "=", "transformation": "~", "aggregation": "+", "indirect": "?"}


def read(
    sql: str,
    *,
    relations: Relations = RELATIONS,
    dialect: str = "postgres",
    columns: tuple[str, ...] = (),
) -> ColumnLineage:
    return read_query(sql, target="T", relations=relations, dialect=dialect, columns=columns)


def said(lineage: ColumnLineage) -> set[str]:
    """``shop.customer.id = id``: source, kind, field of the target; a mask is a ``#``."""
    return {
        f"{f.source}.{f.source_field} {SHORT[f.kind]}{'#' if f.masking else ''} "
        f"{f.target_field or '*'}"
        for f in lineage.flows
    }


def direct(lineage: ColumnLineage) -> set[str]:
    return {line for line in said(lineage) if not line.endswith("*")}


IDS = {"shop.customer.id = id", "shop.customer.email = email"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT id, email FROM customer", IDS),
        ("SELECT c.id, c.email FROM public.customer AS c", IDS),
        ("SELECT id, email FROM (SELECT * FROM customer) AS inner_one", IDS),
        ("WITH a AS (SELECT * FROM customer), b AS (SELECT * FROM a) SELECT id, email FROM b", IDS),
        ("WITH A(x, y) AS (SELECT id, email FROM customer) SELECT x id, y AS email FROM a", IDS),
        ("SELECT (id) AS id, ((email)) AS email FROM customer", IDS),
        ('SELECT "id", "email" FROM "public"."customer"', IDS),
        ("SELECT ID, Email FROM CUSTOMER", IDS),
        ("CREATE VIEW v AS SELECT id, email FROM customer", IDS),
        ("CREATE TABLE v AS WITH c AS (SELECT id, email FROM customer) SELECT * FROM c", IDS),
        ("INSERT INTO v (id, email) SELECT id, email FROM customer", IDS),
    ],
)
def test_a_column_that_is_only_passed_on_is_the_same(sql: str, expected: set[str]) -> None:
    assert direct(read(sql)) == expected


def test_a_star_is_every_column_in_order_and_its_exceptions_are_left_out() -> None:
    assert read("SELECT * FROM customer").columns == ("id", "email", "name")
    two = read('SELECT o.*, c.email FROM customer c JOIN "order" o ON o.customer_id = c.id')
    assert two.columns == ("no", "customer_id", "total", "email")
    fewer = read(
        "SELECT * EXCEPT (email) REPLACE (upper(name) AS name) FROM customer", dialect="bigquery"
    )
    assert direct(fewer) == {"shop.customer.id = id", "shop.customer.name ~ name"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("upper(email)", {"shop.customer.email ~ x"}),
        ("CAST(id AS text)", {"shop.customer.id ~ x"}),
        ("id::text || name", {"shop.customer.id ~ x", "shop.customer.name ~ x"}),
        ("coalesce(email, name)", {"shop.customer.email ~ x", "shop.customer.name ~ x"}),
        ("md5(email)", {"shop.customer.email ~# x"}),
        ("sha256(email::bytea)", {"shop.customer.email ~# x"}),
        ("max(email)", {"shop.customer.email + x"}),
        ("count(DISTINCT email)", {"shop.customer.email + x"}),
        ("count(*)", set()),
        ("1", set()),
        ("lag(email) OVER (PARTITION BY name ORDER BY id)", {"shop.customer.email ~ x"}),
        ("sum(id) OVER (PARTITION BY name)", {"shop.customer.id + x"}),
        ("row_number() OVER (ORDER BY id)", set()),
        ("CASE WHEN id > 1 THEN email ELSE name END",
         {"shop.customer.email ~ x", "shop.customer.name ~ x"}),
        ("(SELECT max(total) FROM \"order\" o WHERE o.customer_id = c.id)",
         {"shop.order.total + x"}),
        ("id IN (SELECT customer_id FROM \"order\")", set()),
        ("count(id) FILTER (WHERE name IS NULL)", {"shop.customer.id + x"}),
    ],
)  # fmt: skip
def test_what_is_done_to_a_column_says_what_is_left_of_it(
    expression: str, expected: set[str]
) -> None:
    assert direct(read(f"SELECT {expression} AS x FROM customer c")) == expected


def test_what_only_decides_is_said_of_the_whole_dataset() -> None:
    found = read(
        'SELECT c.name FROM customer c JOIN "order" o ON o.customer_id = c.id '
        "WHERE c.email <> '' GROUP BY c.name ORDER BY max(o.total)"
    )
    assert said(found) == {
        "shop.customer.name = name",
        "shop.customer.name ? *",
        "shop.customer.id ? *",
        "shop.customer.email ? *",
        "shop.order.customer_id ? *",
        "shop.order.total ? *",
    }
    assert found.sources == ("shop.customer", "shop.order")


def test_a_group_keeps_the_key_it_groups_by() -> None:
    found = read('SELECT customer_id, sum(total) AS spent FROM "order" GROUP BY customer_id')
    assert direct(found) == {"shop.order.customer_id = customer_id", "shop.order.total + spent"}


def test_a_union_takes_by_position_and_from_all_its_parts() -> None:
    found = read('SELECT id FROM customer UNION ALL SELECT customer_id FROM "order"')
    assert direct(found) == {"shop.customer.id = id", "shop.order.customer_id = id"}
    less = read('SELECT id FROM customer EXCEPT SELECT customer_id FROM "order"')
    assert said(less) == {"shop.customer.id = id", "shop.order.customer_id ? *"}


def test_of_two_ways_the_stronger_counts_and_a_chain_is_as_weak_as_its_weakest_part() -> None:
    union = read("SELECT upper(email) AS e FROM customer UNION SELECT email FROM customer")
    assert direct(union) == {"shop.customer.email = e"}
    chain = read(
        "WITH a AS (SELECT lower(email) AS e FROM customer), b AS (SELECT max(e) AS e FROM a) "
        "SELECT e FROM b"
    )
    assert direct(chain) == {"shop.customer.email + e"}


def test_a_recursive_query_ends() -> None:
    found = read(
        "WITH RECURSIVE up AS (SELECT id, email FROM customer UNION ALL "
        'SELECT o.customer_id, up.email FROM "order" o JOIN up ON up.id = o.no) SELECT * FROM up'
    )
    assert direct(found) == {*IDS, "shop.order.customer_id = id"}


def test_tables_out_of_functions_and_records_are_worked_out_of_their_columns() -> None:
    split = read(
        "SELECT u.part FROM customer c, LATERAL unnest(string_to_array(c.email, '@')) AS u(part)"
    )
    assert direct(split) == {"shop.customer.email ~ part"}
    record = read("SELECT c.name.first AS f FROM customer c", dialect="bigquery")
    assert direct(record) == {"shop.customer.name ~ f"}


def test_names_that_only_their_case_tells_apart_are_told_apart() -> None:
    relations = Relations([Relation(address="odd", parts=("odd",), columns=("Id", "id", "Name"))])
    found = read('SELECT "Id" AS a, id AS b, "Name" AS c FROM odd', relations=relations)
    assert direct(found) == {"odd.Id = a", "odd.id = b", "odd.Name = c"}
    # and elsewhere any case will do: a model's file says email, the warehouse EMAIL
    loud = Relations([Relation(address="w", parts=("W",), columns=("EMAIL",))])
    assert direct(read("select Email from w", relations=loud, dialect="snowflake")) == {
        "w.EMAIL = EMAIL"
    }


def test_a_bare_name_is_the_nearest_table_of_that_name() -> None:
    there = [
        Relation(address=f"{schema}.t", parts=("db", schema, "t"), columns=("a",))
        for schema in ("crm", "web")
    ]
    assert read("SELECT a FROM t", relations=Relations(there)).unknown == {"t": ("t",)}
    near = Relations(there, near=("db", "web"))
    assert read("SELECT a FROM t", relations=near).sources == ("web.t",)
    assert read("SELECT a FROM crm.t", relations=near).sources == ("crm.t",)


def test_a_table_whose_columns_nobody_knows_lets_them_through() -> None:
    nothing = Relations([])
    found = read("WITH a AS (SELECT * FROM raw.people) SELECT id, email FROM a", relations=nothing)
    assert direct(found) == {"raw.people.id = id", "raw.people.email = email"}
    assert found.unknown == {"raw.people": ("raw", "people")}
    hidden = read("SELECT * FROM raw.people", relations=nothing)
    assert (hidden.columns, hidden.flows) == (None, ())
    told = read("SELECT * FROM raw.people", relations=nothing, columns=("id",))
    assert direct(told) == {"raw.people.id = id"}


def test_a_column_that_could_be_of_two_tables_is_never_taken_for_a_copy() -> None:
    found = read("SELECT id FROM a JOIN b ON a.x = b.y", relations=Relations([]))
    assert direct(found) == {"a.id ~ id", "b.id ~ id"}


def test_the_targets_own_names_are_used_by_position() -> None:
    assert direct(read("SELECT id, email FROM customer", columns=("key", "mail"))) == {
        "shop.customer.id = key",
        "shop.customer.email = mail",
    }
    named = read("CREATE VIEW v (key, mail) AS SELECT id, email FROM customer")
    assert named.columns == ("key", "mail")


def test_a_column_that_is_nowhere_is_a_gap() -> None:
    assert read("SELECT phone FROM customer").gaps == (
        "the column 'phone' is in none of the tables",
    )


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT FROM WHERE 'marie@example.com' (", "it cannot be parsed as postgres"),
        ("SELECT 'marie@example.com", "it cannot be parsed as postgres"),
        ("DELETE FROM customer", "it holds no query"),
        ("", "it holds no query"),
        ("GRANT nonsense TO nobody", "it holds no query"),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "it is nested too deeply"),
        ("SELECT 1 -- " + "x" * LONGEST, "it is longer than"),
        ("WITH a AS (SELECT " + ", ".join(f"id AS c{n}" for n in range(1500)) + " FROM customer) "
         + "SELECT " + ", ".join(["a.*"] * 200) + " FROM a", "too many columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why_and_repeats_nothing_of_it(
    sql: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = read(sql)
    assert found.reason.startswith(reason)
    assert found.flows == ()
    assert "marie" not in found.reason + caplog.text


def test_a_long_chain_of_unions_is_read() -> None:
    sql = " UNION ALL ".join(["SELECT id FROM customer"] * 2000)
    found = read(sql)
    assert not found.reason
    assert direct(found) == {"shop.customer.id = id"}


def test_a_script_names_what_it_makes() -> None:
    found = read_script(
        "DROP TABLE x; CREATE MATERIALIZED VIEW mart.best AS SELECT id FROM customer; "
        "INSERT INTO mart.log (who) SELECT email FROM customer; SELECT 1",
        dialect="postgres",
    )
    assert isinstance(found, Script)
    assert found.unread == []
    assert [(s.target, s.what, s.columns) for s in found.statements] == [
        (("mart", "best"), "materialized view", ()),
        (("mart", "log"), "table", ("who",)),
    ]
    assert all(isinstance(s, Statement) for s in found.statements)
    broken = read_script("CREATE TABLE ((", dialect="postgres")
    assert isinstance(broken, Script)
    assert [u.what for u in broken.unread] == ["it cannot be parsed as postgres"]


def flow(text: str, kind: Kind = "identity", *, masking: bool = False) -> Flow:
    source, _, target = text.partition(" > ")
    (a, b), (c, d) = source.split("."), target.split(".")
    return Flow(
        source=a,
        source_field=b,
        target=c,
        target_field=d,
        kind=kind,
        masking=masking,
    )


def test_what_is_made_from_a_view_is_made_from_its_tables() -> None:
    flows = [
        flow("table.id > view.id"),
        flow("table.email > view.mail", "transformation", masking=True),
        flow("view.id > upper.id"),
        flow("view.mail > upper.mail"),
        flow("upper.id > copy.key"),
        flow("upper.mail > copy.mail"),
    ]
    assert set(through(flows, {"view", "upper"})) == {
        flow("table.id > upper.id"),
        flow("table.email > upper.mail", "transformation", masking=True),
        flow("table.id > copy.key"),
        flow("table.email > copy.mail", "transformation", masking=True),
    }


def test_views_that_read_each_other_end() -> None:
    flows = [flow("a.x > b.x"), flow("b.x > a.x"), flow("t.x > a.x")]
    assert set(through(flows, {"a", "b"})) == {flow("t.x > b.x")}
