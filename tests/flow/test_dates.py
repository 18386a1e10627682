"""Dates that act by themselves: what the law has kept long enough, and copies that expire."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from erasure.advance import due_jobs, finish_keys, perform
from erasure.domain.errors import KeyDestroyed, StoreError, StoreUnreachable
from erasure.flow import watch
from erasure.models import Certificate, DataKey, DateDue, ErasureRequest, LedgerLeaf, PlanStep
from erasure.runs import case
from tests.flow.cast import (
    ANN,
    BEN,
    CATALOGUE,
    SECRETS,
    SUBJECT,
    Shop,
    SqliteShop,
)
from tests.flow.deeds import approved, work_off
from tests.flow.spied import Spied
from tests.flow.undoing_cast import live_keys

# Ann's invoice is of March 2026, and is kept for eight years from the end of that year.
LAST_DAY = date(2034, 12, 31)
THEN = datetime(2035, 1, 1, 0, 5, tzinfo=UTC)
COPIES = """
  - fides_key: copies
    erasure: {store: vault}
    collections:
      - name: shop
        erasure: {derived_from: [{dataset: shop.customer, kind: backed_up}]}
        fields:
          - {name: object}
"""


def decided(email: str = SUBJECT) -> ErasureRequest:
    """A case that was carried out; its dates are known."""
    request = approved(email)
    work_off(request)
    assert request.state in watch.WATCHED, request.blocked_because
    watch.act_on_dates(request, now=timezone.now())
    return request


@pytest.fixture
def let_come(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Time passes; whoever asks for it asks Django."""

    def come(moment: datetime) -> None:
        monkeypatch.setattr("django.utils.timezone.now", lambda: moment)

    return come


Clock = Callable[[datetime], None]


def sweep(request: ErasureRequest) -> None:
    """What beat does."""
    finish_keys()
    for job in due_jobs():
        perform(job)
    request.refresh_from_db()


def addenda(request: ErasureRequest) -> list[dict[str, Any]]:
    """Bodies of the addenda, oldest first."""
    sealed = Certificate.objects.filter(request=str(request.id), kind="addendum").order_by("leaf")
    files = [Path(settings.LETHE_HOME) / one.path for one in sealed]
    return [json.loads(file.read_text())["body"] for file in files]


def step_of(request: ErasureRequest, dataset: str) -> PlanStep:
    found: PlanStep = request.plans.get().steps.get(dataset=dataset, via="deep")
    return found


# what the law has kept long enough


