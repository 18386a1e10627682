"""A reference that cannot be empty leads to a ghost row afterwards, on every real database; a part
of sql_common.py."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.steps import Ghost, Step
from erasure.stores.base import Approach, Key, Work
from lineage.graph import Dataset, Field, Method
from tests.crash import Fuse
from tests.stores.album import captured, put_back
from tests.stores.company import SECRETS, Row, dataset
from tests.stores.conformance import told
from tests.stores.sql_accepted import masked
from tests.stores.sql_harness import SqlHarness

EMPLOYEE = (
    "email VARCHAR(60) NOT NULL UNIQUE, name VARCHAR(40) NOT NULL, phone VARCHAR(20), "
    "grade VARCHAR(9) NOT NULL CHECK (grade IN ('one', 'two')), "
    "hired DATE NOT NULL, active BOOLEAN DEFAULT TRUE NOT NULL"
)
PRODUCT = (
    "CREATE TABLE product (id INTEGER PRIMARY KEY, label VARCHAR(20) NOT NULL, note VARCHAR(60), "
    "owner_id {type} NOT NULL REFERENCES employee (id), "
    "FOREIGN KEY (owner_id) REFERENCES employee (id))"
)
THEIRS = 30


def employees(*fields: Field) -> Dataset:
    """Whose table the ghost rows are made in."""
    return dataset("employee", masked("email"), masked("name", "fake", "name"), *fields)


def replacing(keys: Sequence[int], person: Row | int, to: Dataset | None = None) -> Work:
    """Let products lead to a ghost row each."""
    step = Step(
        dataset=dataset("product", Field(name="owner_id"), Field(name="note", free_text=True)),
        action="redact",
        via="shallow",
        guard=("owner_id",),
        reference=("owner_id",),
        ghost=Ghost(dataset=to or employees(), field="id"),
        redact=("note",),
    )
    return Work(step=step, keys=tuple(Key(values=(k,), guard=(person,)) for k in keys))  # type: ignore[arg-type]


def leaving() -> Work:
    """The subject's own row goes."""
    return Work(
        step=Step(dataset=employees(), action="delete", guard=("email",)),
        keys=(Key(values=(1,), guard=("mira@example.com",)),),
    )


def person(number: object, name: str, **more: object) -> Row:
    row = {"email": f"{name}@example.com", "name": name, "phone": "123", "grade": "one"}
    more = {"id": number, **more}
    return {**more, **row, "hired": "2020-02-02", "active": True}  # type: ignore[dict-item]


def furnish(harness: SqlHarness, *, key: str = "", theirs: int = THEIRS) -> None:
    """The subject and a neighbour own products."""
    harness.create((), {})
    made = key or harness.serial
    harness.execute(f"CREATE TABLE employee (id {made} PRIMARY KEY, {EMPLOYEE})")
    kind = key or "INTEGER"
    harness.execute(PRODUCT.format(type=kind))
    named = {0: "mira", 1: "tom"}
    ids = {n: f"{name}-key" if key else n + 1 for n, name in named.items()}
    harness.insert("employee", *(person(ids[n], name) for n, name in named.items()))
    rows: list[Row] = [
        {"id": i, "label": f"p{i}", "note": "ask Mira Quell", "owner_id": ids[0]}
        for i in range(theirs)
    ]
    rows.append({"id": 900, "label": "his", "note": "ask Mira Quell", "owner_id": ids[1]})
    harness.insert("product", *rows)


def ghosts_of(harness: SqlHarness) -> list[Row]:
    return [r for r in harness.read("employee") if r["name"] not in ("mira", "tom")]


def killed_at(point: int, harness: SqlHarness, works: Sequence[Work]) -> bool:
    """Act in a child that dies by SIGKILL at that statement; False when it came to its end."""
    child = multiprocessing.get_context("fork").Process(target=_die, args=(point, harness, works))
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL), "act failed in the child"
    return child.exitcode == -signal.SIGKILL


def _die(point: int, harness: SqlHarness, works: Sequence[Work]) -> None:
    store = harness.store()
    store.inspect()
    fuse = Fuse(point)
    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(sa.Engine, event, lambda *_: fuse.burn())
    store.act(works, SECRETS)


