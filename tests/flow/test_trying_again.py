"""A blocked case that is tried again, whatever happens to its run at that moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from erasure.flow import attest, decide, undo
from erasure.models import Certificate, ErasureRequest
from tests.flow.cast import ANN, BYSTANDER, OFFICER, SUBJECT, Shop
from tests.flow.deeds import approved, work_off
from tests.flow.undoing_cast import WHY


def plant(shop: Shop) -> None:
    """A value of the subject in a column that nobody declared as text."""
    shop.insert("orders", {"id": 40, "customer_id": 1, "wish": "call Ann Archer"})


def sealed(request: ErasureRequest) -> bool:
    return Certificate.objects.filter(pk=f"lethe-{request.id}").exists()


def test_a_case_tried_again_before_its_run_is_closed_is_judged_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An officer is faster than the worker who has just blocked the case."""
    plant(shop)
    ann, cleo = approved(SUBJECT), approved(BYSTANDER)
    judge = attest.attest_run

    def judge_and_try_again(*arguments: Any) -> None:
        judge(*arguments)
        monkeypatch.undo()
        shop.delete("orders", 40)
        blocked = ErasureRequest.objects.get(pk=ann.pk)
        assert blocked.state == "blocked"
        decide.retry_blocked(blocked, by=OFFICER)

    monkeypatch.setattr(attest, "attest_run", judge_and_try_again)
    work_off(ann, cleo)
    assert (ann.state, cleo.state) == ("partly_granted", "completed"), ann.blocked_because
    assert ann.run is not None
    assert ann.run.state == "finished"
    assert sealed(ann)
    assert sealed(cleo)


def test_a_case_whose_undo_comes_to_nothing_goes_on_in_the_run_that_waited_for_it(
    shop: Shop, settings: Any
) -> None:
    """The others of its run have come to their end meanwhile."""
    settings.LETHE_UNDO_WINDOW = timedelta(hours=1)
    plant(shop)
    ann, cleo = approved(SUBJECT), approved(BYSTANDER)
    shop.insert("message", {"id": 41, "author_id": 2, "body": "call me"})
    shop.insert("orders", {"id": 42, "customer_id": 1, "wish": "call Cleo Carter"})
    work_off(ann, cleo)
    assert (ann.state, cleo.state) == ("blocked", "blocked")
    undo.begin_undo(ann, by=OFFICER, because=WHY, together=False)
    shop.delete("orders", 42)
    decide.retry_blocked(cleo, by=OFFICER)
    work_off(cleo)
    assert cleo.state == "awaiting_window", cleo.blocked_because
    assert ann.run is not None
    ann.run.refresh_from_db()
    assert ann.run.state == "blocked"
    undo._give_back(ann, ann.undo_window, {})
    shop.delete("orders", 40)
    decide.retry_blocked(ann, by=OFFICER)
    work_off(ann)
    assert ann.state == "awaiting_window", ann.blocked_because
    customer = shop.row("customer", ANN)
    assert customer is not None
    assert customer["email"] is None
