"""Cascades and cycles in a real database; a part of sql_common.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.needles import Matcher
from erasure.domain.steps import Step
from erasure.stores.base import Key, Secrets, Work
from lineage.schema import Column, ForeignKey, Table
from tests.stores.company import (
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    Row,
    by,
    dataset,
    keys_of,
    whole_case,
)
from tests.stores.conformance import SEED
from tests.stores.sql_harness import SqlHarness

EMPTY = Secrets(seed=SEED, needles=Matcher(()))


def number(name: str, *, key: bool = False, nullable: bool = True) -> Column:
    return Column(name=name, data_type="INTEGER", primary_key=key, nullable=nullable and not key)


def text(name: str, length: int = 40, *, nullable: bool = True, unique: bool = False) -> Column:
    return Column(
        name=name, data_type=f"VARCHAR({length})", length=length, nullable=nullable, unique=unique
    )


def refers(column: str, target: str, on_delete: str = "NO ACTION") -> ForeignKey:
    return ForeignKey(
        name="", columns=(column,), target=target, target_columns=("id",), on_delete=on_delete
    )


def child_of_person(on_delete: str) -> Table:
    columns = (number("id", key=True), number("person_id"))
    return Table(
        name="badge", columns=columns, foreign_keys=(refers("person_id", "person", on_delete),)
    )


class SqlReferences:
    """What foreign keys do by themselves, and what they forbid."""

    @pytest.mark.parametrize("on_delete", ["CASCADE", "SET NULL"])
    def test_a_cascade_beyond_the_plan_is_refused_before_anything_happens(
        self, harness: SqlHarness, on_delete: str
    ) -> None:
        badge = {"badge": [{"id": 1, "person_id": SUBJECT}]}
        harness.create((*TABLES, child_of_person(on_delete)), {**ROWS, **badge})
        store = harness.store()
        works = whole_case(store)
        before = harness.read("person"), harness.read("badge"), harness.read("post")
        with pytest.raises(StoreError, match=r"shop\.badge.*declare") as caught:
            store.act(works, SECRETS)
        assert caught.value.permanent
        assert (harness.read("person"), harness.read("badge"), harness.read("post")) == before
        store.close()

    def test_a_text_key_is_followed_with_its_blanks(self, harness: SqlHarness) -> None:
        code = replace(text("code", 12), primary_key=True, nullable=False)
        team = Table(name="team", columns=(code,))
        member = Table(
            name="member",
            columns=(number("id", key=True), text("team", 12)),
            foreign_keys=(
                ForeignKey(name="", columns=("team",), target="team", target_columns=("code",),
                           on_delete="CASCADE"),
            ),
        )  # fmt: skip
        harness.create(
            (team, member), {"team": [{"code": " A "}], "member": [{"id": 1, "team": " A "}]}
        )
        store = harness.store()
        step = Step(dataset=dataset("team"), action="delete")
        work = Work(step=step, keys=(Key(values=(" A ",)),))
        with pytest.raises(StoreError, match=r"shop\.member"):
            store.act([work], EMPTY)
        assert len(harness.read("member")) == len(harness.read("team")) == 1
        store.close()

    def test_a_late_row_under_a_planned_cascade_is_searched_again(
        self, harness: SqlHarness
    ) -> None:
        badge = {"badge": [{"id": 1, "person_id": SUBJECT}]}
        harness.create((*TABLES, child_of_person("CASCADE")), {**ROWS, **badge})
        store = harness.store()
        badges = dataset("badge")
        step = Step(dataset=badges, action="delete", guard=("person_id",))
        work = Work(step=step, keys=keys_of(store, by(badges, "person_id"), SUBJECT))
        works = [work, *whole_case(store)]
        harness.insert("badge", {"id": 2, "person_id": SUBJECT})
        with pytest.raises(LateRows, match="badge"):
            store.act(works, SECRETS)
        assert len(harness.read("badge")) == 2
        keys = keys_of(store, by(badges, "person_id"), SUBJECT)
        store.act([replace(work, keys=keys), *works[1:]], SECRETS)
        assert harness.read("badge") == []
        store.close()

    def test_a_cascade_whose_rows_the_batch_takes_itself_is_allowed(
        self, harness: SqlHarness
    ) -> None:
        badge = {"badge": [{"id": 1, "person_id": SUBJECT}, {"id": 2, "person_id": 1}]}
        harness.create((*TABLES, child_of_person("CASCADE")), {**ROWS, **badge})
        store = harness.store()
        step = Step(dataset=dataset("badge"), action="delete", guard=("person_id",))
        keys = keys_of(store, by(dataset("badge"), "person_id"), SUBJECT)
        store.act([*whole_case(store), Work(step=step, keys=keys)], SECRETS)
        assert harness.read("badge") == [{"id": 2, "person_id": 1}]
        store.close()

    # cycles

    @pytest.mark.parametrize("on_delete", ["NO ACTION", "RESTRICT"])
    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_tables_that_refer_to_each_other_go_together(
        self, harness: SqlHarness, on_delete: str, order: tuple[int, int]
    ) -> None:
        """Only SQLite can declare such a cycle in CREATE TABLE: the second half is added."""
        team = Table(name="team", columns=(number("id", key=True), number("lead")))
        member = Table(
            name="member",
            columns=(number("id", key=True), number("team_id"), text("name")),
            foreign_keys=(refers("team_id", "team", on_delete),),
        )
        harness.create(
            (team, member),
            {
                "team": [{"id": 1, "lead": None}, {"id": 2, "lead": None}],
                "member": [
                    {"id": 5, "team_id": 1, "name": "Mira"},
                    {"id": 6, "team_id": 2, "name": "Tom"},
                ],
            },
        )
        harness.add_foreign_key("team", "lead", "member", on_delete)
        harness.execute(f"UPDATE team SET lead = {harness.placeholder} WHERE id = 1", [5])
        store = harness.store()
        works = [
            Work(
                step=Step(dataset=dataset("team"), action="delete", guard=("lead",)),
                keys=keys_of(store, by(dataset("team"), "lead"), 5),
            ),
            Work(
                step=Step(dataset=dataset("member"), action="delete", guard=("team_id", "name")),
                keys=keys_of(store, by(dataset("member"), "id", "team_id", "name"), 5),
            ),
        ]
        receipts = store.act([works[i] for i in order], EMPTY)
        assert [r.done for r in receipts] == [1, 1]
        assert [r.reused for r in receipts] == [(), ()]
        assert [r["id"] for r in harness.read("team")] == [2]
        assert [r["id"] for r in harness.read("member")] == [6]
        store.close()

    @pytest.mark.parametrize("on_delete", ["NO ACTION", "RESTRICT", "CASCADE"])
    def test_rows_that_refer_to_each_other_go_in_one_work(
        self, harness: SqlHarness, on_delete: str
    ) -> None:
        node = Table(
            name="node",
            columns=(number("id", key=True), number("parent")),
            foreign_keys=(refers("parent", "node", on_delete),),
        )
        rows: list[Row] = [
            {"id": 1, "parent": None},
            {"id": 2, "parent": 1},
            {"id": 3, "parent": 2},
        ]
        harness.create((node,), {"node": rows})
        store = harness.store()
        step = Step(dataset=dataset("node"), action="delete", guard=("parent",))
        keys = keys_of(store, by(dataset("node"), "id", "parent"), 1, 2, 3)
        (receipt,) = store.act([Work(step=step, keys=keys)], EMPTY)
        assert (receipt.done, receipt.reused) == (3, ())
        assert harness.read("node") == []
        store.close()

    def test_a_row_that_refers_to_itself_goes(self, harness: SqlHarness) -> None:
        node = Table(
            name="node",
            columns=(number("id", key=True), number("parent", nullable=False)),
            foreign_keys=(refers("parent", "node"),),
        )
        harness.create((node,), {"node": [{"id": 1, "parent": 1}]})
        store = harness.store()
        shared = Step(dataset=dataset("node"), action="delete", via="refcount")
        (receipt,) = store.act([Work(step=shared, keys=(Key(values=(1,)),))], EMPTY)
        assert (receipt.done, receipt.kept) == (1, ())
        assert harness.read("node") == []
        store.close()
