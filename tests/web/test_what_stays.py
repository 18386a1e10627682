"""What will stay, said on the page of a case before it is approved: by which rule, until when."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from erasure.advance import Job, perform
from erasure.models import ErasureRequest
from lineage.models import Dataset
from tests.web.conftest import LIST, Person, page, plan_of
from tests.web.test_holds import UNTIL, WHY
from tests.web.test_plan_page import words

DAY = f"{timezone.localdate() + timedelta(days=30):%d %b %Y}"
INVOICES = (
    "shop.invoice : The rows as they are, until 8 years after the end of the year of issued_on"
)


def staying(who: Person, case: ErasureRequest) -> str:
    """What the page says stays."""
    read = words(who.case(case))
    start = read.index("What will stay")
    return read[start : read.index("shop_db database", start)]


def also_issued(shop: Path, day: str | None) -> None:
    """Another invoice of the subject's."""
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("INSERT INTO invoice VALUES (9, 0, ?)", [day])
        connection.commit()


def test_the_day_of_the_row_that_stays_longest_is_said(
    auditor: Person, shop: Path, opened: ErasureRequest
) -> None:
    also_issued(shop, "2028-01-01")
    said = staying(auditor, plan_of(opened))
    assert f"{INVOICES}, 31 Dec 2036 at the latest (legal obligation, tax law)." in said


@pytest.mark.parametrize("day", [None, "once upon a time"])
def test_no_last_day_is_promised_where_a_row_has_no_date(
    auditor: Person, shop: Path, opened: ErasureRequest, day: str | None
) -> None:
    also_issued(shop, day)
    assert f"{INVOICES} (legal obligation, tax law)." in staying(auditor, plan_of(opened))


def test_a_dataset_that_is_excepted_stays_until_its_day(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "except"), dataset="shop.orders", **WHY, **UNTIL)
    said = staying(officer, plan_of(planned))
    assert (
        f"shop.orders : The rows as they are, until {DAY} (legal claims, Art. 17(3)(e)). shop"
        in said
    )
    assert UNTIL["until"] not in officer.case(planned)


def test_fields_that_are_excepted_stay_until_their_day(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "except"), dataset="shop.orders", fields="wish", **WHY, **UNTIL)
    said = staying(officer, plan_of(planned))
    assert f"wish as they are, until {DAY} (legal claims, Art. 17(3)(e))." in said


def test_what_is_on_hold_stays_until_its_release_and_then_as_the_exception_under_it_says(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "except"), dataset="shop.orders", **WHY, **UNTIL)
    officer.post("/admin/erasure/hold/add/", datasets="shop.orders", **WHY)
    said = staying(officer, plan_of(planned))
    law = "(legal claims, Art. 17(3)(e))"
    assert (
        f"The rows as they are, until the hold is released {law}, then until {DAY} {law}." in said
    )


@pytest.fixture
def blocked(officer: Person, opened: ErasureRequest) -> ErasureRequest:
    """A case with an exception for which no plan can be made: what it keeps refers to a customer
    who goes."""
    Dataset.objects.filter(name__in=("customer", "invoice")).update(action="delete")
    assert plan_of(opened).state == "planned"
    officer.post(page(opened, "except"), dataset="shop.orders", **WHY, **UNTIL)
    perform(Job("advance", opened.pk))
    opened.refresh_from_db()
    assert opened.state == "blocked"
    return opened


@pytest.mark.parametrize("deed", ["lift", "except"])
def test_a_case_that_an_exception_has_blocked_is_planned_again_once_it_is_decided_otherwise(
    officer: Person, blocked: ErasureRequest, deed: str
) -> None:
    kept = blocked.exceptions.get()
    if deed == "lift":
        officer.post(f"{LIST}{blocked.pk}/except/{kept.pk}/lift/")
    else:
        officer.post(page(blocked, "except"), dataset="shop.customer", **WHY, **UNTIL)
    assert "The plan is being made again" in officer.told(blocked)
    blocked.refresh_from_db()
    assert (blocked.state, blocked.blocked_because) == ("identified", "")
    perform(Job("advance", blocked.pk))
    blocked.refresh_from_db()
    assert blocked.state == "planned"


def test_a_plan_that_does_not_hold_any_more_is_called_that(
    officer: Person, blocked: ErasureRequest
) -> None:
    text = officer.case(blocked)
    assert "The plan before, which does not hold any more" in text
    assert 'name="digest"' not in text
    officer.post(page(blocked, "except"), dataset="shop.customer", **WHY, **UNTIL)
    perform(Job("advance", blocked.pk))
    assert "which does not hold any more" not in officer.case(blocked)
