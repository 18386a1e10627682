"""An exception may keep some fields of a row: the rest goes now, they go on their day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.domain.keeping import checked_fields
from erasure.flow import decide, exempt, planning, watch
from erasure.models import ErasureRequest, ScanResult
from erasure.runs import letters
from lineage.graph import Dataset, Field, StoreEntry
from tests.flow.beside import body_of
from tests.flow.cast import ANN, APPROVER, BEN, OFFICER, SUBJECT, Shop
from tests.flow.deeds import planned, sweep, work_off


def until() -> date:
    return timezone.localdate() + timedelta(days=30)


def excepted(request: ErasureRequest, dataset: str, fields: Sequence[str]) -> ErasureRequest:
    """These fields are kept, and the plan that says so is approved and carried out."""
    exempt.add_exception(
        request, dataset=dataset, fields=fields, code="legal_claims",
        legal_reference="Art. 17(3)(e)", until=until(), because="a dispute", by=OFFICER,
    )  # fmt: skip
    planning.make_plan(request, by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get(state="draft").digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    return request


def on_the_day(request: ErasureRequest) -> None:
    sweep()
    watch.act_on_dates(request, now=timezone.now() + timedelta(days=32))
    request.refresh_from_db()


def test_a_field_stays_while_the_rest_of_an_anonymised_row_goes(shop: Shop) -> None:
    request = excepted(planned(SUBJECT), "shop.customer", ["phone"])
    row = shop.row("customer", ANN)
    assert row is not None
    assert row["phone"] == "030 5550001"
    assert "Ann" not in str({**row, "phone": ""})
    assert SUBJECT not in str(row).casefold()
    assert "030 5550001" not in str(shop.rows("lead", "crm_db"))  # kept there and nowhere else
    assert set(ScanResult.objects.filter(field="phone").values_list("verdict", flat=True)) == {
        "retained"
    }
    (told,) = (e for e in body_of(request)["decision"]["exceptions"] if "customer" in e["dataset"])
    assert told == {
        "dataset": "shop.customer", "reason": "legal_claims", "legal_reference": "Art. 17(3)(e)",
        "until": until().isoformat(), "fields": ["phone"],
    }  # fmt: skip
    text = letters.write(request, "partial", "en", {}).body
    assert "shop.customer (only phone; the rest of the record was made anonymous): 1 record" in text
    assert "Art. 17(3)(e)" in text
    before = shop.everything()
    sweep()
    assert shop.everything() == before  # until its day nothing more happens
    on_the_day(request)
    row = shop.row("customer", ANN)
    assert row is not None
    assert "030 5550001" not in str(row)
    neighbour = shop.row("customer", BEN)
    assert neighbour is not None
    assert neighbour["phone"] == "030 5550002"
    assert request.state == "partly_granted"  # the invoice is kept by law
    assert not request.dates.filter(dataset="shop.customer", done_at=None).exists()


def test_a_row_that_would_be_deleted_stays_with_that_field_alone(shop: Shop) -> None:
    request = excepted(planned(SUBJECT), "shop.orders", ["wish"])
    assert [row["wish"] for row in shop.rows("orders")] == ["by noon", None, "by night"]
    assert [row["order_id"] for row in shop.rows("line")] == [3]
    on_the_day(request)
    assert [row["id"] for row in shop.rows("orders")] == [3]


@pytest.mark.parametrize("field", ["phone", "remark"])
def test_a_key_that_was_given_out_again_meanwhile_is_left_alone(
    memory_shop: Shop, field: str
) -> None:
    request = excepted(planned(SUBJECT), "shop.customer", [field])
    memory_shop.change("customer", ANN, name="Dora Dale", phone="030 5559999", remark="no tea")
    before = memory_shop.row("customer", ANN)
    on_the_day(request)
    assert memory_shop.row("customer", ANN) == before


def test_a_free_text_that_is_kept_is_not_redacted(memory_shop: Shop) -> None:
    request = excepted(planned(SUBJECT), "shop.customer", ["remark"])
    row = memory_shop.row("customer", ANN)
    assert row is not None
    assert row["remark"] == "Ann Archer likes tea"
    assert row["phone"] != "030 5550001"
    on_the_day(request)
    assert "Ann" not in str(memory_shop.row("customer", ANN))


@pytest.mark.parametrize(
    ("fields", "told"),
    [(["nothing"], "no such field"), (["id"], "part of the key")],
)
def test_a_field_that_cannot_be_kept_alone_is_refused(
    memory_shop: Shop, fields: list[str], told: str
) -> None:
    request = planned(SUBJECT)
    given: dict[str, Any] = {
        "dataset": "shop.customer", "code": "legal_claims", "legal_reference": "Art. 17(3)(e)",
        "until": until(), "because": "a dispute", "by": OFFICER,
    }  # fmt: skip
    with pytest.raises(UsageError, match=told):
        exempt.add_exception(request, fields=fields, **given)
    assert not request.exceptions.exists()


@pytest.mark.parametrize("kind", ["backups", "model_registry", "mlflow", "manual"])
def test_where_no_field_can_be_kept_alone_the_exception_says_what_to_do(kind: str) -> None:
    dataset = Dataset(address="d.t", store="s", name="t", fields=(Field(name="phone"),))
    with pytest.raises(UsageError, match="except the whole dataset"):
        checked_fields(dataset, StoreEntry(name="s", kind=kind), ["phone"])
    assert checked_fields(dataset, StoreEntry(name="s", kind=kind), []) == ()
    assert checked_fields(dataset, StoreEntry(name="s", kind="sql"), ["phone"]) == ("phone",)
