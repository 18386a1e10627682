"""The little company with what databases do by themselves: badges, and three databases to ask."""

from __future__ import annotations

from typing import Any

from erasure.domain.steps import Step
from erasure.stores.base import Approach, Explanation, Selector, SideEffect
from lineage.schema import ForeignKey, Table
from tests.stores.company import (
    CUT_RECRUITED,
    DELETE_CARD,
    DELETE_LINE,
    DELETE_PERSON,
    DELETE_POST,
    EMAIL,
    MENTION_POST,
    ROWS,
    SHARED_ADDRESS,
    SUBJECT,
    TABLES,
    Row,
    by,
)
from tests.stores.sql_harness import SqlHarness, quoted
from tests.stores.sql_references import number, refers, text

STEPS = (
    MENTION_POST,
    CUT_RECRUITED,
    DELETE_LINE,
    DELETE_CARD,
    DELETE_POST,
    DELETE_PERSON,
    SHARED_ADDRESS,
)
# Ann's badges carry stickers, a locker keeps a badge where it is.
STICKER = Table(
    name="sticker",
    columns=(number("id", key=True), number("badge_id"), text("motto")),
    foreign_keys=(refers("badge_id", "badge", "CASCADE"),),
)
LOCKER = Table(
    name="locker",
    columns=(number("id", key=True), number("badge_id")),
    foreign_keys=(refers("badge_id", "badge"),),
)


def badge(on_delete: str) -> Table:
    """A table that no step names."""
    columns = (number("id", key=True), number("person_id"), text("motto"))
    return Table(
        name="badge", columns=columns, foreign_keys=(refers("person_id", "person", on_delete),)
    )


BADGES: dict[str, list[Row]] = {
    "badge": [
        {"id": 1, "person_id": SUBJECT, "motto": "carpe diem"},
        {"id": 2, "person_id": SUBJECT, "motto": None},
        {"id": 3, "person_id": 1, "motto": "festina lente"},
    ],
    "sticker": [
        {"id": 5, "badge_id": 1, "motto": "memento"},
        {"id": 6, "badge_id": 2, "motto": None},
        {"id": 7, "badge_id": 3, "motto": None},
    ],
    "locker": [],
}


def composite(on_delete: str) -> Table:
    """A table that refers to an order line by both parts of its key."""
    key = ForeignKey(
        name="",
        columns=("order_no", "line_no"),
        target="Order Line",
        target_columns=("orderNo", "Line"),
        on_delete=on_delete,
    )
    columns = (number("id", key=True), number("order_no"), number("line_no"))
    return Table(name="parcel", columns=columns, foreign_keys=(key,))


def fill(harness: SqlHarness, *tables: Table) -> None:
    """The company with these tables of ``BADGES`` beside it."""
    harness.create((*TABLES, *tables), {**ROWS, **BADGES})


def grow(harness: SqlHarness, table: str, count: int, **row: Any) -> None:
    """So many more rows in a table."""
    rows = [{"id": 1_000 + n, **row} for n in range(count)]
    names = ", ".join(quoted(name) for name in rows[0])
    for start in range(0, count, 200):
        part = rows[start : start + 200]
        values = ", ".join(f"({', '.join(map(_literal, r.values()))})" for r in part)
        harness.execute(f"INSERT INTO {quoted(table)} ({names}) VALUES {values}")


def _literal(value: Any) -> str:
    return "NULL" if value is None else str(int(value))


def approach(step: Step) -> Approach:
    """A step with the search that leads to its rows."""
    if step.via == "mention":
        return Approach(
            step=step,
            searches=(Selector(dataset=step.dataset, mode="text", fields=step.redact),),
        )
    if step.via == "shallow":
        return Approach(step=step, searches=(by(step.dataset, step.cut[0]),))
    if step is DELETE_PERSON:
        return Approach(step=step, searches=(EMAIL,))
    return Approach(step=step, searches=(by(step.dataset, (step.guard or ("id",))[0]),))


def explained(harness: SqlHarness, *steps: Step, **options: Any) -> list[Explanation]:
    """What the store says of the steps, all of the company's if none are given."""
    store = harness.store(**options)
    try:
        return store.explain([approach(step) for step in steps or STEPS])
    finally:
        store.close()


def effects(harness: SqlHarness, *steps: Step) -> dict[str, SideEffect]:
    """What the steps would set off, by code."""
    store = harness.store()
    try:
        return {e.code: e for one in store.side_effects(steps or STEPS) for e in one}
    finally:
        store.close()
