"""A schema that moves under the store, and names and values that mean it ill; a part of
sql_common.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.stores.base import Hit, Key, Secrets, Selector, Work
from lineage.graph import Field
from lineage.schema import Table
from tests.stores.company import ROWS, SECRETS, TABLES, dataset, whole_case
from tests.stores.conformance import SEED
from tests.stores.sql_harness import SqlHarness
from tests.stores.sql_references import EMPTY, child_of_person, number, refers, text

LONG = "x" * 9_000
# Values that somebody might give as an identity, or have written into a column.
HOSTILE = [
    "'; DROP TABLE person; --",
    '"; DELETE FROM person; --',
    "' OR '1'='1",
    "\\'; DROP TABLE person; -- \\",
    "%' OR 1=1 -- %s %(x)s",
    ":id :0 {0} ${HOME}",
    "`;`, [x], $$, $1, ?",
    "🦊 Ünïcödé ﬁ \u202e\u200b\ufeff 顧客",
    "{1,2}",
    "NULL",
    f"{LONG}@example.com",
]
IMPOSSIBLE = [
    "a\x00b",
    "\x00",
    "\ud800",
    "9" * 10_000,
    "-" + "9" * 10_000,
    "1e400",
    "1e999999",
    "1e-999999",
    "1" + LONG,
]


class SqlFaults:
    """What a plan relies on, what is added meanwhile, and what is not to be taken literally."""

    # the schema moves

    def test_what_a_plan_relies_on_is_its_own_tables_and_what_refers_to_them(
        self, harness: SqlHarness
    ) -> None:
        harness.create(TABLES, ROWS)
        store = harness.store()

        def relied_on() -> list[str]:
            found = store.inspect()
            return [found.fingerprint, *(found.fingerprint_of([n]) for n in ("person", "post"))]

        def told_apart(before: list[str]) -> list[bool]:
            return [one != two for one, two in zip(before, relied_on(), strict=True)]

        before = relied_on()
        harness.execute("CREATE TABLE weather (day INTEGER PRIMARY KEY)")
        assert told_apart(before) == [True, False, False]
        before = relied_on()
        harness.execute("ALTER TABLE post ADD COLUMN mood VARCHAR(9)")
        assert told_apart(before) == [True, False, True]
        before = relied_on()
        harness.fill([child_of_person("NO ACTION")], {})
        assert told_apart(before) == [True, True, False]
        assert store.inspect().fingerprint_of(["gone"]) != store.inspect().fingerprint_of([])
        store.close()

    @pytest.mark.parametrize("added", ["trigger", "cascade"])
    def test_what_is_added_since_the_last_look_undoes_the_batch(
        self, harness: SqlHarness, added: str
    ) -> None:
        harness.create(TABLES, ROWS)
        store = harness.store()
        works = whole_case(store)
        store.side_effects([work.step for work in works])
        if added == "trigger":
            harness.add_trigger("post")
        else:
            harness.fill([child_of_person("CASCADE")], {})
        before = {t.name: harness.read(t.name) for t in TABLES}
        with pytest.raises(StoreError, match="added or changed meanwhile") as caught:
            store.act(works, SECRETS)
        assert not caught.value.permanent
        assert {t.name: harness.read(t.name) for t in TABLES} == before
        store.side_effects([work.step for work in works])
        store.act(works, SECRETS)
        assert store.check(works, SECRETS) == []
        store.close()

    @pytest.mark.parametrize(
        "change",
        ['DROP TABLE "Order Line"', "ALTER TABLE post RENAME COLUMN body TO words"],
    )
    def test_a_table_or_column_that_goes_before_the_act_is_an_error_and_nothing_happens(
        self, harness: SqlHarness, change: str
    ) -> None:
        harness.create(TABLES, ROWS)
        store = harness.store()
        works = whole_case(store)
        store.side_effects([work.step for work in works])
        harness.execute(change)
        people = harness.read("person")
        with pytest.raises(StoreError, match=r"plan again|is missing") as caught:
            store.act(works, SECRETS)
        assert caught.value.permanent
        assert len(str(caught.value).splitlines()) == 1
        assert harness.read("person") == people
        store.close()

    def test_searches_that_are_still_open_keep_nobody_waiting(self, harness: SqlHarness) -> None:
        harness.create(TABLES, ROWS)
        store = harness.store()
        selector = Selector(dataset=dataset("person"), fields=("id",))
        searches = [store.find(selector, [0, 1]) for _ in range(12)]
        assert [next(search).key.values for search in searches] == [(0,)] * 12
        assert [[f.key.values for f in search] for search in searches] == [[(1,)]] * 12
        store.close()

    # names and values

    @pytest.mark.parametrize("value", HOSTILE)
    def test_a_value_is_a_value_whatever_stands_in_it(
        self, harness: SqlHarness, value: str
    ) -> None:
        """As an identity, as a key, as a guard, and as a needle in a text."""
        table = Table(
            name="person",
            columns=(
                replace(text("login", 9_500), primary_key=True, nullable=False),
                text("notes", 10_000),
            ),
        )
        # MariaDB has no index over so long a text.
        short = value if harness.longest is None else value[: harness.longest]
        if harness.longest is not None:
            table = replace(table, columns=(
                replace(text("login", harness.longest), primary_key=True, nullable=False),
                text("notes", 10_000),
            ))  # fmt: skip
        others = [{"login": f"other {n}", "notes": f"of other {n}"} for n in range(2)]
        mine = {"login": short, "notes": f"it is ({short}) who wrote"}
        harness.create((table,), {"person": [mine, *others]})
        store = harness.store()
        people = dataset(
            "person",
            Field(name="login", primary_key=True, identity="login"),
            Field(name="notes", free_text=True),
        )
        selector = Selector(dataset=people, fields=("login",), guard=("notes",))
        (found,) = store.find(selector, [short])
        assert found.key == Key(values=(short,), guard=(mine["notes"],))
        needles = Matcher([Needle(text=short, category="login")])
        hits = [h for h in store.scan([], needles) if isinstance(h, Hit)]
        assert {(h.field, h.key) for h in hits} == {("login", (short,)), ("notes", (short,))}
        secrets = Secrets(seed=SEED, needles=needles)
        redact = Step(dataset=people, action="redact", via="mention", redact=("notes",))
        store.act([Work(step=redact, keys=(Key(values=(short,)),))], secrets)
        assert [r["notes"] for r in harness.read("person") if r["login"] == short] == [
            "it is ([erased]) who wrote"
        ]
        delete = Step(dataset=people, action="delete", guard=("notes",))
        gone = Key(values=(short,), guard=("it is ([erased]) who wrote",))
        store.act([Work(step=delete, keys=(gone,))], secrets)
        assert harness.read("person") == others
        store.close()

    @pytest.mark.parametrize("value", [*HOSTILE, *IMPOSSIBLE], ids=lambda value: ascii(value)[:20])
    @pytest.mark.parametrize(
        "kind",
        ["INTEGER", "NUMERIC(20,2)", "FLOAT", "DATE", "TIMESTAMP", "VARCHAR(40)", "CHAR(4)"],
    )
    def test_what_cannot_be_a_value_of_a_column_finds_nothing_and_harms_nothing(
        self, harness: SqlHarness, kind: str, value: str
    ) -> None:
        harness.create((), {})
        harness.execute(f"CREATE TABLE thing (id INTEGER PRIMARY KEY, v {kind})")
        harness.execute("INSERT INTO thing (id) VALUES (1)")
        store = harness.store()
        things = dataset("thing", Field(name="v", identity="login"))
        for mode in ("key", "email"):
            selector = Selector(dataset=things, mode=mode, fields=("v",))
            assert list(store.find(selector, [value])) == []
        assert len(harness.read("thing")) == 1
        store.close()

    def test_hostile_names_are_quoted_in_everything_that_is_sent(self, harness: SqlHarness) -> None:
        """Search, explanation, act, cascade, check, purge; as far as the engine takes the name."""
        names = [n for n in HOSTILE if len(n.encode()) <= 60 and harness.takes(n)]
        assert names
        tables = [
            Table(
                name=name,
                columns=(number("id", key=True), text(name), number("up")),
                foreign_keys=(refers("up", name, "CASCADE"),),
            )
            for name in names
        ]
        rows = {n: [{"id": i, n: f"p{i}@example.com", "up": None} for i in (1, 2)] for n in names}
        harness.create(tables, rows)
        store = harness.store()
        assert set(store.inspect().tables) == set(names)
        for name in names:
            fields = (Field(name="id", primary_key=True), Field(name=name, identity="email"))
            step = Step(dataset=dataset(name, *fields), action="delete", guard=(name, "up"))
            selector = Selector(
                dataset=step.dataset, mode="email", fields=(name,), guard=(name, "up")
            )
            (found,) = store.find(selector, ["P1@example.com"])
            store.side_effects([step])
            work = Work(step=step, keys=(found.key,))
            store.act([work], EMPTY)
            assert store.check([work], EMPTY) == []
            assert [row["id"] for row in harness.read(name)] == [2]
        store.purge([dataset(name) for name in names])
        store.close()

    def test_a_name_that_is_not_there_is_told_in_one_line_whatever_it_is(
        self, harness: SqlHarness
    ) -> None:
        harness.create(TABLES, ROWS)
        store = harness.store()
        for name in [*HOSTILE, "a\x00b", "x\ny; DROP TABLE person", LONG]:
            for selector in (
                Selector(dataset=dataset(name), fields=("id",)),
                Selector(dataset=dataset("person"), fields=(name,)),
            ):
                with pytest.raises(StoreError, match="missing") as caught:
                    list(store.find(selector, [1]))
                assert len(str(caught.value).splitlines()) == 1
                assert len(str(caught.value)) < 500
        assert len(harness.read("person")) == len(ROWS["person"])
        store.close()
