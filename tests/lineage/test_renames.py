"""A dataset keeps what flowed in under whatever name it goes; names that swap or go round too."""

from __future__ import annotations

from typing import Any

import pytest

from lineage import hearing
from tests.lineage.events import dataset, run_event
from tests.lineage.test_hearing import flows, hear, renamed

pytestmark = pytest.mark.django_db


def test_a_renamed_dataset_keeps_what_flowed_in_and_frees_its_name() -> None:
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")], at="2026-11-20T10:00:00Z"))
    hear(renamed("b", "b_old", "2026-11-20T11:00:00Z"))
    assert flows() == {("db:a", "db:b_old")}
    hear(run_event(inputs=[dataset("x")], outputs=[dataset("b")], at="2026-11-20T12:00:00Z"))
    assert flows() == {("db:a", "db:b_old"), ("db:x", "db:b")}


def test_an_event_from_before_a_rename_that_comes_late_is_about_what_was_renamed() -> None:
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")], at="2026-11-20T10:00:00Z"))
    hear(renamed("b", "c", "2026-11-20T11:00:00Z"))
    hear(run_event(inputs=[dataset("late")], outputs=[dataset("b")], at="2026-11-20T10:30:00Z"))
    assert flows() == {("db:a", "db:c"), ("db:late", "db:c")}


def together(*pairs: tuple[str, str], at: str, state: str) -> dict[str, Any]:
    outputs = [one for old, new in pairs for one in renamed(old, new, at)["outputs"]]
    return run_event(inputs=[], outputs=outputs, at=at, run="swap", state=state)


def two_tables() -> None:
    """People flow into a, and nothing of them into b."""
    hear(run_event(inputs=[dataset("people")], outputs=[dataset("a")], at="2026-11-20T09:00:00Z"))
    hear(run_event(inputs=[dataset("plants")], outputs=[dataset("b")], at="2026-11-20T09:00:00Z"))


SWAPPED = {("db:people", "db:b"), ("db:plants", "db:a")}
STEPS = [("a", "tmp"), ("b", "a"), ("tmp", "b")]


def test_tables_that_swap_names_step_by_step_stay_two() -> None:
    two_tables()
    for minute, (old, new) in enumerate(STEPS):
        hear(renamed(old, new, f"2026-11-20T10:0{minute}:00Z"))
    assert flows() == SWAPPED
    for minute, (old, new) in enumerate(STEPS):  # and back, the next night
        hear(renamed(old, new, f"2026-11-21T10:0{minute}:00Z"))
    assert flows() == {("db:people", "db:a"), ("db:plants", "db:b")}


@pytest.mark.parametrize(
    "pairs", [STEPS, STEPS[::-1], [("a", "b"), ("b", "a")]], ids=["steps", "reversed", "at once"]
)
def test_tables_that_swap_names_in_one_statement_stay_two(pairs: list[tuple[str, str]]) -> None:
    two_tables()
    for hour, state in ((10, "START"), (11, "COMPLETE")):  # told twice, done once
        hear(together(*pairs, at=f"2026-11-20T{hour}:00:00Z", state=state))
    assert flows() == SWAPPED
    later = run_event(inputs=[dataset("more")], outputs=[dataset("b")], at="2026-11-20T12:00:00Z")
    hear(later)
    assert flows() == {*SWAPPED, ("db:more", "db:b")}
    hearing.forget()
    hearing.learn()
    assert flows() == {*SWAPPED, ("db:more", "db:b")}


RING = [("a", "b"), ("b", "c"), ("c", "a")]
TURNED = {("db:people", "db:b"), ("db:plants", "db:c"), ("db:x", "db:a")}


def three_tables() -> None:
    two_tables()
    hear(run_event(inputs=[dataset("x")], outputs=[dataset("c")], at="2026-11-20T09:00:00Z"))


@pytest.mark.parametrize("turn", range(3))
def test_three_tables_that_go_round_at_once_stay_three(turn: int) -> None:
    three_tables()
    pairs = RING[turn:] + RING[:turn]
    for hour, state in ((10, "START"), (11, "COMPLETE")):
        hear(together(*pairs, at=f"2026-11-20T{hour}:00:00Z", state=state))
    assert flows() == TURNED
    hear(run_event(inputs=[dataset("y")], outputs=[dataset("a")], at="2026-11-20T12:00:00Z"))
    assert flows() == {*TURNED, ("db:y", "db:a")}
    hearing.forget()
    hearing.learn()
    assert flows() == {*TURNED, ("db:y", "db:a")}


def test_a_ring_of_four_stays_four() -> None:
    three_tables()
    hear(run_event(inputs=[dataset("z")], outputs=[dataset("d")], at="2026-11-20T09:00:00Z"))
    pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    hear(together(*pairs, at="2026-11-20T10:00:00Z", state="COMPLETE"))
    assert flows() == {
        *(("db:people", "db:b"), ("db:plants", "db:c")),
        *(("db:x", "db:d"), ("db:z", "db:a")),
    }


def test_a_ring_that_one_run_tells_bit_by_bit_is_the_same_ring() -> None:
    three_tables()
    hear(
        *(
            together(pair, at=f"2026-11-20T10:0{minute}:00Z", state="RUNNING")
            for minute, pair in enumerate(RING)
        )
    )
    assert flows() == TURNED


def test_a_ring_in_a_row_through_a_name_of_its_own_is_the_same_ring() -> None:
    three_tables()
    steps = [("c", "tmp"), ("b", "c"), ("a", "b"), ("tmp", "a")]
    for minute, (old, new) in enumerate(steps):
        hear(renamed(old, new, f"2026-11-20T10:0{minute}:00Z"))
    assert flows() == TURNED


@pytest.mark.parametrize("turn", range(3))
def test_where_one_of_the_ring_may_have_been_gone_nothing_is_lost_and_they_stay_three(
    turn: int,
) -> None:
    """b → c, a → b, c → a: a script that swaps a and b by way of c tells the same."""
    three_tables()
    script = RING[::-1]
    script = [*script[turn:], *script[:turn]]
    hear(together(*script, at="2026-11-20T10:00:00Z", state="COMPLETE"))
    (first, meanwhile) = script[0]
    went = dict(RING)
    doubt = (f"db:{went[first]}", f"db:{went[meanwhile]}")
    assert flows() == {*TURNED, doubt}
    hearing.forget()
    hearing.learn()
    assert flows() == {*TURNED, doubt}
