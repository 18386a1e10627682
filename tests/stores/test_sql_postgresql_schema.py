"""The SQL store on PostgreSQL: inheritance, partitions, identities, types, and when it looks
again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.steps import Action, Step
from erasure.stores.base import Hit, Key, Searched, Work
from lineage.graph import Field, Method
from lineage.importers.views import read_views
from lineage.schema import Check, Table
from tests.stores.company import ROWS, SECRETS, TABLES, by, dataset, keys_of
from tests.stores.postgresql import PostgresqlHarness

pytestmark = pytest.mark.postgres


@pytest.fixture
def harness(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    postgresql.clear()
    return postgresql


def tables_of(harness: PostgresqlHarness) -> dict[str, Table]:
    store = harness.store()
    found = dict(store.inspect().tables)
    store.close()
    return found


# inheritance

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, mail varchar(60), note text);
CREATE TABLE staff (desk text, PRIMARY KEY (id)) INHERITS (people);
CREATE TABLE pay (id int PRIMARY KEY, person int REFERENCES people);
INSERT INTO people VALUES (1, 'mira.quell@example.com', 'one'), (2, 'tom@example.com', 'two');
INSERT INTO staff VALUES (1, 'mira.quell@example.com', 'three', 'A'), (3, 'uma@example.com', 'four', 'B')
"""  # noqa: E501
MAIL = "mira.quell@example.com"


@pytest.fixture
def people(harness: PostgresqlHarness) -> PostgresqlHarness:
    harness.execute(PEOPLE)
    return harness


def test_a_row_of_a_child_table_is_found_in_the_child_alone(people: PostgresqlHarness) -> None:
    store = people.store()
    tables = store.inspect().tables
    assert (tables["staff"].inherits, tables["people"].inherits) == (("people",), ())
    for name in ("people", "staff"):
        keys = keys_of(store, by(dataset(name), "mail"), MAIL, "uma@example.com")
        assert [k.values for k in keys] == ([(1,)] if name == "people" else [(1,), (3,)])
    store.close()


def test_a_scan_counts_the_row_of_a_child_table_once(people: PostgresqlHarness) -> None:
    store = people.store()
    answers = list(store.scan([], SECRETS.needles))
    assert sorted((h.collection, h.key) for h in answers if isinstance(h, Hit)) == [
        ("people", (1,)), ("staff", (1,))
    ]  # fmt: skip
    rows = {s.collection: s.rows for s in answers if isinstance(s, Searched)}
    assert rows == {"people": 2, "staff": 2, "pay": 0}
    store.close()


@pytest.mark.parametrize(("name", "other"), [("people", "staff"), ("staff", "people")])
@pytest.mark.parametrize("action", ["delete", "anonymize", "redact"])
def test_the_same_key_in_parent_and_child_is_two_rows(
    people: PostgresqlHarness, name: str, other: str, action: str
) -> None:
    before = people.execute(f"SELECT * FROM ONLY {other}")
    rest = people.execute(f"SELECT * FROM ONLY {name} WHERE id <> 1")
    store = people.store()
    fields = (
        Field(name="id", primary_key=True),
        Field(name="mail", identity="email", categories=("user.contact.email",)),
        Field(name="note"),
    )
    step = Step(
        dataset=dataset(name, *fields),
        action=action,  # type: ignore[arg-type]
        via="mention" if action == "redact" else "deep",
        guard=("mail",),
        redact=("mail",) if action == "redact" else (),
    )
    work = Work(step=step, keys=keys_of(store, by(step.dataset, "mail"), MAIL))
    (receipt,) = store.act([work], SECRETS)
    assert (receipt.done, receipt.reused) == (1, ())
    assert store.check([work], SECRETS) == []
    left = people.execute(f"SELECT mail FROM ONLY {name} WHERE id = 1")
    assert left == ([] if action == "delete" else [("[erased]" if action == "redact" else None,)])
    assert people.execute(f"SELECT * FROM ONLY {other}") == before
    assert people.execute(f"SELECT * FROM ONLY {name} WHERE id <> 1") == rest
    store.close()


