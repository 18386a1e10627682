"""A case is reopened of which rows still wait for a date: they go once, on that day, and what was
reopened goes on beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from erasure.advance import finish_keys
from erasure.domain.errors import Denied, UsageError
from erasure.flow import decide, exempt, identify, reopen, watch
from erasure.models import DataKey, ErasureRequest, LedgerLeaf
from tests.flow.beside import body_of
from tests.flow.cast import ANN, APPROVER, AUDITOR, OFFICER, ROWS, SUBJECT, MemoryShop, Shop
from tests.flow.deeds import approved, planned, work_off

THEN = datetime(2035, 1, 1, 0, 5, tzinfo=UTC)
ANN_NOW = [("email", SUBJECT)]
WHY: dict[str, Any] = {"why": "seen_again", "because": "she got a newsletter"}


def waiting() -> ErasureRequest:
    """Ann is forgotten, but for an invoice that is kept until 2034."""
    request = approved(SUBJECT)
    work_off(request)
    watch.act_on_dates(request, now=timezone.now())
    finish_keys()
    request.refresh_from_db()
    assert request.state == "partly_granted"
    return request


def back(shop: Shop) -> None:
    """She is a customer again, as if the data had come from somewhere else."""
    shop.insert("customer", {**ROWS["shop_db"]["customer"][ANN], "id": 70})


def carried_out(request: ErasureRequest) -> ErasureRequest:
    identify.confirm_identity(request, by=OFFICER, method="rang back")
    work_off(request)
    assert request.state == "planned", request.blocked_because
    digest = request.plans.get(state="draft").digest
    decide.approve_plan(request, digest=digest, by=APPROVER)
    work_off(request)
    finish_keys()
    request.refresh_from_db()
    return request


def test_what_waits_goes_once_on_its_day_and_what_was_reopened_goes_now(shop: Shop) -> None:
    old = waiting()
    invoices = shop.rows("invoice")
    back(shop)
    new = reopen.reopen_case(old, identifiers=ANN_NOW, by=OFFICER, **WHY)
    assert (new.follows, new.state, new.reopened_for) == (old.pk, "received", "seen_again")
    old.refresh_from_db()
    assert old.state == "partly_granted"
    assert DataKey.objects.filter(owner=old.pk, purpose="deferred", destroyed_at=None).exists()
    carried_out(new)
    assert new.state == "partly_granted", new.blocked_because  # the invoice is kept
    again = shop.row("customer", 70)
    assert again is not None
    assert again["email"] is None
    # The invoice names her, and is nothing of the new case's to change or to block for.
    assert shop.rows("invoice") == invoices
    assert ("shop.invoice", 1) in [(r["dataset"], r["rows"]) for r in body_of(new)["residual"]]
    watch.act_on_dates(old, now=THEN)
    old.refresh_from_db()
    assert [row["id"] for row in shop.rows("invoice")] == [2]
    new.refresh_from_db()
    assert (old.state, new.state) == ("completed", "completed")
    leaves = LedgerLeaf.objects.filter(kind="dates")
    assert [leaf.request for leaf in leaves] == [str(old.pk)]
    finish_keys()
    live = DataKey.objects.filter(owner__in=[old.pk, new.pk], destroyed_at=None)
    assert set(live.values_list("purpose", flat=True)) <= {"record"}


def test_what_a_case_has_excepted_is_not_erased_before_its_day_by_the_next(
    memory_shop: MemoryShop,
) -> None:
    request = planned(SUBJECT)
    for dataset in ("shop.orders", "shop.customer"):
        exempt.add_exception(
            request, dataset=dataset, code="legal_claims", legal_reference="Art. 17(3)(e)",
            until=timezone.localdate() + timedelta(days=400), because="a claim", by=OFFICER,
        )  # fmt: skip
    work_off(request)
    decide.approve_plan(request, digest=request.plans.get(state="draft").digest, by=APPROVER)
    work_off(request)
    finish_keys()
    kept = memory_shop.rows("orders"), memory_shop.row("customer", ANN)
    assert request.state == "partly_granted", request.blocked_because
    new = reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    identify.confirm_identity(new, by=OFFICER, method="rang back")
    work_off(new)
    if new.state == "planned":
        decide.approve_plan(new, digest=new.plans.get(state="draft").digest, by=APPROVER)
        work_off(new)
    assert (memory_shop.rows("orders"), memory_shop.row("customer", ANN)) == kept


def test_nobody_is_reopened_beside_twice_or_by_a_stranger(memory_shop: MemoryShop) -> None:
    old = waiting()
    with pytest.raises(UsageError, match="knows nobody"):
        reopen.reopen_case(old, identifiers=[("email", "x@example.com")], by=OFFICER, **WHY)
    with pytest.raises(Denied):
        reopen.reopen_case(old, identifiers=ANN_NOW, by=AUDITOR, **WHY)
    assert ErasureRequest.objects.count() == 1
    new = reopen.reopen_case(old, identifiers=ANN_NOW, by=OFFICER, **WHY)
    with pytest.raises(UsageError, match=str(new.pk)):
        reopen.reopen_case(old, identifiers=ANN_NOW, by=OFFICER, **WHY)
    assert ErasureRequest.objects.count() == 2
