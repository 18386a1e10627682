"""What was captured comes back exactly, in every store that can put back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.steps import Step
from erasure.domain.values import Scalar
from erasure.stores.base import Captures, Key, Receipt, Store, Work
from erasure.stores.memory import MemoryStore
from lineage.graph import Field, Method
from tests.stores.album import Album, captured, put_back, standings
from tests.stores.company import (
    FRIEND,
    NEEDLES,
    NEIGHBOUR,
    PERSON_SET,
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
from tests.stores.conformance import assert_no_values, told
from tests.stores.test_memory import MemoryHarness
from tests.stores.test_sql_sqlite import SqliteHarness

MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)
POSTGRES = pytest.param("postgresql", marks=pytest.mark.postgres)


@pytest.fixture(params=["memory", "sqlite", POSTGRES, MARIADB])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RowHarness]:
    if request.param == "memory":
        yield MemoryHarness()
        MemoryStore.forget(MemoryHarness.name)
    elif request.param == "sqlite":
        yield SqliteHarness(tmp_path)
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture
def planted(harness: RowHarness) -> PlantedRows:
    harness.create(TABLES, ROWS)
    return PlantedRows(harness)


@pytest.fixture
def store(harness: RowHarness, planted: PlantedRows) -> Iterator[Store]:
    made = harness.store()
    yield made
    made.close()


def anonymising(store: Store, *fields: Field, **more: object) -> Work:
    """The subject's row stays, without what is personal in it."""
    own = replace(PERSON_SET, fields=fields) if fields else PERSON_SET
    step = Step(dataset=own, action="anonymize", guard=("email",), redact=("notes",))
    return Work(step=step, keys=keys_of(store, by(own, "id", "email"), SUBJECT))


def test_a_whole_case_comes_back_as_it_was(planted: PlantedRows, store: Store) -> None:
    before = planted.everything()
    works = whole_case(store)
    album = captured(store, works, SECRETS)
    assert planted.everything() != before
    assert store.check(works, SECRETS) == []
    put_back(store, album)
    assert planted.everything() == before


def test_capturing_does_what_acting_does(planted: PlantedRows, store: Store) -> None:
    works = whole_case(store)

    def outcome(receipts: list[Receipt]) -> object:
        after = planted.everything()
        planted.harness.create(TABLES, ROWS)
        return receipts, after

    acted = outcome(store.act(works, SECRETS))
    assert isinstance(store, Captures)
    assert outcome(store.capture(works, SECRETS, Album())) == acted


def test_an_anonymised_row_gets_its_values_again(planted: PlantedRows, store: Store) -> None:
    before = planted.everything()
    album = captured(store, [anonymising(store)], SECRETS)
    assert [i.left is not None for i in album.images] == [True]
    assert planted.everything() != before
    put_back(store, album)
    assert planted.everything() == before


def test_a_rewritten_key_comes_back_with_all_that_refers_to_it(
    planted: PlantedRows, store: Store
) -> None:
    before = planted.everything()
    key = Field(name="id", primary_key=True, identity="person", method=Method(name="random"))
    work = anonymising(store, key, *PERSON_SET.fields[1:])
    album = captured(store, [work], SECRETS)
    (row,) = [r for r in planted.harness.read("person") if str(r["notes"]).startswith("called")]
    assert row["id"] != SUBJECT
    assert {s.how for s in standings(store, album)} == {"left"}
    put_back(store, album)
    assert planted.everything() == before


def test_putting_back_twice_is_as_good_as_once(planted: PlantedRows, store: Store) -> None:
    before = planted.everything()
    album = captured(store, whole_case(store), SECRETS)
    put_back(store, album)
    put_back(store, album)
    assert planted.everything() == before
    assert {s.how for s in standings(store, album)} == {"before"}


def test_a_second_execution_of_a_batch_takes_no_image_of_what_the_first_left(
    planted: PlantedRows, store: Store
) -> None:
    works = [w for w in whole_case(store) if w.step.via != "refcount"]
    captured(store, works, SECRETS)
    assert captured(store, works, SECRETS).images == []


def test_only_rows_that_change_are_captured(planted: PlantedRows, store: Store) -> None:
    (mine,) = [w for w in whole_case(store) if w.step.dataset.name == "card"]
    theirs = replace(mine, keys=(mine.keys[0]._replace(guard=(77,)),))
    assert captured(store, [theirs], SECRETS).images == []
    retained = replace(mine, step=replace(mine.step, action="retain"))
    assert captured(store, [retained], SECRETS).images == []
    album = captured(store, [mine], SECRETS)
    assert [(i.collection, i.key, i.whose) for i in album.images] == [
        ("card", ("A-01",), ((0, ("A-01",)),))
    ]


def test_a_shared_row_that_stays_stands_as_before(planted: PlantedRows, store: Store) -> None:
    (shared,) = [w for w in whole_case(store) if w.step == SHARED_ADDRESS]
    album = captured(store, [shared], SECRETS)
    assert {s.how for s in standings(store, album)} <= {"before"}


def test_nothing_happens_before_the_images_are_safe(planted: PlantedRows, store: Store) -> None:
    before = planted.everything()
    assert isinstance(store, Captures)
    with pytest.raises(ConnectionError):
        store.capture(whole_case(store), SECRETS, Album(failing=True))
    assert planted.everything() == before


def test_late_rows_are_told_of_as_without_images(planted: PlantedRows, store: Store) -> None:
    works = whole_case(store)
    planted.harness.insert("card", {"code": "C-03", "holder": SUBJECT})
    before = planted.everything()
    album = Album()
    assert isinstance(store, Captures)
    with pytest.raises(LateRows):
        store.capture(works, SECRETS, album)
    assert planted.everything() == before
    # Where references are tested at the commit, the images were safe already.
    assert not album.sealed or {s.how for s in standings(store, album)} == {"before"}


