"""The conformance suite: a store enters when it passes, and a new store is a tiny subclass.

Two parts:

``StoreConformance`` holds for every store, whether it addresses rows or objects. Give it a
fixture ``planted`` that returns a :class:`Planted`: the same two people in a fresh store, how to
find one of them, and two ways to look at the data past the store.

    class TestFiles(StoreConformance):
        @pytest.fixture
        def planted(self, tmp_path): return PlantedFiles(tmp_path)

``RowConformance`` (row_conformance.py) adds what only stores of rows can have: guards, references,
shared rows, transactions. Give it a fixture ``harness`` that returns a :class:`RowHarness`
(company.py): it makes tables from :class:`lineage.schema.Table` and rows, and reads and writes
past the store. ``planted`` is then made from it.

    class TestSqlite(RowConformance):
        @pytest.fixture
        def harness(self, tmp_path): return SqliteHarness(tmp_path)

A store whose data die with the process sets ``durable = False`` on its harness or planting.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from erasure.domain.needles import Matcher
from erasure.domain.values import Scalar
from erasure.stores.base import (
    Declared,
    Found,
    Hit,
    Searched,
    Secrets,
    Selector,
    Store,
    Work,
)

SEED = bytes(range(32))


class Planted(ABC):
    """Two people in a fresh store. The subject is the one to be forgotten."""

    durable = True
    selector: Selector
    # The subject's identifier as the store has it, and other spellings that mean the same.
    values: tuple[Scalar, ...]
    spellings: tuple[Scalar, ...] = ()
    declared: tuple[Declared, ...]
    needles: Matcher

    @abstractmethod
    def store(self) -> Store:
        """A new adapter on the same data; the caller closes it."""

    @abstractmethod
    def works(self, found: Sequence[Found]) -> list[Work]:
        """What is to be done to what was found."""

    @abstractmethod
    def neighbours(self) -> Any:
        """Everything that is not the subject's, read past the store; compared for equality."""

    @abstractmethod
    def everything(self) -> Any:
        """All data, read past the store; compared for equality."""

    @property
    def secrets(self) -> Secrets:
        """A fixed seed, so that two executions can be compared."""
        return Secrets(seed=SEED, needles=self.needles)


