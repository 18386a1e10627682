"""A hold on a dataset of which an exception keeps fields: the hold wins while it lies, and what it
is released to is the exception; whichever came first, and whichever ends first."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from erasure.evidence.certificate import path_of
from erasure.flow import decide, exempt, hold, planning, watch
from erasure.models import Certificate, ErasureRequest, Hold
from erasure.runs import letters
from tests.flow.beside import body_of
from tests.flow.cast import ANN, APPROVER, BEN, CATALOGUE, OFFICER, SUBJECT, MemoryShop, Shop
from tests.flow.deeds import planned, work_off
from tests.flow.lake_cast import PHONE, Lake

WHY = {"code": "legal_claims", "legal_reference": "Art. 17(3)(e)", "because": "claim 17 of 2026"}
DAYS = 30


def placed(dataset: str) -> Hold:
    return hold.place_hold(by=OFFICER, datasets=[dataset], **WHY)  # type: ignore[arg-type]


def released(held: Hold) -> None:
    hold.release_hold(held, by=OFFICER, because="settled")


def except_fields(request: ErasureRequest, dataset: str, *fields: str) -> None:
    exempt.add_exception(
        request, dataset=dataset, fields=fields, code="public_interest",
        legal_reference="Art. 17(3)(b)", until=timezone.localdate() + timedelta(days=DAYS),
        because="a statute", by=OFFICER,
    )  # fmt: skip


def carried_out(request: ErasureRequest) -> ErasureRequest:
    request.refresh_from_db()
    if request.state == "identified":
        planning.make_plan(request, by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get(state="draft").digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    return request


def after(request: ErasureRequest, days: int) -> None:
    watch.act_on_dates(request, now=timezone.now() + timedelta(days=days))
    request.refresh_from_db()
    assert [d.error for d in request.dates.all() if d.error and "on hold" not in d.error] == []


def hold_first(dataset: str, *fields: str) -> tuple[ErasureRequest, Hold]:
    held = placed(dataset)
    request = planned(SUBJECT)
    except_fields(request, dataset, *fields)
    return carried_out(request), held


def exception_first(dataset: str, *fields: str) -> tuple[ErasureRequest, Hold]:
    request = planned(SUBJECT)
    except_fields(request, dataset, *fields)
    planning.make_plan(request, by=OFFICER)
    held = placed(dataset)
    return carried_out(request), held


ORDERS = pytest.mark.parametrize("begun", [hold_first, exception_first])
Begun = Callable[..., tuple[ErasureRequest, Hold]]


@ORDERS
def test_the_hold_is_released_first_and_the_exception_is_honoured_until_its_day(
    shop: Shop, begun: Begun
) -> None:
    before, ben = shop.row("customer", ANN), shop.row("customer", BEN)
    request, held = begun("shop.customer", "phone")
    assert shop.row("customer", ANN) == before  # the hold wins while it lies
    step = request.plans.get(state="carried_out").steps.get(dataset="shop.customer", via="deep")
    assert step.reason.startswith(
        f"on hold since {timezone.localdate()} (legal_claims); then phone"
    )
    told = [e for e in body_of(request)["decision"]["exceptions"] if "customer" in e["dataset"]]
    assert [(e["reason"], e.get("fields")) for e in told if e["until"]] == [
        ("public_interest", ["phone"])
    ]
    assert [e["reason"] for e in told if not e["until"]][:1] == ["legal_claims"]
    after(request, 5)
    assert shop.row("customer", ANN) == before
    released(held)
    after(request, 6)
    row = shop.row("customer", ANN)
    assert row is not None
    assert row["phone"] == "030 5550001"
    assert "Ann" not in str(row)
    assert SUBJECT not in str(row).casefold()
    assert request.state == "partly_granted"
    (added,) = Certificate.objects.filter(request=str(request.pk), kind="addendum")
    body = json.loads(path_of(added).read_text())["body"]
    until = (timezone.localdate() + timedelta(days=DAYS)).isoformat()
    left = [e["until"] for e in body["residual"] if e["dataset"] == "shop.customer"]
    assert left == [until]
    said = letters.write(request, "partial", "en", {}).body
    assert "shop.customer (only phone; the rest of the record was made anonymous): 1 rec" in said
    assert "Art. 17(3)(b)" in said
    assert "Art. 17(3)(e)" not in said
    everything = shop.everything()
    after(request, 7)
    assert shop.everything() == everything
    after(request, DAYS + 2)
    assert "030 5550001" not in str(shop.row("customer", ANN))
    assert shop.row("customer", BEN) == ben
    step.refresh_from_db()
    assert (step.rows, step.residue, step.until) == (1, "anonymized", None)


@ORDERS
def test_the_exception_ends_first_and_everything_goes_when_the_hold_is_released(
    shop: Shop, begun: Begun
) -> None:
    before = shop.row("customer", ANN)
    request, held = begun("shop.customer", "phone")
    after(request, DAYS + 3)
    assert shop.row("customer", ANN) == before
    released(held)
    after(request, DAYS + 4)
    row = shop.row("customer", ANN)
    assert row is not None
    assert not [v for v in row.values() if "Ann" in str(v) or "5550001" in str(v)]


def test_a_row_that_would_be_deleted_stays_with_that_field_after_the_hold(shop: Shop) -> None:
    request, held = hold_first("shop.orders", "wish")
    assert [row["id"] for row in shop.rows("orders")] == [1, 2, 3]
    released(held)
    after(request, 2)
    assert [row["wish"] for row in shop.rows("orders")] == ["by noon", None, "by night"]
    after(request, DAYS + 2)
    assert [row["id"] for row in shop.rows("orders")] == [3]


def test_both_days_are_over_when_the_store_comes_back(memory_shop: MemoryShop) -> None:
    """The hold was released in time, but nobody could do anything before the exception ended."""
    request, held = hold_first("shop.orders", "wish")
    released(held)
    case = watch._Case(request)
    case.note_dates()
    case.note_released(timezone.localdate() - timedelta(days=1))
    assert request.dates.filter(dataset="shop.orders").count() == 2
    after(request, DAYS + 2)
    assert [row["id"] for row in memory_shop.rows("orders")] == [3]
    assert not request.dates.filter(dataset="shop.orders", done_at=None).exists()
    step = request.plans.get(state="carried_out").steps.get(dataset="shop.orders", via="deep")
    assert (step.rows, step.residue) == (2, "purged")


def test_a_hold_that_comes_after_the_rest_has_gone_keeps_the_field_past_its_day(
    shop: Shop,
) -> None:
    request = planned(SUBJECT)
    except_fields(request, "shop.customer", "phone")
    carried_out(request)
    held = placed("shop.customer")
    after(request, DAYS + 2)
    assert "030 5550001" in str(shop.row("customer", ANN))
    released(held)
    after(request, DAYS + 3)
    assert "030 5550001" not in str(shop.row("customer", ANN))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "log"])
@ORDERS
def test_in_a_file_it_is_the_same(
    memory_shop: MemoryShop, tmp_path: Path, form: str, begun: Begun
) -> None:
    lake = Lake(tmp_path, form)
    lake.describe(memory_shop)
    before = lake.visits()
    request, held = begun("lake.visit", "phone")
    assert lake.visits() == before
    after(request, 5)
    released(held)
    after(request, 6)
    assert [lake.visits()[n].keys() for n in (1, 3)] == [{"id", "phone"}, {"id"}]
    assert lake.visits()[1]["phone"] == PHONE
    after(request, DAYS + 2)
    assert lake.visits() == {n: before[n] for n in (2, 4)}


def test_in_a_file_everything_goes_at_once_when_the_exception_has_ended(
    memory_shop: MemoryShop, tmp_path: Path
) -> None:
    lake = Lake(tmp_path, "parquet")
    lake.describe(memory_shop)
    request, held = hold_first("lake.visit", "phone")
    after(request, DAYS + 2)
    assert sorted(lake.visits()) == [1, 2, 3, 4]
    released(held)
    after(request, DAYS + 3)
    assert sorted(lake.visits()) == [2, 4]


def test_what_stood_still_is_cut_from_what_goes_with_it_when_the_hold_is_released(
    shop: Shop,
) -> None:
    """Her orders stay without her, and she goes: the reference to her has to be cut first."""
    text = CATALOGUE.read_text()
    invoice = text[text.index("- name: invoice") : text.index("fields:", text.index("- name: inv"))]
    for old, new in (
        ("action: anonymize, because: an invoice that is kept refers to it", "action: delete"),
        (invoice, "- name: invoice\n        erasure: {action: delete}\n        "),
        ("- name: orders\n        erasure: {action: delete}",
         "- name: orders\n        erasure: {action: anonymize}"),
    ):  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    shop.describe(text)
    held = placed("shop.orders")
    request = carried_out(planned(SUBJECT))
    before = shop.rows("orders")
    assert [row["customer_id"] for row in before] == [ANN, ANN, BEN]
    released(held)
    after(request, 2)
    assert [row["customer_id"] for row in shop.rows("orders")] == [None, None, BEN]
    assert shop.row("customer", ANN) is None
    assert shop.row("customer", BEN) is not None
    assert request.state == "completed"
