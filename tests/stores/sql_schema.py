"""What the SQL store knows of a real schema, and that it knows it again; see sql_common.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.stores.base import Hit, Key, Secrets, Selector, Work
from lineage.graph import Field
from lineage.schema import Check, ForeignKey, Inspection, Table
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
from tests.stores.sql_harness import SqlHarness, quoted, statements
from tests.stores.sql_references import EMPTY, number, refers, text

ODD = [
    "select",
    "MixedCase",
    "with blank",
    'quo"te',
    "quo'te",
    "back`tick",
    "per%cent %s",
    "co:lon :id",
    "d.o.t",
    "brack[et",
    "Übergröße_顧客",
    "check (x)",
]
TEAM = Table(
    name="team",
    columns=(
        replace(number("area"), primary_key=True, nullable=False),
        replace(number("no"), primary_key=True, nullable=False),
        text("code", 12, unique=True),
    ),
)


def inspected(harness: SqlHarness) -> Inspection:
    """What a new store says."""
    store = harness.store()
    found = store.inspect()
    store.close()
    return found


def member(*keys: ForeignKey, checks: tuple[Check, ...] = ()) -> Table:
    columns = (number("id", key=True), number("first"), number("second"), text("code", 12))
    return Table(name="member", columns=columns, foreign_keys=keys, checks=checks)


TO_TEAM = ForeignKey(
    name="to_team", columns=("second", "first"), target="team", target_columns=("area", "no")
)
BY_CODE = ForeignKey(name="by_code", columns=("code",), target="team", target_columns=("code",))


class SqlSchema:
    """Keys, references, checks, names, kinds of tables."""

    # references

    def test_references_of_several_columns_come_in_their_order(self, harness: SqlHarness) -> None:
        harness.create((TEAM, member(TO_TEAM, BY_CODE)), {})
        keys = {k.name: k for k in inspected(harness).tables["member"].foreign_keys}
        assert set(keys) == {"to_team", "by_code"}
        for key in (TO_TEAM, BY_CODE):
            found = keys[key.name]
            assert (found.columns, found.target, found.target_columns) == (
                key.columns, key.target, key.target_columns
            )  # fmt: skip

    def test_rows_are_reached_by_a_reference_of_several_columns(self, harness: SqlHarness) -> None:
        teams: list[Row] = [{"area": a, "no": n, "code": f"{a}{n}"} for a, n in ((0, 1), (1, 0))]
        members: list[Row] = [
            {"id": 1, "first": 1, "second": 0, "code": None},
            {"id": 2, "first": 0, "second": 1, "code": None},
        ]
        harness.create((TEAM, member(TO_TEAM)), {"team": teams, "member": members})
        store = harness.store()
        step = Step(dataset=dataset("team"), action="delete", via="refcount")
        work = Work(step=step, keys=(Key(values=(0, 1)), Key(values=(1, 0))))
        (receipt,) = store.act([work], EMPTY)
        assert len(receipt.kept) == 2
        harness.delete("member", id=1)
        (receipt,) = store.act([work], EMPTY)
        assert [k.values for k in receipt.kept] == [(1, 0)]
        assert [(r["area"], r["no"]) for r in harness.read("team")] == [(1, 0)]
        store.close()

    @pytest.mark.parametrize("rule", ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
    def test_what_a_reference_does_is_known(self, harness: SqlHarness, rule: str) -> None:
        other = "CASCADE" if rule == "SET NULL" else "SET NULL"
        keys = (
            replace(BY_CODE, on_delete=rule, on_update=other),
            replace(TO_TEAM, on_delete=other, on_update=rule),
        )
        harness.create((TEAM, member(*keys)), {})
        found = {k.name: k for k in inspected(harness).tables["member"].foreign_keys}
        assert (found["by_code"].on_delete, found["by_code"].on_update) == (rule, other)
        assert (found["to_team"].on_delete, found["to_team"].on_update) == (other, rule)

    def test_references_that_wait_are_told_from_those_that_do_not(
        self, harness: SqlHarness
    ) -> None:
        late = replace(BY_CODE, deferrable=harness.defers)
        harness.create((TEAM, member(TO_TEAM, late)), {})
        found = {k.name: k.deferrable for k in inspected(harness).tables["member"].foreign_keys}
        assert found == {"to_team": False, "by_code": harness.defers}

    def test_tables_may_refer_to_themselves_and_to_each_other(self, harness: SqlHarness) -> None:
        node = Table(
            name="node",
            columns=(number("id", key=True), number("parent"), number("leaf")),
            foreign_keys=(refers("parent", "node"),),
        )
        leaf = Table(
            name="leaf",
            columns=(number("id", key=True), number("node")),
            foreign_keys=(refers("node", "node"),),
        )
        harness.create((node, leaf), {})
        harness.add_foreign_key("node", "leaf", "leaf", "SET NULL")
        tables = inspected(harness).tables
        assert {k.columns[0]: k.target for k in tables["node"].foreign_keys} == {
            "parent": "node", "leaf": "leaf"
        }  # fmt: skip
        assert [k.target for k in tables["leaf"].foreign_keys] == ["node"]

    def test_a_reference_without_an_index_is_told(self, harness: SqlHarness) -> None:
        """InnoDB makes one where there is none."""
        harness.create((TEAM, member(TO_TEAM, BY_CODE)), {})
        harness.execute("CREATE INDEX other_way ON member (first, second)")
        harness.execute("CREATE INDEX too_late ON member (id, code)")
        found = {k.name: k.indexed for k in inspected(harness).tables["member"].foreign_keys}
        assert found == {"to_team": True, "by_code": not harness.defers}
        harness.execute("CREATE INDEX helpful ON member (code, id)")
        found = {k.name: k.indexed for k in inspected(harness).tables["member"].foreign_keys}
        assert found == {"to_team": True, "by_code": True}

    # columns

    def test_what_identifies_a_row_is_unique_and_what_looks_like_it_is_not(
        self, harness: SqlHarness
    ) -> None:
        harness.create((TEAM, member()), {})
        harness.execute("CREATE UNIQUE INDEX by_two ON member (first, code)")
        harness.execute("CREATE INDEX by_one ON member (second)")
        tables = inspected(harness).tables
        told = {(t, c.name): (c.unique, c.indexed) for t in tables for c in tables[t].columns}
        assert told["team", "area"] == (False, True)
        assert told["team", "no"] == (False, False)
        assert told["team", "code"] == (True, True)
        assert told["member", "id"] == (True, True)
        assert told["member", "first"] == (False, True)
        assert told["member", "code"] == (False, False)
        assert told["member", "second"] == (False, True)
        harness.execute("CREATE UNIQUE INDEX by_code ON member (code)")
        code = inspected(harness).tables["member"].get("code")
        assert code is not None
        assert code.unique

    def test_checks_are_told_with_their_columns(self, harness: SqlHarness) -> None:
        checks = (
            Check(name="in order", expression="first < second OR second IS NULL"),
            Check(name="no_blank", expression="code <> 'first, second'"),
        )
        harness.create((member(checks=checks),), {})
        found = {c.name: c for c in inspected(harness).tables["member"].checks}
        assert set(found) == {"in order", "no_blank"}
        assert found["in order"].columns == ("first", "second")
        assert found["no_blank"].columns == ("code",)
        assert "'first, second'" in found["no_blank"].expression

    def test_computed_columns_are_told(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE mail (id INTEGER PRIMARY KEY, address VARCHAR(60) DEFAULT 'x', "
            "shout VARCHAR(60) GENERATED ALWAYS AS (upper(address)) STORED)"
        )
        columns = inspected(harness).tables["mail"].columns
        assert {c.name: c.generated for c in columns} == {
            "id": False, "address": False, "shout": True
        }  # fmt: skip

    def test_rows_are_estimated_once_the_engine_has_counted(self, harness: SqlHarness) -> None:
        rows = [{"at": i, "what": None} for i in range(300)]
        harness.create(TABLES, {"trail": rows})
        harness.execute("CREATE INDEX by_time ON trail (at)")
        harness.analyse("trail")
        found = inspected(harness).tables["trail"].rows
        assert found is not None
        assert 200 <= found <= 400

    # names

    @pytest.mark.parametrize("odd", ODD)
    def test_any_name_goes_through_everything(self, harness: SqlHarness, odd: str) -> None:
        """As a table, a column, a key, a reference, a check and an index."""
        here = Table(
            name=odd,
            columns=(replace(text(odd, 40), primary_key=True, nullable=False), text("mail", 60)),
            checks=(Check(name=f"{odd}1", expression=f"{quoted(odd)} <> 'never'"),),
        )
        there = Table(
            name=f"{odd} 2",
            columns=(number("id", key=True), text(odd, 40)),
            foreign_keys=(
                ForeignKey(
                    name=f"{odd}3", columns=(odd,), target=odd, target_columns=(odd,),
                    on_delete="SET NULL",
                ),
            ),
        )  # fmt: skip
        mail = "mira.quell@example.com"
        harness.create(
            (here, there),
            {
                odd: [{odd: "a", "mail": mail}, {odd: "b", "mail": "tom@example.com"}],
                f"{odd} 2": [{"id": 1, odd: "a"}, {"id": 2, odd: "b"}],
            },
        )
        index = quoted(f"{odd}4")
        harness.execute(f"CREATE INDEX {index} ON {quoted(f'{odd} 2')} ({quoted(odd)})")
        store = harness.store()
        tables = store.inspect().tables
        assert tables[odd].primary_key == (odd,)
        assert [c.columns for c in tables[odd].checks] == [(odd,)]
        (key,) = tables[f"{odd} 2"].foreign_keys
        assert (key.columns, key.target, key.target_columns) == ((odd,), odd, (odd,))
        assert (key.on_delete, key.indexed) == ("SET NULL", True)
        here_set = dataset(odd, Field(name=odd, primary_key=True), Field(name="mail"))
        there_set = dataset(f"{odd} 2")
        selector = Selector(dataset=here_set, mode="email", fields=("mail",), guard=(odd,))
        keys = keys_of(store, selector, mail.upper())
        assert [k.values for k in keys] == [("a",)]
        children = keys_of(store, by(there_set, odd), "a")
        works = [
            Work(step=Step(dataset=there_set, action="delete", guard=(odd,)), keys=children),
            Work(step=Step(dataset=here_set, action="delete", guard=(odd,)), keys=keys),
        ]
        matcher = Matcher([Needle(text=mail, category="email")])
        hits = [h for h in store.scan([], matcher) if isinstance(h, Hit)]
        assert [(h.collection, h.field) for h in hits] == [(odd, "mail")]
        store.act(works, Secrets(seed=SEED, needles=matcher))
        assert store.check(works, EMPTY) == []
        assert [r[odd] for r in harness.read(odd)] == ["b"]
        assert [r[odd] for r in harness.read(f"{odd} 2")] == ["b"]
        store.purge([here_set, there_set])
        store.close()

    # views

    def test_a_view_is_no_table_and_the_error_says_what_to_name(self, harness: SqlHarness) -> None:
        harness.create(TABLES, ROWS)
        harness.execute("CREATE VIEW people AS SELECT id, email FROM person")
        store = harness.store()
        found = store.inspect()
        assert "people" not in found.tables
        assert found.views == {"people": "view"}
        with pytest.raises(StoreError, match=r"shop\.people: 'people' is a view; name the tables"):
            list(store.find(by(dataset("people"), "id"), [0]))
        work = Work(step=Step(dataset=dataset("people"), action="delete"), keys=(Key(values=(0,)),))
        with pytest.raises(StoreError, match="is a view") as caught:
            store.act([work], EMPTY)
        assert caught.value.permanent
        assert len(harness.read("person")) == 3
        store.close()

    # exact texts

    def test_texts_that_a_collation_holds_equal_are_different_people(
        self, harness: SqlHarness
    ) -> None:
        """Found, guarded, changed and deleted: case counts, and so do accents and blanks."""
        harness.clear()
        kind = harness.folding()
        harness.script(
            [f"CREATE TABLE login (id INTEGER PRIMARY KEY, name {kind}, owner {kind}, seen {kind})"]
        )
        names = ["Mira", "mira", "MIRA", "Míra", "Mira "]
        rows: list[Row] = [
            {"id": i, "name": n, "owner": n, "seen": "x"} for i, n in enumerate(names)
        ]
        harness.insert("login", *rows)
        store = harness.store()
        logins = dataset("login", Field(name="seen", categories=("user.content",)))
        assert [k.values for k in keys_of(store, by(logins, "name"), "mira")] == [(1,)]
        assert [k.values for k in keys_of(store, by(logins, "name"), "Mira")] == [(0,)]
        # keys that were somebody's when they were found, and are somebody else's now
        stale = tuple(Key(values=(i,), guard=("mira",)) for i in range(5))
        for action in ("anonymize", "delete"):
            step = Step(dataset=logins, action=action, guard=("owner",))
            (receipt,) = store.act([Work(step=step, keys=stale)], EMPTY)
            assert [k.values for k in receipt.reused] == [(0,), (2,), (3,), (4,)]
            others = [r for r in harness.read("login") if r["id"] != 1]
            assert others == [r for r in rows if r["id"] != 1]
        assert len(others) == len(harness.read("login"))
        by_name = dataset("login", Field(name="name", primary_key=True))
        step = Step(dataset=by_name, action="delete")
        store.act([Work(step=step, keys=(Key(values=("MIRA",)),))], EMPTY)
        assert [r["id"] for r in harness.read("login")] == [0, 3, 4]
        store.close()

    # again

    CHANGES = (
        "ALTER TABLE member ADD COLUMN third INTEGER",
        "CREATE TABLE another (id INTEGER PRIMARY KEY)",
        "DROP TABLE badge",
        "CREATE UNIQUE INDEX one ON member (code)",
    )

    @pytest.mark.parametrize("change", CHANGES)
    def test_what_another_process_changes_is_seen(self, harness: SqlHarness, change: str) -> None:
        badge = Table(name="badge", columns=(number("id", key=True),))
        harness.create((TEAM, member(TO_TEAM), badge), {})
        store = harness.store()
        first = store.inspect().fingerprint
        assert store.inspect().fingerprint == first
        harness.elsewhere(change)
        assert store.inspect().fingerprint != first
        assert inspected(harness).fingerprint == store.inspect().fingerprint
        store.close()

    def test_an_unchanged_schema_is_not_read_again(self, harness: SqlHarness) -> None:
        harness.create(TABLES, ROWS)
        inspected(harness)
        harness.insert("address", {"id": 99, "street": "9 New Street"})
        harness.analyse("address")
        inspected(harness)  # SQLite makes a table for what ANALYZE finds
        harness.analyse("address")
        with statements() as sent:
            inspected(harness)
        assert len(sent) <= (2 if harness.versioned else 12)  # SQLite's BEGIN is one of them

    @pytest.mark.parametrize(
        "changed",
        [
            member(replace(TO_TEAM, on_update="CASCADE")),
            member(replace(TO_TEAM, on_delete="CASCADE")),
            member(TO_TEAM, checks=(Check(name="small", expression="first < 5"),)),
            member(),
        ],
        ids=["on update", "on delete", "check", "none"],
    )
    def test_the_fingerprint_follows_what_a_plan_relies_on(
        self, harness: SqlHarness, changed: Table
    ) -> None:
        harness.create((TEAM, member(TO_TEAM)), {})
        first = inspected(harness)
        harness.create((TEAM, member(TO_TEAM)), {})
        harness.execute("CREATE INDEX helpful ON member (id, code)")
        assert inspected(harness).fingerprint == first.fingerprint
        harness.create((TEAM, changed), {})
        assert inspected(harness).fingerprint != first.fingerprint

    # bytes

    def test_after_a_full_purge_no_byte_of_the_person_is_in_the_tables_own_files(
        self, harness: SqlHarness
    ) -> None:
        from_tables = {"person": b"mira.quell@example.com", "post": b"mira quell"}
        harness.create(TABLES, ROWS)
        mine: list[Row] = [
            {"id": i, "author_id": SUBJECT, "body": f"{i} Mira Quell"} for i in range(200, 600)
        ]
        harness.insert("post", *mine)  # so many that some are not overwritten by chance
        store = harness.store(purge="vacuum_full")
        works = whole_case(store)
        for table, needle in from_tables.items():
            assert needle in harness.raw(table).lower()
        store.act(works, SECRETS)
        purged = store.purge([w.step.dataset for w in works])
        assert purged.residue in ("purged", "expires_on")
        for table in (t.name for t in TABLES):
            raw = harness.raw(table).lower()
            assert raw
            for needle in from_tables.values():
                assert needle not in raw
        store.close()
