"""Undoing at the desk: what is shown before and after, who may, and dates that are late."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from erasure.advance import due_jobs, finish_keys, perform
from erasure.flow import decide
from erasure.inline import approve, run_inline
from erasure.models import Capture, DateDue, ErasureRequest, SuppressionEntry, UndoWindow
from tests.flow.cast import CONSOLE, OLGA
from tests.scenarios.small_shop import dump
from tests.web.conftest import LIST, Person, digest_shown, everything_written, page, plan_of

WHY = "the wrong customer was looked up"


@pytest.fixture(autouse=True)
def _a_day(settings: LazySettings) -> None:
    settings.LETHE_UNDO_WINDOW = timedelta(hours=24)


@pytest.fixture
def erased(shop: Path, planned: ErasureRequest) -> ErasureRequest:
    """Carried out and verified; its window is open."""
    approve(planned, by=CONSOLE, because="test")
    assert run_inline(planned).state == "awaiting_window"
    return planned


def everything() -> tuple[object, ...]:
    return (
        *everything_written(),
        list(UndoWindow.objects.values()),
        list(Capture.objects.values()),
        SuppressionEntry.objects.count(),
    )


def work() -> None:
    """What a worker and beat do."""
    for job in due_jobs():
        perform(job)
    finish_keys()


def test_whoever_approves_sees_until_when_it_can_be_undone(
    approver: Person, planned: ErasureRequest
) -> None:
    shown = approver.case(planned)
    assert "can be undone for 24 hours after the run begins, but not beyond" in shown
    assert f"{planned.due_at:%d %b %Y}" in shown
    approver.post(page(planned, "approve"), digest=digest_shown(shown))
    planned.refresh_from_db()
    assert planned.state == "approved"


def test_an_officer_plans_it_for_good(officer: Person, planned: ErasureRequest) -> None:
    old = planned.plans.get(state="draft").digest
    officer.post(page(planned, "waive"))
    assert "without an undo window" in officer.told(planned)
    plan_of(planned)
    shown = officer.case(planned)
    assert "can be undone for" not in shown
    assert planned.plans.get(state="draft").digest != old
    assert planned.plans.get(state="draft").undo_seconds == 0


def test_an_erasure_is_undone_after_a_page_that_asks(
    officer: Person, shop: Path, planned: ErasureRequest
) -> None:
    before = dump(shop)
    approve(planned, by=CONSOLE, because="test")
    run_inline(planned)
    shown = officer.case(planned)
    for part in ("Erased, can still be undone", "Undo this erasure", "answer by"):
        assert part in shown
    asked = officer.get(page(planned, "undo")).content.decode()
    closes = UndoWindow.objects.get().closes_at
    for part in (f"{closes:%d %b %Y, %H:%M} UTC", "shop_db", "Put it all back"):
        assert part in asked
    assert dump(shop) != before
    officer.post(page(planned, "undo"), because=WHY)
    assert "Being undone" in officer.told(planned)
    work()
    assert dump(shop) == before
    shown = officer.case(planned)
    for part in ("Undone, put back", "put back"):
        assert part in shown
    assert WHY in officer.reasons(planned)
    assert "Undo this erasure" not in shown


@pytest.mark.parametrize("who", ["auditor", "intruder", "stranger"])
def test_whoever_may_not_decide_undoes_nothing(
    who: str, erased: ErasureRequest, shop: Path, request: pytest.FixtureRequest
) -> None:
    person: Person = request.getfixturevalue(who)
    rows, before = dump(shop), everything()
    expected = 302 if who == "stranger" else 403
    for deed in ("undo", "waive"):
        assert person.post(page(erased, deed), because=WHY).status_code == expected
    assert person.get(page(erased, "undo")).status_code == expected
    work()
    assert (dump(shop), everything()) == (rows, before)


def test_an_auditor_reads_of_the_window_and_finds_no_button(
    auditor: Person, erased: ErasureRequest
) -> None:
    shown = auditor.case(erased)
    own = shown[shown.index('<article class="case">') : shown.index("</article>")]
    assert "what was erased is kept sealed" in own
    assert "Undo this erasure" not in own
    assert "<form" not in own


def test_too_late_is_told_and_nothing_happens(
    officer: Person, erased: ErasureRequest, shop: Path
) -> None:
    rows = dump(shop)
    UndoWindow.objects.update(closes_at=timezone.now() - timedelta(minutes=1))
    before = everything()
    assert (
        "cannot be undone; its window closed" in officer.get(page(erased, "undo")).content.decode()
    )
    officer.post(page(erased, "undo"), because=WHY)
    assert "that has passed" in officer.told(erased)
    assert (dump(shop), everything()) == (rows, before)
    assert "Undo this erasure" not in officer.case(erased)


def test_a_reason_is_needed(officer: Person, erased: ErasureRequest, shop: Path) -> None:
    rows, before = dump(shop), everything()
    officer.post(page(erased, "undo"), because=" ")
    assert "needs a reason" in officer.told(erased)
    assert (dump(shop), everything()) == (rows, before)


def test_opening_the_address_undoes_nothing(
    officer: Person, erased: ErasureRequest, shop: Path
) -> None:
    rows, before = dump(shop), everything()
    assert officer.get(page(erased, "undo")).status_code == 200
    assert officer.get(page(erased, "waive")).status_code == 405
    assert (dump(shop), everything()) == (rows, before)


def test_a_case_that_can_still_be_undone_is_not_answered(
    officer: Person, erased: ErasureRequest
) -> None:
    ErasureRequest.objects.update(due_at=timezone.now() - timedelta(days=3))
    assert "3 days overdue" in officer.case(erased)
    assert str(erased.pk)[:8] in officer.get(f"{LIST}?due=overdue").content.decode()


def test_what_stands_still_is_on_the_first_page(officer: Person, erased: ErasureRequest) -> None:
    assert "not gone on their date" not in officer.get("/admin/").content.decode()
    DateDue.objects.create(
        request=erased, store="shop_db", dataset="shop.invoice", step=0,
        on=timezone.now().date() - timedelta(days=2), rows=1, error="shop_db: no connection",
    )  # fmt: skip
    UndoWindow.objects.update(error="shop_db.orders: the table is read-only")
    ErasureRequest.objects.update(state="undoing")
    first = officer.get("/admin/").content.decode()
    for part in ("not gone on their date", "undo that stands still"):
        assert part in first
    shown = officer.case(erased)
    for part in ("past its date", "shop_db: no connection", "the table is read-only"):
        assert part in shown
    assert officer.get("/admin/erasure/datedue/").status_code == 200


def test_a_refused_case_has_no_window(officer: Person, planned: ErasureRequest) -> None:
    decide.refuse_request(planned, by=OLGA, because="not this customer")
    assert "can be undone" not in officer.case(planned)
