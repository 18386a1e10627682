"""The plan on the desk explains itself, and asks for a tick for everything that it sets off."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest

from erasure.flow import identify, intake
from erasure.inline import run_inline
from erasure.models import ErasureRequest, LedgerLeaf
from tests.flow.cast import OLGA
from tests.scenarios.small_shop import EMAIL, dump
from tests.web.conftest import Person, digest_shown, everything_written, page, plan_of

PARCELS = "cascade:shop_db.parcel.order_id"
WATCH = "trigger:shop_db.orders.watch"
BESIDE = """
CREATE TABLE parcel (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders ON DELETE CASCADE);
INSERT INTO parcel VALUES (1, 1), (2, 2), (3, 3);
CREATE TRIGGER watch AFTER DELETE ON orders BEGIN SELECT 1; END;
"""


@pytest.fixture
def case(shop: Path) -> ErasureRequest:
    """A plan of the subject's that sets off a cascade and a trigger."""
    with closing(sqlite3.connect(shop)) as connection:
        connection.executescript(BESIDE)
    return another(EMAIL)


def another(email: str) -> ErasureRequest:
    """A planned case."""
    request = intake.open_request([("email", email)], by=OLGA, channel="desk")
    return plan_of(identify.confirm_identity(request, by=OLGA, method="rang back"))


def words(text: str) -> str:
    """What somebody reads."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def ticks(text: str) -> dict[str, bool]:
    """The boxes of a page by what they accept; whether the browser insists on them."""
    boxes = re.findall(r'<input type="checkbox" name="accept" value="([^"]+)"( required)?>', text)
    return {unescape(code): bool(required) for code, required in boxes}


def test_what_a_plan_sets_off_stands_on_top_with_its_remedy(
    auditor: Person, case: ErasureRequest
) -> None:
    text = auditor.case(case)
    read = words(text)
    for part in (
        "To be accepted with the plan",
        "Rows go along: shop_db.parcel 2 rows when it was planned",
        "Deleting rows of orders also deletes the rows of parcel that refer to them by order_id",
        "What to do: Declare parcel and its reference order_id in the catalogue and plan again",
        "A trigger runs: shop_db.orders",
        "if it copies the old row, as audit triggers do, the personal data in it stay there",
    ):
        assert part in read, part
    assert read.index("To be accepted with the plan") < read.index("What will be done")
    assert ticks(text) == {}, "an auditor decides nothing"


def test_every_finding_must_be_ticked(approver: Person, case: ErasureRequest) -> None:
    text = approver.case(case)
    assert ticks(text) == {PARCELS: True, WATCH: True}
    digest = digest_shown(text)
    before = everything_written()
    for accept in ([], [PARCELS], [WATCH], [PARCELS, WATCH, "trigger:shop_db.orders.other"]):
        approver.post(page(case, "approve"), digest=digest, accept=accept)
        assert everything_written() == before
        assert 'class="error"' in approver.told(case)
    approver.post(page(case, "approve"), digest=digest, accept=[PARCELS, WATCH])
    case.refresh_from_db()
    assert case.state == "approved"
    assert PARCELS in LedgerLeaf.objects.get(kind="approved").payload


def test_who_accepted_what_is_shown_and_what_went_along(
    approver: Person, case: ErasureRequest, shop: Path
) -> None:
    digest = digest_shown(approver.case(case))
    approver.post(page(case, "approve"), digest=digest, accept=[PARCELS, WATCH])
    assert run_inline(case).state == "partly_granted"
    assert dump(shop)["parcel"] == [(3, 3)]
    text = approver.case(case)
    read = words(text)
    assert "Accepted with the plan" in read
    assert "Rows go along: shop_db.parcel 2 rows went along" in read
    assert read.count("accepted by arne") == 2
    assert "2 that no step names went along" in read
    assert "Good to know" not in read
    assert ticks(text) == {}


def test_a_trigger_that_was_accepted_before_needs_no_tick(
    approver: Person, case: ErasureRequest
) -> None:
    digest = digest_shown(approver.case(case))
    approver.post(page(case, "approve"), digest=digest, accept=[PARCELS, WATCH])
    other = another("ben.baker@example.com")
    text = approver.case(other)
    assert ticks(text) == {PARCELS: True}
    assert "accepted by arne" in words(text)
    approver.post(page(other, "approve"), digest=digest_shown(text), accept=[PARCELS])
    other.refresh_from_db()
    assert other.state == "approved"


def test_a_plan_that_sets_nothing_off_asks_for_no_tick(
    approver: Person, planned: ErasureRequest
) -> None:
    text = approver.case(planned)
    assert ticks(text) == {}
    assert "To be accepted with the plan" not in text
    approver.post(page(planned, "approve"), digest=digest_shown(text))
    planned.refresh_from_db()
    assert planned.state == "approved"


def test_a_plan_is_made_again_after_its_cause_was_removed(
    officer: Person, case: ErasureRequest, shop: Path
) -> None:
    first = case.plans.get().digest
    with closing(sqlite3.connect(shop)) as connection:
        connection.executescript("DROP TABLE parcel; DROP TRIGGER watch;")
    assert "Plan again" in officer.case(case)
    officer.post(page(case, "again"))
    assert "The plan is being made again" in officer.told(case)
    plan_of(case)
    text = officer.case(case)
    assert "To be accepted with the plan" not in text
    assert case.plans.get().digest != first


def test_a_step_says_folded_how_it_is_done(auditor: Person, planned: ErasureRequest) -> None:
    text = auditor.case(planned)
    folds = re.findall(r'<details class="how"><summary>(.+?)</details>', text, re.DOTALL)
    assert len(folds) == planned.plans.get().steps.count()
    (orders,) = [words(fold) for fold in folds if "DELETE FROM orders" in fold]
    for part in (
        "Statement DELETE FROM orders WHERE id IN (row keys) AND customer_id = guard",
        "Rows in the table about 3",
        "Index customer_id: no index serves it, every row is read",
        "Locks The whole file is locked for writing",
        "Stays Nothing in the file.",
    ):
        assert part in orders, part
    assert "<script" not in text[text.index('class="plan"') : text.index("</section>", 1)]


def test_what_will_stay_is_said_before_it_is_approved(
    auditor: Person, planned: ErasureRequest
) -> None:
    read = words(auditor.case(planned))
    start = read.index("What will stay")
    staying = read[start : start + 500]
    assert (
        "shop.invoice : The rows as they are, until 8 years after the end of the year of issued_on,"
        " 31 Dec 2034 at the latest (legal obligation, tax law). "
        "In the catalogue: end_of_year(issued_on) + 8y"
    ) in staying
    assert "shop.customer : The row, with id as they are" in staying
    assert "Reached only where the reference is filled in: shop.message (author_id)" in read
