"""Anonymised values are accepted by the database the first time, on every real database; a part
of sql_common.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.stores.base import Key, Secrets, Work
from lineage.graph import Field, Method
from tests.stores.company import SECRETS, Row, dataset
from tests.stores.conformance import SEED, assert_no_values, told
from tests.stores.sql_harness import SqlHarness, statements

PERSONAL = ("user.content",)


def masked(name: str, method: str | None = None, argument: str | None = None) -> Field:
    """A personal field with a method."""
    how = Method(name=method, argument=argument) if method else None
    return Field(name=name, categories=PERSONAL, method=how)


def anonymise(table: str, fields: Sequence[Field], *keys: Scalar) -> Work:
    """Anonymise rows of a table whose key is ``id``."""
    step = Step(dataset=dataset(table, *fields), action="anonymize")
    return Work(step=step, keys=tuple(Key(values=(k,)) for k in keys))


def carried_out(harness: SqlHarness, *works: Work, secrets: Secrets = SECRETS) -> None:
    """Act, check, and act once more: nothing may change any more."""
    with closing(harness.store()) as store:
        receipts = store.act(works, secrets)
        assert store.check(works, secrets) == []
        states = [harness.read(work.step.dataset.name) for work in works]
        assert store.act(works, secrets) == receipts
        assert [harness.read(work.step.dataset.name) for work in works] == states


class SqlAccepted:
    """Uniqueness, checks, foreign keys and types."""

    # checks

    @pytest.mark.parametrize(
        ("ddl", "value", "check"),
        [
            ("VARCHAR(20) NOT NULL", "gold", "v IN ('gold', 'silver', 'none')"),
            ("VARCHAR(20) NOT NULL", "DE-1234", "v LIKE 'DE-%'"),
            ("VARCHAR(40) NOT NULL", "a@example.org", "v LIKE '%_@_%._%'"),
            ("VARCHAR(20) NOT NULL", "12345", "length(v) = 5"),
            ("VARCHAR(20) NOT NULL", "12345", "length(v) = 5 AND v > '00000' AND v < '99999'"),
            ("VARCHAR(9) NOT NULL", "ABC", "length(v) < 4 AND v = upper(v)"),
            ("VARCHAR(20)", "x", "v IS NOT NULL AND v <> ''"),
            ("INTEGER NOT NULL", 33, "v BETWEEN 18 AND 130"),
            ("INTEGER NOT NULL", -3, "v < 0"),
            ("INTEGER NOT NULL", 7, "v IN (3, 5, 7)"),
            ("DECIMAL(4,2) NOT NULL", 0.5, "v >= 0 AND v <= 1"),
            ("DECIMAL(6,2) NOT NULL", 100, "v > 99.5 AND v < 100.5"),
            ("DATE NOT NULL", "1990-05-06", "v >= '1990-01-01' AND v < '1991-01-01'"),
            ("DATE NOT NULL", "2040-05-06", "v > '2039-12-31'"),
            ("FLOAT NOT NULL", 0.5, "v >= 0 AND v < 1"),
        ],
    )
    def test_a_check_is_met_the_first_time(
        self, harness: SqlHarness, ddl: str, value: Scalar, check: str
    ) -> None:
        harness.create((), {})
        harness.execute(f"CREATE TABLE odd (id INTEGER PRIMARY KEY, v {ddl} CHECK ({check}))")
        harness.insert("odd", *({"id": i, "v": value} for i in range(40)))
        with closing(harness.store()) as store:
            store.foresee([anonymise("odd", [masked("v")], *range(40))], SECRETS)
        carried_out(harness, anonymise("odd", [masked("v")], *range(40)))
        values = {repr(row["v"]) for row in harness.read("odd")}
        assert values != {repr(value)}

    def test_the_shape_of_a_value_is_not_taken_over(self, harness: SqlHarness) -> None:
        """Its length, or where its digits stand, would tell of it."""
        harness.create((), {})
        harness.execute(
            "CREATE TABLE odd (id INTEGER PRIMARY KEY, v VARCHAR(30) NOT NULL CHECK (v = upper(v)))"
        )
        harness.insert("odd", {"id": 1, "v": "MIRA-QUELL 1960"})
        carried_out(harness, anonymise("odd", [masked("v")], 1))
        (row,) = harness.read("odd")
        assert re.fullmatch("[A-Za-z0-9]{16}", str(row["v"]))

    def test_a_regular_expression_is_met_by_many_different_values(
        self, harness: SqlHarness
    ) -> None:
        harness.create((), {})
        check = f"CHECK (v {harness.matches} '^[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}$')"
        harness.execute(
            "CREATE TABLE odd (id INTEGER PRIMARY KEY, v VARCHAR(30) NOT NULL UNIQUE "
            + (check if harness.matches else "CHECK (v LIKE '___-__-____')")
            + ")"
        )
        rows: list[Row] = [{"id": i, "v": f"123-45-{1000 + i}"} for i in range(30)]
        harness.insert("odd", *rows)
        carried_out(harness, anonymise("odd", [masked("v")], *range(30)))
        after = {row["v"] for row in harness.read("odd")}
        assert len(after) == 30
        assert not after & {row["v"] for row in rows}

    def test_a_value_that_could_only_stay_as_it_is_is_refused_while_planning(
        self, harness: SqlHarness
    ) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE odd (id INTEGER PRIMARY KEY, "
            "v VARCHAR(30) NOT NULL CHECK (v IN ('mira', 'quell')), "
            "w VARCHAR(30) NOT NULL CHECK (w = 'mira'))"
        )
        rows: list[Row] = [{"id": i, "v": "mira", "w": "mira"} for i in range(30)]
        harness.insert("odd", *rows)
        with closing(harness.store()) as store:
            store.foresee([anonymise("odd", [masked("v")], *range(30))], SECRETS)
            with pytest.raises(StoreError, match=r"odd\.w: no other value .*`personal: false`"):
                store.foresee([anonymise("odd", [masked("w")], *range(30))], SECRETS)

    def test_a_check_still_holds_when_a_neighbour_has_given_a_value_up(
        self, harness: SqlHarness
    ) -> None:
        """What was chosen because others held the rest is no failure once they do not."""
        harness.create((), {})
        harness.execute(
            "CREATE TABLE pin (id INTEGER PRIMARY KEY, slot SMALLINT NOT NULL UNIQUE "
            "CHECK (slot BETWEEN 1 AND 20))"
        )
        harness.insert("pin", *({"id": i, "slot": i + 1} for i in range(18)))
        work = anonymise("pin", [masked("slot")], 0, 1)
        with closing(harness.store()) as store:
            store.act([work], SECRETS)
            for neighbour in range(2, 18):
                harness.delete("pin", id=neighbour)
            assert store.check([work], SECRETS) == []

    def test_a_constraint_over_several_columns_is_met(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE stay (id INTEGER PRIMARY KEY, born DATE NOT NULL, came DATE NOT NULL, "
            "went DATE NOT NULL, phone VARCHAR(20), mail VARCHAR(40), "
            "CONSTRAINT days CHECK (born < came AND came <= went), "
            "CONSTRAINT reachable CHECK (phone IS NOT NULL OR mail IS NOT NULL))"
        )
        row = {"born": "1960-01-01", "came": "2023-04-01", "went": "2023-04-09"}
        rows: list[Row] = [
            {"id": i, **row, "phone": [None, "49301234567"][i % 2], "mail": f"p{i}@ex.org"}
            for i in range(20)
        ]
        harness.insert("stay", *rows)
        fields = [masked(n) for n in ("born", "went", "phone", "mail")]
        carried_out(harness, anonymise("stay", fields, *range(20)))
        after = harness.read("stay")
        assert not {"49301234567", *(f"p{i}@ex.org" for i in range(20))} & {
            r[n] for r in after for n in ("phone", "mail")
        }
        assert {str(r["came"]) for r in after} == {"2023-04-01"}

    def test_a_redacted_text_meets_a_check(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE post (id INTEGER PRIMARY KEY, title VARCHAR(30) NOT NULL UNIQUE, "
            "body VARCHAR(30) NOT NULL CHECK (length(body) > 0 AND body NOT LIKE '%[%'))"
        )
        titles = ("Mira Quell", "mira.quell@example.com", "Quell, Mira")
        rows: list[Row] = [
            {"id": i, "title": title, "body": "Mira Quell"} for i, title in enumerate(titles)
        ]
        harness.insert("post", *rows)
        fields = [Field(name=n, free_text=True) for n in ("title", "body")]
        step = Step(dataset=dataset("post", *fields), action="redact", via="mention",
                    redact=("title", "body"))  # fmt: skip
        needles = [*SECRETS.needles.needles, Needle(text="Quell, Mira", category="user.name")]
        work = Work(step=step, keys=tuple(Key(values=(i,)) for i in range(3)))
        carried_out(harness, work, secrets=Secrets(seed=SEED, needles=Matcher(needles)))
        after = harness.read("post")
        assert "quell" not in str(after).lower()
        assert "[erased]" in {r["title"] for r in after}

    # unique

    def test_a_small_unique_column_is_filled_without_meeting_a_neighbour(
        self, harness: SqlHarness
    ) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE pin (id INTEGER PRIMARY KEY, slot SMALLINT NOT NULL "
            "CHECK (slot BETWEEN 1 AND 60), lane INTEGER NOT NULL, UNIQUE (slot, lane))"
        )
        rows: list[Row] = [{"id": i, "slot": i % 40 + 1, "lane": i // 40} for i in range(80)]
        harness.insert("pin", *rows)
        carried_out(harness, anonymise("pin", [masked("slot")], *range(0, 80, 4)))
        after = {r["id"]: r for r in harness.read("pin")}
        assert [after[i] for i in range(80) if i % 4] == [rows[i] for i in range(80) if i % 4]
        assert len([i for i in range(0, 80, 4) if after[i] != rows[i]]) > 15

    def test_a_number_in_a_range_is_one_that_single_precision_keeps(
        self, harness: SqlHarness
    ) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE probe (id INTEGER PRIMARY KEY, "
            "level FLOAT(24) NOT NULL UNIQUE CHECK (level BETWEEN -1.0 AND 29.875))"
        )
        rows: list[Row] = [{"id": i, "level": i / 8 - 0.75} for i in range(200)]
        harness.insert("probe", *rows)
        carried_out(harness, anonymise("probe", [masked("level")], *range(0, 200, 2)))
        after = {r["id"]: r for r in harness.read("probe")}
        assert [after[i] for i in range(1, 200, 2)] == rows[1::2]
        assert len([i for i in range(0, 200, 2) if after[i] != rows[i]]) > 90

    def test_a_fake_that_must_be_unique_with_others_is(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE member (id INTEGER PRIMARY KEY, club INTEGER NOT NULL, "
            "nick VARCHAR(40) NOT NULL, UNIQUE (club, nick))"
        )
        rows: list[Row] = [{"id": i, "club": 1, "nick": f"n{i}"} for i in range(1500)]
        harness.insert("member", *rows)
        fields = [masked("nick", "fake", "first_name")]
        carried_out(harness, anonymise("member", fields, *range(1500)))
        assert not {r["nick"] for r in harness.read("member")} & {r["nick"] for r in rows}

    def test_a_constant_that_cannot_be_unique_is_refused_and_nothing_has_happened(
        self, harness: SqlHarness
    ) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE tag (id INTEGER PRIMARY KEY, mail VARCHAR(60) NOT NULL, "
            "label VARCHAR(60) NOT NULL, CONSTRAINT one UNIQUE (mail, label))"
        )
        rows: list[Row] = [
            {"id": i, "mail": "mira.quell@example.com", "label": str(i)} for i in (1, 2)
        ]
        harness.insert("tag", *rows)
        store = harness.store()
        work = anonymise("tag", [masked("label", "constant", "x")], 1, 2)
        with pytest.raises(StoreError, match=r"shop\.tag\.label: unique constraint") as caught:
            store.act([work], SECRETS)
        assert caught.value.permanent
        values = Matcher([Needle(text="mira.quell@example.com", category="email")])
        assert_no_values([told(caught.value)], values)
        assert harness.read("tag") == rows
        store.close()

    # foreign keys, and what nothing meets

    def test_a_random_reference_is_refused_with_the_remedy(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.script(
            [
                "CREATE TABLE country (code VARCHAR(2) PRIMARY KEY)",
                "CREATE TABLE person (id INTEGER PRIMARY KEY, home VARCHAR(2) NOT NULL, "
                "FOREIGN KEY (home) REFERENCES country (code))",
            ]
        )
        harness.insert("country", {"code": "DE"}, {"code": "ZZ"})
        harness.insert("person", {"id": 1, "home": "DE"})
        store = harness.store()
        with pytest.raises(StoreError, match=r"person\.home: foreign key.*method: constant"):
            store.act([anonymise("person", [masked("home")], 1)], SECRETS)
        store.close()
        assert harness.read("person") == [{"id": 1, "home": "DE"}]
        carried_out(harness, anonymise("person", [masked("home", "constant", "ZZ")], 1))
        assert harness.read("person") == [{"id": 1, "home": "ZZ"}]

    def test_what_nothing_meets_names_column_and_constraint_before_anything_is_written(
        self, harness: SqlHarness
    ) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE account (id INTEGER PRIMARY KEY, note VARCHAR(20), "
            "iban VARCHAR(20) NOT NULL, "
            "CONSTRAINT known CHECK (replace(iban, 'x', 'D') = 'DE1' AND iban <> 'DE1'))"
        )
        harness.insert("account", {"id": 1, "note": "mine", "iban": "xE1"})
        store = harness.store()
        works = [anonymise("account", [masked(name)], 1) for name in ("note", "iban")]
        for attempt in (store.act, store.foresee):
            with pytest.raises(StoreError, match=r"shop\.account\.iban: check.*known.*constant"):
                attempt(works, SECRETS)
        assert harness.read("account") == [{"id": 1, "note": "mine", "iban": "xE1"}]
        store.close()

    def test_foreseeing_writes_nothing_and_refuses_what_acting_would(
        self, harness: SqlHarness
    ) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE odd (id INTEGER PRIMARY KEY, v VARCHAR(9) NOT NULL CHECK (v <> 'x'))"
        )
        harness.insert("odd", {"id": 1, "v": "old"})
        store = harness.store()
        store.foresee([anonymise("odd", [masked("v")], 1)], SECRETS)
        assert harness.read("odd") == [{"id": 1, "v": "old"}]
        with pytest.raises(StoreError, match=r"shop\.odd\.v: check constraint.*constant"):
            store.foresee([anonymise("odd", [masked("v", "constant", "x")], 1)], SECRETS)
        with pytest.raises(StoreError, match=r"shop\.odd\.v: the constant is longer"):
            store.foresee([anonymise("odd", [masked("v", "constant", "x" * 10)], 1)], SECRETS)
        store.close()

    def test_many_rows_are_chosen_for_with_few_statements(self, harness: SqlHarness) -> None:
        harness.create((), {})
        harness.execute(
            "CREATE TABLE odd (id INTEGER PRIMARY KEY, v VARCHAR(9) NOT NULL "
            "CHECK (v IN ('a', 'b', 'c')))"
        )
        rows: list[Row] = [{"id": i, "v": "a"} for i in range(2000)]
        harness.insert("odd", *rows)
        store = harness.store()
        store.inspect()
        work = anonymise("odd", [masked("v")], *range(2000))
        with statements() as sent:
            store.act([work], Secrets(seed=SEED, needles=Matcher(())))
        assert {r["v"] for r in harness.read("odd")} == {"a", "b", "c"}
        assert len(sent) < harness.statements_for_2000_refused_rows
        store.close()