def test_a_key_of_the_parent_is_rewritten_in_the_parent_alone(people: PostgresqlHarness) -> None:
    people.execute("INSERT INTO pay VALUES (7, 1)")
    store = people.store()
    personal = dataset("people", Field(name="id", primary_key=True, identity="customer_id"))
    work = Work(step=Step(dataset=personal, action="anonymize"), keys=(Key(values=(1,)),))
    store.act([work], SECRETS)
    (((new,),),) = (people.execute("SELECT id FROM ONLY people WHERE id <> 2"),)
    assert new != 1
    assert people.execute("SELECT person FROM pay") == [(new,)]
    assert people.execute("SELECT id FROM staff ORDER BY id") == [(1,), (3,)]
    store.close()


# partitions

VISITS = """
CREATE TABLE person (id int PRIMARY KEY);
CREATE TABLE visit (id int, day date, person int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE visit_a PARTITION OF visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE visit_b PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
  PARTITION BY LIST (id);
CREATE TABLE visit_b1 PARTITION OF visit_b DEFAULT;
ALTER TABLE visit ADD FOREIGN KEY (person) REFERENCES person;
ALTER TABLE visit_a ADD CHECK (id > 0);
CREATE TABLE stamp (id int PRIMARY KEY, visit int, day date, FOREIGN KEY (visit, day) REFERENCES visit);
CREATE TABLE old_stamp (id int PRIMARY KEY, visit int, day date, FOREIGN KEY (visit, day) REFERENCES visit_a);
INSERT INTO person VALUES (1);
INSERT INTO visit SELECT i, '2024-02-02', 1 FROM generate_series(1, 100) i;
INSERT INTO visit SELECT i, '2025-02-02', 1 FROM generate_series(1, 50) i;
ANALYZE
"""  # noqa: E501


def test_a_partition_is_a_part_of_its_table(harness: PostgresqlHarness) -> None:
    for statement in VISITS.split(";"):
        harness.execute(statement)
    tables = tables_of(harness)
    assert set(tables) == {"person", "visit", "stamp", "old_stamp"}
    visit = tables["visit"]
    assert (visit.kind, visit.rows, visit.primary_key) == ("partitioned", 150, ("id", "day"))
    assert [(k.columns, k.target) for k in visit.foreign_keys] == [(("person",), "person")]
    for name in ("stamp", "old_stamp"):
        (key,) = tables[name].foreign_keys
        assert (key.columns, key.target) == (("visit", "day"), "visit")
        assert key.name == f"{name}_visit_day_fkey"


def test_what_was_never_counted_has_no_estimate(harness: PostgresqlHarness) -> None:
    harness.execute("CREATE TABLE new (id int PRIMARY KEY)")
    assert tables_of(harness)["new"].rows is None


# columns


def test_an_identity_that_the_database_alone_writes_is_refused(harness: PostgresqlHarness) -> None:
    harness.execute(
        "CREATE TABLE member (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        "no int GENERATED BY DEFAULT AS IDENTITY, name text)"
    )
    harness.execute("INSERT INTO member (no, name) VALUES (5, 'Mira Quell')")
    columns = {c.name: (c.assigned, c.generated) for c in tables_of(harness)["member"].columns}
    assert columns == {"id": (True, False), "no": (False, False), "name": (False, False)}
    store = harness.store()
    fields = [Field(name="id", primary_key=True, identity="customer_id"), Field(name="name")]
    work = Work(
        step=Step(dataset=dataset("member", *fields), action="anonymize"), keys=(Key(values=(1,)),)
    )
    with pytest.raises(StoreError, match=r"shop\.member\.id: .*GENERATED ALWAYS.*keep") as caught:
        store.act([work], SECRETS)
    assert caught.value.permanent
    assert harness.read("member") == [{"id": 1, "no": 5, "name": "Mira Quell"}]
    kept = replace(fields[0], method=Method(name="keep"))
    numbered = Field(name="no", categories=("user.unique_id",), method=Method(name="random"))
    step = Step(dataset=dataset("member", kept, numbered), action="anonymize")
    store.act([replace(work, step=step)], SECRETS)
    ((number,),) = harness.execute("SELECT no FROM member")
    assert number != 5
    store.close()


UNLINKING = """
CREATE FUNCTION forget_photo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' OR NEW.photo IS DISTINCT FROM OLD.photo THEN
    PERFORM lo_unlink(OLD.photo);
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$
"""


