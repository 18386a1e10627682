"""An employee leaves, and the products they look after stay, though each must have somebody: every
one of them gets a ghost row of its own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from erasure.domain.errors import StoreError
from erasure.inline import approve, open_case, run_inline, undo_case
from erasure.models import ErasureRequest
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import CONSOLE, OFFICER
from tests.scenarios.conftest import HERE, Installation
from tests.scenarios.crashing import dying
from tests.stores import mariadb, postgresql
from tests.stores.company import Row
from tests.stores.sql_harness import SqlHarness
from tests.stores.test_sql_sqlite import SqliteHarness

SUBJECT, NAME = "ann.archer@example.com", "Ann Archer"
CATALOGUE = (HERE / "ghosts.yml").read_text()
DECLARED = "            erasure: {on_erase: {shallow: ghost}}\n"
HERS = 5
EMPLOYEE = (
    "CREATE TABLE employee (id {serial} PRIMARY KEY, email VARCHAR(60) NOT NULL UNIQUE, "
    "name VARCHAR(40) NOT NULL, grade VARCHAR(9) NOT NULL CHECK (grade IN ('one', 'two')))"
)
PRODUCT = (
    "CREATE TABLE product (id INTEGER PRIMARY KEY, label VARCHAR(20) NOT NULL, "
    "note VARCHAR(60), owner_id INTEGER NOT NULL, "
    "FOREIGN KEY (owner_id) REFERENCES employee (id))"
)


def fill(shop: SqlHarness) -> SqlHarness:
    """Ann looks after five products, and Ben after one."""
    shop.create((), {})
    shop.execute(EMPLOYEE.format(serial=shop.serial))
    shop.execute(PRODUCT)
    people = {1: (SUBJECT, NAME), 2: ("ben.baker@example.com", "Ben Baker")}
    staff: list[Row] = [
        {"id": n, "email": email, "name": name, "grade": "one"}
        for n, (email, name) in people.items()
    ]
    shop.insert("employee", *staff)
    products: list[Row] = [
        {"id": n, "label": f"p{n}", "note": f"ask {NAME}", "owner_id": 1} for n in range(HERS)
    ]
    shop.insert("product", *products, {"id": 90, "label": "his", "note": None, "owner_id": 2})
    return shop


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SqlHarness]:
    """The shop on every engine, and its catalogue."""
    for made in _made(request.param, tmp_path):
        fill(made)
        monkeypatch.setenv("SHOP_URL", made.url)
        yield made
        made.close()


def _made(engine: str, folder: Path) -> Iterator[SqlHarness]:
    if engine == "sqlite":
        yield SqliteHarness(folder)
    elif engine == "postgresql":
        yield from map(postgresql.PostgresqlHarness, postgresql.scratch_database("ghosts"))
    else:
        yield from map(mariadb.MariadbHarness, mariadb.scratch_database("ghosts"))


def planned(catalogue: str = CATALOGUE) -> ErasureRequest:
    """The subject's case, with its plan."""
    catalog.upsert(fideslang.read_text(catalogue, "shop.yml"))
    return open_case([("email", SUBJECT)], by=OFFICER, method="test")


def carried_out(case: ErasureRequest) -> ErasureRequest:
    approve(case, by=CONSOLE, because="test")
    return run_inline(case)


def assert_decorrelated(shop: SqlHarness) -> None:
    """Ann is gone, each product has somebody of its own, and Ben was not touched."""
    staff = {r["id"]: r for r in shop.read("employee")}
    products = {r["id"]: r for r in shop.read("product")}
    owners = {products[n]["owner_id"] for n in range(HERS)}
    assert len(owners) == HERS
    assert owners == staff.keys() - {2}
    assert {products[n]["label"] for n in range(HERS)} == {f"p{n}" for n in range(HERS)}
    assert {products[n]["note"] for n in range(HERS)} == {"ask [erased]"}
    assert (staff[2]["name"], products[90]["owner_id"]) == ("Ben Baker", 2)
    every = str([list(r.values()) for r in (*staff.values(), *products.values())]).lower()
    assert "ann.archer" not in every
    assert NAME.lower() not in every


@pytest.mark.django_db(transaction=True)
def test_each_row_that_referred_to_the_person_gets_a_ghost_of_its_own(shop: SqlHarness) -> None:
    case = carried_out(planned())
    assert case.state == "completed", case.blocked_because
    assert_decorrelated(shop)


