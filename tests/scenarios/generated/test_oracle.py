"""The oracle on examples worked out by hand, and the judge on what it must see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenarios.generated import judging, oracle
from tests.scenarios.generated.judging import broken, differences
from tests.scenarios.generated.needles import needles_in, redacted
from tests.scenarios.generated.oracle import Follows, Masked, forget
from tests.scenarios.generated.small import (
    ANN,
    BEN,
    EMAIL,
    EMAIL_KEY,
    KEY,
    NOTE,
    STREET,
    link,
    number,
    small,
    table,
)
from tests.scenarios.generated.world import Column, World

NAME = Column(name="name", category="user.name", nullable=False)
CUSTOMER = table("customer", KEY, EMAIL, number("flat"), number("guide"))
FLAT = table("flat", KEY, STREET)
TRIP = table("trip", KEY, number("customer"), NOTE)
LINKS = [
    link("customer.flat", "flat.id", direction=None, on_delete="NO ACTION"),
    link("customer.guide", "customer.id"),
    link("trip.customer", "customer.id", direction=None),
]


def shop(**actions: str) -> World:
    """Ann and Ben share a flat, Ann has one of her own, Ben is guided by Ann, both travel."""
    tables = [replace(t, action=actions.get(t.name, t.action)) for t in (CUSTOMER, FLAT, TRIP)]
    return small(
        tables,
        LINKS,
        ANN,
        customer=[(1, ANN, 1, None), (2, BEN, 1, 1), (3, ANN.upper(), 2, None)],
        flat=[(1, "1 Quiet Lane"), (2, "2 Quiet Lane")],
        trip=[(1, 1, None), (2, 2, f"with {ANN}, not x{ANN}"), (3, None, "alone")],
    )


def test_what_is_theirs_goes_what_is_shared_stays_and_what_refers_to_them_is_cut() -> None:
    world = shop()
    outcome = forget(world, world.fresh_rows(), [ANN])
    assert not outcome.refusals
    assert {name: sorted(rows, key=str) for name, rows in outcome.rows.items()} == {
        "customer": [1],
        "flat": [100],
        "trip": [201, 202],
    }
    assert outcome.rows["customer"][1]["guide"] is None
    assert outcome.rows["customer"][1]["flat"] == 1
    assert outcome.rows["trip"][201]["note"] == f"with [erased], not x{ANN}"
    assert outcome.rows["trip"][202] == dict(world.rows["trip"][2])


def test_what_stays_loses_its_values_and_what_led_to_rows_that_go() -> None:
    world = shop(trip="anonymize", flat="anonymize")
    outcome = forget(world, world.fresh_rows(), [ANN])
    assert outcome.rows["trip"][200]["customer"] is None
    assert outcome.rows["trip"][201]["customer"] == 2
    assert outcome.rows["flat"][100]["street"] == "1 Quiet Lane"
    assert outcome.rows["flat"][101]["street"] is None


def test_what_the_law_keeps_is_untouched_and_may_not_refer_to_what_goes() -> None:
    kept = shop(customer="anonymize", trip="retain")
    outcome = forget(kept, kept.fresh_rows(), [ANN])
    assert outcome.retained == {ANN}
    assert outcome.rows["trip"][200] == dict(kept.rows["trip"][0])
    assert oracle.contradictions(shop(trip="retain")) == ["trip is kept and refers to customer"]


def test_a_key_that_is_personal_takes_its_references_with_it() -> None:
    customer = table("customer", EMAIL_KEY, NAME, action="anonymize")
    order = table("order", KEY, Column(name="buyer"), action="retain")
    links = [link("order.buyer", "customer.email")]
    people = [(ANN, "Ann Archer"), (BEN, "Ben Baker")]
    orders = [(1, ANN), (2, BEN)]
    world = small([customer, order], links, ANN, customer=people, order=orders)
    outcome = forget(world, world.fresh_rows(), [ANN])
    assert outcome.rows["customer"][0] == {
        "mark": 0,
        "email": Masked(ANN),
        "name": Masked("Ann Archer"),
    }
    assert outcome.rows["order"][100]["buyer"] == Follows(("customer", 0), "email")
    assert outcome.rows["order"][101]["buyer"] == BEN


def test_what_cannot_be_cut_or_would_dangle_is_to_be_refused() -> None:
    customer = table("customer", KEY, EMAIL)
    needed = table("visit", KEY, number("guest", nullable=False))
    cut = link("visit.guest", "customer.id", on_erase="shallow")
    unknown = link("visit.guest", "customer.id", declared=False, on_delete="NO ACTION")
    for one in (cut, unknown):
        world = small([customer, needed], [one], ANN, customer=[(1, ANN)], visit=[(1, 1)])
        assert forget(world, world.fresh_rows(), [ANN]).refusals


def test_tables_that_need_each_other_are_stuck_where_nothing_can_be_deferred() -> None:
    left = table("left", KEY, EMAIL, number("right", nullable=False))
    right = table("right", KEY, number("left", nullable=False))
    links = [
        link("left.right", "right.id", on_erase="deep", on_delete="NO ACTION"),
        link("right.left", "left.id", on_delete="NO ACTION"),
    ]
    world = small([left, right], links, ANN, left=[(1, ANN, 1)], right=[(1, 1)])
    outcome = forget(world, world.fresh_rows(), [ANN])
    assert judging.stuck(world, outcome, world.fresh_rows(), lambda _: True)
    assert not judging.stuck(world, outcome, world.fresh_rows(), lambda _: False)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ask Ann Archer now", "ask [erased] now"),
        ("ARCHER, ANN", "[erased]"),
        ("Archer Ann Archer", "[erased]"),
        ("Joann Archer and Ann Archery", "Joann Archer and Ann Archery"),
    ],
)
def test_needles_are_whole_words_in_any_case_and_order(text: str, left: str) -> None:
    person = table("person", NAME)
    needles = set(needles_in(person, {"mark": 1, "name": "Ann Archer"}))
    assert redacted(text, needles) == left


def test_the_judge_sees_every_row_and_value_that_is_not_as_told() -> None:
    world = shop()
    rows = world.fresh_rows()
    outcome = forget(world, world.fresh_rows(), [])
    assert list(differences(outcome.rows, rows)) == []
    rows["customer"][1]["flat"] = None
    lost = rows["trip"].pop()
    assert list(differences(outcome.rows, rows)) == [
        "customer#1.flat: None, not 1",
        "trip#202: is gone",
    ]
    rows["trip"] += [lost, {**lost, "mark": 203}]
    assert "trip#203: is still there" in list(differences(outcome.rows, rows))


def test_the_judge_knows_what_a_masked_value_and_a_followed_key_may_be() -> None:
    told: oracle.Expected = {
        "a": {1: {"mark": 1, "key": Masked("x")}},
        "b": {2: {"mark": 2, "key": Follows(("a", 1), "key")}},
    }
    for key, follower, faults in (("y", "y", 0), ("x", "x", 1), (None, None, 1), ("y", "z", 1)):
        rows = {"a": [{"mark": 1, "key": key}], "b": [{"mark": 2, "key": follower}]}
        assert len(list(differences(told, rows))) == faults


def test_the_judge_tests_every_constraint_itself() -> None:
    world = shop()
    rows = world.fresh_rows()
    assert list(broken(world, rows)) == []
    rows["flat"].pop(0)
    rows["trip"][0] |= {"id": 2}
    assert list(broken(world, rows)) == [
        "customer#0.flat leads nowhere",
        "customer#1.flat leads nowhere",
        "trip: a key stands there twice",
    ]
    strict = Column(name="code", nullable=False, unique=True, length=2)
    world = small([table("t", strict)], [], t=[("ab",), ("ab",), ("abc",), (None,)])
    assert list(broken(world, world.fresh_rows()))[1:] == [
        "t.code: NULL",
        "t.code: is not unique",
        "t.code: is too long",
    ]