@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_a_row_does_not_go_without_its_large_object(
    harness: PostgresqlHarness, action: Action
) -> None:
    """What ``@Lob`` of many mappers makes: a number in the row, the photo or text elsewhere."""
    harness.execute("CREATE TABLE member (id int PRIMARY KEY, name text, photo oid, shelf oid)")
    harness.execute("INSERT INTO member VALUES (1, 'Mira Quell', lo_from_bytea(0, 'face'), 7)")
    store = harness.store()
    photo = Field(name="photo", categories=("user.biometric",))
    shelf = Field(name="shelf", data_type="integer")
    fields = [Field(name="id", primary_key=True), photo, shelf]
    work = Work(
        step=Step(dataset=dataset("member", *fields), action=action), keys=(Key(values=(1,)),)
    )
    for refused in (store.foresee, store.act):
        with pytest.raises(StoreError, match=r"shop\.member\.photo: .*lo_manage") as caught:
            refused([work], SECRETS)
        assert caught.value.permanent
    left = "SELECT oid FROM pg_largeobject_metadata WHERE oid = %s"
    ((number,),) = harness.execute("SELECT photo FROM member")
    assert harness.execute(left, (number,)) == [(number,)]
    harness.execute(UNLINKING)
    harness.execute(
        "CREATE TRIGGER photo BEFORE UPDATE OR DELETE ON member "
        "FOR EACH ROW EXECUTE FUNCTION forget_photo()"
    )
    store.act([work], SECRETS)
    assert harness.execute(left, (number,)) == []
    assert harness.execute("SELECT shelf FROM member WHERE photo IS NOT NULL") == []
    store.close()


def test_types_are_named_as_the_database_names_them(harness: PostgresqlHarness) -> None:
    harness.execute("CREATE TYPE mood AS ENUM ('so so', 'it''s fine')")
    harness.execute(
        "CREATE DOMAIN code AS varchar(8) NOT NULL CONSTRAINT full_code CHECK (VALUE <> '')"
    )
    harness.execute(
        "CREATE TABLE typed (id int PRIMARY KEY, feel mood NOT NULL, tags varchar(9)[], "
        "grid int[][], doc jsonb, old json, label code, odd point, "
        "amount numeric(8,2), at timestamptz)"
    )
    table = tables_of(harness)["typed"]
    told = {c.name: (c.data_type, c.nullable, c.length) for c in table.columns}
    assert told == {
        "id": ("INTEGER", False, None),
        "feel": ("ENUM('so so', 'it''s fine')", False, None),
        "tags": ("VARCHAR(9)[]", True, None),
        "grid": ("INTEGER[]", True, None),
        "doc": ("JSONB", True, None),
        "old": ("JSON", True, None),
        "label": ("VARCHAR", False, 8),
        "odd": ("point", True, None),
        "amount": ("NUMERIC(8, 2)", True, None),
        "at": ("TIMESTAMP WITH TIME ZONE", True, None),
    }
    assert table.checks == (
        Check(name="full_code", expression="((VALUE)::text <> ''::text)", columns=("label",)),
    )
    harness.execute("INSERT INTO typed (id, feel, label) VALUES (1, 'so so', 'x')")
    store = harness.store()
    feel = Field(name="feel", categories=("user.content",), method=Method(name="random"))
    work = Work(
        step=Step(dataset=dataset("typed", feel), action="anonymize"), keys=(Key(values=(1,)),)
    )
    store.act([work], SECRETS)
    assert harness.execute("SELECT feel FROM typed")[0][0] in ("so so", "it's fine")
    store.close()


@pytest.mark.parametrize(
    ("index", "unique"),
    [
        ("(code)", True),
        ("(code) NULLS NOT DISTINCT", True),
        ("(code) INCLUDE (owner)", True),
        ("(code) WHERE owner = 1", False),
        ("(lower(code))", False),
        ("(code, lower(code))", False),
        ("(code, owner)", False),
    ],
)
def test_an_index_identifies_a_row_only_where_it_holds_for_all(
    harness: PostgresqlHarness, index: str, unique: bool
) -> None:
    harness.execute("CREATE TABLE card (code text, owner int)")
    harness.execute("INSERT INTO card VALUES ('a', 1), ('b', 2)")
    harness.execute(f"CREATE UNIQUE INDEX one ON card {index}")
    column = tables_of(harness)["card"].get("code")
    assert column is not None
    assert column.unique is unique