@pytest.mark.django_db(transaction=True)
def test_the_plan_says_so_before_anybody_approves_it(shop: SqlHarness) -> None:
    before = shop.read("employee"), shop.read("product")
    (step,) = [s for s in planned().plans.get().steps.all() if s.via == "shallow"]
    assert step.counted == HERS
    assert "a ghost row takes the person's place" in step.reason
    assert "a ghost row, added to employee" in step.explained["statement"]
    assert (shop.read("employee"), shop.read("product")) == before


@pytest.mark.django_db(transaction=True)
def test_without_a_ghost_declared_planning_refuses_with_the_line_that_settles_it(
    shop: SqlHarness,
) -> None:
    line = r"shop\.product\.owner_id: .*`- \{name: owner_id, erasure: \{on_erase: \{shallow: ghost"
    with pytest.raises(StoreError, match=line):
        planned(CATALOGUE.replace(DECLARED, "            erasure: {on_erase: shallow}\n"))


@pytest.mark.django_db(transaction=True)
def test_a_ghost_that_its_table_would_not_take_is_refused_while_planning(
    shop: SqlHarness,
) -> None:
    no_use = CATALOGUE.replace("{name: grade}", "{name: grade, erasure: {method: {constant: x}}}")
    with pytest.raises(StoreError, match=r"employee\.grade: check constraint .*the constant"):
        planned(no_use)


@pytest.mark.django_db(transaction=True)
def test_undone_everything_is_as_it_was(shop: SqlHarness, settings: Settings) -> None:
    settings.LETHE_UNDO_WINDOW = timedelta(hours=24)
    before = shop.read("employee"), shop.read("product")
    case = carried_out(planned())
    assert case.state == "awaiting_window", case.blocked_because
    assert_decorrelated(shop)
    undo_case(case, by=OFFICER, because="the wrong employee was looked up")
    assert case.state == "undone"
    assert (shop.read("employee"), shop.read("product")) == before


BOSSES = """
store:
  - {name: shop_db, kind: sql, url: "${SHOP_URL}"}
dataset:
  - fides_key: shop
    erasure: {store: shop_db}
    collections:
      - name: boss
        erasure: {action: anonymize, because: the pay slips refer to it}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
          - name: boss_id
            fides_meta: {references: [{dataset: shop, field: boss.id, direction: from}]}
            erasure: {on_erase: {shallow: ghost}}
"""


@pytest.mark.django_db(transaction=True)
def test_a_row_of_their_own_that_leads_to_themselves_is_anonymised_all_the_same(
    shop: SqlHarness,
) -> None:
    shop.create((), {})
    shop.execute(
        f"CREATE TABLE boss (id {shop.serial} PRIMARY KEY, email VARCHAR(60) NOT NULL UNIQUE, "
        "boss_id INTEGER DEFAULT 2 NOT NULL, FOREIGN KEY (boss_id) REFERENCES boss (id))"
    )
    shop.insert(
        "boss",
        {"id": 1, "email": SUBJECT, "boss_id": 1},
        {"id": 2, "email": "ben.baker@example.com", "boss_id": 1},
    )
    case = carried_out(planned(BOSSES))
    assert case.state == "completed", case.blocked_because
    assert case.run is not None
    assert case.run.batches.count() == 1, "at once, and not as a row that somebody else has now"
    bosses = {r["id"]: r for r in shop.read("boss")}
    assert "archer" not in str(bosses[1]["email"])
    assert bosses[2]["email"] == "ben.baker@example.com"
    ghosts = {n for n in bosses if n not in (1, 2)}
    assert {bosses[1]["boss_id"], bosses[2]["boss_id"]} == ghosts
    assert len(ghosts) == 2
    assert {bosses[n]["boss_id"] for n in ghosts} == {2}


@pytest.mark.timeout(1200)
def test_killed_anywhere_and_started_again_there_is_no_second_ghost(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    folder = tmp_path / "installation"
    shutil.copytree(catalogued("ghosts.yml"), folder / "home")
    shop = SqliteHarness(folder)
    fill(shop)
    made = Installation(home=folder / "home", environment={"SHOP_URL": shop.url})
    command = ("erase", f"email={SUBJECT}", "--yes")
    with dying(made, command, command) as crashes:
        assert (crashes.code, crashes.statements > 100, len(crashes) > 10) == (0, True, True)
        assert_decorrelated(shop)
        for crash in crashes:
            assert crash.go_on() == [0], crash
            with closing(sqlite3.connect(made.home / "control.sqlite3")) as control:
                states = control.execute("select state from erasure_erasurerequest").fetchall()
            assert sorted(states) in ([("completed",)], [("completed",), ("no_data",)]), crash
            assert_decorrelated(shop)
