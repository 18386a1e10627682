"""An exception keeps some fields of records in files and logs: the rest of each goes now, what was
left is known again on its day by the record's own number, and goes then."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.flow import decide, exempt, planning, verify, watch
from erasure.models import ErasureRequest, ScanResult
from erasure.runs import acting, letters
from tests.flow.beside import body_of
from tests.flow.cast import APPROVER, NEIGHBOUR, OFFICER, SUBJECT, MemoryShop
from tests.flow.deeds import identified, planned, sweep, work_off
from tests.flow.lake_cast import FIELDS, FORMATS, PHONE, VISITS, Lake, Nested

IN = [*FORMATS, "log"]


def made(shop: MemoryShop, folder: Path, form: str, **how: Any) -> Lake:
    lake = Lake(folder, form)
    lake.describe(shop, **how)
    return lake


def excepted(*fields: str) -> ErasureRequest:
    """Her case, in which those fields of her visits are kept, planned and approved."""
    request = planned(SUBJECT)
    exempt.add_exception(
        request, dataset="lake.visit", fields=fields, code="legal_claims",
        legal_reference="Art. 17(3)(e)", until=timezone.localdate() + timedelta(days=30),
        because="a dispute", by=OFFICER,
    )  # fmt: skip
    planning.make_plan(request, by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get(state="draft").digest, by=APPROVER)
    return request


def carried_out(*fields: str) -> ErasureRequest:
    request = excepted(*fields)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    return request


def on_the_day(request: ErasureRequest) -> None:
    sweep()
    watch.act_on_dates(request, now=timezone.now() + timedelta(days=32))
    request.refresh_from_db()


@pytest.mark.parametrize("form", IN)
def test_a_field_stays_in_her_records_and_the_rest_of_them_goes(
    memory_shop: MemoryShop, tmp_path: Path, form: str
) -> None:
    lake = made(memory_shop, tmp_path, form)
    before = lake.visits()
    request = carried_out("phone")
    after = lake.visits()
    assert [after[n].keys() for n in (1, 3)] == [{"id", "phone"}, {"id"}]
    assert after[1]["phone"] == PHONE
    assert {n: after[n] for n in (2, 4)} == {n: before[n] for n in (2, 4)}
    seen = ScanResult.objects.filter(store="lake", field="phone")
    assert set(seen.values_list("verdict", flat=True)) == {"retained", "shared"}
    (told,) = (e for e in body_of(request)["decision"]["exceptions"] if "lake" in e["dataset"])
    assert (told["fields"], told["reason"]) == (["phone"], "legal_claims")
    (left,) = (e for e in body_of(request)["residual"] if "lake" in e["dataset"])
    assert (left["rows"], left["until"]) == (2, told["until"])
    text = letters.write(request, "partial", "en", {}).body
    assert "lake.visit (only phone; the rest of the record was made anonymous): 2 records" in text
    as_it_is = lake.file.read_bytes()
    on_the_day_before = timezone.now() + timedelta(days=29)
    watch.act_on_dates(request, now=on_the_day_before)
    assert lake.file.read_bytes() == as_it_is
    on_the_day(request)
    assert lake.visits() == {n: before[n] for n in (2, 4)}  # his phone is his
    assert not request.dates.filter(store="lake", done_at=None).exists()


@pytest.mark.parametrize("form", IN)
def test_where_records_are_anonymised_the_field_is_too_on_its_day(
    memory_shop: MemoryShop, tmp_path: Path, form: str
) -> None:
    lake = made(memory_shop, tmp_path, form, action="anonymize")
    request = carried_out("street")
    assert lake.visits()[3]["street"] == "Old Mill 3"
    on_the_day(request)
    assert [lake.visits()[n].keys() for n in (1, 3)] == [{"id"}, {"id"}]
    assert lake.visits()[2]["street"] == VISITS[1]["street"]


@pytest.mark.parametrize("form", IN)
def test_a_crash_after_the_file_was_swapped_changes_nothing_more(
    memory_shop: MemoryShop, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = made(memory_shop, tmp_path, form)
    request = excepted("phone", "page")

    end = acting._Actor._end

    def die_in_the_lake(actor: Any, done: Any) -> None:
        if actor._store.name == "lake":
            raise KeyboardInterrupt
        end(actor, done)

    with monkeypatch.context() as patched:
        patched.setattr(acting._Actor, "_end", die_in_the_lake)
        with pytest.raises(KeyboardInterrupt):
            work_off(request)
    assert lake.visits()[1].keys() == {"id", "phone", "page"}
    request.refresh_from_db()
    assert request.state == "executing"
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert lake.visits()[1].keys() == {"id", "phone", "page"}
    assert request.plans.get().steps.get(dataset="lake.visit", via="deep").rows == 2


@pytest.mark.parametrize("form", IN)
def test_what_was_left_is_found_again_in_another_file_and_a_number_given_out_again_is_not(
    memory_shop: MemoryShop, tmp_path: Path, form: str
) -> None:
    """The lake was written anew meanwhile, and visit 3 is somebody else's."""
    lake = made(memory_shop, tmp_path, form)
    request = carried_out("street")
    left = {n: dict.fromkeys(FIELDS) | visit for n, visit in lake.visits().items()}
    left[3] |= {"street": "9 New Road"}
    typed = [{**v, "id": n, "customer_id": None} for n, v in left.items()]
    elsewhere = lake.file.with_name(lake.file.name.replace("visit", "visit-20261101"))
    lake.write([typed[0], typed[2]], elsewhere)
    lake.write([typed[1], typed[3]])
    on_the_day(request)
    assert {n: v["street"] for n, v in lake.visits(elsewhere).items()} == {3: "9 New Road"}
    assert sorted(lake.visits()) == [2, 4]
    note = request.plans.get().steps.get(dataset="lake.visit", via="deep").note
    assert "1 left alone" in note