def test_what_is_published_is_known_by_its_table(harness: PostgresqlHarness) -> None:
    harness.execute("CREATE TABLE member (id int PRIMARY KEY)")
    harness.execute("CREATE TABLE visit (id int, day date) PARTITION BY RANGE (day)")
    harness.execute(
        "CREATE TABLE early PARTITION OF visit FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
    )
    harness.execute("CREATE PUBLICATION feed FOR TABLE visit")
    store = harness.store()
    try:
        assert store.inspect().published == {"visit": ("feed",)}
    finally:
        harness.execute("DROP PUBLICATION feed")
        store.close()


@pytest.mark.parametrize(
    ("statement", "limit", "told"), [("none", -1, False), ("all", -1, True), ("all", 0, False)]
)
def test_a_server_that_logs_values_is_known(
    harness: PostgresqlHarness, statement: str, limit: int, told: bool
) -> None:
    harness.execute(f"ALTER ROLE postgres SET log_statement = '{statement}'")
    harness.execute(f"ALTER ROLE postgres SET log_parameter_max_length = {limit}")
    harness.execute(f'CREATE TABLE "{statement} {limit}" ()')
    try:  # settings of a role count for new connections, which one with other options is
        store = harness.store(lock_timeout=2 + limit + len(statement))
        assert ("log_parameter_max_length = 0" in store.inspect().logged) is told
        store.close()
    finally:
        harness.execute("ALTER ROLE postgres RESET ALL")


def test_a_materialised_view_is_named_as_what_it_is(harness: PostgresqlHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.execute("CREATE MATERIALIZED VIEW copied AS SELECT id FROM person")
    store = harness.store()
    with pytest.raises(StoreError, match="'copied' is a materialized view; it is built anew"):
        keys_of(store, by(dataset("copied"), "id"), 0)
    store.close()


def test_a_materialised_view_is_read_with_what_it_copies(harness: PostgresqlHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.execute("CREATE SCHEMA mart; CREATE VIEW shown AS SELECT * FROM person")
    harness.execute(
        "CREATE MATERIALIZED VIEW mart.copied AS SELECT id, max(email) m FROM shown GROUP BY 1"
    )
    store = harness.store()
    views = store.views()
    assert [(v.schema, v.keeps_rows) for v in views.values()] == [("mart", True), (None, False)]
    read = read_views(store.inspect().tables, views)
    assert read.sources["mart.copied"] == ("shown", "person")
    assert read.copies("mart.copied", "person") == {"id": "id"}
    assert read.worked_out("mart.copied", "person") == {}
    store.close()


def test_a_table_of_another_server_is_told_from_one_of_this(harness: PostgresqlHarness) -> None:
    harness.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw SCHEMA public")
    harness.execute("CREATE SERVER IF NOT EXISTS far FOREIGN DATA WRAPPER postgres_fdw")
    harness.execute("CREATE FOREIGN TABLE far_away (id int) SERVER far")
    harness.execute("CREATE TABLE near (id int)")
    assert {n: t.kind for n, t in tables_of(harness).items()} == {
        "far_away": "foreign", "near": "table"
    }  # fmt: skip
    harness.execute("DROP EXTENSION postgres_fdw CASCADE")


def test_triggers_that_are_switched_off_do_not_run(harness: PostgresqlHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.add_trigger("person")
    assert tables_of(harness)["person"].triggers == ("watch",)
    harness.execute("ALTER TABLE person DISABLE TRIGGER watch")
    assert tables_of(harness)["person"].triggers == ()


def test_references_lead_through_schemas(harness: PostgresqlHarness) -> None:
    harness.execute(
        "CREATE SCHEMA other; CREATE TABLE person (id int PRIMARY KEY);"
        "CREATE TABLE other.person (id int PRIMARY KEY, boss int REFERENCES person, "
        "peer int REFERENCES other.person)"
    )
    keys = tables_of(harness)["other.person"].foreign_keys
    assert [(k.columns, k.target) for k in keys] == [
        (("boss",), "person"), (("peer",), "other.person")
    ]  # fmt: skip


def test_of_two_tables_with_one_name_neither_hides_the_other(harness: PostgresqlHarness) -> None:
    harness.execute(
        'CREATE SCHEMA other; CREATE TABLE other.note (t text); CREATE TABLE "other.note" (t text)'
    )
    harness.execute("INSERT INTO other.note VALUES ('of Mira Quell')")
    store = harness.store()
    assert len(store.inspect().tables) == 2
    hits = [h.collection for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)]
    assert hits == ['"other"."note"']
    store.close()