class SqlGhosts:
    """One for each row, made once, accepted the first time, and empty of the person."""

    def test_each_row_leads_to_a_ghost_of_its_own_and_nobody_else_is_touched(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness)
        his = [r for r in harness.read("product") if r["id"] == 900]
        tom = [r for r in harness.read("employee") if r["name"] == "tom"]
        works = [replacing(range(THEIRS), 1)]
        with closing(harness.store()) as store:
            (receipt,) = store.act(works, SECRETS)
            assert receipt.done == THEIRS
            assert receipt.reused == ()
            assert store.check(works, SECRETS) == []
        products = {r["id"]: r for r in harness.read("product")}
        made = {r["id"]: r for r in ghosts_of(harness)}
        assert len(made) == THEIRS
        assert {products[i]["owner_id"] for i in range(THEIRS)} == set(made)
        assert {products[i]["note"] for i in range(THEIRS)} == {"ask [erased]"}
        assert {products[i]["label"] for i in range(THEIRS)} == {f"p{i}" for i in range(THEIRS)}
        assert [products[900]] == his
        assert [r for r in harness.read("employee") if r["name"] == "tom"] == tom
        assert {r["phone"] for r in made.values()} == {None}
        assert {r["grade"] for r in made.values()} <= {"one", "two"}
        assert {bool(r["active"]) for r in made.values()} == {True}
        assert len({r["email"] for r in made.values()}) == THEIRS
        assert "mira" not in str([list(r.values()) for r in made.values()]).lower()

    def test_acting_again_makes_no_second_ghost(self, harness: SqlHarness) -> None:
        furnish(harness)
        works = [replacing(range(THEIRS), 1)]
        with closing(harness.store()) as store:
            receipts = store.act(works, SECRETS)
            state = harness.read("employee"), harness.read("product")
            assert store.act(works, SECRETS) == receipts
            assert store.check(works, SECRETS) == []
        assert (harness.read("employee"), harness.read("product")) == state

    def test_killed_at_any_statement_and_acting_again_makes_no_second_ghost(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness, theirs=3)
        works = [replacing(range(3), 1)]
        point = 1
        while killed_at(point, harness, works):
            assert len(ghosts_of(harness)) == 0, "the database takes all of a batch or nothing"
            point += 1
        assert point > 5
        assert len(ghosts_of(harness)) == 3
        with closing(harness.store()) as store:
            store.act(works, SECRETS)
            assert store.check(works, SECRETS) == []
        assert len(ghosts_of(harness)) == 3

    def test_two_runs_at_once_make_one_ghost_for_each_row(self, harness: SqlHarness) -> None:
        furnish(harness)

        def act(_: int) -> int:
            with closing(harness.store()) as store:
                return store.act([replacing(range(THEIRS), 1)], SECRETS)[0].done

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(act, range(4))) == [THEIRS] * 4
        assert len(ghosts_of(harness)) == THEIRS

    def test_a_late_row_gets_its_ghost_beside_those_that_are_there(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness, theirs=2)
        with closing(harness.store()) as store:
            store.act([replacing([0, 1], 1)], SECRETS)
            before = ghosts_of(harness)
            late: Row = {"id": 50, "label": "late", "note": None, "owner_id": 1}
            harness.insert("product", late)
            work = replacing([0, 1, 50], 1)
            assert store.check([work], SECRETS)[0].count == 1
            store.act([work], SECRETS)
            assert store.check([work], SECRETS) == []
        after = ghosts_of(harness)
        assert len(after) == 3
        assert all(row in after for row in before)

    def test_the_person_can_go_in_the_same_batch(self, harness: SqlHarness) -> None:
        furnish(harness)
        works = [replacing(range(THEIRS), 1), leaving()]
        with closing(harness.store()) as store:
            store.act(works, SECRETS)
            assert store.check(works, SECRETS) == []
        assert "mira" not in {r["name"] for r in harness.read("employee")}
        assert len(harness.read("employee")) == THEIRS + 1

    def test_a_key_that_no_sequence_makes_is_drawn_and_the_same_when_drawn_again(
        self, harness: SqlHarness
    ) -> None:
        ids = []
        for _ in range(2):
            furnish(harness, key="VARCHAR(20)")
            with closing(harness.store()) as store:
                store.act([replacing(range(THEIRS), "mira-key")], SECRETS)  # type: ignore[arg-type]
            ids.append({r["id"]: r["owner_id"] for r in harness.read("product")})
        assert ids[0] == ids[1]
        assert len(set(ids[0].values())) == THEIRS + 1

    def test_a_reference_that_leads_to_somebody_else_by_now_is_left_alone(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness)
        before = harness.read("product")
        with closing(harness.store()) as store:
            store.act([replacing([900], 1)], SECRETS)
        assert harness.read("product") == before
        assert ghosts_of(harness) == []

    def test_a_ghost_that_cannot_be_filled_is_refused_while_planning_with_the_remedy(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness)
        harness.execute("CREATE TABLE site (code VARCHAR(9) PRIMARY KEY)")
        harness.insert("site", {"code": "berlin"})
        harness.execute("DROP TABLE product")
        harness.execute("DROP TABLE employee")
        harness.execute(
            f"CREATE TABLE employee (id {harness.serial} PRIMARY KEY, {EMPLOYEE}, "
            "site VARCHAR(9) NOT NULL, FOREIGN KEY (site) REFERENCES site (code))"
        )
        harness.execute(PRODUCT.format(type="INTEGER"))
        harness.insert("employee", person(1, "mira", site="berlin"))
        harness.insert("product", {"id": 1, "label": "p", "note": None, "owner_id": 1})
        state = harness.read("employee"), harness.read("product")
        with closing(harness.store()) as store:
            for attempt in (store.foresee, store.act):
                with pytest.raises(
                    StoreError, match=r"shop\.employee\.site: foreign key"
                ) as caught:
                    attempt([replacing([1], 1)], SECRETS)
                assert "method: constant" in told(caught.value)
            assert (harness.read("employee"), harness.read("product")) == state
            site = Field(name="site", method=Method(name="constant", argument="berlin"))
            work = replacing([1], 1, employees(site))
            store.foresee([work], SECRETS)
            assert (harness.read("employee"), harness.read("product")) == state
            store.act([work], SECRETS)
            assert store.check([work], SECRETS) == []
        assert [r["site"] for r in ghosts_of(harness)] == ["berlin"]

    def test_without_a_ghost_a_column_that_refuses_null_is_refused_with_the_remedy(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness)
        work = replacing([1], 1)
        step = replace(work.step, ghost=None, cut=("owner_id",))
        with closing(harness.store()) as store:
            for attempt in (store.foresee, store.act):
                with pytest.raises(StoreError, match=r"owner_id: .*\{shallow: ghost\}"):
                    attempt([replace(work, step=step)], SECRETS)

    def test_the_plan_tells_of_the_ghost_rows(self, harness: SqlHarness) -> None:
        furnish(harness)
        with closing(harness.store()) as store:
            (explained,) = store.explain([Approach(step=replacing([1], 1).step)])
        assert "a ghost row, added to employee" in explained.statement

    def test_what_an_added_row_sets_off_is_told_before(self, harness: SqlHarness) -> None:
        furnish(harness)
        harness.execute("CREATE TABLE trail (at INTEGER)")
        harness.add_insert_trigger("employee")
        with closing(harness.store()) as store:
            (effects,) = store.side_effects([replacing([1], 1).step])
        assert [e.code for e in effects] == ["trigger:shop.employee.welcome"]
        assert "added" in effects[0].words

    # the way back

    def test_undoing_puts_the_person_back_and_takes_the_ghosts_away(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness)
        before = harness.read("employee"), harness.read("product")
        with closing(harness.store()) as store:
            album = captured(store, [replacing(range(THEIRS), 1), leaving()], SECRETS)
            assert len(ghosts_of(harness)) == THEIRS
            put_back(store, album)
            put_back(store, album)
        assert (harness.read("employee"), harness.read("product")) == before

    def test_a_ghost_that_somebody_refers_to_by_now_stays_when_undoing(
        self, harness: SqlHarness
    ) -> None:
        furnish(harness, theirs=2)
        with closing(harness.store()) as store:
            album = captured(store, [replacing([0, 1], 1)], SECRETS)
            ghost = min(str(r["id"]) for r in ghosts_of(harness))
            new: Row = {"id": 70, "label": "new", "note": None, "owner_id": int(ghost)}
            harness.insert("product", new)
            put_back(store, album)
        assert [str(r["id"]) for r in ghosts_of(harness)] == [ghost]
        owners = {r["id"]: r["owner_id"] for r in harness.read("product")}
        assert owners == {0: 1, 1: 1, 70: int(ghost), 900: 2}
