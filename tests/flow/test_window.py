"""The reversible window: what it keeps, what it says, and its end."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.conf import settings as installation
from django.db import connection

from erasure import vault
from erasure.advance import DUE, close_windows, due_jobs, finish_keys
from erasure.domain import states
from erasure.domain.errors import KeyDestroyed, UsageError, WrongState
from erasure.flow import decide, planning, undo
from erasure.inline import open_case, replay, undo_case
from erasure.models import (
    Capture,
    Certificate,
    DataKey,
    ErasureRequest,
    ImageChunk,
    LedgerLeaf,
    Notice,
    SuppressionEntry,
    UndoWindow,
)
from erasure.runs import windows
from tests.flow.cast import (
    CATALOGUE,
    CONSOLE,
    OFFICER,
    SECRETS,
    SUBJECT,
    MemoryShop,
    Shop,
    SqliteShop,
)
from tests.flow.deeds import act, approved, planned, started, work_off
from tests.flow.spied import Spied
from tests.flow.undoing_cast import (
    WHY,
    erased,
    everything_written,
    kept,
    let_pass,
    live_keys,
    sweep,
    window,
)


@pytest.fixture(autouse=True)
def _a_day(settings: LazySettings) -> None:
    settings.LETHE_UNDO_WINDOW = timedelta(hours=24)


# before anything is done


def test_without_the_setting_nothing_is_kept(shop: Shop, settings: LazySettings) -> None:
    settings.LETHE_UNDO_WINDOW = timedelta()
    request = approved(SUBJECT)
    assert request.plans.get().undo_seconds == 0
    work_off(request)
    assert request.state == "partly_granted"
    assert not UndoWindow.objects.exists()
    assert not Capture.objects.exists()
    assert not DataKey.objects.filter(purpose="undo").exists()
    with pytest.raises(UsageError, match="without an undo window"):
        undo.begin_undo(request, by=OFFICER, because="why not")


def test_the_window_is_part_of_what_is_approved(shop: Shop, settings: LazySettings) -> None:
    plan = planned(SUBJECT).plans.get(state="draft")
    assert plan.undo_seconds == 86400
    request = plan.request
    undo.waive_window(request, by=OFFICER)
    assert request.state == "identified"
    planning.make_plan(request, by=OFFICER)
    final = request.plans.get(state="draft")
    assert final.undo_seconds == 0
    assert (final.digest != plan.digest, final.shape != plan.shape) == (True, True)


def test_an_officer_can_do_without_and_never_beyond(shop: Shop, settings: LazySettings) -> None:
    request = open_case([("email", SUBJECT)], by=OFFICER, method="known", undoable=False)
    assert request.plans.get(state="draft").undo_seconds == 0
    decide.withdraw_request(request, by=OFFICER)
    request = approved(SUBJECT)
    settings.LETHE_UNDO_WINDOW = timedelta(hours=1)
    started(request)
    assert request.run is not None
    assert window(request).closes_at == request.run.started_at + timedelta(hours=1)


def test_what_was_approved_cannot_be_made_final_any_more(shop: Shop) -> None:
    request = approved(SUBJECT)
    before = everything_written()
    with pytest.raises(WrongState):
        undo.waive_window(request, by=OFFICER)
    assert everything_written() == before


def test_the_window_never_outlasts_the_day_of_the_answer(shop: Shop) -> None:
    request = approved(SUBJECT)
    due = request.received_at + timedelta(hours=2)
    ErasureRequest.objects.update(due_at=due)
    started(request)
    assert window(request).closes_at == due


def test_a_case_that_is_overdue_already_gets_none(shop: Shop) -> None:
    request = approved(SUBJECT)
    ErasureRequest.objects.update(due_at=request.received_at - timedelta(days=1))
    work_off(request)
    assert request.state == "partly_granted"
    assert not UndoWindow.objects.exists()


def test_a_plan_says_what_cannot_be_undone(memory_shop: MemoryShop) -> None:
    text = CATALOGUE.read_text()
    memory_shop.describe(
        text.replace("{name: crm_db, kind: KIND", "{name: crm_db, kind: forgetful")
    )
    before = memory_shop.everything()
    (request,) = erased(SUBJECT)
    warnings = request.plans.get().warnings
    assert any(w.startswith("crm_db: what is done here cannot be undone") for w in warnings)
    undo_case(request, by=OFFICER, because=WHY)
    assert request.state == "undone"
    assert memory_shop.rows("lead", "crm_db") == [before["crm_db.lead"][1]]
    assert {t: rows for t, rows in memory_shop.everything().items() if t != "crm_db.lead"} == {
        t: rows for t, rows in before.items() if t != "crm_db.lead"
    }


def test_what_the_restore_gate_forgets_again_is_final(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    shop = sqlite_shop
    customers = shop.rows("customer")
    (request,) = erased(SUBJECT)
    sweep(request)
    for row in customers:
        shop.delete("customer", row["id"])
    for row in customers:
        shop.insert("customer", row)
    (done,) = replay("shop_db", taken_at=request.received_at - timedelta(days=1), by=CONSOLE)
    assert done.request.state == "partly_granted"
    assert window(request).request_id == UndoWindow.objects.get().request_id


# while it is open


def test_while_it_is_open_the_case_is_not_closed(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    assert request.state not in states.SETTLED | set(DUE)
    assert request.closed_at is None
    assert not Certificate.objects.exists()
    assert not Notice.objects.exists()
    assert live_keys(request) == {"identifiers", "deferred", "undo"}
    assert SuppressionEntry.objects.filter(request_id=request.id).exists()
    assert request.run is not None
    assert request.run.state == "finished"


def test_the_sweep_leaves_an_open_window_alone(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    before = everything_written()
    assert finish_keys() == 0
    assert list(due_jobs()) == []
    work_off(request)
    assert everything_written() == before


def test_who_asks_again_meanwhile_has_a_new_case(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    again = open_case([("email", SUBJECT)], by=OFFICER, method="known")
    assert (again.pk != request.pk, again.state) == (True, "no_data")


def test_images_are_sealed_under_their_own_key_before_the_store_commits(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    seen: list[int] = []
    Spied.before["shop_db", "acted"] = lambda: seen.append(kept(request))
    act(request)
    assert seen == [1]
    capture = Capture.objects.get(store="shop_db")
    assert (capture.complete, capture.rows > 5) == (True, True)
    stored = [bytes(chunk.sealed) for chunk in ImageChunk.objects.all()]
    stored += [bytes(c.sealed_left) for c in Capture.objects.all()]
    for secret in SECRETS:
        assert not [s for s in stored if secret.encode() in s]
    for purpose in ("identifiers", "deferred"):
        key = vault.open_key(request.id, purpose)
        with pytest.raises(KeyDestroyed):
            vault.unseal(key, stored[0], label=f"image:{capture.run_id}:shop_db:0:{request.id}:0")


def test_a_window_that_closed_before_the_act_keeps_nothing(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    let_pass(request)
    work_off(request)
    assert request.state == "partly_granted"
    assert not Capture.objects.exists()
    assert "undo" not in live_keys(request)


def test_a_window_that_closes_while_images_are_taken_keeps_nothing(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    Spied.before["shop_db", "act"] = lambda: windows.close(request)
    act(request)
    assert not Capture.objects.exists()
    Spied.before.clear()
    work_off(request)
    assert request.state == "partly_granted"


# its end


def test_at_the_deadline_the_key_goes_and_the_case_comes_to_its_outcome(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    rows = shop.everything()
    sweep(request)
    assert request.state == "partly_granted"
    assert live_keys(request) == {"deferred"}
    assert kept(request) == 0
    assert not Capture.objects.exists()
    assert shop.everything() == rows
    close_windows()
    assert Certificate.objects.count() == 1


def test_the_certificate_comes_after_the_key_and_says_so(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    sweep(request)
    sealed = Certificate.objects.get()
    destroyed = LedgerLeaf.objects.get(kind="key_destroyed", payload__contains='"undo"')
    assert destroyed.index < sealed.leaf
    body = json.loads((Path(installation.LETHE_HOME) / sealed.path).read_text())["body"]
    events = [moment["event"] for moment in body["request"]["clock"]]
    assert events == ["received", "answer_by", "undo_window_closed", "closed"]
    assert body["decision"]["outcome"] == "partly_granted"


def test_a_case_verified_after_the_deadline_never_waits(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    act(request)
    act(request, "crm_db")
    assert Capture.objects.count() == 2
    let_pass(request)
    work_off(request)
    assert request.state == "partly_granted"
    assert not Capture.objects.exists()
    assert "undo" not in live_keys(request)
    assert window(request).closed_at is not None


def test_the_deadline_closes_the_window_of_a_blocked_case_too(shop: Shop) -> None:
    shop.create("diary", [{"id": 1, "entry": "met Ann Archer"}])
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "blocked"
    sweep(request)
    assert (request.state, kept(request)) == ("blocked", 0)
    assert "undo" not in live_keys(request)
    shop.delete("diary", 1)
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because


def test_a_command_closes_what_is_over_where_nothing_sweeps(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    let_pass(request)
    open_case([("email", "nobody@example.com")], by=OFFICER, method="known")
    request.refresh_from_db()
    assert request.state == "partly_granted"


class Died(BaseException):
    """The process ends here."""


def test_a_sweep_that_dies_at_any_statement_ends_the_same(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    let_pass(request)
    for fuse in range(1, 200):
        if _sweep_until(fuse):
            break
    request.refresh_from_db()
    assert request.state == "partly_granted"
    assert fuse > 20, "the sweep died at each of its statements"
    assert live_keys(request) == {"deferred"}
    assert kept(request) == 0
    assert Certificate.objects.count() == 1
    assert LedgerLeaf.objects.filter(payload__contains='"purpose":"undo"').count() == 1


def _sweep_until(fuse: int) -> bool:
    """True when the sweep has come to its end."""
    burnt = 0

    def burn(execute: object, *arguments: object) -> object:
        nonlocal burnt
        burnt += 1
        if burnt == fuse:
            raise Died
        return execute(*arguments)  # type: ignore[operator]

    try:
        with connection.execute_wrapper(burn):
            finish_keys()
    except Died:
        return False
    return True
