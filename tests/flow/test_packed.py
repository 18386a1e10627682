"""Rows that are dealt with alike are packed as they are found: what is written down of them is what
is written down of any row."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction

from erasure.domain.bulk import Block
from erasure.domain.needles import Needle
from erasure.domain.values import rows_to_json
from erasure.flow import planning
from erasure.models import ErasureRequest, Run
from erasure.runs import journal, known, met, opening, pieces, segments
from erasure.runs.pieces import TOGETHER, Pieces
from erasure.stores.sql import blocks
from tests.flow.cast import ANN, BEN, CATALOGUE, NEIGHBOUR, SUBJECT, Row, SqliteShop
from tests.flow.deeds import act, approved, started, work_off

ITS_CUSTOMER = """- name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
"""
KEPT = (
    "{action: retain, until: noted_on + 8y, exception: legal_obligation, legal_reference: tax law}"
)
Written = set[tuple[Any, ...]]


def written(run: Run) -> tuple[Written, dict[str, set[Needle]]]:
    """Everything that a run has written down of everybody."""
    people = [str(r.id) for r in run.requests.all()]
    entries = {
        (e.ordinal, e.text, e.people, e.key.guard, tuple(e.carry.items()))
        for e in journal.read_run(run, people)
    }
    return entries, journal.open_needles(run, people)


def started_and_undone(*requests: ErasureRequest) -> tuple[Written, dict[str, set[Needle]]]:
    with transaction.atomic():
        started(*requests)
        run = Run.objects.get()
        found = written(run)
        transaction.set_rollback(True)
    for request in requests:
        request.refresh_from_db()
    return found


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The datasets of which rows were packed."""
    seen: list[str] = []
    keep = Pieces.keep

    def spy(self: Pieces, dataset: str, *more: object) -> None:
        seen.append(dataset)
        keep(self, dataset, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Pieces, "keep", spy)
    return seen


