"""What an earlier case of the same person has left is that case's: only what was carried out
before counts as earlier, by its own number, and whoever asks again is told of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from erasure.advance import finish_keys
from erasure.domain.errors import UsageError
from erasure.evidence.audit import audit
from erasure.evidence.certificate import path_of
from erasure.evidence.signing import pinned_keys
from erasure.flow import decide, exempt, identify, intake, planning, watch
from erasure.inline import replay
from erasure.models import Certificate, DataKey, ErasureRequest
from erasure.runs import letters, statement
from tests.flow.beside import body_of
from tests.flow.cast import (
    ANN,
    APPROVER,
    BEN,
    CONSOLE,
    NOBODY,
    OFFICER,
    ROWS,
    SUBJECT,
    MemoryShop,
    Shop,
    SqliteShop,
)  # fmt: skip
from tests.flow.deeds import approved, planned, work_off


def carried_out(request: ErasureRequest) -> ErasureRequest:
    if request.state == "identified":
        planning.make_plan(request, by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get(state="draft").digest, by=APPROVER)
    work_off(request)
    return request


def excepted(request: ErasureRequest, dataset: str, fields: Sequence[str] = ()) -> ErasureRequest:
    return exempt.add_exception(
        request, dataset=dataset, fields=fields, code="legal_claims",
        legal_reference="Art. 17(3)(e)", until=timezone.localdate() + timedelta(days=30),
        because="a dispute", by=OFFICER,
    ).request  # fmt: skip


def named_in(request: ErasureRequest) -> set[str]:
    """The numbers of cases that are said to have left something."""
    words = [e["reason"].split() for e in statement.residual_of(request)]
    return {said[3] for said in words if said[:3] == ["left", "by", "case"]}


def restored(shop: SqliteShop, tmp_path: Path, request: ErasureRequest) -> ErasureRequest:
    """Her case is carried out; then a backup from before is put back, and replayed."""
    backup = shutil.copy(shop.files["shop_db"], tmp_path / "backup")
    carried_out(request)
    assert request.state == "partly_granted", request.blocked_because
    shutil.copy(backup, shop.files["shop_db"])
    (done,) = replay("shop_db", taken_at=timezone.now() - timedelta(days=1), by=CONSOLE)
    request.refresh_from_db()
    return done.request


def test_a_replay_names_the_case_that_it_repeats_and_is_not_earlier_than_that(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    first = planned(SUBJECT)
    again = restored(sqlite_shop, tmp_path, first)
    assert again.state == "partly_granted", again.blocked_because
    assert (named_in(first), named_in(again)) == (set(), {str(first.pk)})


def test_of_two_cases_of_one_person_only_the_one_carried_out_before_is_earlier(
    memory_shop: Shop,
) -> None:
    first = approved(SUBJECT)
    work_off(first)
    memory_shop.insert("customer", {**ROWS["shop_db"]["customer"][ANN], "id": 70})
    later = planned(SUBJECT)
    assert (named_in(first), named_in(later)) == (set(), {str(first.pk)})
    carried_out(later)
    assert later.state == "partly_granted", later.blocked_because
    assert (named_in(first), named_in(later)) == (set(), {str(first.pk)})
    assert named_in(planned(SUBJECT)) == {str(first.pk)}


def test_what_was_excepted_of_a_case_is_kept_again_by_its_replay_and_nothing_more(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    first = excepted(excepted(planned(SUBJECT), "shop.customer", ["phone"]), "shop.message")
    messages = sqlite_shop.rows("message")
    again = restored(sqlite_shop, tmp_path, first)
    assert again.state == "partly_granted", again.blocked_because
    row = sqlite_shop.row("customer", ANN)
    assert row is not None
    assert (row["phone"], row["email"], row["name"]) == ("030 5550001", None, None)
    assert sqlite_shop.rows("message") == messages
    (sealed,) = Certificate.objects.filter(kind="replay")
    assert "030 5550001" not in path_of(sealed).read_text()
    told = {(e["dataset"], *e.get("fields", ())) for e in body_of(again)["decision"]["exceptions"]}
    assert told >= {("shop.customer", "phone"), ("shop.message",)}


def test_who_asks_again_is_told_what_an_earlier_case_keeps_why_and_until_when(shop: Shop) -> None:
    first = excepted(planned(SUBJECT), "shop.message")
    carried_out(first)
    assert first.state == "partly_granted", first.blocked_because
    before, until = shop.everything(), timezone.localdate() + timedelta(days=30)
    second = planned(SUBJECT)
    assert second.state == "planned"  # there is something of hers: it is not "no data"
    carried_out(second)
    assert second.state == "partly_granted", second.blocked_because
    assert shop.everything() == before
    told = [e for e in body_of(second)["residual"] if e["dataset"] == "shop.message"]
    assert [(e["rows"], e["until"]) for e in told] == [(1, until.isoformat())] * 2
    for kept in told:  # what she wrote, and what somebody else wrote of her
        assert f"left by case {first.pk}" in kept["reason"]
        assert "legal_claims: Art. 17(3)(e)" in kept["reason"]
    for language, case in {"en": "case", "de": "Vorgang", "fr": "dossier", "es": "exped"}.items():
        said = letters.write(second, "partial", language, {}).body
        line = next(line for line in said.splitlines() if "shop.message" in line)
        named = (case, str(first.pk)[:8], "Art. 17(3)(e)", str(until.year))
        assert [word for word in named if word not in line] == []
    with pytest.raises(UsageError, match="code: no_data"):
        letters.write(second, "no_data", "en", {})


def test_the_later_case_is_completed_once_nothing_is_left_of_the_earlier(
    memory_shop: MemoryShop,
) -> None:
    memory_shop.delete("invoice", 1)
    first = carried_out(excepted(planned(SUBJECT), "shop.message"))
    second = carried_out(planned(SUBJECT))
    finish_keys()
    live = DataKey.objects.filter(owner=second.pk, destroyed_at=None)
    assert set(live.values_list("purpose", flat=True)) <= {"record"}  # nothing of it waits
    assert second.state == "partly_granted", second.blocked_because
    watch.act_on_dates(first, now=timezone.now() + timedelta(days=32))
    assert [row["author_id"] for row in memory_shop.rows("message")] == [2, BEN]
    for request in (first, second):
        request.refresh_from_db()
        assert request.state == "completed"
        assert statement.residual_of(request) == []
    assert Certificate.objects.filter(request=str(second.pk), kind="addendum").count() == 1
    assert [told for told in audit(pinned_keys()) if str(second.pk) in told] == []


def test_of_whom_nothing_was_ever_kept_there_is_no_data(memory_shop: Shop) -> None:
    planned(SUBJECT)
    assert planned(NOBODY).state == "no_data"


def test_what_an_earlier_case_keeps_is_data_for_who_asks_for_a_copy(
    memory_shop: MemoryShop,
) -> None:
    memory_shop.delete("invoice", 1)
    first = planned(SUBJECT)
    for dataset in ("shop.customer", "shop.orders", "shop.message"):
        excepted(first, dataset)
    carried_out(first)
    assert memory_shop.row("customer", ANN) is not None
    asking = intake.open_request([("email", SUBJECT)], by=OFFICER, right="access")
    identify.confirm_identity(asking, by=OFFICER, method="mailbox confirmed")
    planning.make_plan(asking, by=OFFICER)
    assert asking.state == "gathering"
