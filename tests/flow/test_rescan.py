"""What the independent look sees, and what is made of it."""

from __future__ import annotations

import pytest

from erasure.flow import decide
from erasure.models import Certificate, ErasureRequest, StoreScan
from erasure.runs.report import case_json
from erasure.runs.rescanning import by_collection
from lineage.graph import Dataset
from tests.flow.cast import (
    ANN,
    APPROVER,
    BEN,
    CATALOGUE,
    CLEO,
    EMPLOYEE,
    EVE,
    OFFICER,
    SUBJECT,
    Shop,
)
from tests.flow.deeds import approved, identified, started, work_off
from tests.flow.spied import Spied


def seen(request: ErasureRequest) -> set[tuple[str, str, str]]:
    found = request.scan_results.values_list("collection", "field", "verdict")
    return {(collection, field, verdict) for collection, field, verdict in found}


def certified(request: ErasureRequest) -> bool:
    return Certificate.objects.filter(request=str(request.id)).exists()


def test_a_value_in_an_undeclared_column_blocks(shop: Shop) -> None:
    shop.widen("orders", "gift")
    shop.change("orders", 3, gift="from Ann Archer")
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "blocked"
    assert "shop_db.orders.gift (1)" in request.blocked_because
    assert not certified(request)


def test_a_value_in_an_undeclared_table_blocks_and_a_retry_completes(shop: Shop) -> None:
    shop.create("newsletter", [{"id": 1, "mail": "ANN.ARCHER@example.com"}], "crm_db")
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "blocked"
    assert "crm_db.newsletter.mail (1)" in request.blocked_because
    shop.delete("newsletter", 1, "crm_db")
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "partly_granted"
    assert certified(request)


def test_an_undeclared_column_of_a_shared_row_that_stays_blocks(shop: Shop) -> None:
    shop.widen("address", "plate")
    shop.change("address", 1, plate="Ann Archer")
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "blocked"
    assert ("address", "plate", "residue") in seen(request)


def test_a_shared_row_that_stays_does_not_excuse_one_that_went(shop: Shop) -> None:
    """Ann has two addresses; Ben keeps one. What turns up at the other's key is no 'kept' row."""
    shop.insert("address", {"id": 3, "street": "3 Lone Road", "city": None, "hint": None})
    ann = shop.row("customer", ANN)
    assert ann is not None
    shop.insert("customer", {**ann, "id": 7, "address_id": 3, "phone": None})
    shop.widen("address", "plate")
    request = started(approved(SUBJECT))

    def come_back() -> None:
        del Spied.before["shop_db", "scan"]
        row = {"id": 3, "street": None, "city": None, "hint": None, "plate": "Ann Archer"}
        shop.insert("address", row)

    Spied.before["shop_db", "scan"] = come_back
    work_off(request)
    assert request.state == "blocked"
    assert ("address", "plate", "residue") in seen(request)


def test_an_equal_value_in_the_neighbours_own_row_is_shared_and_no_residue(shop: Shop) -> None:
    shop.change("customer", BEN, phone="030 5550001")
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert ("customer", "phone", "shared") in seen(request)
    told = case_json(request, 0)["shared"]
    assert {"shop_db.customer", "shop_db.address"} == {item["dataset"] for item in told}
    assert shop.row("customer", BEN)["phone"] == "030 5550001"  # type: ignore[index]