def test_the_same_is_written_down_whether_rows_are_packed_or_not(
    sql_shop: SqliteShop, packed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = approved(SUBJECT), approved(NEIGHBOUR)
    for n in range(60, 80):
        sql_shop.insert("orders", {"id": n, "customer_id": ANN, "wish": f"a wish of {n} words"})
    together = started_and_undone(*requests)
    assert {"shop.orders", "shop.line", "crm.lead"} <= set(packed)
    packed.clear()
    monkeypatch.setattr(opening, "going_of", lambda *_: {})
    assert started_and_undone(*requests) == together
    assert not packed
    assert len(together[0]) > 25


def staying(shop: SqliteShop) -> None:
    """Orders and their lines stay without the person, a line is the person's in two ways, and what
    is known of who might buy is kept by law."""
    text = CATALOGUE.read_text()
    for name in ("orders", "line"):
        before = f"- name: {name}\n        erasure: {{action: delete}}"
        assert before in text
        text = text.replace(before, before.replace("delete", "anonymize, because: sums are kept"))
    lead = "- name: lead\n        erasure: "
    text = text.replace(f"{lead}{{action: delete}}", f"{lead}{KEPT}")
    text = text.replace("- {name: mobile,", "- {name: noted_on}\n          - {name: mobile,")
    shop.execute("crm_db", "ALTER TABLE lead ADD COLUMN noted_on text DEFAULT '2026-03-01'")
    text = text.replace("- {name: engraving,", f"{ITS_CUSTOMER}          - {{name: engraving,")
    shop.widen("line", "customer_id")
    for n in range(60, 80):
        shop.insert("orders", {"id": n, "customer_id": ANN, "wish": f"a wish of {n} words"})
        shop.insert("line", {"id": n, "order_id": n, "engraving": None, "customer_id": ANN})
    shop.insert("line", {"id": 90, "order_id": 60, "engraving": None, "customer_id": BEN})
    shop.insert("line", {"id": 91, "order_id": None, "engraving": None, "customer_id": ANN})
    shop.describe(text)


def test_rows_that_stay_are_written_down_alike_and_once_in_however_many_ways_they_are_found(
    sql_shop: SqliteShop, packed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    staying(sql_shop)
    requests = approved(SUBJECT), approved(NEIGHBOUR)
    assert {"shop.orders", "shop.line", "crm.lead"} <= set(packed)
    told = [planning.preview_plan(request).counts for request in requests]
    together = started_and_undone(*requests)
    monkeypatch.setattr(opening, "going_of", lambda *_: {})
    packed.clear()
    assert started_and_undone(*requests) == together
    assert [planning.preview_plan(request).counts for request in requests] == told
    assert not packed
    assert len(together[0]) > 50


def test_packed_rows_that_stay_are_acted_on_once(sql_shop: SqliteShop, packed: list[str]) -> None:
    staying(sql_shop)
    request = approved(SUBJECT)
    work_off(request)
    assert {"shop.orders", "shop.line", "crm.lead"} <= set(packed)
    assert not any(row["wish"] for row in sql_shop.rows("orders") if row["customer_id"] == ANN)
    steps = {s.dataset: s for s in request.plans.get().steps.filter(via="deep")}
    assert steps["shop.line"].rows == steps["shop.line"].counted
    assert steps["crm.lead"].residue == "retained_until"
    assert str(steps["crm.lead"].until) == "2034-03-01"


def test_rows_kept_until_several_days_are_told_with_the_last_of_them(
    sql_shop: SqliteShop, packed: list[str]
) -> None:
    staying(sql_shop)
    for n, noted in enumerate(("2024-05-06", None, "2027-08-09", "2026-03-01"), 50):
        values: Row = {"id": n, "customer_id": "0", "mobile": None, "noted_on": noted}
        sql_shop.insert("lead", values, "crm_db")
    request = approved(SUBJECT)
    work_off(request)
    assert "crm.lead" in packed
    (step,) = request.plans.get().steps.filter(dataset="crm.lead")
    assert (step.rows, str(step.until)) == (5, "2035-08-09")


def test_packed_rows_that_were_given_to_somebody_else_are_left_alone(
    sql_shop: SqliteShop, packed: list[str]
) -> None:
    request = started(approved(SUBJECT))
    assert "shop.orders" in packed
    sql_shop.execute("shop_db", f"UPDATE orders SET customer_id = {BEN} WHERE id = 1")
    act(request)
    assert sql_shop.row("orders", 1) is not None
    work_off(request)
    assert sql_shop.row("orders", 1) is not None


def test_however_many_rows_come_at_once_they_are_packed_in_parts() -> None:
    """A part goes whole into one transaction of the store."""
    rows = [(n, f"a wish of {n} words") for n in range(2 * TOGETHER + 1)]
    placed: Any = SimpleNamespace(ordinal=3, step=SimpleNamespace(guard=("wish",)))
    packed, anybody = Pieces({"shop.orders": placed}, {}), frozenset({"somebody"})
    packed.keep("shop.orders", Block(1, rows, ()), anybody)
    packed.pack()
    parts = list(packed.of(3))
    assert [part.rows for part in parts] == [TOGETHER, TOGETHER, 1]
    groups = segments.from_text(segments.to_text((), [part.text for part in parts]))
    assert [row for group in groups for row in group.rows] == rows
    assert packed.counts["somebody", 3] == len(rows)


@pytest.fixture
def in_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are as many: batches and pieces are small, and digests are in a file at once."""
    sizes = {journal: "SLICE", pieces: "TOGETHER", known: "PART", met: "FEW", blocks: "TEXTS"}
    for place, size in sizes.items():
        monkeypatch.setattr(place, size, 3)
    monkeypatch.setattr(blocks, "BLOCK", 3)


@pytest.mark.usefixtures("in_many_batches")
def test_late_rows_are_found_under_rows_that_are_in_many_batches(sql_shop: SqliteShop) -> None:
    staying(sql_shop)
    request = started(approved(SUBJECT))
    assert Run.objects.get().batches.count() > 10
    act(request)
    sql_shop.execute("shop_db", f"UPDATE orders SET customer_id = {BEN} WHERE id = 61")
    for line, under in ((95, 60), (96, 61), (97, 98)):
        if under == 98:
            sql_shop.insert("orders", {"id": under, "customer_id": ANN, "wish": "by night"})
        late: dict[str, Any] = {"order_id": under, "engraving": "030 5550088", "customer_id": None}
        sql_shop.insert("line", {"id": line, **late})
    work_off(request)
    left = {row["id"]: row["engraving"] for row in sql_shop.rows("line")}
    assert left[95] != "030 5550088"
    assert left[97] != "030 5550088"
    assert left[96] == "030 5550088"  # his, by now
    order = sql_shop.row("orders", 98)
    assert order is not None
    assert order["wish"] != "by night"
    steps = {s.dataset: s for s in request.plans.get().steps.filter(via="deep")}
    assert steps["shop.line"].rows == (steps["shop.line"].counted or 0) + 2
    assert Run.objects.get().rounds == 1


@pytest.mark.usefixtures("in_many_batches")
def test_late_rows_are_found_under_rows_that_went_in_many_batches_and_nothing_else_is_new(
    sql_shop: SqliteShop,
) -> None:
    sql_shop.widen("line", "of_order")
    named = ITS_CUSTOMER.replace("customer_id", "of_order").replace("customer.id", "orders.id")
    before = "- {name: engraving,"
    sql_shop.describe(CATALOGUE.read_text().replace(before, f"{named}          {before}"))
    for n in range(60, 80):
        sql_shop.insert("orders", {"id": n, "customer_id": ANN, "wish": None})
        line = {"id": n, "order_id": n, "engraving": None, "of_order": n if n % 2 else None}
        sql_shop.insert("line", line)
    request = started(approved(SUBJECT))
    act(request)
    assert sql_shop.row("orders", 77) is None
    sql_shop.insert("line", {"id": 97, "order_id": None, "engraving": None, "of_order": 77})
    work_off(request)
    assert request.state == "partly_granted"
    assert {row["customer_id"] for row in sql_shop.rows("orders")} == {BEN}
    assert sql_shop.row("line", 97) is None
    lines = request.plans.get().steps.get(dataset="shop.line", via="deep")
    assert lines.rows == (lines.counted or 0) + 1
    run = Run.objects.get()
    assert run.rounds == 1
    assert not run.scan_results.filter(verdict="residue").exists()


def test_rows_that_have_much_in_common_are_a_fraction_of_their_text_and_read_back_whole() -> None:
    rows = [(n, date(2020 + n % 3, 1, 31)) for n in range(5_000)]
    group = [3, 1, 0, ["bought_on"], rows_to_json(rows), None]
    text = segments.to_text((), [segments.group_text(group)])
    held = segments.packed(text)
    assert len(held) < len(text) / 3
    (read,) = segments.from_text(segments.unpacked(held))
    assert list(read.rows) == rows
    days = {carry["bought_on"] for carry in read.carried()}
    assert days == {date(year, 1, 31) for year in (2020, 2021, 2022)}


def test_what_was_written_down_before_anything_was_compressed_is_still_read() -> None:
    text = segments.to_text(
        (), [segments.group_text([3, 1, 0, [], rows_to_json([(n,) for n in range(9)]), None])]
    )
    assert segments.packed(text) == text
    assert segments.unpacked(b"[" + b" " * 20_000 + b"]") == b"[" + b" " * 20_000 + b"]"
