"""Rows that simply go are packed as they are found: what is written down of them is what is
written down of any row."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from erasure.domain.needles import Needle
from erasure.models import ErasureRequest, Run
from erasure.runs import journal, opening
from erasure.runs.pieces import Pieces
from tests.flow.cast import ANN, BEN, NEIGHBOUR, SUBJECT, SqliteShop
from tests.flow.deeds import act, approved, started, work_off

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
