"""``straße@`` and ``STRASSE@`` may be two people's mailboxes (IDNA 2008), or one person's in two
spellings: the search by key does not take one for the other, and the look by value shows it."""

from __future__ import annotations

import pytest

from erasure.models import Certificate, ErasureRequest, Event
from tests.flow.cast import SqliteShop
from tests.flow.deeds import approved, identified, work_off

SPELLINGS = pytest.mark.parametrize(
    ("given", "written"),
    [
        ("straße@example.com", "STRASSE@example.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("strasse@example.com", "STRAẞE@example.com"),
    ],
)
SUBJECT, OTHER = 7, 8


def signed_up(shop: SqliteShop, key: int, email: str, phone: str | None = None) -> None:
    row = dict.fromkeys(("address_id", "rep_id", "remark"))
    told = {"name": f"Name No{key}", "email": email, "phone": phone}
    shop.insert("customer", {"id": key, **told, **row})


def seen(request: ErasureRequest) -> set[tuple[str, str, str]]:
    found = request.scan_results.values_list("collection", "field", "verdict")
    return {(collection, field, verdict) for collection, field, verdict in found}


@SPELLINGS
def test_a_mailbox_in_the_other_spelling_that_is_nobodys_is_left_over_and_blocks(
    sql_shop: SqliteShop, given: str, written: str
) -> None:
    signed_up(sql_shop, SUBJECT, given)
    sql_shop.create("newsletter", [{"id": 1, "mail": written}], "crm_db")
    request = approved(given)
    work_off(request)
    assert request.state == "blocked"
    assert "crm_db.newsletter.mail (1)" in request.blocked_because
    assert ("newsletter", "mail", "residue") in seen(request)
    assert not Certificate.objects.exists()
    assert (sql_shop.row("customer", SUBJECT) or {})["email"] is None


@SPELLINGS
def test_a_mailbox_in_the_other_spelling_of_somebody_else_stays_and_is_told(
    sql_shop: SqliteShop, given: str, written: str
) -> None:
    signed_up(sql_shop, SUBJECT, given)
    signed_up(sql_shop, OTHER, written, phone="030 5557777")
    before = sql_shop.row("customer", OTHER)
    request = approved(given)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    assert seen(request) == {("customer", "email", "shared")}
    assert (sql_shop.row("customer", SUBJECT) or {})["email"] is None
    assert sql_shop.row("customer", OTHER) == before


@SPELLINGS
def test_a_row_that_only_the_other_spelling_tells_from_the_persons_is_asked_about(
    sql_shop: SqliteShop, given: str, written: str
) -> None:
    """Nothing else says whose it is: a person looks, and until then nothing is certified."""
    signed_up(sql_shop, SUBJECT, given)
    signed_up(sql_shop, OTHER, written)
    before = sql_shop.row("customer", OTHER)
    request = approved(given)
    work_off(request)
    assert request.state == "blocked"
    assert "shop_db.customer.email (1)" in request.blocked_because
    assert seen(request) == {("customer", "email", "residue")}
    assert not Certificate.objects.exists()
    assert sql_shop.row("customer", OTHER) == before


def told(request: ErasureRequest) -> str:
    return Event.objects.filter(subject_id=str(request.pk)).latest("id").because


@SPELLINGS
def test_nothing_is_said_to_be_held_without_a_word_on_the_other_spelling(
    sql_shop: SqliteShop, given: str, written: str
) -> None:
    signed_up(sql_shop, OTHER, written)
    before = sql_shop.row("customer", OTHER)
    request = identified(("email", given))
    work_off(request)
    assert request.state == "no_data"
    assert "differs from one of them in ß and ss only is known" in told(request)
    assert written.lower() not in told(request)
    assert sql_shop.row("customer", OTHER) == before


def test_no_word_is_said_of_a_spelling_that_nobody_has(sql_shop: SqliteShop) -> None:
    for given in ("nobody.strasse@example.com", "nobody@example.com"):
        request = identified(("email", given))
        work_off(request)
        assert (request.state, told(request)) == ("no_data", "no store knows these identifiers")
