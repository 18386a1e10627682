"""What holds for the SQL store on every real database, beyond the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.stores.base import Declared, Hit, Key, Secrets, Selector, Work
from lineage.graph import Field, Method
from lineage.schema import Column, ForeignKey, Table
from tests.stores.company import (
    DELETE_PERSON,
    EMAIL,
    LINE,
    PERSON,
    POST,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    by,
    dataset,
    keys_of,
    whole_case,
)
from tests.stores.conformance import SEED, Planted, assert_no_values, told
from tests.stores.row_conformance import RowConformance
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


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that SQLAlchemy sends meanwhile."""
    sent: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


class SqlCommon(RowConformance):
    """Cascades, cycles, schema features, errors."""

    # cascades

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
        rows = [{"id": 1, "parent": None}, {"id": 2, "parent": 1}, {"id": 3, "parent": 2}]
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

    # names and schema

    def test_any_legal_name_is_quoted(self, harness: SqlHarness) -> None:
        name, key, column = 'se"lect % :x', "Key %(a)s", "from"
        odd = Table(name=name, columns=(replace(number(key), primary_key=True, nullable=False),
                                        text(column), number(":g")))  # fmt: skip
        harness.create((odd,), {name: [{key: 1, column: "x@example.com", ":g": 3}]})
        store = harness.store()
        fields = (Field(name=key, primary_key=True), Field(name=column, identity="email"))
        step = Step(dataset=dataset(name, *fields), action="anonymize", guard=(":g",))
        selector = Selector(dataset=step.dataset, mode="email", fields=(column,), guard=(":g",))
        work = Work(step=step, keys=keys_of(store, selector, "X@example.com"))
        assert work.keys == (Key(values=(1,), guard=(3,)),)
        store.act([work], EMPTY)
        assert harness.read(name) == [{key: 1, column: None, ":g": 3}]
        store.act([Work(step=replace(step, action="delete"), keys=work.keys)], EMPTY)
        assert harness.read(name) == []
        store.purge([step.dataset])
        store.close()

    def test_inspection_tells_keys_types_references_and_triggers(self, harness: SqlHarness) -> None:
        harness.create(TABLES, ROWS)
        harness.execute("CREATE VIEW people AS SELECT id FROM person")
        harness.add_trigger("person")
        harness.execute("CREATE INDEX by_author ON post (author_id)")
        store = harness.store()
        tables = store.inspect().tables
        store.close()
        assert set(tables) == {t.name for t in TABLES}
        email, notes = tables["person"].get("email"), tables["person"].get("notes")
        assert email is not None
        assert notes is not None
        assert not email.nullable
        assert email.unique
        assert email.length == 60
        assert notes.nullable
        assert not notes.unique
        assert notes.length is None
        assert tables["Order Line"].primary_key == ("orderNo", "Line")
        author = tables["post"].get("author_id")
        assert author is not None
        assert author.indexed
        found = {(k.columns, k.target, k.target_columns) for k in tables["person"].foreign_keys}
        assert found == {(k.columns, k.target, k.target_columns) for k in PERSON.foreign_keys}
        assert tables["person"].triggers == ("watch",)
        assert tables["post"].triggers == ()

    def test_the_fingerprint_follows_the_schema_and_not_the_rows(self, harness: SqlHarness) -> None:
        harness.create(TABLES, ROWS)
        store = harness.store()
        first = store.inspect().fingerprint
        harness.insert("address", {"id": 99, "street": "9 New Street"})
        assert store.inspect().fingerprint == first
        harness.execute("ALTER TABLE address ADD COLUMN city VARCHAR(10)")
        assert store.inspect().fingerprint != first
        store.close()

    def test_generated_columns_are_left_alone(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE mail (id INTEGER PRIMARY KEY, address VARCHAR(60), "
            "shout VARCHAR(60) GENERATED ALWAYS AS (upper(address)) STORED)"
        )
        harness.insert("mail", {"id": 1, "address": "mira@example.com"})
        store = harness.store()
        fields = [Field(name=n, categories=("user.contact.email",)) for n in ("address", "shout")]
        step = Step(dataset=dataset("mail", *fields), action="anonymize")
        store.act([Work(step=step, keys=(Key(values=(1,)),))], EMPTY)
        assert harness.read("mail") == [{"id": 1, "address": None, "shout": None}]
        store.close()

    # errors

    def test_a_constraint_that_refuses_is_named_without_a_value(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE tag (id INTEGER PRIMARY KEY, label VARCHAR(60) "
            "CONSTRAINT no_blank CHECK (label <> 'blank'))"
        )
        harness.insert("tag", {"id": 1, "label": "mira.quell@example.com"})
        store = harness.store()
        method = Method(name="constant", argument="blank")
        labels = dataset("tag", Field(name="label", method=method))
        work = Work(step=Step(dataset=labels, action="anonymize"), keys=(Key(values=(1,)),))
        with pytest.raises(StoreError, match=r"shop\.tag.*check constraint") as caught:
            store.act([work], EMPTY)
        assert caught.value.permanent
        values = Matcher([Needle(text="mira.quell@example.com", category="email")])
        assert_no_values([told(caught.value)], values)
        assert harness.read("tag") == [{"id": 1, "label": "mira.quell@example.com"}]
        store.close()

    def test_a_method_that_the_column_cannot_take_names_the_field(
        self, harness: SqlHarness, planted: Planted
    ) -> None:
        store = harness.store()
        method = Method(name="constant", argument="x")
        people = dataset("person", Field(name="email", identity="email", method=method))
        work = Work(step=Step(dataset=people, action="anonymize"), keys=(Key(values=(SUBJECT,)),))
        with pytest.raises(StoreError, match=r"shop\.person\.email.*unique"):
            store.act([work], EMPTY)
        store.close()

    def test_a_column_that_went_since_the_schema_was_read_is_an_error_and_no_empty_answer(
        self, harness: SqlHarness
    ) -> None:
        harness.create(TABLES, ROWS)
        store = harness.store()
        store.inspect()
        harness.execute("ALTER TABLE address DROP COLUMN street")
        selector = Selector(dataset=dataset("address"), fields=("street",))
        with pytest.raises(StoreError, match=r"shop\.address.*plan again"):
            list(store.find(selector, ["1 Shared Lane"]))
        store.close()

    # guards, for any rows

    @settings(
        max_examples=40,
        deadline=None,
        # The harness makes its tables anew; and each database is an executor of its own.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(
        rows=st.dictionaries(
            st.tuples(st.integers(0, 5), st.sampled_from(["", "a", "A", "ä"])),
            st.one_of(st.none(), st.sampled_from(["me", "you", ""])),
            max_size=12,
        ),
        keys=st.dictionaries(
            st.tuples(st.integers(0, 5), st.sampled_from(["", "a", "A", "ä"])),
            st.one_of(st.none(), st.sampled_from(["me", "you", ""])),
            max_size=12,
        ),
    )
    def test_exactly_the_rows_whose_key_and_guard_match_are_deleted(
        self,
        harness: SqlHarness,
        rows: dict[tuple[int, str], str | None],
        keys: dict[tuple[int, str], str | None],
    ) -> None:
        table = Table(
            name="pair",
            columns=(
                number("a", key=True),
                replace(text("b", 5), primary_key=True, nullable=False),
                text("owner", 5),
            ),
        )
        harness.create(
            (table,), {"pair": [{"a": a, "b": b, "owner": o} for (a, b), o in rows.items()]}
        )
        store = harness.store()
        step = Step(dataset=dataset("pair"), action="delete", guard=("owner",))
        given_keys = tuple(Key(values=k, guard=(g,)) for k, g in keys.items())
        (receipt,) = store.act([Work(step=step, keys=given_keys)], EMPTY)
        left = {(r["a"], r["b"]): r["owner"] for r in harness.read("pair")}
        assert left == {k: o for k, o in rows.items() if k not in keys or keys[k] != o}
        assert {k.values for k in receipt.reused} == set(left) & set(keys)
        assert receipt.done == len(keys) - len(receipt.reused)
        assert store.check([Work(step=step, keys=given_keys)], EMPTY) == []
        store.close()

    def test_a_declared_key_that_two_rows_share_is_refused(self, harness: SqlHarness) -> None:
        harness.create(TABLES, {"trail": [{"at": 1, "what": "mine"}, {"at": 1, "what": "yours"}]})
        store = harness.store()
        trail = dataset("trail", Field(name="at", primary_key=True))
        work = Work(step=Step(dataset=trail, action="delete"), keys=(Key(values=(1,)),))
        with pytest.raises(StoreError, match="several rows"):
            store.act([work], EMPTY)
        assert len(harness.read("trail")) == 2
        store.close()

    # scan

    def test_values_of_every_kind_of_column_are_searched(self, harness: SqlHarness) -> None:
        harness.create((), {})
        blob = harness.blob
        harness.execute(
            f"CREATE TABLE odd (id INTEGER PRIMARY KEY, phone BIGINT, doc {blob}, ratio FLOAT)"
        )
        document = b'{"mail": "mira.quell@example.com"}'
        harness.insert("odd", {"id": 1, "phone": 49301234567, "doc": document, "ratio": 0.5})
        store = harness.store()
        matcher = Matcher(
            [
                Needle(text="49301234567", category="user.contact.phone_number"),
                Needle(text="mira.quell@example.com", category="email"),
            ]
        )
        declared = [Declared(dataset=dataset("odd"))]
        hits = {(h.field, h.whole) for h in store.scan(declared, matcher) if isinstance(h, Hit)}
        assert hits == {("phone", True), ("doc", False)}
        store.close()

    def test_the_hit_in_a_long_table_is_found(self, harness: SqlHarness) -> None:
        rows = [{"at": i, "what": f"line {i}"} for i in range(1601)]
        rows[1234]["what"] = "for Mira Quell only"
        harness.create(TABLES, {"trail": rows})
        store = harness.store()
        answers = list(store.scan([], SECRETS.needles))
        assert [h.field for h in answers if isinstance(h, Hit)] == ["what"]
        store.close()

    def test_five_hundred_tables_are_inspected(self, harness: SqlHarness) -> None:
        harness.clear()
        harness.script(
            [f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, v VARCHAR(9) UNIQUE)" for i in range(500)]
        )
        store = harness.store()
        with statements() as sent:
            assert len(store.inspect().tables) == 500
        store.close()
        assert len(sent) <= harness.statements_for_500_tables

    def test_mailboxes_are_found_whatever_their_letters(self, harness: SqlHarness) -> None:
        odd = [
            "Ärger@example.org",
            " blank@example.org ",
            "\u212aATE@example.org",
            "ﬁn@example.org",
        ]
        rows = [{**ROWS["person"][2], "id": i, "email": mail, "address_id": None}
                for i, mail in enumerate(odd)]  # fmt: skip
        harness.create(TABLES, {"person": rows})
        store = harness.store()
        given_ = ["äRGER@example.org", "blank@EXAMPLE.org", "kate@example.org", "fin@example.org"]
        assert [k.values for k in keys_of(store, EMAIL, *given_)] == [(0,), (1,), (2,), (3,)]
        store.close()

    def test_a_parent_with_several_late_children_names_one_of_their_tables(
        self, harness: SqlHarness
    ) -> None:
        harness.create(
            (PERSON_ALONE, POST, LINE), {"person": [ROWS["person"][0]], "post": [ROWS["post"][0]]}
        )
        store = harness.store()
        keys = tuple(f.key for f in store.find(EMAIL, ["mira.quell@example.com"]))
        with pytest.raises(LateRows) as caught:
            store.act([Work(step=DELETE_PERSON, keys=keys)], SECRETS)
        assert caught.value.place == "shop.post"
        assert len(harness.read("person")) == 1
        store.close()


PERSON_ALONE = replace(PERSON, foreign_keys=PERSON.foreign_keys[1:])
