"""An undo that meets faults, deadlines and crashes goes on to the same end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from sqlalchemy import event
from sqlalchemy.engine import Engine

from erasure.advance import Job, due_jobs, finish_keys, perform
from erasure.domain.errors import StoreError, StoreUnreachable, WrongState
from erasure.domain.roles import Actor
from erasure.flow import decide, undo
from erasure.inline import open_case, undo_case
from erasure.models import Capture, ErasureRequest, LedgerLeaf
from erasure.runs import windows
from tests.flow.cast import (
    ANN,
    BYSTANDER,
    EMPLOYEE,
    FAY,
    OFFICER,
    SECRETS,
    SUBJECT,
    Shop,
    SqliteShop,
)
from tests.flow.deeds import approved, work_off
from tests.flow.spied import Spied
from tests.flow.undoing_cast import (
    WHY,
    erased,
    everything_written,
    kept,
    let_pass,
    live_keys,
    report,
    undone,
    window,
)


@pytest.fixture(autouse=True)
def _a_day(settings: LazySettings) -> None:
    settings.LETHE_UNDO_WINDOW = timedelta(hours=24)


def died(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_blocked_case_can_be_undone(shop: Shop) -> None:
    before = shop.everything()
    shop.create("diary", [{"id": 1, "entry": "met Ann Archer"}])
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "blocked"
    undone(request)
    assert shop.everything() == before
    assert request.blocked_because == ""
    request.refresh_from_db()
    assert request.run is not None
    assert request.run.state == "abandoned"


def test_what_was_begun_in_time_is_finished_after_the_deadline(shop: Shop) -> None:
    before = shop.everything()
    (request,) = erased(SUBJECT)
    undo.begin_undo(request, by=OFFICER, because=WHY)
    let_pass(request)
    finish_keys()
    windows.close(request)  # somebody slow, who saw the deadline and not the decision
    assert "undo" in live_keys(request)
    assert kept(request) > 0
    assert [job.id for job in due_jobs()] == [request.id]
    work_off(request)
    assert request.state == "undone"
    assert shop.everything() == before
    assert live_keys(request) == set()


def away() -> None:
    raise StoreUnreachable("crm_db", "no connection; try later")


def refused() -> None:
    raise StoreError("shop_db.orders", "the table is read-only; ask its owner")


def test_a_store_that_is_away_is_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("erasure.inline.time.sleep", lambda _: None)
    before = shop.everything()
    (request,) = erased(SUBJECT)
    Spied.before["crm_db", "restore"] = away
    undo_case(request, by=OFFICER, because=WHY)
    assert request.state == "undoing"
    assert window(request).error.startswith("crm_db: no connection; try later")
    Spied.before.clear()
    work_off(request)
    assert request.state == "undone"
    assert window(request).error == ""
    assert shop.everything() == before


def test_what_a_store_refuses_is_shown_and_tried_again(shop: Shop) -> None:
    before = shop.everything()
    (request,) = erased(SUBJECT)
    Spied.before["shop_db", "restore"] = refused
    undo_case(request, by=OFFICER, because=WHY)
    assert request.state == "undoing"
    assert window(request).error == "shop_db.orders: the table is read-only; ask its owner"
    Spied.before.clear()
    for job in due_jobs():
        perform(job)
    assert shop.everything() == before


def test_a_row_changed_while_it_is_put_back_is_judged_again(shop: Shop) -> None:
    (request,) = erased(EMPLOYEE)
    undo.begin_undo(request, by=OFFICER, because=WHY)

    def meddle() -> None:
        Spied.before.clear()
        shop.change("employee", FAY, name="Fay Finch-Field")

    Spied.before["shop_db", "restore"] = meddle
    with pytest.raises(StoreError, match="looking again"):
        perform(Job("advance", request.id))
    perform(Job("advance", request.id))
    request.refresh_from_db()
    assert request.state == "undone"
    fay = shop.row("employee", FAY)
    assert fay is not None
    assert (fay["name"], fay["boss_id"]) == ("Fay Finch-Field", None)


def test_an_undo_between_two_stores_goes_on_where_it_stopped(shop: Shop) -> None:
    before = shop.everything()
    (request,) = erased(SUBJECT)
    undo.begin_undo(request, by=OFFICER, because=WHY)
    Spied.before["shop_db", "restored"] = died
    with pytest.raises(KeyboardInterrupt):
        perform(Job("advance", request.id))
    Spied.before.clear()
    assert not Capture.objects.filter(store="shop_db").exclude(put_back_at=None).exists()
    work_off(request)
    assert request.state == "undone"
    assert shop.everything() == before
    asked = [what for store, what in Spied.asked if store == "crm_db"]
    assert asked.count("restored") == 1


def test_two_who_decide_at_once_undo_it_once(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    other = ErasureRequest.objects.get(pk=request.pk)
    undo.begin_undo(request, by=OFFICER, because=WHY)
    written = everything_written()
    with pytest.raises(WrongState):
        undo.begin_undo(other, by=Actor("another officer", ["officer"]), because=WHY)
    assert everything_written() == written


def test_a_case_undone_cannot_be_tried_again(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    undone(request)
    written = everything_written()
    with pytest.raises(WrongState):
        decide.retry_blocked(request, by=OFFICER)
    assert everything_written() == written
    assert open_case([("email", SUBJECT)], by=OFFICER, method="known").pk != request.pk


def test_no_value_is_logged_or_sent_to_the_control_database(
    sqlite_shop: SqliteShop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with CaptureQueriesContext(connection) as control:
        (request,) = erased(SUBJECT)
        Spied.before["shop_db", "restore"] = refused
        undo_case(request, by=OFFICER, because=WHY)
        Spied.before.clear()
        work_off(request)
    assert request.state == "undone"
    sent = "\n".join(query["sql"] for query in control.captured_queries)
    assert "erasure_imagechunk" in sent
    for secret in SECRETS:
        assert secret.casefold() not in sent.casefold()
        assert secret.casefold() not in caplog.text.casefold()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction of the store takes two rows, where it takes thousands otherwise."""
    monkeypatch.setattr("erasure.runs.journal.SLICE", 2)


