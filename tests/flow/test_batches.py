"""More rows than one transaction of the store takes: what is written down of several at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from erasure.models import Batch, ErasureRequest, Lease
from erasure.runs import acting, lease
from lineage.prepared import Prepared
from tests.flow.cast import SUBJECT, Shop
from tests.flow.deeds import act, approved, started, work_off
from tests.flow.spied import Spied
from tests.flow.test_holds import placed

pytestmark = pytest.mark.usefixtures("small_batches")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction of the store takes two rows, where it takes thousands otherwise."""
    monkeypatch.setattr("erasure.runs.journal.SLICE", 2)


class Died(BaseException):
    """The process ends here."""


def die(*_: object) -> None:
    raise Died


def at_the(number: int, what: str, then: Callable[[], object]) -> None:
    """Put a hand in just before the shop's database is asked for the so-manieth time."""
    Spied.asked.clear()

    def hook() -> None:
        if Spied.asked.count(("shop_db", what)) == number:
            then()

    Spied.before["shop_db", what] = hook


def states() -> list[str]:
    return list(Batch.objects.filter(store="shop_db").values_list("state", flat=True))


def rows_told(request: ErasureRequest) -> dict[str, int | None]:
    steps = request.plans.get().steps.filter(store="shop_db", via="deep")
    return dict(steps.values_list("dataset", "rows"))


@pytest.mark.parametrize("carried_out", [0, 1, 2])
def test_whoever_dies_between_two_transactions_is_followed_by_one_who_repeats_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, carried_out: int
) -> None:
    before = shop.rows("invoice"), shop.row("orders", 3), shop.row("line", 2)
    request = started(approved(SUBJECT))
    assert len(states()) > 2
    with monkeypatch.context() as patch:
        patch.setattr(acting._Actor, "_end", die)  # who is killed writes nothing down
        at_the(carried_out + 1, "act", die)
        with pytest.raises(Died):
            act(request)
    assert set(states()) == {"intent"}
    Spied.before.clear()
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert set(states()) == {"done"}
    assert [row["id"] for row in shop.rows("orders")] == [3]
    assert (shop.rows("invoice"), shop.row("orders", 3), shop.row("line", 2)) == before
    assert rows_told(request)["shop.orders"] == 2
    assert rows_told(request)["shop.line"] == 1


def test_what_was_carried_out_before_something_failed_is_not_repeated(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    at_the(2, "act", die)
    with pytest.raises(Died):
        act(request)
    assert sorted(states()) == ["done", *["intent"] * (len(states()) - 1)]
    Spied.before.clear()
    Spied.asked.clear()
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert Spied.asked.count(("shop_db", "act")) == len(states()) - 1


def test_whoever_is_replaced_between_two_transactions_begins_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still until its lease had run out."""
    request = started(approved(SUBJECT))

    def replaced() -> None:
        Lease.objects.filter(store="shop_db").update(epoch=99, holder="another-host|1|1|1")
        monkeypatch.setattr(lease, "timezone", SimpleNamespace(now=later))

    def later() -> datetime:
        return timezone.now() + timedelta(days=1)

    at_the(1, "acted", replaced)
    act(request)
    assert Spied.asked.count(("shop_db", "act")) == 1
    assert set(states()) == {"intent"}


def test_a_hold_between_two_transactions_stops_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "HOLDS", 0.0)
    request = started(approved(SUBJECT))
    at_the(1, "acted", lambda: placed(datasets=["shop.orders"]))
    act(request)
    assert Spied.asked.count(("shop_db", "act")) == 1
    assert sorted(states()) == ["done", *["intent"] * (len(states()) - 1)]
    work_off(request)
    assert request.state == "blocked"
    assert "on hold since" in request.blocked_because


def test_a_child_that_is_added_between_two_transactions_goes_with_its_parent(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    late = {"id": 50, "order_id": 2, "engraving": None}
    at_the(1, "acted", lambda: shop.insert("line", late))
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert [row["id"] for row in shop.rows("orders")] == [3]
    assert [row["id"] for row in shop.rows("line")] == [2]
    assert rows_told(request)["shop.line"] == 2


def test_more_than_are_begun_at_once_are_carried_out_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "TOGETHER", 3)
    monkeypatch.setattr(acting, "_DUE", Prepared(acting._due))
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert len(states()) > 3
    assert set(states()) == {"done"}
