"""Every way in which SQL puts rows somewhere is read, and what is not is told by line and kind."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import call_command

from lineage.columns import Relation, Relations
from lineage.importers.queries import Queries, Query
from lineage.importers.sql_statements import Script, read_script
from tests.lineage.heard_cast import effects, shop

__all__ = ["shop"]

CUSTOMER = Relation(address="shop.customer", parts=("customer",), columns=("id", "email", "city"))
NAMES = {"shop.customer": ("db", "customer")}
AT = datetime(2026, 11, 20, tzinfo=UTC)
SECRET = "ann.archer@example.com"


def told(sql: str, dialect: str = "postgres") -> tuple[dict[str, set[str]], list[str]]:
    """By what is filled: ``mine < theirs (how)``, or the table alone where no column is known; and
    the warnings."""
    queries = Queries(Relations([CUSTOMER]), NAMES, lambda parts: ("db", ".".join(parts)), dialect)
    queries.script(Query(place="etl.sql", job="etl", text=sql, at=AT))
    found: dict[str, set[str]] = {}
    for event in queries.events():
        (into,) = event["outputs"]
        facet = into["facets"].get("columnLineage", {"fields": {}})
        said = {
            f"{mine} < {one['name']}.{one['field']} ({one['transformations'][0]['subtype']})"
            for mine, fields in facet["fields"].items()
            for one in fields["inputFields"]
        }
        known = {s.partition(" < ")[2].rpartition(".")[0] for s in said}
        said |= {one["name"] for one in event["inputs"] if one["name"] not in known}
        found[into["name"]] = said
    return found, queries.warnings


COPIES = {"a < customer.id (IDENTITY)", "b < customer.email (IDENTITY)"}
WHOLE = {f"{c} < customer.{c} (IDENTITY)" for c in ("id", "email", "city")}
FILLED = [
    ("postgres", "insert into t (a, b) select id, email from customer", COPIES),
    ("postgres", "create table t as table customer", WHOLE),
    ("postgres", "create table t as select id as a, email as b from customer", COPIES),
    (
        "postgres",
        "create materialized view t as select id as a, email as b from customer with no data",
        COPIES,
    ),
    ("postgres", "select id as a, email as b into t from customer", COPIES),
    ("mysql", "replace into t (a, b) select id, email from customer", COPIES),
    ("sqlite", "insert or replace into t (a, b) select id, email from customer", COPIES),
    ("snowflake", "create table t clone customer", WHOLE),
    (
        "postgres",
        "merge into t as x using (select id, email from customer) s on x.a = s.id when matched and "
        "s.email > '' then update set b = s.email when not matched then insert (a, b) values "
        "(s.id, s.email) when not matched by source then delete",
        COPIES,
    ),
    (
        "databricks",
        "merge into t using customer on t.id = customer.id when matched then update set * "
        "when not matched then insert *",
        WHOLE,
    ),
    ("postgres", "update t set a = c.id, b = c.email from customer c where c.id = t.a", COPIES),
    ("postgres", "update t set (a, b) = (c.id, c.email) from customer c where c.id = t.a", COPIES),
    ("mysql", "update t join customer c on c.id = t.a set t.a = c.id, t.b = c.email", COPIES),
    (
        "postgres",
        "update t set b = (select max(email) from customer where id = t.a)",
        {"b < customer.email (AGGREGATION)"},
    ),
    (
        "postgres",
        "with s as (select * from customer) update t set a = s.id, b = s.email from s where true",
        COPIES,
    ),
    (
        "postgres",
        "with gone as (delete from customer where id < 9 returning id, email) "
        "insert into t (a, b) select * from gone",
        COPIES,
    ),
    (
        "postgres",
        "with kept as (insert into t (a, b) select id, email from customer returning a) "
        "select a from kept",
        COPIES,
    ),
]


@pytest.mark.parametrize(("dialect", "sql", "wanted"), FILLED, ids=[s[:40] for _, s, _ in FILLED])
def test_a_statement_that_fills_a_table_says_which_columns_go_where(
    dialect: str, sql: str, wanted: set[str]
) -> None:
    found, warnings = told(sql, dialect)
    assert warnings == []
    assert {s for s in found["t"] if "FILTER" not in s} >= wanted
    assert not {s for s in found["t"] if "IDENTITY" in s} - wanted


def test_an_update_of_two_tables_at_once_says_each() -> None:
    found, warnings = told(
        "update t join u on u.id = t.id join customer c on c.id = t.id "
        "set t.a = c.email, u.z = c.city",
        "mysql",
    )
    assert warnings == []
    assert "a < customer.email (IDENTITY)" in found["t"]
    assert "z < customer.city (IDENTITY)" in found["u"]


def test_files_that_are_written_and_read_are_datasets() -> None:
    found, warnings = told(
        "copy (select id, email from customer) to '/out/people.csv' with (format csv);\n"
        "copy customer (email) to '/out/mails.csv';\n"
        "copy fresh (a, b) from '/out/people.csv';\n"
    )
    assert warnings == []
    assert found["/out/people.csv"] == {
        "id < customer.id (IDENTITY)",
        "email < customer.email (IDENTITY)",
    }
    assert found["/out/mails.csv"] == {"email < customer.email (IDENTITY)"}
    assert found["fresh"] == {"/out/people.csv"}


@pytest.mark.parametrize(
    ("dialect", "sql", "into", "out_of"),
    [
        (
            "redshift",
            "unload ('select email from customer where city = ''Bern''') to 's3://lake/out/' "
            "iam_role 'x'",
            "out/",
            "email < customer.email (IDENTITY)",
        ),
        ("redshift", "copy t from 's3://lake/in' iam_role 'x'", "t", "in"),
        (
            "mysql",
            "load data local infile '/in/t.csv' into table t fields terminated by ','",
            "t",
            "/in/t.csv",
        ),
    ],
)
def test_what_is_loaded_and_unloaded_is_read(
    dialect: str, sql: str, into: str, out_of: str
) -> None:
    found, warnings = told(sql, dialect)
    assert warnings == []
    assert out_of in found[into]


IDLE = """
begin; set search_path = shop; drop table if exists t; truncate t; create table t (a int);
create index i on t (a); insert into t values (1); delete from t using customer c where c.id = t.a;
update t set a = 1; grant select on t to reader; analyze t; vacuum t; comment on table t is 'x';
refresh materialized view concurrently m; lock table t; reindex table t; commit; select 1;
copy t from stdin;
"""


def test_what_moves_nothing_is_no_warning() -> None:
    assert told(IDLE) == ({}, [])


MOVING = f"""
call nightly('{SECRET}');
do $$ begin insert into t select * from customer; end $$;
create function f() returns void as $$ insert into t select '{SECRET}' $$ language sql;
copy customer to stdout;
copy customer to program 'gzip > {SECRET}';
alter table customer rename to people;
prepare p as insert into t select * from customer;
insert into ( '{SECRET}';
execute p('{SECRET}');
\\copy customer to '{SECRET}.csv'
insert into t (a, b) select id, email from customer;
"""


def test_what_is_not_understood_is_told_by_line_and_kind_and_costs_itself_only() -> None:
    found, warnings = told(MOVING)
    assert found["t"] == COPIES
    lines = {int(w.partition("line ")[2].partition(":")[0]): w for w in warnings[:-1]}
    assert set(lines) == set(range(2, 12))
    assert lines[2].endswith("CALL is not understood")
    assert lines[4].endswith("CREATE FUNCTION is not understood")
    assert lines[9].endswith("cannot be parsed as postgres")
    assert lines[11].endswith("\\copy is not understood")
    assert warnings[-1] == "statements that may move data and were not read: 10"
    assert SECRET not in "\n".join(warnings)


def test_many_alike_are_counted() -> None:
    _, warnings = told("call a();\n" * 50)
    assert len(warnings) == 22
    assert warnings[20:] == [
        "30 more statements: CALL is not understood",
        "statements that may move data and were not read: 50",
    ]


DUMP = f"""
CREATE TABLE public.t (a int, b text);
COPY public.t (a, b) FROM stdin;
1\tit's {SECRET}; (
2\t"
\\.

insert into u (x) select email from customer;
call late();
"""


def test_rows_inside_of_a_dump_are_no_statements() -> None:
    found, warnings = told(DUMP)
    assert found == {"u": {"x < customer.email (IDENTITY)"}}
    assert warnings == [
        "etl.sql, line 9: CALL is not understood",
        "statements that may move data and were not read: 1",
    ]


def test_a_dialect_that_nobody_knows_is_read_as_plain_sql() -> None:
    script = read_script("insert into t select id from customer", dialect="cobol")
    assert isinstance(script, Script)
    assert [s.target for s in script.statements] == [("t",)]


@pytest.mark.django_db
@pytest.mark.usefixtures("shop")
def test_a_copy_in_a_file_is_part_of_a_persons_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "export.sql"
    path.write_text(
        "copy (select id as who, city from customer) to '/out/people.csv';\n"
        "merge into mart.v using customer c on c.id = v.who when not matched then insert (who) "
        "values (c.id);\ncall more();\n"
    )
    os.utime(path, (1_790_000_000, 1_790_000_000))
    call_command("import_lineage", str(path), format="sql", store="db")
    said = capsys.readouterr()
    assert "2 tables that queries fill" in said.out
    assert f"{path}, line 3: CALL is not understood" in said.err
    reached = effects()
    assert reached["file:/out/people.csv"] == "deep"
    assert reached["postgres://db:5432/shop.mart.v"] == "deep"
