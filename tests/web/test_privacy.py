"""No identifier in any address, message, page or table of the desk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import connection

from erasure.inline import run_inline
from erasure.models import ErasureRequest, LedgerLeaf
from tests.scenarios.small_shop import EMAIL, NAME
from tests.web.conftest import (
    FORM,
    LIST,
    PAGES,
    PRIVATE,
    Person,
    digest_shown,
    page,
    plan_of,
)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"identifiers": EMAIL}, "Line 1: write KIND=VALUE."),
        ({"identifiers": f"{NAME}={EMAIL}"}, "none of the known kinds"),
        ({"identifiers": f"email={EMAIL}\n\nname={NAME}"}, "Line 2: the word before ="),
        ({"identifiers": f"email={NAME}"}, "not an email address"),
        ({"identifiers": "email="}, "the value is empty"),
        ({"identifiers": ""}, "This field is required"),
        ({"identity_check": f"rang {EMAIL}"}, "leave that out"),
        ({"identifiers": EMAIL, "identity_check": f"rang {EMAIL}"}, "leave that out"),
        ({"identity_check": ""}, "Say either"),
        ({"law": "none"}, "Select a valid choice"),
    ],
)
def test_a_form_with_an_error_records_nothing_and_sends_no_value_back(
    officer: Person, shop: Path, form: dict[str, str], said: str
) -> None:
    answer = officer.post(f"{LIST}add/", **{**FORM, **form})
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not ErasureRequest.objects.exists()
    assert not LedgerLeaf.objects.exists()


@pytest.mark.parametrize("typed", [EMAIL, "Ann Archer", "0171 555 0123", "01715550123"])
def test_a_search_for_a_person_is_dropped(officer: Person, shop: Path, typed: str) -> None:
    answer = officer.client.get(LIST, {"q": typed})
    assert answer.status_code == 302
    assert answer["Location"] == LIST
    assert "a person&#x27;s data do not belong there" in officer.get(LIST).content.decode()


def test_a_case_is_found_by_its_number_and_by_its_pseudonym(
    officer: Person, planned: ErasureRequest
) -> None:
    for wanted in (str(planned.pk), planned.subject[:20]):
        assert str(planned.pk)[:8] in officer.get(f"{LIST}?q={wanted}").content.decode()
    assert "0 requests" in officer.get(f"{LIST}?q=abcdef0123abcdef").content.decode()


def test_no_table_and_no_page_holds_an_identifier_after_a_whole_case(
    officer: Person, approver: Person, shop: Path
) -> None:
    officer.post(f"{LIST}add/", **{**FORM, "identifiers": f"email={NAME}"})
    officer.post(f"{LIST}add/", **FORM)
    case = plan_of(ErasureRequest.objects.get())
    officer.post(page(case, "refuse"), because=f"is {EMAIL}")
    approver.post(page(case, "approve"), digest=digest_shown(approver.case(case)))
    run_inline(case)
    for address in (*PAGES, page(case), page(case, "certificate"), page(case, "report")):
        assert officer.get(address).status_code == 200, address
    for link in sorted(
        set(re.findall(r'href="(/admin/[^"?]+/change/)"', " ".join(officer.answers)))
    ):
        assert officer.get(link).status_code == 200, link
    assert len(officer.answers) > len(PAGES)
    for table in connection.introspection.table_names():
        rows = all_rows(table)
        assert not [v for v in PRIVATE if v in rows], table


def all_rows(table: str) -> str:
    """A whole table of the control database as text, blobs decoded as far as they can be."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
        cells = (cell for row in cursor.fetchall() for cell in row)
        decoded = (
            bytes(c).decode(errors="replace") if isinstance(c, bytes | memoryview) else str(c)
            for c in cells
        )
        return " ".join(decoded).casefold()
