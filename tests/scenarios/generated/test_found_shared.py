"""What generated worlds have found about rows that are shared: each by its smallest example, on
every engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenarios.generated.engines import Engine
from tests.scenarios.generated.forgetting import CARRIED_OUT, hold
from tests.scenarios.generated.small import (
    ANN,
    BEN,
    CLEO,
    EMAIL,
    KEY,
    STREET,
    link,
    number,
    small,
    table,
)
from tests.scenarios.generated.world import Column

pytestmark = pytest.mark.django_db


CUSTOMER = table("customer", KEY, EMAIL)
PEOPLE = [(1, ANN), (2, BEN), (3, CLEO)]


AREA = table("area", KEY, number("inside"), STREET)
LIVES = link("customer.area", "area.id", direction="to", on_delete="NO ACTION")
INSIDE = link("area.inside", "area.id", on_delete="RESTRICT")
RESIDENT = table("customer", KEY, EMAIL, number("area"))


def test_a_shared_row_that_somebody_needs_keeps_what_it_refers_to(engine: Engine) -> None:
    """Ann's area goes with her; Ben's, which lies in the same one, stays as it is."""
    assert hold(
        engine,
        small(
            [RESIDENT, AREA],
            [LIVES, INSIDE],
            ANN,
            customer=[(1, ANN, 1), (2, ANN, 2), (3, BEN, 2)],
            area=[(1, None, "1 Quiet Lane"), (2, 3, "2 Quiet Lane"), (3, None, "3 Quiet Lane")],
        ),
    ) == [CARRIED_OUT]


def test_shared_rows_go_one_after_the_other(engine: Engine) -> None:
    """Nothing but Ann's inner area refers to the outer one any more, and that goes, too."""
    assert hold(
        engine,
        small(
            [RESIDENT, AREA],
            [LIVES, replace(INSIDE, on_delete="NO ACTION")],
            ANN,
            customer=[(1, ANN, 1), (2, ANN, 2), (3, BEN, None)],
            area=[(1, 2, "1 Quiet Lane"), (2, None, "2 Quiet Lane")],
        ),
    ) == [CARRIED_OUT]


