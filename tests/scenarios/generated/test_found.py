"""What generated worlds have found, each by its smallest example, on every engine."""

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
    EMAIL_KEY,
    KEY,
    NOTE,
    STREET,
    link,
    number,
    small,
    table,
)
from tests.scenarios.generated.world import Column

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every engine in turn."""
    found: Engine = request.getfixturevalue(request.param)
    return found


CUSTOMER = table("customer", KEY, EMAIL)
PEOPLE = [(1, ANN), (2, BEN), (3, CLEO)]


def test_what_a_database_nulls_by_itself_is_still_the_persons(engine: Engine) -> None:
    """A comment that was answered goes first, and its answer's own reference is nulled with it."""
    comment = table("comment", KEY, number("author"), number("answers"))
    links = [
        link("comment.author", "customer.id"),
        link("comment.answers", "comment.id", on_erase="deep", on_delete="SET NULL"),
    ]
    assert hold(
        engine,
        small(
            [CUSTOMER, comment],
            links,
            ANN,
            customer=PEOPLE,
            comment=[(1, 1, None), (2, 2, 1), (3, 1, 2), (4, 2, None)],
        ),
    ) == [CARRIED_OUT]


def test_what_a_database_nulls_between_tables_is_still_the_persons(engine: Engine) -> None:
    """Nothing but its item makes that order Ann's, and the item goes first."""
    order = table("order", KEY, number("customer"), number("item"))
    item = table("item", KEY, number("order"))
    links = [
        link("order.customer", "customer.id"),
        link("order.item", "item.id", on_erase="deep", on_delete="SET NULL"),
        link("item.order", "order.id", on_delete="SET NULL"),
    ]
    world = small(
        [CUSTOMER, order, item],
        links,
        ANN,
        customer=PEOPLE,
        order=[(1, 1, None), (2, 2, 2), (3, None, 1)],
        item=[(1, 1), (2, 2)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def test_rows_that_a_database_takes_along_go_in_their_turn(engine: Engine) -> None:
    """What they refer to would take them along too early: somebody's row still refers to them."""
    order = table("order", KEY, number("item"), number("customer"))
    item = table("item", KEY, number("shop"))
    shop = table("shop", KEY, number("order", nullable=False))
    links = [
        link("order.customer", "customer.id"),
        link("order.item", "item.id", on_erase="deep", on_delete="CASCADE"),
        link("item.shop", "shop.id", on_delete="NO ACTION"),
        link("shop.order", "order.id", on_delete="RESTRICT"),
    ]
    world = small(
        [CUSTOMER, order, item, shop],
        links,
        ANN,
        customer=PEOPLE,
        order=[(1, 1, 1), (2, 2, 2)],
        item=[(1, 1), (2, 2)],
        shop=[(1, 1), (2, 2)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def test_a_row_that_stays_keeps_what_leads_to_somebody_else(engine: Engine) -> None:
    """A message has a sender and a recipient, and one of the two leaves."""
    message = table("message", KEY, number("sender"), number("recipient"), action="anonymize")
    links = [
        link("message.sender", "customer.id", on_delete="NO ACTION"),
        link("message.recipient", "customer.id", on_delete="NO ACTION"),
    ]
    assert hold(
        engine,
        small(
            [CUSTOMER, message],
            links,
            ANN,
            customer=PEOPLE,
            message=[(1, 1, 2), (2, 2, 1), (3, 2, 3), (4, 1, 1)],
        ),
    ) == [CARRIED_OUT]


def test_a_recipient_who_stays_may_not_be_missing(engine: Engine) -> None:
    """That column refuses NULL, which is nobody's trouble while the recipient stays."""
    needed = number("recipient", nullable=False)
    message = table("message", KEY, number("sender"), needed, action="anonymize")
    links = [link("message.sender", "customer.id"), link("message.recipient", "customer.id")]
    assert hold(
        engine,
        small([CUSTOMER, message], links, ANN, customer=PEOPLE, message=[(1, 1, 2), (2, 3, 2)]),
    ) == [CARRIED_OUT]


def test_a_shared_row_that_is_anonymised_keeps_what_it_refers_to(engine: Engine) -> None:
    """It belongs to Ben, who stays, and nobody refers to it any more when Ann has left."""
    customer = table("customer", KEY, EMAIL, number("flat"))
    flat = table("flat", KEY, number("landlord"), STREET, action="anonymize")
    links = [
        link("customer.flat", "flat.id", direction="to", on_delete="NO ACTION"),
        link("flat.landlord", "customer.id", on_delete="NO ACTION"),
    ]
    assert hold(
        engine,
        small(
            [customer, flat],
            links,
            ANN,
            customer=[(1, ANN, 1), (2, BEN, None)],
            flat=[(1, 2, "12 Quiet Lane")],
        ),
    ) == [CARRIED_OUT]


def test_references_are_cut_before_what_they_lead_to_goes(engine: Engine) -> None:
    """The order goes, the basket stays without it, and the order refers to a basket as well."""
    order = table("order", KEY, number("customer"), number("basket"))
    basket = table("basket", KEY, number("order"), action="anonymize")
    links = [
        link("order.customer", "customer.id"),
        link("order.basket", "basket.id", on_delete="CASCADE"),
        link("basket.order", "order.id", on_delete="CASCADE"),
    ]
    assert hold(
        engine,
        small(
            [CUSTOMER, order, basket],
            links,
            ANN,
            customer=PEOPLE,
            order=[(1, 1, 2), (2, 2, 2)],
            basket=[(1, 1), (2, None)],
        ),
    ) == [CARRIED_OUT]


def test_a_kept_row_is_not_cut_where_it_refers_to_its_own_person(engine: Engine) -> None:
    """An invoice names who owes it and who wrote it: here both are Ann, whose name goes."""
    customer = table("customer", KEY, EMAIL, action="anonymize")
    invoice = table("invoice", KEY, number("debtor"), number("writer"), action="retain")
    links = [
        link("invoice.debtor", "customer.id", on_delete="NO ACTION"),
        link("invoice.writer", "customer.id", on_erase="shallow", on_delete="NO ACTION"),
    ]
    assert hold(
        engine,
        small(
            [customer, invoice],
            links,
            ANN,
            customer=PEOPLE,
            invoice=[(1, 1, 1), (2, 2, 1), (3, 1, 2)],
        ),
    ) == [CARRIED_OUT]


def test_a_shared_row_that_somebody_needs_is_not_what_the_law_keeps(engine: Engine) -> None:
    """Ben lives there as well: nothing of Ann's is kept, and her case is completed."""
    customer = table("customer", KEY, EMAIL, number("flat"))
    flat = table("flat", KEY, STREET, action="retain")
    links = [link("customer.flat", "flat.id", direction="to", on_delete="NO ACTION")]
    assert hold(
        engine,
        small(
            [customer, flat],
            links,
            ANN,
            customer=[(1, ANN, 1), (2, BEN, 1)],
            flat=[(1, "12 Quiet Lane")],
        ),
    ) == [CARRIED_OUT]


@pytest.mark.parametrize("on_delete", [None, "NO ACTION"])
def test_a_rewritten_key_is_followed_wherever_it_was_declared(
    engine: Engine, on_delete: str | None
) -> None:
    """Also where no foreign key says so."""
    customer = table("customer", EMAIL_KEY, action="anonymize")
    needed = Column(name="buyer", nullable=False)
    invoice = table("invoice", KEY, needed, action="retain")
    links = [link("invoice.buyer", "customer.email", on_delete=on_delete)]
    assert hold(
        engine,
        small(
            [customer, invoice], links, ANN, customer=[(ANN,), (BEN,)], invoice=[(1, ANN), (2, BEN)]
        ),
    ) == [CARRIED_OUT]


def test_a_rewritten_key_hides_no_row_that_is_still_to_go(engine: Engine) -> None:
    """Orders are told by their buyer's address, and each of the two refers to the other."""
    customer = table("customer", EMAIL_KEY, number("last"), action="anonymize")
    order = table("a_order", KEY, Column(name="buyer"))
    links = [
        link("a_order.buyer", "customer.email", on_erase="deep", on_delete="NO ACTION"),
        link("customer.last", "a_order.id", on_delete="SET NULL"),
    ]
    world = small(
        [customer, order],
        links,
        ANN,
        customer=[(ANN, 1), (BEN, 2)],
        a_order=[(1, ANN), (2, BEN)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def test_what_is_kept_below_a_rewritten_key_stays_as_it_is(engine: Engine) -> None:
    """The second search finds the invoice by its order, whose buyer has another key now."""
    customer = table("customer", EMAIL_KEY, action="anonymize")
    order = table("order", KEY, Column(name="buyer", nullable=False), action="redact")
    invoice = table("invoice", KEY, number("order"), NOTE, action="retain")
    links = [
        link("order.buyer", "customer.email", on_delete="NO ACTION"),
        link("invoice.order", "order.id", on_delete="NO ACTION"),
    ]
    assert hold(
        engine,
        small(
            [customer, order, invoice],
            links,
            ANN,
            customer=[(ANN,), (BEN,)],
            order=[(1, ANN), (2, BEN)],
            invoice=[(1, 1, f"to {ANN}"), (2, 2, f"not for {ANN}")],
        ),
    ) == [CARRIED_OUT]


def test_a_circle_is_entered_where_a_reference_can_be_nulled(engine: Engine) -> None:
    """An order may be without a parcel, but no parcel without an order: parcels go first."""
    order = table("b_order", KEY, number("customer"), number("parcel"))
    parcel = table("a_parcel", KEY, number("order", nullable=False))
    links = [
        link("b_order.customer", "customer.id"),
        link("b_order.parcel", "a_parcel.id", on_delete="NO ACTION"),
        link("a_parcel.order", "b_order.id", on_delete="RESTRICT"),
    ]
    world = small(
        [CUSTOMER, order, parcel],
        links,
        ANN,
        customer=PEOPLE,
        b_order=[(1, 1, 1), (2, 2, 2)],
        a_parcel=[(1, 1), (2, 2)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def test_a_circle_is_not_entered_where_rows_would_be_taken_along(engine: Engine) -> None:
    """A box goes with its customer, but not while an order needs it."""
    customer = table("customer", KEY, EMAIL, number("last"))
    order = table("order", KEY, number("box", nullable=False))
    box = table("box", KEY, number("customer", nullable=False))
    links = [
        link("customer.last", "order.id", on_erase="shallow", on_delete="NO ACTION"),
        link("order.box", "box.id", on_delete="NO ACTION"),
        link("box.customer", "customer.id", on_delete="CASCADE"),
    ]
    world = small(
        [customer, order, box],
        links,
        ANN,
        customer=[(1, ANN, 1), (2, BEN, 1)],
        order=[(1, 1), (2, 2)],
        box=[(1, 1), (2, 2)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


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
