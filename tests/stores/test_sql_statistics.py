"""What a planner remembers of rows that went: its statistics hold whole values."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from erasure.domain.steps import Step
from erasure.stores.base import Key, Purged, Work
from lineage.graph import Field
from tests.stores.company import SECRETS, dataset
from tests.stores.mariadb import MariadbHarness
from tests.stores.postgresql import PostgresqlHarness

MAIL = "mira.quell@example.com"
PERSON = dataset("person", Field(name="id", primary_key=True))
STEP = Step(dataset=PERSON, action="delete")
ROWS = f"INSERT INTO person VALUES (1, '{MAIL}'), (2, '{MAIL}')"
TABLE = "CREATE TABLE person (id int PRIMARY KEY, mail text)"


@pytest.fixture
def harness(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    postgresql.clear()
    return postgresql


def erased(
    harness: PostgresqlHarness, *statements: str, refresh: Sequence[str] = (), full: bool = True
) -> Purged:
    """After the statements and an ANALYZE the person goes, and the store is purged."""
    harness.script([*statements, "ANALYZE"])
    assert remembered(harness)
    purge = "vacuum_full" if full else "vacuum"
    store = harness.store(purge=purge, refresh=list(refresh))
    store.act([Work(step=STEP, keys=(Key(values=(1,)), Key(values=(2,))))], SECRETS)
    purged = store.purge([PERSON])
    store.close()
    return purged


def remembered(harness: PostgresqlHarness) -> list[str]:
    """Tables of whose columns the planner knows the person's value."""
    told = harness.execute(
        "SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'public' "
        "AND strpos(concat(most_common_vals, histogram_bounds), %s) > 0",
        [MAIL],
    )
    return [name for (name,) in told]


@pytest.mark.postgres
def test_nothing_is_remembered_where_other_rows_are_left(harness: PostgresqlHarness) -> None:
    index = "CREATE INDEX ON person (lower(mail))"
    others = "INSERT INTO person VALUES (3, 'tom@example.com'), (4, 'tom@example.com')"
    assert erased(harness, TABLE, index, ROWS, others).residue == "purged"
    assert remembered(harness) == []


@pytest.mark.postgres
def test_what_a_table_is_remembered_by_that_became_empty_is_said(
    harness: PostgresqlHarness,
) -> None:
    """ANALYZE leaves what it knew of a table in which it finds no row."""
    purged = erased(harness, TABLE, ROWS)
    assert remembered(harness) == ["person"]
    assert purged.residue == "logically_deleted"
    assert "statistics of person keep values" in purged.note
    assert MAIL not in purged.note


@pytest.mark.postgres
def test_what_is_remembered_is_said_after_a_plain_vacuum_too(harness: PostgresqlHarness) -> None:
    purged = erased(harness, TABLE, ROWS, full=False)
    assert purged.residue == "logically_deleted"
    assert "statistics of person keep values" in purged.note


@pytest.mark.postgres
def test_what_a_column_is_remembered_by_that_is_no_longer_looked_at_is_said(
    harness: PostgresqlHarness,
) -> None:
    off = "ALTER TABLE person ALTER mail SET STATISTICS 0"
    others = "INSERT INTO person VALUES (3, 'tom@example.com')"
    purged = erased(harness, TABLE, ROWS, others, "ANALYZE", off)
    assert remembered(harness) == ["person"]
    assert purged.residue == "logically_deleted"
    assert "statistics of person keep values" in purged.note


@pytest.mark.postgres
def test_a_partition_that_became_empty_is_said(harness: PostgresqlHarness) -> None:
    parts = (
        "CREATE TABLE person (id int PRIMARY KEY, mail text) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF person FOR VALUES FROM (0) TO (100)",
        "CREATE TABLE high PARTITION OF person FOR VALUES FROM (100) TO (200)",
        "INSERT INTO person VALUES (150, 'tom@example.com'), (151, 'tom@example.com')",
    )
    purged = erased(harness, *parts, ROWS)
    assert remembered(harness) == ["low"]
    assert purged.residue == "logically_deleted"
    assert "statistics of low keep values" in purged.note