def test_a_newcomer_at_the_persons_key_may_share_a_value(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    for table, number in (
        ("message", 1),
        ("invoice", 1),
        ("line", 1),
        ("orders", 1),
        ("orders", 2),
    ):
        shop.delete(table, number)
    shop.change(
        "customer", ANN, name="Nora Newcomer", email="nora@example.com", phone="030 5550001"
    )
    work_off(request)
    assert ("customer", "phone", "shared") in seen(request)
    assert ("customer", "phone", "residue") not in seen(request)


def test_what_the_law_keeps_is_listed_with_its_date(shop: Shop) -> None:
    before = shop.row("invoice", 1)
    request = approved(SUBJECT)
    work_off(request)
    assert shop.row("invoice", 1) == before
    assert ("invoice", "note", "retained") in seen(request)
    (kept,) = case_json(request, 0)["residual"]
    assert kept == {
        "dataset": "shop.invoice",
        "rows": 1,
        "reason": "tax law",
        "until": "2034-12-31",
    }
    assert request.state == "partly_granted"


def test_nobody_who_has_nothing_retained_is_partly_granted(shop: Shop) -> None:
    request = approved(EMPLOYEE)
    work_off(request)
    assert request.state == "completed"
    assert case_json(request, 0)["residual"] == []


def test_a_shallow_reference_is_cut_and_the_rest_of_the_row_stays(shop: Shop) -> None:
    cleo = shop.row("customer", CLEO)
    assert cleo is not None
    shop.change("customer", CLEO, remark="served by Eve Evans")
    work_off(approved(EMPLOYEE))
    assert shop.row("employee", EVE) is None
    assert shop.row("customer", CLEO) == {**cleo, "rep_id": None, "remark": "served by [erased]"}


def test_a_mention_in_somebody_elses_text_is_redacted_and_their_text_stays(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    message = shop.row("message", 2)
    assert message == {"id": 2, "author_id": CLEO, "body": "[erased] and Ben Baker are kind"}
    step = request.plans.get().steps.get(dataset="shop.message", via="mention")
    assert (step.rows, step.counted) == (1, 1)


FORUM = """
      - name: post
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: text, erasure: {free_text: true}}
"""


def test_text_in_a_dataset_that_nothing_leads_to_is_redacted_too(shop: Shop) -> None:
    shop.create("post", [{"id": 1, "text": "met archer, ann today"}], "crm_db")
    shop.describe(CATALOGUE.read_text() + FORUM.lstrip("\n"))
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert shop.rows("post", "crm_db") == [{"id": 1, "text": "met [erased] today"}]


def test_a_person_whom_only_a_text_knows_is_no_stranger(shop: Shop) -> None:
    shop.insert("message", {"id": 9, "author_id": BEN, "body": "write to dan.drake@example.com"})
    request = approved("dan.drake@example.com")
    work_off(request)
    assert request.state == "completed"
    assert shop.row("message", 9)["body"] == "write to [erased]"  # type: ignore[index]


BARE = {"name": None, "email": None, "address_id": None, "rep_id": None, "remark": None}


def nobody_in_particular(shop: Shop, **values: str | int) -> ErasureRequest:
    """Somebody of whom nothing is known that could be searched for."""
    shop.insert("customer", {"id": 9, **BARE, "phone": "11", **values})
    request = identified(("phone", "11"))
    work_off(request)
    plan = request.plans.get()
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(request)
    return request


def test_nothing_to_search_by_is_unverifiable_and_never_clean(shop: Shop) -> None:
    request = nobody_in_particular(shop)
    assert request.state == "blocked"
    assert "unverifiable" in request.blocked_because
    assert not certified(request)


def test_a_city_alone_verifies_nothing(shop: Shop) -> None:
    shop.insert("address", {"id": 9, "street": None, "city": "Rivertown", "hint": None})
    request = nobody_in_particular(shop, address_id=9)
    assert request.run is not None
    assert request.run.needles.get().count == 0
    assert "unverifiable" in request.blocked_because


def test_a_coarse_value_elsewhere_is_shared_and_never_redacted(shop: Shop) -> None:
    shop.insert("message", {"id": 9, "author_id": BEN, "body": "Rivertown is pretty"})
    shop.widen("orders", "gift")
    shop.change("orders", 3, gift="a map of Rivertown")
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert ("orders", "gift", "shared") in seen(request)
    assert shop.row("message", 9)["body"] == "Rivertown is pretty"  # type: ignore[index]


def test_a_row_that_answers_to_the_identity_again_is_residue(shop: Shop) -> None:
    """Somebody signs in again while the run verifies."""
    request = started(approved(SUBJECT))

    def sign_in() -> None:
        del Spied.before["crm_db", "scan"]
        row = {**BARE, "id": 8, "email": SUBJECT, "phone": None}
        shop.insert("customer", row)

    Spied.before["crm_db", "scan"] = sign_in
    work_off(request)
    assert request.state == "blocked"
    assert ("customer", "email", "residue") in seen(request)
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert shop.row("customer", 8)["email"] is None  # type: ignore[index]


def test_a_profile_that_was_edited_between_search_and_act_is_still_the_persons(
    shop: Shop,
) -> None:
    request = started(approved(SUBJECT))
    shop.change("customer", ANN, phone="030 5550055", rep_id=None)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    ann = shop.row("customer", ANN)
    assert ann is not None
    assert (ann["email"], ann["phone"]) == (None, None)
    assert request.plans.get().steps.get(dataset="shop.customer", via="deep").rows == 1


def test_every_store_is_read_to_its_end_and_it_is_said_when(shop: Shop) -> None:
    shop.create("newsletter", [{"id": 1, "mail": SUBJECT}], "crm_db")
    request = approved(SUBJECT)
    work_off(request)
    first = dict(StoreScan.objects.values_list("store", "at"))
    assert set(first) == {"shop_db", "crm_db"}
    shop.delete("newsletter", 1, "crm_db")
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "partly_granted"
    again = dict(StoreScan.objects.values_list("store", "at"))
    assert all(again[store] > at for store, at in first.items())


@pytest.mark.parametrize(
    ("collection", "address"),
    [
        ("customer", "shop.customer"),
        ("sales.customer", "sales.customer"),
        ("sales.lead", "sales.lead"),
        ("lead", "sales.lead"),
        ("public.customer", None),
    ],
)
def test_a_collection_is_told_by_its_schema(collection: str, address: str | None) -> None:
    datasets = [
        Dataset(address="sales.customer", store="s", name="customer", schema="sales"),
        Dataset(address="shop.customer", store="s", name="customer"),
        Dataset(address="sales.lead", store="s", name="lead", schema="sales"),
    ]
    found = by_collection(datasets).get(collection)
    assert (found.address if found else None) == address
