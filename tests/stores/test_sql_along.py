"""An accepted cascade takes exactly its rows along, and they are counted; no other happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.steps import Step
from erasure.stores.base import Receipt, Work
from erasure.stores.sql import SqlStore
from tests.stores.company import (
    DELETE_LINE,
    LINE_SET,
    ROWS,
    SECRETS,
    SUBJECT,
    by,
    dataset,
    keys_of,
    whole_case,
)
from tests.stores.explain_cast import (
    LOCKER,
    STICKER,
    badge,
    composite,
    effects,
    fill,
)
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_harness import SqlHarness
from tests.stores.test_sql_sqlite import SqliteHarness

BADGE = "cascade:shop.badge.person_id"
STICKERS = "cascade:shop.sticker.badge_id"


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres), "mariadb"]
)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> SqlHarness:
    """The three databases, one after the other."""
    if request.param == "sqlite":
        return SqliteHarness(tmp_path)
    found: SqlHarness = request.getfixturevalue(request.param)
    return found


def accepting(works: Sequence[Work], *codes: str) -> list[Work]:
    """The works as an officer has approved them, with these side effects."""
    return [replace(w, step=replace(w.step, along=codes)) for w in works]


def everything(harness: SqlHarness, *more: str) -> dict[str, list[dict[str, object]]]:
    """All rows of the company, and of the tables beside it."""
    return {name: list(harness.read(name)) for name in (*ROWS, *more)}  # type: ignore[arg-type]


def acted(store: SqlStore, works: Sequence[Work]) -> dict[str, Receipt]:
    """Receipts by dataset and way."""
    receipts = store.act(works, SECRETS)
    return {f"{w.step.dataset.name}/{w.step.via}": r for w, r in zip(works, receipts, strict=True)}


def test_an_accepted_cascade_takes_exactly_its_rows_along_and_counts_them(
    harness: SqlHarness,
) -> None:
    fill(harness, badge("CASCADE"), STICKER)
    store = harness.store()
    works = whole_case(store)
    assert store.along(works) == {BADGE: 2, STICKERS: 2}
    receipts = acted(store, accepting(works, BADGE, STICKERS))
    ((key, counts),) = receipts["person/deep"].along.items()
    assert key.values == (SUBJECT,)
    assert counts == {BADGE: 2, STICKERS: 2}
    assert not any(r.along for name, r in receipts.items() if name != "person/deep")
    assert [row["id"] for row in harness.read("badge")] == [3]
    assert [row["id"] for row in harness.read("sticker")] == [7]
    assert [row["id"] for row in harness.read("person")] == [1, 2]
    assert store.along(works) == {}
    store.close()


def test_a_reference_that_was_accepted_is_emptied_and_its_rows_stay(harness: SqlHarness) -> None:
    fill(harness, badge("SET NULL"))
    store = harness.store()
    works = accepting(whole_case(store), "set_null:shop.badge.person_id")
    receipts = acted(store, works)
    assert list(receipts["person/deep"].along.values()) == [{"set_null:shop.badge.person_id": 2}]
    assert [row["person_id"] for row in harness.read("badge")] == [None, None, 1]
    store.close()


def test_a_composite_cascade_is_counted_by_the_row_it_went_with(harness: SqlHarness) -> None:
    fill(harness, composite("CASCADE"))
    rows = [(1, 7, 1), (2, 7, 1), (3, 8, 2), (4, 7, 2)]
    harness.insert("parcel", *({"id": i, "order_no": o, "line_no": n} for i, o, n in rows))
    store = harness.store()
    code = "cascade:shop.parcel.order_no+line_no"
    receipt = acted(store, accepting(whole_case(store), code))["Order Line/deep"]
    assert {key.values: dict(n) for key, n in receipt.along.items()} == {
        (7, 1): {code: 2},
        (8, 2): {code: 1},
    }
    assert [row["id"] for row in harness.read("parcel")] == [4]
    store.close()


@pytest.mark.parametrize(
    "accepted", [(), (BADGE,), (STICKERS,), ("set_null:shop.badge.person_id",)]
)
def test_what_was_not_accepted_is_refused_and_nothing_happens(
    harness: SqlHarness, accepted: tuple[str, ...]
) -> None:
    fill(harness, badge("CASCADE"), STICKER)
    store = harness.store()
    works = accepting(whole_case(store), *accepted)
    before = everything(harness, "badge", "sticker")
    with pytest.raises(StoreError, match=r"the plan does not name them; declare .* or accept"):
        store.act(works, SECRETS)
    assert everything(harness, "badge", "sticker") == before
    store.close()


def test_a_row_that_forbids_an_accepted_cascade_refuses_the_whole_batch(
    harness: SqlHarness,
) -> None:
    fill(harness, badge("CASCADE"), LOCKER)
    harness.insert("locker", {"id": 1, "badge_id": 2})
    store = harness.store()
    works = accepting(whole_case(store), BADGE)
    before = everything(harness, "badge", "locker")
    with pytest.raises(StoreError, match="rows here refer to rows of 'badge'") as caught:
        store.act(works, SECRETS)
    assert not isinstance(caught.value, LateRows)
    assert everything(harness, "badge", "locker") == before
    store.close()


def test_rows_in_a_circle_are_counted_once(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"))
    harness.execute("ALTER TABLE badge ADD COLUMN made_from INTEGER REFERENCES badge (id) "
                    "ON DELETE CASCADE")  # fmt: skip
    harness.execute("UPDATE badge SET made_from = 2 WHERE id = 1")
    harness.execute("UPDATE badge SET made_from = 1 WHERE id = 2")
    harness.execute("UPDATE badge SET made_from = 2 WHERE id = 3")
    store = harness.store()
    made = "cascade:shop.badge.made_from"
    receipt = acted(store, accepting(whole_case(store), BADGE, made))["person/deep"]
    (counts,) = receipt.along.values()
    assert sum(counts.values()) == 3
    assert harness.read("badge") == []
    store.close()


def test_rows_of_a_step_are_its_own_and_not_counted_as_going_along(harness: SqlHarness) -> None:
    """The badges are deleted by a step that reaches them otherwise; one is left to the cascade."""
    fill(harness, badge("CASCADE"))
    store = harness.store()
    step = Step(dataset=dataset("badge"), action="delete", guard=("motto",))
    keys = tuple(k for k in keys_of(store, by(step.dataset, "id", "motto"), 1))
    works = [Work(step=step, keys=keys), *whole_case(store)]
    assert store.along(works) == {BADGE: 1}
    assert list(acted(store, accepting(works, BADGE))["person/deep"].along.values()) == [{BADGE: 1}]
    assert [row["id"] for row in harness.read("badge")] == [3]
    store.close()


def test_a_second_execution_counts_nothing_again(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"), STICKER)
    store = harness.store()
    works = accepting(whole_case(store), BADGE, STICKERS)
    store.act(works, SECRETS)
    after = everything(harness, "badge", "sticker")
    assert not any(r.along for r in store.act(works, SECRETS))
    assert everything(harness, "badge", "sticker") == after
    store.close()


def test_a_row_that_is_somebody_elses_now_takes_nothing_along(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"))
    store = harness.store()
    works = accepting(whole_case(store), BADGE)
    harness.execute("UPDATE person SET email = 'new@example.com' WHERE id = 0")
    receipts = acted(store, works)
    assert len(receipts["person/deep"].reused) == 1
    assert receipts["person/deep"].along == {}
    assert len(harness.read("badge")) == 3
    store.close()


def test_columns_that_postgresql_empties_alone_are_seen(postgresql: PostgresqlHarness) -> None:
    """``SET NULL (column)`` is no other word for nothing."""
    fill(postgresql, composite("SET NULL (line_no)"))
    assert sorted(effects(postgresql, DELETE_LINE)) == ["set_null:shop.parcel.order_no+line_no"]
    postgresql.insert("parcel", {"id": 1, "order_no": 7, "line_no": 1})
    store = postgresql.store()
    keys = keys_of(store, by(LINE_SET, "buyer"), SUBJECT)
    before = everything(postgresql, "parcel")
    with pytest.raises(StoreError, match=r"accept set_null:shop\.parcel\.order_no"):
        store.act([Work(step=DELETE_LINE, keys=keys)], SECRETS)
    assert everything(postgresql, "parcel") == before
    store.close()