def edited(planted: PlantedRows, table: str, **values: Scalar) -> None:
    """Somebody edits the subject's row."""
    key = "code" if table == "card" else "id"
    wanted = "A-01" if table == "card" else SUBJECT
    (row,) = [r for r in planted.harness.read(table) if r[key] == wanted]
    planted.harness.delete(table, **{key: row[key]})
    planted.harness.insert(table, {**row, **values})


def refused(planted: PlantedRows, store: Store, album: Album) -> StoreError:
    """Nothing is put back where something is in the way."""
    before = planted.everything()
    with pytest.raises(StoreError) as caught:
        put_back(store, album)
    assert planted.everything() == before
    assert_no_values([told(caught.value)], NEEDLES)
    return caught.value


def cards(store: Store) -> list[Work]:
    return [w for w in whole_case(store) if w.step.dataset.name == "card"]


def test_a_row_that_somebody_changed_is_not_overwritten(planted: PlantedRows, store: Store) -> None:
    (work,) = cards(store)
    step = Step(dataset=dataset("card", Field(name="code", primary_key=True), Field(
        name="holder", categories=("user",))), action="anonymize")  # fmt: skip
    album = captured(store, [Work(step=step, keys=(Key(values=work.keys[0].values),))], SECRETS)
    edited(planted, "card", holder=FRIEND)
    assert [s.how for s in standings(store, album)] == ["changed"]
    assert not refused(planted, store, album).permanent


def test_a_row_that_was_changed_and_has_gone_is_not_made_anew(
    planted: PlantedRows, store: Store
) -> None:
    (work,) = cards(store)
    step = Step(dataset=dataset("card", Field(name="code", primary_key=True), Field(
        name="holder", categories=("user",))), action="anonymize")  # fmt: skip
    album = captured(store, [Work(step=step, keys=(Key(values=work.keys[0].values),))], SECRETS)
    planted.harness.delete("card", code="A-01")
    assert [s.how for s in standings(store, album)] == ["changed"]
    refused(planted, store, album)


def test_a_key_that_is_another_rows_now_is_left_to_it(planted: PlantedRows, store: Store) -> None:
    album = captured(store, cards(store), SECRETS)
    planted.harness.insert("card", {"code": "A-01", "holder": FRIEND})
    assert [s.how for s in standings(store, album)] == ["taken"]
    refused(planted, store, album)


def test_a_unique_value_that_another_row_has_now_is_left_to_it(
    planted: PlantedRows, store: Store
) -> None:
    works = whole_case(store)
    album = captured(store, works, SECRETS)
    mail = ROWS["person"][SUBJECT]["email"]
    planted.harness.insert("person", {**ROWS["person"][FRIEND], "id": 50, "email": mail})
    people = [s for s in standings(store, album) if s.image.key == (SUBJECT,)]
    assert [s.how for s in people if s.image.collection == "person"] == ["taken"]
    refused(planted, store, album)


def test_what_a_row_would_refer_to_in_vain_is_told(planted: PlantedRows, store: Store) -> None:
    album = captured(store, cards(store), SECRETS)
    for table, column in (("card", "holder"), ("Order Line", "buyer"), ("post", "author_id")):
        planted.harness.delete(table, **{column: SUBJECT})
    edited_neighbour = {**ROWS["person"][NEIGHBOUR], "recruited_by": None}
    for table, column in (("card", "holder"), ("Order Line", "buyer"), ("post", "author_id")):
        planted.harness.delete(table, **{column: NEIGHBOUR})
    planted.harness.delete("person", id=NEIGHBOUR)
    planted.harness.insert("person", edited_neighbour)
    planted.harness.delete("person", id=SUBJECT)
    (standing,) = standings(store, album)
    assert standing.how == "left"
    (missing,) = standing.missing
    assert (missing.collection, missing.columns) == ("person", ("id",))
    assert [str(v) for v in missing.values] == [str(SUBJECT)]
    assert refused(planted, store, album).permanent


def test_a_process_killed_anywhere_while_putting_back_leaves_all_or_nothing(
    planted: PlantedRows, store: Store
) -> None:
    if not planted.durable:
        pytest.skip("this store's data die with their process")
    before = planted.everything()
    album = captured(store, whole_case(store), SECRETS)
    after, calls, killed = planted.everything(), 200, 0
    while _killed_after(calls, planted, album):
        assert planted.everything() in (after, before)
        killed, calls = killed + 1, int(calls * 1.7)
    assert killed >= 3, "the process must have died while it put back several times"
    put_back(store, album)
    assert planted.everything() == before


def _killed_after(calls: int, planted: PlantedRows, album: Album) -> bool:
    child = multiprocessing.get_context("fork").Process(target=_die, args=(calls, planted, album))
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL), "putting back failed in the child"
    return child.exitcode == -signal.SIGKILL


def _die(calls: int, planted: PlantedRows, album: Album) -> None:
    store = planted.store()
    store.inspect()
    seen = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal seen
        seen += event in ("call", "c_call")
        if seen > calls:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    put_back(store, album)
    sys.setprofile(None)
    os._exit(0)


def test_images_are_handed_on_in_the_order_of_acting(planted: PlantedRows, store: Store) -> None:
    works = whole_case(store)
    album = captured(store, works, SECRETS)
    if store.kind == "memory":
        pytest.skip("order matters where references are tested")
    order = [min(position for position, _ in i.whose) for i in album.images]
    assert order == sorted(order)
    assert Counter(i.collection for i in album.images)["post"] == 2