@pytest.mark.parametrize("email", [SUBJECT, BYSTANDER, EMPLOYEE])
def test_what_went_in_many_batches_comes_back(shop: Shop, small_batches: None, email: str) -> None:
    before = shop.everything()
    (request,) = erased(email)
    assert Capture.objects.filter(store="shop_db").count() > 1
    undone(request)
    assert shop.everything() == before


def test_what_was_left_before_a_crash_keeps_what_refers_to_it_away_after_it(
    shop: Shop, small_batches: None
) -> None:
    """Ann's row was edited, and is left alone. Her orders are in an earlier batch, and go back
    after it, if at all."""
    (request,) = erased(SUBJECT)
    shop.change("customer", ANN, remark="to be called back")
    undo.begin_undo(request, by=OFFICER, because=WHY)
    calls = 0

    def die_at_the_second() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt

    Spied.before["shop_db", "restore"] = die_at_the_second
    with pytest.raises(KeyboardInterrupt):
        perform(Job("advance", request.id))
    Spied.before.clear()
    assert Capture.objects.exclude(put_back_at=None).filter(store="shop_db").count() == 1
    work_off(request)
    assert [row["id"] for row in shop.rows("orders")] == [3]
    assert report(request)["shop_db.orders"] == {"left: refers to rows that are not there": 2}


class Died(BaseException):
    """The process ends here."""


def test_an_undo_that_dies_at_any_statement_goes_on_to_the_same_end(
    sqlite_shop: SqliteShop,
) -> None:
    shop = sqlite_shop
    before = shop.everything()
    (request,) = erased(SUBJECT)
    undo.begin_undo(request, by=OFFICER, because=WHY)
    deaths, fuse, stage = 0, 1, None
    seen = set()
    while not _undo_until(request, fuse):
        deaths += 1
        state, back = ErasureRequest.objects.get().state, shop.everything() == before
        seen.add((state, back))
        marked = Capture.objects.exclude(put_back_at=None).count()
        now = (state, back, marked, kept(request), len(live_keys(request)))
        # Whenever it has come a stage further it dies at every statement of the next one.
        fuse, stage = (fuse + 1 if now == stage else 1), now
    assert deaths > 100, "in the shop and in the control database"
    assert seen == {("undoing", False), ("undoing", True), ("undone", True)}
    request.refresh_from_db()
    assert request.state == "undone"
    assert shop.everything() == before
    assert live_keys(request) == set()
    assert kept(request) == 0
    assert {word for counts in report(request).values() for word in counts} == {"put back"}
    assert LedgerLeaf.objects.filter(kind="undone").count() == 1


def _undo_until(request: ErasureRequest, fuse: int) -> bool:
    """True when there was nothing left to do."""
    burnt = 0

    def burn(*_: object) -> None:
        nonlocal burnt
        burnt += 1
        if burnt == fuse:
            raise Died

    def control(execute: Callable[..., object], *arguments: object) -> object:
        burn()
        return execute(*arguments)

    for name in ("before_cursor_execute", "commit"):
        event.listen(Engine, name, burn)
    try:
        with connection.execute_wrapper(control):
            perform(Job("advance", request.id))
            finish_keys()
    except Died:
        return False
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(Engine, name, burn)
    return True
