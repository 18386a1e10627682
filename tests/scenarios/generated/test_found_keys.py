"""What generated worlds have found where a key is personal, and rewritten with all that refers to
it: each by its smallest example, on every engine."""

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
    link,
    number,
    small,
    table,
)
from tests.scenarios.generated.world import Column, Table

pytestmark = pytest.mark.django_db


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


CODE = number("code", nullable=False, unique=True)


@pytest.mark.parametrize("answers", [1, 2])
def test_what_is_kept_beside_a_rewritten_key_stays_as_it_is(engine: Engine, answers: int) -> None:
    """Ann's entry is known by her code, and found again as an answer to an entry of hers."""
    customer = table("customer", EMAIL_KEY, CODE, action="anonymize")
    entry = table("entry", KEY, number("author"), number("answers"), NOTE, action="retain")
    links = [
        link("entry.author", "customer.code", on_delete="NO ACTION"),
        link("entry.answers", "entry.id", on_delete="NO ACTION"),
    ]
    entries = [
        (1, 5, answers, f"by {ANN}"),
        (2, 5, 1, None),
        (3, 6, 1, f"to {ANN}"),
        (4, 6, 3, None),
    ]
    world = small([customer, entry], links, ANN, customer=[(ANN, 5), (BEN, 6)], entry=entries)
    assert hold(engine, world) == [CARRIED_OUT]


PERSON = table("customer", EMAIL_KEY, Column(name="host"), Column(name="agent"), action="anonymize")
LED = [
    link("customer.host", "customer.email", on_erase="deep", on_delete="NO ACTION"),
    link("customer.agent", "customer.email", on_erase="deep"),
]


@pytest.mark.parametrize("agent", [ANN, BEN, None])
def test_rewritten_keys_are_followed_in_rows_whose_own_are_rewritten(
    engine: Engine, agent: str | None
) -> None:
    """Ann is her own host, and Ben's, who leaves with her; Cleo's rows stay as they are."""
    world = small(
        [PERSON], LED, ANN, customer=[(ANN, ANN, agent), (BEN, ANN, agent), (CLEO, None, CLEO)]
    )
    assert hold(engine, world) == [CARRIED_OUT]