def test_what_the_last_of_one_leaver_frees_goes_with_what_another_needed(engine: Engine) -> None:
    """Ben's item is shared and goes with him; only then does nobody need Cleo's shop any more."""
    order = table("order", KEY, number("customer"), number("item", nullable=False))
    number_of = Column(name="gov", category="user.government_id")
    item = table("item", KEY, number("order", nullable=False), number("shop"), number_of)
    links = [
        link("order.customer", "customer.id", direction=None, on_delete="CASCADE"),
        link("order.item", "item.id", direction=None, on_delete="RESTRICT"),
        link("item.order", "order.id", direction=None, on_delete="CASCADE"),
        link("item.shop", "shop.id", direction=None, on_delete="RESTRICT"),
    ]
    world = small(
        [CUSTOMER, order, item, table("shop", KEY, STREET)],
        links,
        BEN,
        CLEO,
        customer=PEOPLE,
        order=[(1, 1, 0), (2, 2, 0), (3, 3, 3)],
        item=[(0, 1, 1, "ID0"), (2, 2, 2, "ID2"), (3, 1, 2, "ID3")],
        shop=[(1, "1 Quiet Lane"), (2, "2 Quiet Lane")],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def test_a_shared_row_goes_before_a_row_that_it_would_not_let_go(engine: Engine) -> None:
    """Ann's visit made her permit, her car refers to that, and her visit to the car."""
    visit = table("visit", KEY, number("customer"), number("car", nullable=False))
    car = table("car", KEY, number("permit", nullable=False), STREET)
    permit = table("permit", KEY, number("visit"))
    links = [
        link("visit.customer", "customer.id", on_delete="CASCADE"),
        link("visit.car", "car.id", direction="to", on_delete="RESTRICT"),
        link("car.permit", "permit.id", direction="to", on_delete="RESTRICT"),
        link("permit.visit", "visit.id", on_delete="SET NULL"),
    ]
    world = small(
        [CUSTOMER, visit, car, permit],
        links,
        ANN,
        customer=PEOPLE,
        visit=[(1, 1, 1), (2, 2, 2), (3, 2, 2)],
        car=[(1, 1, "1 Quiet Lane"), (2, 2, "2 Quiet Lane")],
        permit=[(1, 1), (2, 3)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def test_somebody_who_belongs_to_a_leaver_and_stands_beside_them_is_asked_about(
    engine: Engine,
) -> None:
    """Ben is Ann's by one of his rows, and nobody's by the other: the re-scan sees him again."""
    customer = table("customer", KEY, EMAIL, number("host"), action="anonymize")
    world = small(
        [customer],
        [link("customer.host", "customer.id", on_erase="deep", on_delete="NO ACTION")],
        ANN,
        customer=[(1, ANN, None), (2, BEN, 1), (3, BEN, None)],
    )
    (became,) = hold(engine, world)
    assert became.startswith("the re-scan saw something of the person again: generated.customer")


def test_what_stays_lets_go_of_a_row_before_that_goes(engine: Engine) -> None:
    """The address needs its owner, who stays without a name: nothing has to wait for that; but who
    refers to the address would go along with it."""
    customer = table("customer", KEY, EMAIL, number("home"), action="anonymize")
    address = table("address", KEY, number("owner", nullable=False), STREET)
    home = link("customer.home", "address.id", direction="to", on_delete="CASCADE")
    owner = link("address.owner", "customer.id", on_delete="NO ACTION")
    world = small(
        [customer, address],
        [home, owner],
        ANN,
        customer=[(1, ANN, 1), (2, BEN, 2)],
        address=[(1, 1, "1 Quiet Lane"), (2, 2, "2 Quiet Lane")],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def test_a_circle_is_entered_where_the_test_of_a_reference_can_wait(engine: Engine) -> None:
    """An order needs its receipt, and that the order; only one of the two is tested at the end."""
    order = table("order", KEY, number("customer"), number("receipt", nullable=False))
    receipt = table("a_receipt", KEY, number("order", nullable=False))
    waiting = link("order.receipt", "a_receipt.id", on_delete="NO ACTION", deferrable=True)
    at_once = link("a_receipt.order", "order.id", on_delete="NO ACTION")
    world = small(
        [table("customer", KEY, EMAIL), order, receipt],
        [link("order.customer", "customer.id"), waiting, at_once],
        ANN,
        customer=[(1, ANN), (2, BEN)],
        order=[(1, 1, 1), (2, 2, 2)],
        a_receipt=[(1, 1), (2, 2)],
    )
    (became,) = hold(engine, world)
    assert (became == CARRIED_OUT) != engine.at_once(waiting)


@pytest.mark.parametrize("two", [True, False])
def test_a_circle_in_which_one_would_go_along_is_refused_where_two_forbid_it(
    engine: Engine, two: bool
) -> None:
    """A line goes with its order, which needs a slip, and that needs the line. It is told which
    reference it is: it has been declared, and no row came since."""
    order = table("orders", KEY, number("customer"), number("slip", nullable=False))
    line = table("line", KEY, number("of", nullable=False))
    slip = table("slip", KEY, number("line", nullable=False))
    needs = link("slip.line", "line.id", on_delete="NO ACTION" if two else "CASCADE")
    world = small(
        [table("customer", KEY, EMAIL), order, line, slip],
        [
            link("orders.customer", "customer.id"),
            link("line.of", "orders.id", on_delete="CASCADE"),
            link("orders.slip", "slip.id", on_delete="NO ACTION"),
            needs,
        ],
        ANN,
        customer=[(1, ANN), (2, BEN)],
        orders=[(1, 1, 1), (2, 2, 2)],
        line=[(1, 1), (2, 2)],
        slip=[(1, 1), (2, 2)],
    )
    (became,) = hold(engine, world)
    assert (became == CARRIED_OUT) != (two and engine.at_once(needs))
    assert became == CARRIED_OUT or "refuses NULL and goes later; declare" in became


@pytest.mark.parametrize(
    ("needed", "direction", "told"),
    [
        (True, "to", "refuses NULL and goes later; declare"),
        (False, "to", "no search leads to them; declare that reference"),
        (False, None, CARRIED_OUT),
    ],
)
def test_a_shared_row_that_needs_who_is_counted_is_refused_with_the_remedy(
    engine: Engine, needed: bool, direction: str | None, told: str
) -> None:
    """A firm goes with the last who works there; but it does not let its head go before."""
    firm = table("firm", KEY, number("head", nullable=not needed), STREET)
    head = link("firm.head", "customer.id", direction=direction, on_delete="NO ACTION")
    works = link("customer.firm", "firm.id", direction="to")
    world = small(
        [table("customer", KEY, EMAIL, number("firm")), firm],
        [works, head],
        ANN,
        customer=[(1, ANN, 1), (2, BEN, 2)],
        firm=[(1, 1, "1 Quiet Lane"), (2, 2, "2 Quiet Lane")],
    )
    (became,) = hold(engine, world)
    assert told in became if engine.at_once(head) else became == CARRIED_OUT
