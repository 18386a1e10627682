"""What an earlier case keeps of a person whose identity is gone: who asks again is given it, or is
told of it, by whatever they were known; and nobody else is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from erasure.flow import decide, exempt, identify, intake, planning, watch
from erasure.models import ErasureRequest, Event
from erasure.runs import letters, statement
from erasure.runs.earlier import left_by_earlier
from tests.flow.beside import body_of
from tests.flow.cast import (
    ANN,
    APPROVER,
    BEN,
    NOBODY,
    OFFICER,
    ROWS,
    SUBJECT,
    MemoryShop,
    Shop,
)
from tests.flow.deeds import planned, sweep, work_off
from tests.flow.lake_cast import Lake
from tests.flow.test_export import opened, rows_in

PHONE = "030 5550001"


def excepted(request: ErasureRequest, dataset: str, fields: Sequence[str] = ()) -> None:
    exempt.add_exception(
        request, dataset=dataset, fields=fields, code="legal_claims",
        legal_reference="Art. 17(3)(e)", until=timezone.localdate() + timedelta(days=30),
        because="a dispute", by=OFFICER,
    )  # fmt: skip


def carried_out(request: ErasureRequest) -> ErasureRequest:
    if request.state == "identified":
        planning.make_plan(request, by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get(state="draft").digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    return request


def erased(*kept: str) -> ErasureRequest:
    """Her case, of which the law keeps her invoice, and an officer what is named."""
    request = planned(SUBJECT)
    for dataset in kept:
        excepted(request, dataset)
    return carried_out(request)


def asked(
    *identifiers: tuple[str, str], right: str = "erasure", proves: Sequence[str] | None = None
) -> ErasureRequest:
    """Somebody asks, and it is known who; planned."""
    request = intake.open_request(identifiers, by=OFFICER, right=right)
    identify.confirm_identity(request, by=OFFICER, method="rang back", proves=proves)
    planning.make_plan(request, by=OFFICER)
    return request


def told_to(request: ErasureRequest) -> list[str]:
    return sorted(e["dataset"] for e in statement.residual_of(request) if "left by" in e["reason"])


def copy_of(request: ErasureRequest) -> Any:
    sweep()
    request.refresh_from_db()
    assert request.state == "gathering", request.blocked_because
    made = request.exports.get()
    assert (made.state, made.error) == ("ready", "")
    return opened(made)


@pytest.mark.parametrize("known_by", [("email", SUBJECT), ("phone", PHONE)])
def test_who_asks_for_a_copy_is_given_what_an_earlier_case_keeps(
    shop: Shop, known_by: tuple[str, str]
) -> None:
    first = erased("shop.message")
    before = shop.everything()
    request = asked(known_by, right="access")
    assert request.state == "gathering"
    warned = " ".join(request.plans.get().warnings)
    assert f"left by case {first.pk}" in warned
    assert "shop.invoice: 1 rows stay until 2034-12-31" in warned
    found = copy_of(request)
    (invoice,) = rows_in(found, "shop.invoice")
    assert (invoice["id"], invoice["note"]) == (1, "to Ann Archer")
    assert [row["id"] for row in rows_in(found, "shop.message")] == [1]
    readme = found.read("README.txt").decode()
    assert f"kept by law: by case {first.pk} until 2034-12-31" in readme
    listed = json.loads(found.read("index.json"))["datasets"]
    assert [one["rows"] for one in listed if one["kept_by_law"]] == [1, 1]
    whole = b"".join(found.read(name) for name in found.namelist())
    assert b"Ben Baker" not in whole  # Cleo's message about both is hers
    assert shop.everything() == before


def test_of_a_row_that_keeps_some_fields_those_are_given(shop: Shop) -> None:
    first = planned(SUBJECT)
    excepted(first, "shop.customer", ["phone"])
    carried_out(first)
    found = copy_of(asked(("email", SUBJECT), right="access"))
    assert rows_in(found, "shop.customer") == [{"id": ANN, "phone": PHONE}]


def test_a_row_that_is_somebody_else_s_by_now_is_not_given(shop: Shop) -> None:
    erased()
    shop.delete("invoice", 1)
    shop.insert("invoice", {**ROWS["shop_db"]["invoice"][1], "id": 1})
    found = copy_of(asked(("email", SUBJECT), right="access"))
    assert rows_in(found, "shop.invoice") == []
    assert "rows that went while they were read: 1" in found.read("README.txt").decode()


def test_who_came_back_is_given_what_is_new_and_what_was_kept_and_nothing_twice(
    shop: Shop,
) -> None:
    erased("shop.customer")
    shop.insert("customer", {**ROWS["shop_db"]["customer"][ANN], "id": 70})
    shop.insert("invoice", {"id": 9, "customer_id": 70, "issued_on": "2026-04-01", "note": "x"})
    found = copy_of(asked(("email", SUBJECT), right="access"))
    names = [n for n in found.namelist() if n.endswith(("shop.invoice.json", "shop.customer.json"))]
    ids = sorted((n, row["id"]) for n in names for row in json.loads(found.read(n)))
    assert [i for n, i in ids if "invoice" in n] == [1, 9]
    assert [i for n, i in ids if "customer" in n] == [ANN, 70]


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_records_in_files_that_are_kept_are_given_too(
    memory_shop: MemoryShop, tmp_path: Path, form: str
) -> None:
    lake = Lake(tmp_path, form)
    lake.describe(memory_shop)
    first = planned(SUBJECT)
    excepted(first, "lake.visit")
    carried_out(first)
    found = copy_of(asked(("email", SUBJECT), right="access"))
    assert sorted(int(row["id"]) for row in rows_in(found, "lake.visit")) == [1, 3]


def test_who_asks_again_by_something_that_was_only_found_is_told_what_is_kept(shop: Shop) -> None:
    first = erased("shop.message")
    before = shop.everything()
    second = asked(("phone", PHONE))
    assert second.state == "planned"
    carried_out(second)
    assert shop.everything() == before
    told = {(e["dataset"], e["until"]) for e in body_of(second)["residual"]}
    assert ("shop.invoice", "2034-12-31") in told
    said = letters.write(second, "partial", "en", {}).body
    assert str(first.pk)[:8] in said
    assert "tax law" in said


def test_what_was_kept_is_not_cut_short_by_who_asks_by_something_else(shop: Shop) -> None:
    first = planned(SUBJECT)
    excepted(first, "shop.customer", ["phone"])
    carried_out(first)
    before = shop.everything()
    second = asked(("phone", PHONE))
    carried_out(second)
    assert shop.everything() == before
    assert "shop.customer" in told_to(second)


def test_what_was_typed_and_not_proved_tells_nobody_what_is_kept(memory_shop: Shop) -> None:
    first = asked(("phone", PHONE), ("email", SUBJECT))
    carried_out(first)
    intruder = asked(("email", NOBODY), ("phone", PHONE), proves=["email"])
    assert (intruder.state, told_to(intruder)) == ("no_data", [])
    copy = asked(("email", NOBODY), ("phone", PHONE), right="access", proves=["email"])
    assert (copy.state, told_to(copy)) == ("no_data", [])


def test_what_an_earlier_case_was_given_and_did_not_prove_leads_nobody_to_it(
    memory_shop: Shop,
) -> None:
    first = asked(("email", SUBJECT), ("phone", "030 777777"), proves=["email"])
    carried_out(first)
    stranger = asked(("phone", "030 777777"))
    assert (stranger.state, told_to(stranger)) == ("no_data", [])


def test_who_is_known_by_something_strange_besides_is_told_nothing_and_the_officer_where_to_look(
    memory_shop: Shop,
) -> None:
    """A household's phone: it was found with hers, and is his as well."""
    first = erased()
    other = asked(("phone", PHONE), ("email", NOBODY))
    assert (other.state, told_to(other)) == ("no_data", [])
    because = Event.objects.filter(subject_id=str(other.pk), to_state="no_data").get().because
    assert f"look at case {first.pk}" in because


def test_whom_nothing_was_kept_of_there_is_no_copy_of(memory_shop: MemoryShop) -> None:
    memory_shop.delete("invoice", 1)
    carried = planned(SUBJECT)
    decide.approve_plan(carried, digest=carried.plans.get(state="draft").digest, by=APPROVER)
    work_off(carried)
    assert carried.state == "completed"
    assert asked(("email", SUBJECT), right="access").state == "no_data"
    assert memory_shop.row("customer", BEN) is not None


def test_what_was_only_pseudonymised_is_not_called_erased_once_an_earlier_case_is_over(
    memory_shop: MemoryShop,
) -> None:
    memory_shop.delete("invoice", 1)
    first = erased("shop.message")
    memory_shop.insert("customer", {**ROWS["shop_db"]["customer"][ANN], "id": 70})
    second = carried_out(planned(SUBJECT))
    step = second.plans.get(state="carried_out").steps.filter(dataset="shop.customer").first()
    assert step is not None
    step.rows, step.residue = 1, "pseudonymized"  # as a method of the catalogue would have it
    step.save()
    watch.act_on_dates(first, now=timezone.now() + timedelta(days=32))
    second.refresh_from_db()
    assert left_by_earlier(second) == []
    assert second.state == "partly_granted"
