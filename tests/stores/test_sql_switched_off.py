"""What somebody has switched off, or capped, for a server, a role or a table: it must not make the
store see less, or the database do less, than the plan says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.steps import Action, Step
from erasure.stores.base import Approach, Hit, Key, Searched, Work
from lineage.graph import Field
from tests.stores.company import (
    DELETE_CARD,
    EMAIL,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    by,
    dataset,
    keys_of,
)
from tests.stores.mariadb import MariadbHarness
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_harness import SqlHarness

OWNER = dataset("owner", Field(name="id", primary_key=True))
DELETE_OWNER = Step(dataset=OWNER, action="delete", along=("cascade:shop.pet.owner",))
WORK = Work(step=DELETE_OWNER, keys=(Key(values=(1,)),))
# Options that no store had before, so that its connection is a new one.
NEW = count(100)
PETS = (
    "CREATE TABLE owner (id INTEGER PRIMARY KEY)",
    "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER, "
    "CONSTRAINT owned FOREIGN KEY (owner) REFERENCES owner (id) ON DELETE CASCADE)",
    "INSERT INTO owner VALUES (1), (2)",
    "INSERT INTO pet VALUES (5, 1), (6, 2)",
)


def keep_pets(harness: SqlHarness) -> None:
    harness.clear()
    harness.script(PETS)


# MariaDB and MySQL: what is set for the whole server


@contextmanager
def set_for_all(harness: MariadbHarness, name: str, value: str) -> Iterator[None]:
    """Until then for every connection that is made; one that is open keeps what it has."""
    ((before,),) = harness.execute(f"SELECT @@GLOBAL.{name}")
    harness.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        harness.execute(f"SET GLOBAL {name} = {before}")


@pytest.mark.mariadb
def test_references_act_although_the_server_has_switched_them_off(mariadb: MariadbHarness) -> None:
    keep_pets(mariadb)
    with set_for_all(mariadb, "foreign_key_checks", "0"):
        store = mariadb.store(lock_timeout=next(NEW))
        (receipt,) = store.act([WORK], SECRETS)
    assert [dict(counts) for counts in receipt.along.values()] == [{"cascade:shop.pet.owner": 1}]
    assert mariadb.read("pet") == [{"id": 6, "owner": 2}]
    store.close()


@pytest.mark.mariadb
def test_an_answer_is_whole_although_the_server_limits_answers(mariadb: MariadbHarness) -> None:
    mariadb.create(TABLES, ROWS)
    with set_for_all(mariadb, "sql_select_limit", "1"):
        store = mariadb.store(lock_timeout=next(NEW))
        answers = list(store.scan([], SECRETS.needles))
        guarded = keys_of(store, by(DELETE_CARD.dataset, "holder"), *range(3))
    rows = {a.collection: a.rows for a in answers if isinstance(a, Searched)}
    assert rows["person"] == 3
    assert {h.field for h in answers if isinstance(h, Hit)} == {"email", "name", "notes", "body"}
    assert len(guarded) == 2
    store.close()


@pytest.mark.mariadb
def test_the_present_is_read_although_the_server_shows_the_past(mariadb: MariadbHarness) -> None:
    mariadb.clear()
    mariadb.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, email VARCHAR(60)) "
                    "WITH SYSTEM VERSIONING")  # fmt: skip
    mariadb.execute("INSERT INTO person VALUES (0, 'mira.quell@example.com')")
    with set_for_all(mariadb, "system_versioning_asof", "'2020-01-01'"):
        store = mariadb.store(lock_timeout=next(NEW))
        people = replace(EMAIL, dataset=dataset("person"), carry=())
        assert [k.values for k in keys_of(store, people, "mira.quell@example.com")] == [(SUBJECT,)]
    store.close()


# MariaDB and MySQL: tables that know no transaction


@pytest.mark.mariadb
@pytest.mark.parametrize("engine", ["MyISAM", "Aria", "MEMORY"])
@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_a_table_without_transactions_is_refused_while_planning(
    mariadb: MariadbHarness, engine: str, action: Action
) -> None:
    """What is written there stays written when the batch is taken back, or a crash ends it."""
    mariadb.clear()
    mariadb.execute(f"CREATE TABLE owner (id INTEGER PRIMARY KEY, name VARCHAR(40)) "
                    f"ENGINE={engine}")  # fmt: skip
    mariadb.execute("INSERT INTO owner VALUES (1, 'Mira Quell'), (2, 'Tom Ort')")
    store = mariadb.store()
    fields = (Field(name="id", primary_key=True), Field(name="name", categories=("user.name",)))
    step = Step(dataset=dataset("owner", *fields), action=action)
    (explained,) = store.explain([Approach(step=step)])
    assert any("no transactions" in warning for warning in explained.warnings)
    for refused in (store.foresee, store.act):
        with pytest.raises(StoreError, match=r"shop\.owner: .*ENGINE=InnoDB") as caught:
            refused([replace(WORK, step=step)], SECRETS)
        assert caught.value.permanent
    assert len(mariadb.read("owner")) == 2
    hits = [h for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)]
    assert [(h.collection, h.field) for h in hits] == [("owner", "name")]
    retained = replace(WORK, step=replace(step, action="retain"))
    assert [receipt.action for receipt in store.act([retained], SECRETS)] == ["retain"]
    store.close()


@pytest.mark.mariadb
def test_an_ordinary_table_knows_transactions(mariadb: MariadbHarness) -> None:
    mariadb.create(TABLES, ROWS)
    store = mariadb.store()
    assert {table.transactional for table in store.inspect().tables.values()} == {True}
    store.close()


# PostgreSQL: what is set for a role, or done to a table


@pytest.fixture
def pets(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    keep_pets(postgresql)
    return postgresql


@contextmanager
def set_for_role(harness: PostgresqlHarness, setting: str) -> Iterator[None]:
    database = harness.url.rpartition("/")[2]
    harness.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {setting}")
    try:
        yield
    finally:
        name = setting.partition(" ")[0]
        harness.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} RESET {name}")


@pytest.mark.postgres
def test_references_act_although_its_role_replicates(pets: PostgresqlHarness) -> None:
    with set_for_role(pets, "session_replication_role = replica"):
        store = pets.store(lock_timeout=next(NEW))
        store.act([WORK], SECRETS)
    assert pets.read("pet") == [{"id": 6, "owner": 2}]
    store.close()


@pytest.mark.postgres
def test_a_role_that_may_not_stop_replicating_is_refused(pets: PostgresqlHarness) -> None:
    pets.execute("DROP ROLE IF EXISTS lethe_replica; CREATE ROLE lethe_replica LOGIN; "
                 "GRANT ALL ON ALL TABLES IN SCHEMA public TO lethe_replica; "
                 "ALTER ROLE lethe_replica SET session_replication_role = replica")  # fmt: skip
    before = pets.url
    pets.url = before.replace("postgres@", "lethe_replica@")
    store = pets.store()
    with pytest.raises(StoreError, match="session_replication_role") as caught:
        store.act([WORK], SECRETS)
    assert caught.value.permanent
    assert len(pets.read("pet")) == 2
    store.close()
    pets.url = before
    pets.execute("DROP OWNED BY lethe_replica; DROP ROLE lethe_replica")


@pytest.mark.postgres
@pytest.mark.parametrize("rule", ["CASCADE", "NO ACTION"])
def test_a_reference_that_is_switched_off_is_refused_while_planning(
    pets: PostgresqlHarness, rule: str
) -> None:
    """As bulk loads do and forget: rows would stay that were to go along, or refer to nothing."""
    pets.execute("ALTER TABLE pet DROP CONSTRAINT owned")
    pets.add_foreign_key("pet", "owner", "owner", rule)
    pets.execute("ALTER TABLE owner DISABLE TRIGGER ALL")
    store = pets.store()
    (explained,) = store.explain([Approach(step=DELETE_OWNER)])
    assert any("ENABLE TRIGGER" in warning for warning in explained.warnings)
    for refused in (store.foresee, store.act):
        with pytest.raises(StoreError, match=r"shop\.pet\.owner: .*ENABLE TRIGGER ALL") as caught:
            refused([WORK], SECRETS)
        assert caught.value.permanent
    assert (len(pets.read("owner")), len(pets.read("pet"))) == (2, 2)
    pets.execute("ALTER TABLE owner ENABLE TRIGGER ALL; DELETE FROM pet WHERE owner = 1")
    store.inspect()
    store.act([WORK], SECRETS)
    assert len(pets.read("owner")) == 1
    store.close()


@pytest.mark.postgres
def test_a_reference_that_is_switched_off_further_down_is_refused(pets: PostgresqlHarness) -> None:
    pets.execute(
        "CREATE TABLE vet_visit (id int, pet int REFERENCES pet ON DELETE CASCADE);"
        "INSERT INTO vet_visit VALUES (1, 5);"
        "ALTER TABLE pet DISABLE TRIGGER ALL"
    )
    store = pets.store()
    along = (*DELETE_OWNER.along, "cascade:shop.vet_visit.pet")
    with pytest.raises(StoreError, match=r"shop\.vet_visit\.pet: .*ENABLE TRIGGER ALL"):
        store.act([replace(WORK, step=replace(DELETE_OWNER, along=along))], SECRETS)
    assert len(pets.read("vet_visit")) == 1
    store.close()


@pytest.mark.postgres
def test_what_is_done_is_on_disk_although_its_role_does_not_wait_for_it(
    pets: PostgresqlHarness,
) -> None:
    """A crash of the server would bring back what was called done."""
    with set_for_role(pets, "synchronous_commit = off"):
        store = pets.store(lock_timeout=next(NEW))
        with store._engine.connect() as connection:
            told = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
    assert told == "on"
    store.close()


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"log_parameter_max_length_on_error": "64"}, "log_parameter_max_length_on_error = 0"),
        ({"log_transaction_sample_rate": "0.1"}, "log_parameter_max_length = 0"),
        (
            {"auto_explain.log_min_duration": "0", "auto_explain.log_parameter_max_length": "-1"},
            "auto_explain.log_parameter_max_length = 0",
        ),
        ({"pgaudit.log": "write", "pgaudit.log_parameter": "on"}, "pgaudit.log_parameter = 0"),
        ({"pgaudit.log": "none", "pgaudit.log_parameter": "on"}, ""),
    ],
    ids=["on error", "sampled", "auto_explain", "pgaudit", "pgaudit of nothing"],
)
@pytest.mark.postgres
def test_every_way_to_log_values_is_known(
    postgresql: PostgresqlHarness, settings: dict[str, str], remedy: str
) -> None:
    postgresql.clear()
    for name, value in settings.items():
        postgresql.execute(f"ALTER ROLE postgres SET {name} = '{value}'")
    postgresql.execute(f'CREATE TABLE "{sorted(settings.items())!s:.50}" ()')
    try:
        store = postgresql.store(lock_timeout=next(NEW))
        told = store.inspect().logged
        store.close()
        assert told.endswith(f"SET {remedy}" if remedy else "")
        assert bool(told) is bool(remedy)
    finally:
        postgresql.execute("ALTER ROLE postgres RESET ALL")


@pytest.mark.postgres
def test_a_rule_that_acts_instead_is_named_and_nothing_happens(
    postgresql: PostgresqlHarness,
) -> None:
    postgresql.create(TABLES, ROWS)
    postgresql.execute("CREATE RULE kept AS ON DELETE TO card DO INSTEAD NOTHING")
    store = postgresql.store()
    work = Work(step=DELETE_CARD, keys=keys_of(store, by(DELETE_CARD.dataset, "holder"), 0))
    with pytest.raises(StoreError, match=r"shop\.card: .*rule that acts INSTEAD") as caught:
        store.act([work], SECRETS)
    assert caught.value.permanent
    assert len(postgresql.read("card")) == 2
    store.close()