@pytest.mark.parametrize("form", IN)
def test_a_kept_identity_is_found_again_by_key_and_is_no_residue(
    memory_shop: MemoryShop, tmp_path: Path, form: str
) -> None:
    lake = made(memory_shop, tmp_path, form)
    request = carried_out("email")
    assert [lake.visits()[n].keys() for n in (1, 3)] == [{"id", "email"}] * 2
    assert request.plans.get().steps.get(dataset="lake.visit", via="deep").rows == 2
    on_the_day(request)
    assert sorted(lake.visits()) == [2, 4]


def test_what_comes_back_into_the_rest_of_such_a_record_is_residue(
    memory_shop: MemoryShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = made(memory_shop, tmp_path, "jsonl")
    request = excepted("phone")
    look = verify.rescan_run

    def written_between(*given: Any) -> None:
        visits = lake.visits()
        visits[1]["page"] = SUBJECT
        lake.file.write_text("".join(json.dumps(v) + "\n" for v in visits.values()))
        look(*given)

    monkeypatch.setattr("erasure.flow.verify.rescan_run", written_between)
    work_off(request)
    assert request.state == "blocked"
    assert "lake.visit.page" in request.blocked_because


@pytest.mark.parametrize(
    ("how", "form", "field", "told"),
    [
        ({"key": False}, "csv", "phone", r"primary_key: true"),
        ({}, "jsonl", "remark", "is a text in which others may be named"),
        ({}, "text", "phone", r"options: \{format: jsonl\}"),
    ],
)
def test_where_what_is_left_could_not_be_known_again_the_remedy_is_told(
    memory_shop: MemoryShop, tmp_path: Path, how: dict[str, Any], form: str, field: str, told: str
) -> None:
    lake = made(memory_shop, tmp_path, form, **how)
    before, request = lake.file.read_bytes(), identified(("email", SUBJECT))
    with pytest.raises(UsageError, match=told):
        exempt.add_exception(
            request, dataset="lake.visit", fields=[field], code="legal_claims",
            legal_reference="Art. 17(3)(e)", until=timezone.localdate() + timedelta(days=30),
            because="a dispute", by=OFFICER,
        )  # fmt: skip
    assert not request.exceptions.exists()
    assert request.state == "identified"
    assert lake.file.read_bytes() == before
    assert NEIGHBOUR in str(lake.file.read_bytes())


@pytest.mark.parametrize("form", IN)
def test_a_later_case_neither_takes_nor_reports_what_an_earlier_one_has_left_in_a_file(
    memory_shop: MemoryShop, tmp_path: Path, form: str
) -> None:
    """She is known by what was left; a visit since then is nothing that was excepted."""
    lake = made(memory_shop, tmp_path, form)
    first = carried_out("email")
    left = lake.visits()
    since = dict.fromkeys(FIELDS) | {"id": 9, "email": SUBJECT, "street": "9 New Road"}
    typed = [{**dict.fromkeys(FIELDS), **v, "id": n} for n, v in left.items()]
    for visit in typed:
        visit["customer_id"] = int(visit["customer_id"]) if visit["customer_id"] else None
    lake.write([*typed, since])
    second = planned(SUBJECT)
    decide.approve_plan(second, digest=second.plans.get(state="draft").digest, by=APPROVER)
    work_off(second)
    assert second.state == "partly_granted", second.blocked_because
    assert lake.visits() == left
    assert second.plans.get().steps.get(dataset="lake.visit", via="deep").rows == 1
    (told,) = (e for e in body_of(second)["residual"] if "lake" in e["dataset"])
    assert f"left by case {first.pk}" in told["reason"]
    on_the_day(first)
    assert sorted(lake.visits()) == [2, 4]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "log"])
def test_a_field_inside_another_is_kept_alone(
    memory_shop: MemoryShop, tmp_path: Path, form: str
) -> None:
    """What she said to be reached by stands in a part of her record."""
    lake = Nested(tmp_path, form)
    lake.describe(memory_shop)
    request = carried_out("reach.phone")
    others = {2: ["Ben", PHONE], 4: [None, "030 5550003"]}
    assert lake.reached() == {**others, 1: [None, PHONE], 3: [None, None]}
    on_the_day(request)
    assert lake.reached() == others
