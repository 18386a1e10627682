"""What holds for every store of rows; see conformance.py for the harness."""

from __future__ import annotations

from dataclasses import replace

import pytest

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.stores.base import Key, Selector, Store, Work
from erasure.stores.blocks import FindsBlocks
from lineage.graph import Field
from tests.stores.anonymising_conformance import AnonymisingConformance
from tests.stores.company import (
    ADDRESS_SET,
    CARD_SET,
    CUT_RECRUITED,
    DELETE_LINE,
    DELETE_PERSON,
    DELETE_POST,
    EMAIL,
    FRIEND,
    LINE_SET,
    MENTION_POST,
    NEIGHBOUR,
    PERSON_SET,
    POST_SET,
    ROWS,
    SECRETS,
    SHARED_ADDRESS,
    SUBJECT,
    TABLES,
    PlantedRows,
    RowHarness,
    by,
    dataset,
    keys_of,
    whole_case,
)
from tests.stores.conformance import Planted, StoreConformance, assert_no_values, scan_of, told


class RowConformance(AnonymisingConformance, StoreConformance):
    """Typed keys, guards, references, shared rows, transactions."""

    @pytest.fixture
    def planted(self, harness: RowHarness) -> Planted:
        harness.create(TABLES, ROWS)
        return PlantedRows(harness)

    # find

    @pytest.mark.parametrize("given", [1, "1", 1.0, " 1 "])
    def test_an_integer_key_is_found_however_it_is_written(
        self, planted: Planted, store: Store, given: Scalar
    ) -> None:
        (found,) = store.find(Selector(dataset=PERSON_SET, fields=("id",)), [given])
        assert found.key.values == (1,)
        assert found.matched == (given,)

    @pytest.mark.parametrize("field", ["author_id", "id"])
    def test_rows_found_in_blocks_are_those_found_one_by_one(
        self, planted: Planted, store: Store, field: str
    ) -> None:
        if not isinstance(store, FindsBlocks):
            pytest.skip("finds its rows one by one")
        asked = Selector(
            dataset=POST_SET, fields=(field,), carry=("id",), guard=("author_id", "body")
        )
        values: list[Scalar] = ["1", 2, 1.0, "100", 101, "none", None]
        blocks = store.find_blocks(asked, values, ("body",))
        assert blocks is not None
        together = {
            (row, matched, also)
            for block in blocks
            for row, matched, also in zip(block.rows, block.matched, block.also, strict=True)
        }
        one_by_one = {
            ((*key.values, *key.guard, *carry.values()), matched, key.guard[1:])
            for key, matched, carry in store.find(asked, values)
        }
        assert together == one_by_one
        assert together
        assert store.find_blocks(replace(asked, mode="email"), values) is None

    @pytest.mark.parametrize("given", ["1x", "01", True, b"1", 1.5, "١", "1e0"])
    def test_what_only_looks_like_a_key_finds_nothing(
        self, planted: Planted, store: Store, given: Scalar
    ) -> None:
        assert list(store.find(Selector(dataset=PERSON_SET, fields=("id",)), [given])) == []

    def test_a_key_of_zero_is_found_and_leads_on(self, planted: Planted, store: Store) -> None:
        (found,) = store.find(EMAIL, ["mira.quell@example.com"])
        assert found.key.values == (0,)
        assert found.key.guard == ("Mira.Quell@example.com",)
        assert found.carry == {"id": 0, "address_id": 10}
        assert len(keys_of(store, by(LINE_SET, "buyer"), 0)) == 2

    def test_composite_and_text_keys_come_in_order(self, planted: Planted, store: Store) -> None:
        assert [k.values for k in keys_of(store, by(LINE_SET, "buyer"), 0)] == [(7, 1), (8, 2)]
        assert [k.values for k in keys_of(store, by(CARD_SET, "holder"), "0")] == [("A-01",)]

    def test_null_never_matches(self, planted: Planted, store: Store) -> None:
        assert list(store.find(by(PERSON_SET, "recruited_by"), [None, "None", "NULL", ""])) == []

    def test_any_of_several_fields_may_match_and_the_row_comes_once(
        self, planted: Planted, store: Store
    ) -> None:
        selector = Selector(dataset=PERSON_SET, fields=("id", "recruited_by"))
        found = {f.key.values: set(f.matched) for f in store.find(selector, [0, 1])}
        assert found == {(0,): {0}, (1,): {0, 1}}

    def test_text_is_found_on_word_boundaries_in_any_case(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        harness.insert("post", {"id": 103, "author_id": 1, "body": "Mira Quellings lives"})
        harness.insert("post", {"id": 104, "author_id": 1, "body": "(ＭＩＲＡ quell)"})
        selector = Selector(dataset=POST_SET, mode="text", fields=("body",))
        found = {f.key.values: f.matched for f in store.find(selector, ["Mira Quell"])}
        assert found == {(101,): ("Mira Quell",), (104,): ("Mira Quell",)}

    def test_many_values_are_searched_at_once(self, harness: RowHarness) -> None:
        people = [
            {"id": i, "email": f"p{i}@example.org", "name": None, "notes": None,
             "address_id": None, "recruited_by": None}
            for i in range(2500)
        ]  # fmt: skip
        harness.create(TABLES, {"person": people})
        store = harness.store()
        assert len(list(store.find(EMAIL, [f"P{i}@EXAMPLE.ORG" for i in range(2500)]))) == 2500
        assert len(keys_of(store, by(PERSON_SET, "id"), *range(-2500, 2500))) == 2500
        store.close()

    @pytest.mark.parametrize(
        ("selector", "named"),
        [
            (by(dataset("persons"), "id"), "persons"),
            (by(PERSON_SET, "mail"), "mail"),
            (Selector(dataset=PERSON_SET, fields=("id",), guard=("gone",)), "gone"),
            (Selector(dataset=PERSON_SET, fields=("id",), carry=("gone",)), "gone"),
            (by(dataset("trail"), "at"), "trail"),
        ],
    )
    def test_a_missing_table_column_or_key_is_named_with_the_remedy(
        self, planted: Planted, store: Store, selector: Selector, named: str
    ) -> None:
        with pytest.raises(StoreError, match=named) as caught:
            list(store.find(selector, planted.values))
        assert caught.value.permanent
        assert_no_values([told(caught.value)], planted.needles)

    def test_a_table_without_a_key_can_be_searched_by_a_declared_one(
        self, planted: Planted, store: Store
    ) -> None:
        declared = dataset("trail", Field(name="at", primary_key=True), Field(name="what"))
        assert [k.values for k in keys_of(store, by(declared, "at"), 1)] == [(1,)]

    # guards

    def test_a_reused_key_is_left_alone(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        works = [Work(step=s, keys=k) for s, k in self._lines_and_person(store)]
        harness.delete("Order Line", orderNo=7, Line=1)
        harness.insert("Order Line", {"orderNo": 7, "Line": 1, "buyer": NEIGHBOUR})
        receipts = store.act(works[:1], SECRETS)
        assert [k.values for k in receipts[0].reused] == [(7, 1)]
        assert receipts[0].done == 1
        assert {"orderNo": 7, "Line": 1, "buyer": NEIGHBOUR} in harness.read("Order Line")
        assert store.check(works[:1], SECRETS) == []

    def _lines_and_person(self, store: Store) -> list[tuple[Step, tuple[Key, ...]]]:
        return [
            (DELETE_LINE, keys_of(store, by(LINE_SET, "buyer"), SUBJECT)),
            (DELETE_PERSON, tuple(f.key for f in store.find(EMAIL, ["mira.quell@example.com"]))),
        ]

    def test_a_reused_key_is_not_anonymised_cut_or_redacted(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        (key,) = keys_of(store, by(PERSON_SET, "recruited_by"), SUBJECT)
        stale = Key(values=key.values, guard=("somebody@example.net", SUBJECT))
        before = harness.read("person")
        anonymise = Step(dataset=PERSON_SET, action="anonymize", guard=("email", "recruited_by"))
        for step in (CUT_RECRUITED, anonymise):
            (receipt,) = store.act([Work(step=step, keys=(stale,))], SECRETS)
            assert receipt.reused == (stale,)
            assert receipt.done == 0
        assert harness.read("person") == before

    def test_a_guard_of_null_is_tested_too(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        step = Step(dataset=PERSON_SET, action="delete", guard=("recruited_by",))
        (mine,) = keys_of(store, by(PERSON_SET, "id", "recruited_by"), FRIEND)
        assert mine.guard == (None,)
        (other,) = keys_of(store, by(PERSON_SET, "id", "recruited_by"), NEIGHBOUR)
        stale = Key(values=other.values, guard=(None,))
        harness.delete("post", author_id=FRIEND)
        (receipt,) = store.act([Work(step=step, keys=(mine, stale))], SECRETS)
        assert receipt.reused == (stale,)
        assert set(self.values(harness, "person", "id")) == {SUBJECT, NEIGHBOUR}

    def test_a_key_without_its_guard_is_refused(self, planted: Planted, store: Store) -> None:
        with pytest.raises(StoreError, match="guard"):
            store.act([Work(step=DELETE_PERSON, keys=(Key(values=(SUBJECT,)),))], SECRETS)

    # effects

    def test_a_shallow_row_loses_the_reference_and_the_needles_and_nothing_else(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        harness.insert("person", {**ROWS["person"][1], "id": 5, "email": "pat@example.org",
                                  "notes": "friend of Mira Quell, likes tea"})  # fmt: skip
        selector = by(PERSON_SET, "recruited_by", "email", "recruited_by")
        (_, key) = keys_of(store, selector, SUBJECT)
        before = {r["id"]: r for r in harness.read("person")}
        store.act([Work(step=CUT_RECRUITED, keys=(key,))], SECRETS)
        after = {r["id"]: r for r in harness.read("person")}
        changed = {"recruited_by": None, "notes": "friend of [erased], likes tea"}
        assert after == {**before, 5: {**before[5], **changed}}

    def test_a_mention_is_redacted_in_place(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        before = {r["id"]: r for r in harness.read("post")}
        store.act([Work(step=MENTION_POST, keys=(Key(values=(101,)),))], SECRETS)
        after = {r["id"]: r for r in harness.read("post")}
        text = "As Mira  Quell? No: [erased] said."
        assert after == {**before, 101: {**before[101], "body": text}}

    def test_deep_rows_go(self, harness: RowHarness, planted: Planted, store: Store) -> None:
        keys = keys_of(store, by(POST_SET, "author_id"), SUBJECT)
        (receipt,) = store.act([Work(step=DELETE_POST, keys=keys)], SECRETS)
        assert (receipt.done, receipt.residue) == (1, "logically_deleted")
        assert self.values(harness, "post", "id") == [101, 102]

    def test_retained_and_restricted_rows_are_not_touched(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        before = harness.read("post")
        for action in ("retain", "restrict"):
            step = Step(dataset=POST_SET, action=action, redact=("body",))
            work = Work(step=step, keys=(Key(values=(100,)), Key(values=(101,))))
            (receipt,) = store.act([work], SECRETS)
            assert (receipt.done, receipt.residue) == (2, "retained_until")
            assert store.check([work], SECRETS) == []
        assert harness.read("post") == before

    def test_an_action_that_is_not_for_rows_is_refused(
        self, planted: Planted, store: Store
    ) -> None:
        work = Work(step=Step(dataset=POST_SET, action="retrain"), keys=(Key(values=(100,)),))
        with pytest.raises(StoreError, match="retrain"):
            store.act([work], SECRETS)

    def test_a_reference_that_refuses_null_is_explained_and_nothing_happens(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        before = harness.read("post")
        step = Step(dataset=POST_SET, action="redact", via="shallow", cut=("author_id",))
        work = Work(step=step, keys=(Key(values=(100,)),))
        with pytest.raises(StoreError, match=r"author_id.*NULL"):
            store.act([work], SECRETS)
        assert harness.read("post") == before

    # late and shared rows

    def test_a_late_child_stops_the_batch_and_nothing_has_happened(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        works = whole_case(store)
        harness.insert("post", {"id": 110, "author_id": SUBJECT, "body": "written meanwhile"})
        before = planted.everything()
        with pytest.raises(LateRows) as caught:
            store.act(works, SECRETS)
        assert not caught.value.permanent
        assert planted.everything() == before
        again = whole_case(store)
        store.act(again, SECRETS)
        assert store.check(again, SECRETS) == []
        assert scan_of(store, planted)[0] == []

    def test_a_shared_row_stays_while_somebody_refers_to_it(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        works = whole_case(store)
        receipts = store.act(works, SECRETS)
        assert [k.values for k in receipts[-1].kept] == [(10,)]
        assert receipts[-1].done == 0
        assert 10 in self.values(harness, "address", "id")
        assert store.check(works, SECRETS) == []

    def test_the_last_of_two_interleaved_runs_takes_the_shared_row(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        other = harness.store()
        first = whole_case(store)
        second = whole_case(other, NEIGHBOUR)  # found while the subject was still there
        store.act(first, SECRETS)
        receipts = other.act(second, SECRETS)
        other.close()
        assert receipts[-1].kept == ()
        assert receipts[-1].done == 1
        assert self.values(harness, "address", "id") == [11]
        assert store.check(first, SECRETS) == []

    def test_the_check_sees_a_shared_row_that_nobody_refers_to_any_more(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        orphan = Work(step=SHARED_ADDRESS, keys=(Key(values=(10,)), Key(values=(11,))))
        assert store.check([orphan], SECRETS) == []
        harness.delete("post", author_id=FRIEND)
        harness.delete("person", id=FRIEND)
        (failure,) = store.check([orphan], SECRETS)
        assert failure.count == 1

    def test_a_row_that_is_already_gone_counts_as_done(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        keys = keys_of(store, by(POST_SET, "author_id"), SUBJECT)
        harness.delete("post", id=100)
        (receipt,) = store.act([Work(step=DELETE_POST, keys=keys)], SECRETS)
        assert (receipt.done, receipt.reused) == (1, ())

    def test_a_work_without_keys_does_nothing(self, planted: Planted, store: Store) -> None:
        before = planted.everything()
        works = [Work(step=s, keys=()) for s in (DELETE_PERSON, SHARED_ADDRESS, MENTION_POST)]
        assert [r.done for r in store.act(works, SECRETS)] == [0, 0, 0]
        assert store.check(works, SECRETS) == []
        assert planted.everything() == before

    # scan

    def test_a_value_in_an_undeclared_column_is_seen(
        self, harness: RowHarness, planted: Planted, store: Store
    ) -> None:
        store.act(whole_case(store), SECRETS)
        harness.insert("trail", {"at": 9, "what": "login of mira.quell@example.com"})
        (hit,), _ = scan_of(store, planted)
        assert (hit.collection, hit.field, hit.whole) == ("trail", "what", False)
        assert planted.needles.needles[hit.needle].text == "mira.quell@example.com"

    def test_a_hit_says_whose_row_it_is(self, planted: Planted, store: Store) -> None:
        hits, searched = scan_of(store, planted)
        whole = [h for h in hits if h.field == "email"]
        assert [(h.key, h.whole, h.owner) for h in whole] == [
            ((SUBJECT,), True, {"id": SUBJECT, "email": "Mira.Quell@example.com"})
        ]
        assert {s.collection: s.rows for s in searched} == {
            t.name: len(ROWS[t.name]) for t in TABLES
        }

    def test_the_shared_address_is_gathered_as_nobodys_needle(
        self, planted: Planted, store: Store
    ) -> None:
        assert list(store.gather(ADDRESS_SET, [Key(values=(10,))])) == [(Key(values=(10,)), [])]
