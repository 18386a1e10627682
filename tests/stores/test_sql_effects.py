"""What a plan's steps would set off: cascades to rows that no step names, and triggers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from erasure.domain.steps import Step
from erasure.stores.base import Key, Work
from lineage.schema import Table
from tests.stores.company import (
    CUT_RECRUITED,
    DELETE_LINE,
    DELETE_PERSON,
    DELETE_POST,
    MENTION_POST,
    PERSON_SET,
    SECRETS,
    SHARED_ADDRESS,
    dataset,
)
from tests.stores.explain_cast import (
    LOCKER,
    STEPS,
    STICKER,
    badge,
    composite,
    effects,
    explained,
    fill,
)
from tests.stores.mariadb import MariadbHarness
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_harness import SqlHarness
from tests.stores.sql_references import number, refers
from tests.stores.test_sql_sqlite import SqliteHarness

BADGE = "cascade:shop.badge.person_id"
STICKERS = "cascade:shop.sticker.badge_id"
ANONYMIZE = Step(dataset=PERSON_SET, action="anonymize", guard=("email",))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> SqlHarness:
    """SQLite and PostgreSQL, one after the other."""
    if request.param == "sqlite":
        return SqliteHarness(tmp_path)
    found: SqlHarness = request.getfixturevalue("postgresql")
    return found


# --- cascades are found --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_delete", "code", "deed"),
    [
        ("CASCADE", BADGE, "deletes the rows of badge that refer to them by person_id"),
        ("SET NULL", "set_null:shop.badge.person_id", "empties person_id in the rows of badge"),
        ("SET DEFAULT", "set_default:shop.badge.person_id", "puts the default into person_id"),
    ],
)
def test_what_a_reference_does_by_itself_is_found_before(
    harness: SqlHarness, on_delete: str, code: str, deed: str
) -> None:
    fill(harness, badge(on_delete))
    (effect,) = effects(harness).values()
    assert effect.code == code
    assert effect.place == "shop.badge"
    assert f"deleting rows of person also {deed}" in effect.words
    assert "declare badge and its reference person_id in the catalogue" in effect.remedy


@pytest.mark.parametrize("on_delete", ["NO ACTION", "RESTRICT"])
def test_a_reference_that_only_forbids_sets_nothing_off(
    harness: SqlHarness, on_delete: str
) -> None:
    fill(harness, badge(on_delete))
    assert effects(harness) == {}


def test_a_cascade_is_followed_through_tables_that_nobody_named(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"), STICKER)
    assert sorted(effects(harness)) == [BADGE, STICKERS]
    assert "deleting rows of badge also deletes" in effects(harness)[STICKERS].words
    fill(harness, badge("SET NULL"), STICKER)
    assert sorted(effects(harness)) == ["set_null:shop.badge.person_id"]


def test_a_cascade_of_a_composite_reference_has_one_name(harness: SqlHarness) -> None:
    fill(harness, composite("CASCADE"))
    (effect,) = effects(harness, DELETE_LINE).values()
    assert effect.code == "cascade:shop.parcel.order_no+line_no"
    assert "refer to them by order_no, line_no" in effect.words


def test_a_reference_that_a_step_guards_or_cuts_is_the_plans_own(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"))
    guarded = Step(dataset=dataset("badge"), action="delete", guard=("person_id",))
    assert effects(harness, guarded, DELETE_PERSON) == {}
    cut = Step(dataset=dataset("badge"), action="redact", via="shallow", cut=("person_id",))
    assert effects(harness, cut, DELETE_PERSON) == {}
    other = Step(dataset=dataset("badge"), action="delete", guard=("motto",))
    assert sorted(effects(harness, other, DELETE_PERSON)) == [BADGE]


def test_only_rows_that_go_take_others_along(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"))
    assert effects(harness, ANONYMIZE, CUT_RECRUITED, DELETE_POST, MENTION_POST) == {}
    kept = Step(dataset=PERSON_SET, action="retain", guard=("email",))
    assert effects(harness, kept) == {}


def test_a_shared_row_goes_last_and_takes_nothing_along(harness: SqlHarness) -> None:
    """It goes only if nobody refers to it, so there is nothing to cascade to."""
    tenant = Table(
        name="tenant",
        columns=(number("id", key=True), number("address_id")),
        foreign_keys=(refers("address_id", "address", "CASCADE"),),
    )
    fill(harness, tenant)
    assert effects(harness, SHARED_ADDRESS) == {}
    harness.insert("tenant", {"id": 1, "address_id": 10})
    store = harness.store()
    (receipt,) = store.act([Work(step=SHARED_ADDRESS, keys=(Key(values=(10,)),))], SECRETS)
    store.close()
    assert len(receipt.kept) == 1
    assert len(harness.read("tenant")) == 1


def test_a_circle_of_cascades_ends(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"))
    harness.execute("ALTER TABLE badge ADD COLUMN made_from INTEGER REFERENCES badge (id) "
                    "ON DELETE CASCADE")  # fmt: skip
    assert sorted(effects(harness)) == ["cascade:shop.badge.made_from", BADGE]


def test_a_table_that_would_forbid_the_cascade_is_warned_of(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"), LOCKER)
    warnings = [w for e in explained(harness) for w in e.warnings]
    assert any(
        w.startswith("shop.locker: a row here that refers to a row of badge") for w in warnings
    )


def test_a_reference_that_no_search_follows_is_warned_of_with_what_makes_one_follow(
    harness: SqlHarness,
) -> None:
    """That of an ignored dataset is declared, and followed all the same by none."""
    fill(harness, badge("NO ACTION"))
    (warning,) = (w for e in explained(harness) for w in e.warnings if "no search follows" in w)
    assert warning.startswith("shop.badge: ")
    assert warning.endswith("(direction from), of a dataset with another action than ignore")


# --- triggers ------------------------------------------------------------------------------------


def sqlite_trigger(event: str, body: str = "SELECT 1", table: str = "person") -> str:
    return f"CREATE TRIGGER watch {event} ON {table} BEGIN {body}; END"


def test_a_trigger_on_a_table_that_is_written_is_found(harness: SqlHarness) -> None:
    fill(harness)
    harness.add_trigger("person")
    found = effects(harness)
    assert sorted(found) == ["trigger:shop.person.watch"]
    words = found["trigger:shop.person.watch"].words
    assert "the trigger watch runs when rows of person are changed" in words
    assert "if it copies the old row, as audit triggers do, the personal data in it stay" in words
    assert effects(harness, DELETE_PERSON) == {}, "it runs on UPDATE alone"
    assert sorted(effects(harness, ANONYMIZE)) == ["trigger:shop.person.watch"]
    kept = Step(dataset=PERSON_SET, action="retain", guard=("email",))
    assert effects(harness, kept) == {}, "nothing is written"


@pytest.mark.parametrize(
    ("event", "steps"),
    [
        ("AFTER DELETE", [DELETE_PERSON]),
        ("BEFORE UPDATE", [CUT_RECRUITED]),
        ("AFTER UPDATE OF recruited_by, name", [CUT_RECRUITED]),
        ("AFTER UPDATE OF address_id", []),
        ("AFTER INSERT", []),
    ],
)
def test_a_trigger_matters_to_the_steps_that_set_it_off(
    tmp_path: Path, event: str, steps: list[Step]
) -> None:
    harness = SqliteHarness(tmp_path)
    fill(harness)
    harness.execute(sqlite_trigger(event))
    store = harness.store()
    told = store.side_effects(STEPS)
    store.close()
    assert [s for s, found in zip(STEPS, told, strict=True) if found] == steps


def test_a_trigger_of_a_table_that_rows_go_along_in_is_found(harness: SqlHarness) -> None:
    fill(harness, badge("SET NULL"))
    harness.add_trigger("badge")
    assert sorted(effects(harness)) == ["set_null:shop.badge.person_id", "trigger:shop.badge.watch"]
    fill(harness, badge("CASCADE"))
    if isinstance(harness, SqliteHarness):
        harness.execute(sqlite_trigger("AFTER DELETE", table="badge"))
        assert sorted(effects(harness)) == [BADGE, "trigger:shop.badge.watch"]


def test_a_trigger_that_a_new_key_sets_off_elsewhere_is_found(harness: SqlHarness) -> None:
    """A key that is an identity is rewritten together with everything that refers to it."""
    fill(harness)
    harness.add_trigger("post")
    personal = replace(PERSON_SET.fields[0], categories=("user.unique_id",))
    keyed = replace(PERSON_SET, fields=(personal, *PERSON_SET.fields[1:]))
    assert sorted(effects(harness, replace(ANONYMIZE, dataset=keyed))) == [
        "trigger:shop.post.watch"
    ]


def test_another_text_of_a_trigger_is_another_side_effect(tmp_path: Path) -> None:
    harness = SqliteHarness(tmp_path)
    fill(harness)
    marks = []
    for body in ("SELECT 1", "INSERT INTO trail VALUES (1, old.email)", "SELECT 1"):
        harness.execute("DROP TRIGGER IF EXISTS watch")
        harness.execute(sqlite_trigger("AFTER DELETE", body))
        marks.append(effects(harness)["trigger:shop.person.watch"].mark)
    assert marks[0] == marks[2] != marks[1]


POSTGRESQL_TRIGGER = (
    "CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql "
    "AS 'BEGIN {body} RETURN OLD; END'"
)


def test_on_postgresql_internal_disabled_and_insert_triggers_are_none(
    postgresql: PostgresqlHarness,
) -> None:
    fill(postgresql, badge("NO ACTION"))
    (internal,) = postgresql.execute("SELECT count(*) FROM pg_trigger WHERE tgisinternal")
    assert internal[0] > 0, "references are carried out by triggers of their own"
    assert effects(postgresql) == {}
    postgresql.execute(POSTGRESQL_TRIGGER.format(body=""))
    on = "ON person FOR EACH ROW EXECUTE FUNCTION note()"
    postgresql.execute(f"CREATE TRIGGER born AFTER INSERT {on}")
    postgresql.execute(f"CREATE TRIGGER watch AFTER DELETE {on}")
    assert sorted(effects(postgresql)) == ["trigger:shop.person.watch"]
    first = effects(postgresql)["trigger:shop.person.watch"].mark
    postgresql.execute(POSTGRESQL_TRIGGER.format(body="PERFORM 1;"))
    assert effects(postgresql)["trigger:shop.person.watch"].mark != first
    postgresql.execute("ALTER TABLE person DISABLE TRIGGER watch")
    assert effects(postgresql) == {}


def test_a_rule_of_postgresql_counts_as_a_trigger(postgresql: PostgresqlHarness) -> None:
    fill(postgresql)
    postgresql.execute("CREATE RULE note AS ON DELETE TO person DO ALSO SELECT 1")
    assert sorted(effects(postgresql)) == ["trigger:shop.person.note"]


def test_a_trigger_of_a_partition_is_one_of_its_table(postgresql: PostgresqlHarness) -> None:
    fill(postgresql)
    postgresql.execute("CREATE TABLE visit (id int, day date, PRIMARY KEY (id, day)) "
                       "PARTITION BY RANGE (day)")  # fmt: skip
    for year in (2024, 2025):
        postgresql.execute(f"CREATE TABLE visit_{year} PARTITION OF visit "
                           f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')")  # fmt: skip
    postgresql.execute(POSTGRESQL_TRIGGER.format(body=""))
    on = "FOR EACH ROW EXECUTE FUNCTION note()"
    postgresql.execute(f"CREATE TRIGGER every AFTER DELETE ON visit {on}")
    postgresql.execute(f"CREATE TRIGGER one AFTER DELETE ON visit_2025 {on}")
    delete = Step(dataset=dataset("visit"), action="delete")
    found = effects(postgresql, delete)
    assert sorted(found) == ["trigger:shop.visit.every", "trigger:shop.visit.one"]
    before = {code: effect.mark for code, effect in found.items()}
    postgresql.execute("CREATE TABLE visit_2026 PARTITION OF visit "
                       "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")  # fmt: skip
    assert {code: e.mark for code, e in effects(postgresql, delete).items()} == before


def test_a_cycle_that_is_broken_first_sets_triggers_off(postgresql: PostgresqlHarness) -> None:
    """Rows that refer to each other go in one work; where RESTRICT forbids that, the reference is
    emptied first, by an UPDATE."""
    node = Table(
        name="node",
        columns=(number("id", key=True), number("parent")),
        foreign_keys=(refers("parent", "node", "RESTRICT"),),
    )
    fill(postgresql, node)
    postgresql.add_trigger("node")
    delete = Step(dataset=dataset("node"), action="delete", guard=("parent",))
    assert sorted(effects(postgresql, delete)) == ["trigger:shop.node.watch"]


@pytest.mark.parametrize("scheme", ["mysql", "mariadb+pymysql"])
def test_mariadb_tells_its_triggers_and_cascades(mariadb: MariadbHarness, scheme: str) -> None:
    mariadb.url = mariadb.url.replace("mysql://", f"{scheme}://")
    fill(mariadb, badge("CASCADE"), STICKER)
    mariadb.add_trigger("person")
    mariadb.execute("CREATE TRIGGER gone AFTER DELETE ON badge FOR EACH ROW SET @a = 1")
    assert sorted(effects(mariadb)) == [BADGE, STICKERS, "trigger:shop.person.watch"], (
        "InnoDB sets no trigger off by a cascade"
    )