class StoreConformance:
    """What holds for every store."""

    @pytest.fixture
    def store(self, planted: Planted) -> Iterator[Store]:
        store = planted.store()
        yield store
        store.close()

    @pytest.fixture
    def works(self, planted: Planted, store: Store) -> list[Work]:
        found = list(store.find(planted.selector, planted.values))
        assert found, "the subject was planted and must be found"
        return planted.works(found)

    def test_it_is_a_store(self, store: Store) -> None:
        assert isinstance(store, Store)
        assert store.name
        assert store.kind

    def test_the_schema_is_read_and_its_fingerprint_is_stable(
        self, planted: Planted, store: Store
    ) -> None:
        first = store.inspect()
        other = planted.store()
        assert other.inspect().fingerprint == first.fingerprint
        other.close()
        assert planted.selector.dataset.name in first.tables

    def test_every_spelling_of_a_value_finds_the_same_keys(
        self, planted: Planted, store: Store
    ) -> None:
        keys = {f.key.values for f in store.find(planted.selector, planted.values)}
        for spelling in planted.spellings:
            found = list(store.find(planted.selector, [spelling]))
            assert {f.key.values for f in found} == keys
            assert all(f.matched == (spelling,) for f in found)

    def test_a_place_found_by_several_spellings_comes_once(
        self, planted: Planted, store: Store
    ) -> None:
        found = list(store.find(planted.selector, [*planted.values, *planted.spellings]))
        assert len({f.key.values for f in found}) == len(found)

    @pytest.mark.parametrize(
        "value", ["nobody@example.net", -7, 2**70, None, "", "\ud800", b"\xff", float("nan")]
    )
    def test_what_is_not_there_finds_nothing_and_raises_nothing(
        self, planted: Planted, store: Store, value: Scalar
    ) -> None:
        assert list(store.find(planted.selector, [value])) == []

    def test_needles_are_gathered_before_the_data_are_gone(
        self, planted: Planted, store: Store
    ) -> None:
        found = list(store.find(planted.selector, planted.values))
        gathered = store.gather(planted.selector.dataset, [f.key for f in found])
        texts = {n.text for _, needles in gathered for n in needles}
        assert texts & {n.text for n in planted.needles.needles}

    def test_before_acting_the_postcondition_fails(
        self, planted: Planted, store: Store, works: list[Work]
    ) -> None:
        failures = store.check(works, planted.secrets)
        assert failures
        assert_no_values([str(f) for f in failures], planted.needles)

    def test_before_acting_the_scan_sees_the_subject(self, planted: Planted, store: Store) -> None:
        hits, searched = scan_of(store, planted)
        assert hits
        assert sum(s.rows for s in searched) > 0

    def test_after_acting_nothing_of_the_subject_is_left(
        self, planted: Planted, store: Store, works: list[Work]
    ) -> None:
        before = planted.neighbours()
        receipts = store.act(works, planted.secrets)
        assert len(receipts) == len(works)
        assert sum(r.done for r in receipts) == sum(k.count for w in works for k in w.keys)
        assert store.check(works, planted.secrets) == []
        hits, searched = scan_of(store, planted)
        assert hits == []
        assert sum(s.rows for s in searched) > 0, "finding nothing counts only where one looked"
        assert planted.neighbours() == before

    def test_acting_twice_ends_in_the_same_state_with_the_same_receipts(
        self, planted: Planted, store: Store, works: list[Work]
    ) -> None:
        first = store.act(works, planted.secrets)
        state = planted.everything()
        assert store.act(works, planted.secrets) == first
        assert planted.everything() == state

    def test_acting_on_a_part_and_then_on_all_ends_as_if_done_at_once(
        self, planted: Planted, store: Store, works: list[Work]
    ) -> None:
        part = [Work(step=w.step, keys=w.keys[:1]) for w in works[:1]]
        store.act(part, planted.secrets)
        store.act(works, planted.secrets)
        assert store.check(works, planted.secrets) == []
        assert scan_of(store, planted)[0] == []

    def test_a_process_killed_anywhere_in_act_leaves_something_that_acting_again_completes(
        self, planted: Planted, store: Store, works: list[Work]
    ) -> None:
        if not planted.durable:
            pytest.skip("this store's data die with their process")
        before, killed, step = planted.neighbours(), 0, 40
        while _killed_after(step, planted, works):
            assert planted.neighbours() == before
            killed, step = killed + 1, int(step * 1.6)
        assert killed >= 3, "the process must have died inside act several times"
        store.act(works, planted.secrets)
        assert store.check(works, planted.secrets) == []
        assert scan_of(store, planted)[0] == []
        assert planted.neighbours() == before

    def test_purging_says_what_is_left(
        self, planted: Planted, store: Store, works: list[Work]
    ) -> None:
        store.act(works, planted.secrets)
        purged = store.purge([w.step.dataset for w in works])
        assert purged.residue in ("purged", "logically_deleted", "expires_on", "blocked_until")
        assert scan_of(store, planted)[0] == []
        store.purge([w.step.dataset for w in works])


def _killed_after(calls: int, planted: Planted, works: list[Work]) -> bool:
    """Act in a child process that dies by SIGKILL at the n-th call of a function; False when it
    came to its end before."""
    child = multiprocessing.get_context("fork").Process(target=_die, args=(calls, planted, works))
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL), "act failed in the child"
    return child.exitcode == -signal.SIGKILL


def _die(calls: int, planted: Planted, works: list[Work]) -> None:
    store = planted.store()
    store.inspect()
    seen = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal seen
        seen += event in ("call", "c_call")
        if seen > calls:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    store.act(works, planted.secrets)
    sys.setprofile(None)
    os._exit(0)


def scan_of(store: Store, planted: Planted) -> tuple[list[Hit], list[Searched]]:
    """Hits of precise needles, and what was searched."""
    answers = list(store.scan(planted.declared, planted.needles))
    hits = [a for a in answers if isinstance(a, Hit)]
    return hits, [a for a in answers if isinstance(a, Searched)]


def assert_no_values(texts: Sequence[str], needles: Matcher) -> None:
    """No text holds a person's value."""
    for text in texts:
        assert not needles.found_in(text), "a personal value leaked"


def told(error: BaseException) -> str:
    """Everything that a log would show of an error, chained ones and notes included."""
    return "".join(traceback.format_exception(error))