@pytest.mark.postgres
def test_a_table_that_is_inherited_from_forgets_with_its_child(harness: PostgresqlHarness) -> None:
    """Its statistics are also over the rows of those that inherit from it."""
    base = "CREATE TABLE base (id int, mail text)"
    child = "CREATE TABLE person (PRIMARY KEY (id)) INHERITS (base)"
    others = "INSERT INTO person VALUES (3, 'tom@example.com')"
    assert erased(harness, base, child, ROWS, others).residue == "purged"
    assert remembered(harness) == []


@pytest.mark.postgres
def test_a_materialised_view_that_is_built_anew_forgets_too(harness: PostgresqlHarness) -> None:
    others = "INSERT INTO person VALUES (3, 'tom@example.com')"
    view = "CREATE MATERIALIZED VIEW people AS SELECT * FROM person"
    assert erased(harness, TABLE, ROWS, others, view, refresh=["people"]).residue == "purged"
    assert remembered(harness) == []


@pytest.mark.postgres
def test_a_parent_that_its_user_may_not_analyse_is_said(harness: PostgresqlHarness) -> None:
    harness.script(
        [
            "CREATE TABLE base (id int, mail text)",
            "CREATE TABLE person (PRIMARY KEY (id)) INHERITS (base)",
            f"{ROWS}, (3, 'tom@example.com')",
            "ANALYZE",
            "DROP ROLE IF EXISTS lethe_heir",
            "CREATE ROLE lethe_heir LOGIN",
            "GRANT USAGE ON SCHEMA public TO lethe_heir",
            "GRANT SELECT ON base TO lethe_heir",
            "ALTER TABLE person OWNER TO lethe_heir",
        ]
    )
    before = harness.url
    harness.url = before.replace("postgres@", "lethe_heir@")
    store = harness.store(purge="vacuum_full")
    store.act([Work(step=STEP, keys=(Key(values=(1,)), Key(values=(2,))))], SECRETS)
    purged = store.purge([PERSON])
    store.close()
    harness.url = before
    assert remembered(harness) == ["base"]
    assert purged.residue == "logically_deleted"
    assert "statistics of public.base keep values" in purged.note.replace('"', "")
    harness.execute("DROP OWNED BY lethe_heir; DROP ROLE lethe_heir")


@pytest.mark.mariadb
def test_what_mariadb_has_sampled_is_said_until_it_is_sampled_anew(mariadb: MariadbHarness) -> None:
    mariadb.clear()
    mariadb.execute("CREATE TABLE person (id int PRIMARY KEY, mail varchar(60))")
    mariadb.execute(f"{ROWS}, (3, 'tom@example.com')")
    mariadb.execute("ANALYZE TABLE person PERSISTENT FOR ALL")
    store = mariadb.store(purge="vacuum_full")
    store.act([Work(step=STEP, keys=(Key(values=(1,)), Key(values=(2,))))], SECRETS)
    purged = store.purge([PERSON])
    assert purged.residue == "logically_deleted"
    assert "statistics of columns of person keep values" in purged.note
    mariadb.execute("DELETE FROM mysql.column_stats WHERE table_name = 'person'")
    purged = store.purge([PERSON])
    assert (purged.residue, "statistics" in purged.note) == ("purged", False)
    store.close()


@pytest.mark.mariadb
def test_who_may_not_read_what_mariadb_has_sampled_can_purge_all_the_same(
    mariadb: MariadbHarness,
) -> None:
    mariadb.clear()
    mariadb.execute("CREATE TABLE person (id int PRIMARY KEY, mail varchar(60))")
    mariadb.execute(f"{ROWS}, (3, 'tom@example.com')")
    mariadb.execute("CREATE OR REPLACE USER lethe_reader@'%'")
    mariadb.execute(f"GRANT ALL ON {mariadb.database}.* TO lethe_reader@'%'")
    before = mariadb.url
    mariadb.url = before.replace("root@", "lethe_reader@")
    store = mariadb.store(purge="vacuum_full")
    store.act([Work(step=STEP, keys=(Key(values=(1,)), Key(values=(2,))))], SECRETS)
    assert store.purge([PERSON]).residue == "purged"
    store.close()
    mariadb.url = before
    mariadb.execute("DROP USER lethe_reader@'%'")
