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


def test_what_a_former_erasure_put_there_is_looked_for_by_nobody(engine: Engine) -> None:
    """Cleo, who is gone already, was Ann's guest: her phone is what Ann's will be."""
    phone = Column(name="phone", category="user.contact.phone_number", method="constant gone")
    customer = table("customer", KEY, EMAIL, phone, number("host"), action="anonymize")
    world = small(
        [customer],
        [link("customer.host", "customer.id", on_erase="deep")],
        customer=[(1, ANN, "030 5550001", None), (2, BEN, None, None), (3, CLEO, "030 5550003", 1)],
    )
    world = replace(world, leavers=((CLEO,), (ANN,)))
    assert hold(engine, world) == [CARRIED_OUT, CARRIED_OUT]


def test_what_is_refused_changes_nothing(engine: Engine) -> None:
    """The law keeps an invoice whose customer would go."""
    invoice = table("invoice", KEY, number("customer", nullable=False), action="retain")
    links = [link("invoice.customer", "customer.id", on_delete="NO ACTION")]
    world = small([CUSTOMER, invoice], links, ANN, customer=PEOPLE, invoice=[(1, 1), (2, 2)])
    (became,) = hold(engine, world)
    assert became.startswith("refused: shop.invoice: is retained and refers to shop.customer")


@pytest.mark.parametrize("on_delete", ["CASCADE", "SET NULL"])
def test_what_no_catalogue_knows_goes_along_once_it_is_accepted(
    engine: Engine, on_delete: str
) -> None:
    """Nobody declared the badges; Ben's stays as it is."""
    badge = table("badge", KEY, number("customer"), action="")
    links = [link("badge.customer", "customer.id", on_delete=on_delete, declared=False)]
    world = small([CUSTOMER, badge], links, ANN, customer=PEOPLE, badge=[(1, 1), (2, 2)])
    assert hold(engine, world) == [CARRIED_OUT]


def test_what_took_the_place_of_a_value_is_not_looked_for_in_its_turn(engine: Engine) -> None:
    """Ann's own item is shared by her order, too: found by that once more, it has been dealt with,
    and what now stands in the other shared one is nobody's."""
    order = table("order", KEY, number("customer"), number("item"))
    number_of = Column(name="gov", category="user.government_id", nullable=False)
    item = table("item", KEY, number("customer"), number_of, action="anonymize")
    links = [
        link("order.customer", "customer.id", direction=None, on_delete="NO ACTION"),
        link("order.item", "item.id", direction=None, on_delete="NO ACTION"),
        link("item.customer", "customer.id", direction=None, on_delete="NO ACTION"),
    ]
    world = small(
        [CUSTOMER, order, item],
        links,
        ANN,
        customer=PEOPLE,
        order=[(1, 1, 1), (2, 1, 3), (3, 2, 2)],
        item=[(1, 1, "ID000001"), (2, None, "ID000002"), (3, None, "ID000003")],
    )
    assert hold(engine, world) == [CARRIED_OUT]


CARD = table(
    "card", KEY, number("owner"), Column(name="phone", category="user.contact.phone_number")
)
OWNS = link("card.owner", "customer.id", on_delete="NO ACTION")


@pytest.mark.parametrize("anns", [None, 1])
@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_nobody_goes_along_with_a_row_of_somebody_else(
    engine: Engine, action: str, anns: int | None
) -> None:
    """Ben has Ann's card, too, and no search leads from it to him, who would go with it."""
    customer = table("customer", KEY, EMAIL, number("card"), action=action)
    has = link("customer.card", "card.id", direction="to", on_delete="CASCADE")
    people = [(1, ANN, anns), (2, BEN, 1)]
    cards = [(1, 1, "030 5550001"), (2, 2, None)]
    (became,) = hold(engine, small([customer, CARD], [has, OWNS], ANN, customer=people, card=cards))
    assert became.startswith("refused: shop.customer: 1 of its rows would go along with rows")


@pytest.mark.parametrize("anns", [None, 1])
@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_who_refers_to_a_row_of_somebody_else_loses_nothing_but_the_reference(
    engine: Engine, action: str, anns: int | None
) -> None:
    """Ann's own is cut by the plan, Ben's is nulled by the database, once that is accepted."""
    customer = table("customer", KEY, EMAIL, number("card"), action=action)
    has = link("customer.card", "card.id", direction="to", on_delete="SET NULL")
    people = [(1, ANN, anns), (2, BEN, 1)]
    cards = [(1, 1, "030 5550001"), (2, 2, None)]
    world = small([customer, CARD], [has, OWNS], ANN, customer=people, card=cards)
    assert hold(engine, world) == [CARRIED_OUT]
