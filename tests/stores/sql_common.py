"""What holds for the SQL store on every real database, beyond the conformance suite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.stores.base import Declared, Hit, Key, Selector, Work
from lineage.graph import Field, Method
from lineage.schema import Table
from tests.stores.company import (
    ADDRESS,
    DELETE_PERSON,
    EMAIL,
    LINE,
    PERSON,
    POST,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    Row,
    dataset,
    keys_of,
)
from tests.stores.conformance import Planted, assert_no_values, told
from tests.stores.row_conformance import RowConformance
from tests.stores.sql_accepted import SqlAccepted
from tests.stores.sql_accepted_any import SqlAcceptedAny
from tests.stores.sql_faults import SqlFaults
from tests.stores.sql_ghosts import SqlGhosts
from tests.stores.sql_harness import SqlHarness, statements
from tests.stores.sql_references import EMPTY, SqlReferences, number, text
from tests.stores.sql_schema import SqlSchema
from tests.stores.sql_views import SqlViews


class SqlCommon(
    SqlAccepted,
    SqlAcceptedAny,
    SqlGhosts,
    SqlFaults,
    SqlSchema,
    SqlViews,
    SqlReferences,
    RowConformance,
):
    """Names, schema features, errors, scans."""

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
            "CREATE TABLE tag (id INTEGER PRIMARY KEY, label VARCHAR(60), "
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
        max_examples=25,
        deadline=None,
        # The harness makes its tables anew; and each database is an executor of its own.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
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
        if harness.folds:  # the table itself would refuse these as one key, twice
            rows = {k: o for k, o in rows.items() if k[1] in ("", "a") or (k[0], "a") not in rows}
            rows = {k: o for k, o in rows.items() if k[1] != "ä" or (k[0], "A") not in rows}
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

    def test_the_least_and_the_greatest_number_of_a_column_are_found_and_go(
        self, harness: SqlHarness
    ) -> None:
        key = replace(number("id", key=True), data_type="BIGINT")
        ends: list[Scalar] = [-(2**63), 2**63 - 1]
        rows: list[Row] = [{"id": n, "what": "theirs"} for n in (*ends, 1 - 2**63)]
        harness.create((Table(name="tally", columns=(key, text("what"))),), {"tally": rows})
        store, tally = harness.store(), dataset("tally", Field(name="id", primary_key=True))
        asked = Selector(dataset=tally, fields=("id",))
        asked_for: list[list[Scalar]] = [ends, [str(n) for n in ends], [*ends, "neither"]]
        for values in asked_for:
            found = [key for key, _, _ in store.find(asked, values)]
            assert {key.values for key in found} == {(n,) for n in ends}
        work = Work(step=Step(dataset=tally, action="delete"), keys=tuple(found))
        (receipt,) = store.act([work], EMPTY)
        assert (receipt.done, harness.read("tally")) == (2, rows[2:])
        assert store.check([work], EMPTY) == []
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
        assert hits == {("phone", True), ("doc", True)}  # it stands alone in the document
        store.close()

    def test_the_hit_in_a_long_table_is_found(self, harness: SqlHarness) -> None:
        texts = {1234: "for Mira Quell only"}
        rows: list[Row] = [{"at": i, "what": texts.get(i, f"line {i}")} for i in range(1601)]
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
        assert len(sent) <= 12

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

    def test_mailboxes_are_found_whatever_blanks_and_line_ends_are_around_them(
        self, harness: SqlHarness
    ) -> None:
        around = ("{}\r\n", "{}\t", "\n{}", "{}\v", "\f{} ", " {}")
        rows = [{**ROWS["person"][2], "id": i, "email": one.format(f"Person{i}@example.org"),
                 "address_id": None} for i, one in enumerate(around)]  # fmt: skip
        harness.create((ADDRESS, unindexed(PERSON)), {"person": rows})
        store = harness.store()
        for i in range(len(around)):
            assert [k.values for k in keys_of(store, EMAIL, f"person{i}@example.org")] == [(i,)]
        store.close()

    def test_two_mailboxes_that_folding_would_make_one_are_two_people(
        self, harness: SqlHarness
    ) -> None:
        """``ß`` is no ``ss`` in a name of the net (IDNA 2008), and ``ς`` no ``σ``."""
        mails = [
            "info@straße.example",
            "info@strasse.example",
            "INFO@STRAẞE.example",
            "ος@example.org",
            "οσ@example.org",
        ]
        rows = [{**ROWS["person"][2], "id": i, "email": mail, "address_id": None}
                for i, mail in enumerate(mails)]  # fmt: skip
        harness.create((ADDRESS, unindexed(PERSON)), {"person": rows})
        store = harness.store()
        for mail, wanted in {
            "Info@Straße.example": {0, 2},
            "info@strasse.example": {1},
            "INFO@STRASSE.EXAMPLE": {1},
            "ος@example.org": {3},
            "οσ@example.org": {4},
        }.items():
            assert {k.values[0] for k in keys_of(store, EMAIL, mail)} == wanted
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


def unindexed(table: Table) -> Table:
    """The same, taking what a collation holds equal twice."""
    return replace(table, columns=tuple(replace(c, unique=False) for c in table.columns))


PERSON_ALONE = replace(PERSON, foreign_keys=PERSON.foreign_keys[1:])