@pytest.mark.parametrize("on_delete", [None, "NO ACTION"])
def test_a_rewritten_key_is_followed_by_two_references_of_one_row(
    engine: Engine, on_delete: str | None
) -> None:
    """Ann wrote to herself, and to Ben."""
    message = table(
        "message", KEY, Column(name="sender"), Column(name="recipient"), action="redact"
    )
    links = [
        link("message.sender", "customer.email", on_erase="deep", on_delete=on_delete),
        link("message.recipient", "customer.email", on_erase="deep", on_delete=on_delete),
    ]
    world = small(
        [table("customer", EMAIL_KEY, action="anonymize"), message],
        links,
        ANN,
        customer=[(ANN,), (BEN,)],
        message=[(1, ANN, ANN), (2, ANN, BEN), (3, BEN, ANN), (4, BEN, BEN)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


@pytest.mark.parametrize("on_delete", ["CASCADE", "NO ACTION"])
def test_a_row_that_stays_cannot_refer_by_its_key_to_one_that_goes(
    engine: Engine, on_delete: str
) -> None:
    """Its database would forbid that, or take along what the plan says stays."""
    tag = table(
        "tag",
        number("customer", nullable=False, key=True),
        number("no", nullable=False, key=True),
        NOTE,
        action="redact",
    )
    links = [link("tag.customer", "customer.id", on_delete=on_delete)]
    world = small(
        [table("customer", KEY, EMAIL), tag],
        links,
        ANN,
        customer=[(1, ANN), (2, BEN)],
        tag=[(1, 1, "likes tea"), (2, 1, "likes tea")],
    )
    (became,) = hold(engine, world)
    assert became.startswith("refused: generated.tag.customer: rows here are to stay")


@pytest.mark.parametrize("told", [True, False])
def test_a_reference_in_a_key_is_not_cut_whoever_tells_the_key(engine: Engine, told: bool) -> None:
    """A visit is known to its tags, too: nobody may need it any more but its own."""
    visit = table(
        "visit", KEY, number("customer"), Column(name="born", category="user.demographic"),
        action="anonymize",
    )  # fmt: skip
    links = [
        link("visit.customer", "customer.id", on_delete="NO ACTION"),
        link("tag.visit", "visit.id", direction=None, on_delete="NO ACTION"),
    ]
    world = small(
        [table("customer", KEY, EMAIL), visit, replace(_tag("visit"), key_told=told)],
        links,
        ANN,
        customer=[(1, ANN), (2, BEN)],
        visit=[(1, 1, "1970-01-01"), (2, 2, "1970-01-02")],
        tag=[(1, 1, f"for {ANN}"), (2, 2, "likes tea")],
    )
    assert hold(engine, world) == [CARRIED_OUT]


@pytest.mark.parametrize("told", [True, False])
def test_a_key_may_go_on_naming_who_has_gone_where_no_foreign_key_forbids_it(
    engine: Engine, told: bool
) -> None:
    world = small(
        [table("customer", KEY, EMAIL), replace(_tag("customer"), key_told=told)],
        [link("tag.customer", "customer.id")],
        ANN,
        customer=[(1, ANN), (2, BEN)],
        tag=[(1, 1, f"for {ANN}"), (2, 2, "likes tea")],
    )
    assert hold(engine, world) == [CARRIED_OUT]


def _tag(of: str) -> Table:
    key = (number(of, nullable=False, key=True), number("no", nullable=False, key=True))
    return table("tag", *key, NOTE, action="redact")


def test_rows_that_have_another_key_since_are_dealt_with_once(engine: Engine) -> None:
    """Ben's row is Ann's, as it refers to hers, and does so still under its new key."""
    code = number("code", nullable=False, unique=True)
    customer = table("customer", code, EMAIL_KEY, number("under"), action="anonymize")
    under = link("customer.under", "customer.code", on_erase="deep")
    people = [(1, ANN, None), (2, BEN, 1), (3, CLEO, 3)]
    assert hold(engine, small([customer], [under], ANN, customer=people)) == [CARRIED_OUT]


@pytest.mark.parametrize("told", [True, False])
def test_the_mailboxes_of_who_stays_without_a_name_are_dealt_with_once(
    engine: Engine, told: bool
) -> None:
    """Each is told by its address, which is another afterwards, and still refers to them."""
    customer = table("customer", KEY, EMAIL, action="anonymize")
    address = Column(name="address", key=True, nullable=False, category="user.contact.email")
    mailbox = replace(table("mailbox", address, number("owner"), action="anonymize"), key_told=told)
    world = small(
        [customer, mailbox],
        [link("mailbox.owner", "customer.id")],
        ANN,
        customer=[(1, ANN), (2, BEN)],
        mailbox=[("ann@example.org", 1), ("archer@example.org", 1), ("ben@example.org", 2)],
    )
    assert hold(engine, world) == [CARRIED_OUT]


@pytest.mark.parametrize("numbered", [True, False])
def test_what_is_kept_may_not_have_a_key_that_changes(engine: Engine, numbered: bool) -> None:
    """It is found by its key on its day."""
    customer = table("customer", EMAIL_KEY, action="anonymize")
    number_of = Column(name="gov", category="user.government_id")
    buyer = Column(name="buyer", nullable=False, key=not numbered)
    no = number("no", nullable=False, key=True)
    invoice = table("invoice", no, buyer, number_of, action="retain")
    world = small(
        [customer, invoice],
        [link("invoice.buyer", "customer.email", on_delete="NO ACTION")],
        ANN,
        customer=[(ANN,), (BEN,)],
        invoice=[(1, ANN, "ID1234567"), (2, ANN, "ID1234568"), (3, BEN, "ID1234569")],
    )
    (became,) = hold(engine, world)
    assert became == CARRIED_OUT if numbered else "its key would change" in became


def test_a_row_that_waits_for_another_key_is_not_taken_for_one_that_has_it(engine: Engine) -> None:
    """Cleo's note tells of Ann and goes with Cleo's own row. Searched for again, as somebody that
    nobody has declared forbids that the order goes, it is no stranger's that came since."""
    tenant = number("tenant", nullable=False, key=True)
    code = number("code", nullable=False, unique=True)
    customer = table("customer", tenant, EMAIL_KEY, code, NOTE, action="anonymize")
    world = small(
        [customer, table("orders", KEY, number("buyer")), table("stranger", KEY, number("order"))],
        [
            link("orders.buyer", "customer.code"),
            link("stranger.order", "orders.id", on_delete="RESTRICT", declared=False),
        ],
        ANN,
        CLEO,
        customer=[(0, ANN, 1, None), (0, CLEO, 2, f"asked {ANN} for tea")],
        orders=[(1, 1)],
        stranger=[(1, 1)],
    )
    (became,) = hold(engine, world)
    assert "rows refer to what is to go, and no search leads to them" in became