def test_the_sweep_writes_the_dates_down_by_itself(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    DateDue.objects.all().delete()  # a case that was decided before dates acted
    sweep(request)
    due = DateDue.objects.get()
    assert (due.dataset, due.on, due.rows, due.done_at) == ("shop.invoice", LAST_DAY, 1, None)
    assert list(due_jobs()) == []


def test_a_retained_row_goes_on_the_day_after_its_last(shop: Shop) -> None:
    request = decided()
    before = shop.everything()
    watch.act_on_dates(request, now=datetime(2034, 12, 31, 23, 59, tzinfo=UTC))
    assert shop.everything() == before
    watch.act_on_dates(request, now=THEN)
    after = shop.everything()
    assert [row["id"] for row in after["shop_db.invoice"]] == [2]
    assert {t: r for t, r in after.items() if t != "shop_db.invoice"} == {
        t: r for t, r in before.items() if t != "shop_db.invoice"
    }
    assert request.state == "completed"


def test_an_addendum_says_what_went(shop: Shop) -> None:
    request = decided()
    watch.act_on_dates(request, now=THEN)
    (body,) = addenda(request)
    assert (body["kind"], body["amends"]) == ("addendum", f"lethe-{request.id}")
    assert body["decision"] == {"outcome": "completed"}
    (place,) = body["locations"]
    assert (place["dataset"], place["action"], place["rows"]) == ("shop.invoice", "delete", 1)
    assert place["residue"] == "purged"
    assert body["residual"] == []
    assert not [secret for secret in SECRETS if secret.casefold() in str(body).casefold()]
    assert LedgerLeaf.objects.filter(kind="dates", request=str(request.id)).count() == 1
    step = step_of(request, "shop.invoice")
    assert (step.rows, step.residue, step.until) == (1, "purged", None)


def test_the_row_keys_go_when_nothing_waits_any_more(shop: Shop, let_come: Clock) -> None:
    request = decided()
    assert live_keys(request) == {"deferred"}
    let_come(THEN)
    sweep(request)
    assert request.state == "completed"
    assert live_keys(request) == set()
    with pytest.raises(KeyDestroyed):
        case.given_by([request])
    assert list(due_jobs()) == []


def test_each_row_goes_on_a_day_of_its_own(shop: Shop) -> None:
    shop.insert("invoice", {"id": 7, "customer_id": ANN, "issued_on": "2027-05-01", "note": None})
    request = decided()
    watch.act_on_dates(request, now=THEN)
    assert [row["id"] for row in shop.rows("invoice")] == [2, 7]
    assert request.state == "partly_granted"
    step = step_of(request, "shop.invoice")
    assert (step.rows, step.residue, step.until) == (1, "retained_until", date(2035, 12, 31))
    (body,) = addenda(request)
    assert [r["rows"] for r in body["residual"]] == [1]
    watch.act_on_dates(request, now=THEN + timedelta(days=400))
    assert [row["id"] for row in shop.rows("invoice")] == [2]
    assert request.state == "completed"
    assert len(addenda(request)) == 2


def test_a_key_that_is_another_rows_by_then_is_left_alone(shop: Shop) -> None:
    request = decided()
    shop.change("invoice", 1, customer_id=BEN, note="to Ben Baker")
    theirs = shop.row("invoice", 1)
    watch.act_on_dates(request, now=THEN)
    assert shop.row("invoice", 1) == theirs
    (body,) = addenda(request)
    (place,) = body["locations"]
    assert place["rows"] == 0
    assert "1 left alone" in place["note"]


def test_a_row_without_a_date_stays_and_is_said_again(shop: Shop) -> None:
    shop.insert("invoice", {"id": 7, "customer_id": ANN, "issued_on": None, "note": None})
    request = decided()
    watch.act_on_dates(request, now=THEN)
    assert [row["id"] for row in shop.rows("invoice")] == [2, 7]
    assert request.state == "partly_granted"
    (body,) = addenda(request)
    assert [(r["dataset"], r["rows"]) for r in body["residual"]] == [("shop.invoice", 1)]


def test_twice_is_as_good_as_once(shop: Shop) -> None:
    request = decided()
    watch.act_on_dates(request, now=THEN)
    leaves = LedgerLeaf.objects.count()
    watch.act_on_dates(request, now=THEN)
    assert LedgerLeaf.objects.count() == leaves
    assert len(addenda(request)) == 1


def died() -> None:
    raise KeyboardInterrupt


def test_a_crash_after_the_row_went_is_gone_on_with(shop: Shop, let_come: Clock) -> None:
    request = decided()
    let_come(THEN)
    Spied.before["shop_db", "acted"] = died
    with pytest.raises(KeyboardInterrupt):
        sweep(request)
    Spied.before.clear()
    assert [row["id"] for row in shop.rows("invoice")] == [2]
    request.refresh_from_db()
    assert (request.state, addenda(request)) == ("partly_granted", [])
    sweep(request)
    assert request.state == "completed"
    assert [place["rows"] for place in addenda(request)[0]["locations"]] == [1]


def refused() -> None:
    raise StoreError("shop_db.invoice", "the table is read-only; ask its owner")


def away() -> None:
    raise StoreUnreachable("shop_db", "no connection; try later")


def test_what_a_store_refuses_is_shown_and_tried_again(shop: Shop, let_come: Clock) -> None:
    request = decided()
    let_come(THEN)
    Spied.before["shop_db", "act"] = refused
    sweep(request)
    assert request.state == "partly_granted"
    assert DateDue.objects.get().error == "shop_db.invoice: the table is read-only; ask its owner"
    assert shop.row("invoice", 1) is not None
    Spied.before.clear()
    sweep(request)
    assert request.state == "completed"
    assert DateDue.objects.get().error == ""


def test_a_store_that_is_away_is_waited_for(shop: Shop, let_come: Clock) -> None:
    request = decided()
    let_come(THEN)
    Spied.before["shop_db", "act"] = away
    with pytest.raises(StoreUnreachable):
        sweep(request)
    assert DataKey.objects.get(owner=request.id, purpose="deferred").destroyed_at is None
    Spied.before.clear()
    sweep(request)
    assert request.state == "completed"


def test_a_row_that_something_new_refers_to_is_not_forced(
    sqlite_shop: SqliteShop, let_come: Clock
) -> None:
    shop = sqlite_shop
    request = decided()
    shop.execute(
        "shop_db",
        "CREATE TABLE reminder (id INTEGER PRIMARY KEY, for_it INTEGER REFERENCES invoice)",
    )
    shop.insert("reminder", {"id": 1, "for_it": 1})
    with pytest.raises(StoreError, match=r"shop_db.*remove them there first"):
        watch.act_on_dates(request, now=THEN)
    assert shop.row("invoice", 1) is not None
    assert addenda(request) == []
    shop.delete("reminder", 1)
    let_come(THEN)
    sweep(request)
    assert request.state == "completed"


# copies that expire


@pytest.fixture
def vault(shop: Shop, tmp_path: Path) -> Callable[[int], Path]:
    """A folder of backups; makes the copy taken so many days ago."""
    folder = tmp_path / "vault"
    folder.mkdir()
    store = (
        f'  - {{name: vault, kind: backups, url: "file://{folder}", '
        "options: {retention: 35d, covers: [shop_db]}}\ndataset:\n"
    )
    shop.describe(CATALOGUE.read_text().replace("dataset:\n", store, 1) + COPIES)

    def copy(days: int) -> Path:
        night = timezone.now().date() - timedelta(days=days)
        made = folder / f"shop-{night:%Y%m%d}.sqlite3"
        made.write_bytes(b"a copy")
        return made

    return copy


def waiting(shop: Shop) -> ErasureRequest:
    """A case that waits for copies alone."""
    shop.delete("invoice", 1)
    request = decided()
    assert request.state == "awaiting_copies"
    return request


def test_a_case_ends_by_itself_once_its_last_copy_has_gone(
    shop: Shop, vault: Callable[[int], Path]
) -> None:
    old, young = vault(20), vault(2)
    request = waiting(shop)
    due = DateDue.objects.get()
    last = timezone.now().date() + timedelta(days=33)
    assert (due.dataset, due.on, due.rows) == ("copies.shop", last, 2)
    for copy in (old, young):
        copy.unlink()
    vault(0)  # taken since: the person is not in it
    later = timezone.now() + timedelta(days=34)
    watch.act_on_dates(request, now=later)
    assert request.state == "completed"
    (body,) = addenda(request)
    assert body["decision"] == {"outcome": "completed"}
    (place,) = body["locations"]
    assert (place["dataset"], place["residue"], place["rows"]) == ("copies.shop", "clean", 2)
    assert body["backups"] == []


def test_before_the_day_nobody_looks(shop: Shop, vault: Callable[[int], Path]) -> None:
    copy = vault(2)
    request = waiting(shop)
    copy.unlink()
    watch.act_on_dates(request, now=timezone.now() + timedelta(days=33))
    assert request.state == "awaiting_copies"
    assert addenda(request) == []


def test_a_copy_that_is_still_there_after_its_day_is_told_and_waited_for(
    shop: Shop, vault: Callable[[int], Path], let_come: Clock
) -> None:
    vault(20).unlink()
    copy = vault(2)
    request = waiting(shop)
    let_come(timezone.now() + timedelta(days=40))
    sweep(request)
    assert request.state == "awaiting_copies"
    assert DateDue.objects.get().error.startswith("1 copies are past their date and still there")
    assert addenda(request) == []
    copy.unlink()
    sweep(request)
    assert request.state == "completed"
    assert live_keys(request) == set()


def test_a_set_that_is_no_longer_made_is_no_error(
    shop: Shop, vault: Callable[[int], Path], let_come: Clock
) -> None:
    copy = vault(2)
    request = waiting(shop)
    copy.rename(copy.with_name(copy.name.replace("shop", "other")))
    let_come(timezone.now() + timedelta(days=40))
    sweep(request)
    assert request.state == "completed"


def test_what_was_retained_is_in_the_copies_taken_until_it_goes(
    shop: Shop, vault: Callable[[int], Path], let_come: Clock
) -> None:
    first = vault(2)
    request = decided()
    assert request.state == "awaiting_copies"
    first.unlink()
    second = vault(1)
    watch.act_on_dates(request, now=THEN)
    assert shop.row("invoice", 1) is None
    assert request.state == "awaiting_copies", "the second copy holds the invoice"
    due = DateDue.objects.get(dataset="copies.shop", done_at=None)
    assert due.on == timezone.now().date() + timedelta(days=34)
    let_come(timezone.now() + timedelta(days=40))
    sweep(request)
    assert request.state == "awaiting_copies"
    second.unlink()
    sweep(request)
    assert request.state == "completed"
    assert live_keys(request) == set()
