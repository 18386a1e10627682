"""Closed cases: found again by what a person gives now, and reopened."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from erasure.advance import finish_keys
from erasure.domain.errors import Denied, UsageError, WrongState
from erasure.domain.roles import Actor
from erasure.domain.states import REQUEST
from erasure.evidence.audit import audit
from erasure.evidence.signing import pinned_keys
from erasure.flow import (
    complain,
    decide,
    disclose,
    identify,
    planning,
    reopen,
    restore,
    route,
)
from erasure.models import (
    Certificate,
    ErasureRequest,
    Identifier,
    SuppressionEntry,
    UndoWindow,
)
from erasure.runs import case, figures, records, statement
from tests.flow.cast import (
    APPROVER,
    AUDITOR,
    CONSOLE,
    DPO,
    NEIGHBOUR,
    OFFICER,
    OLGA,
    ROWS,
    SUBJECT,
    MemoryShop,
    Shop,
)
from tests.flow.deeds import approved, identified, planned, work_off
from tests.flow.test_roles import everything
from tests.flow.undoing_cast import erased, undone

ANN_NOW = [("email", SUBJECT.upper())]
PHONE = [("phone", "030 5550001")]
WHY: dict[str, Any] = {"why": "seen_again", "because": f"{SUBJECT} got a newsletter"}


def completed(shop: Shop) -> ErasureRequest:
    """Erased to the last row: nothing is kept by law."""
    shop.delete("invoice", 1)
    request = approved(SUBJECT)
    work_off(request)
    finish_keys()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    return request


def refused(**more: str) -> ErasureRequest:
    request = planned(SUBJECT)
    return decide.refuse_request(request, by=OFFICER, because="not a customer", **more)


def back_again(shop: Shop) -> None:
    """The person's own row is as it was before the erasure."""
    shop.delete("customer", 0)
    shop.insert("customer", ROWS["shop_db"]["customer"][0])


def emails(shop: Shop) -> list[object]:
    return [row["email"] for row in shop.rows("customer") if row["id"] == 0]


# found again


def test_a_closed_case_is_found_by_what_was_found_of_the_person_too(memory_shop: Shop) -> None:
    request = completed(memory_shop)
    assert route.find_cases(PHONE, by=OFFICER) == [request]
    assert route.find_cases([("email", NEIGHBOUR)], by=OFFICER) == []
    with pytest.raises(UsageError, match="not an email"):
        route.find_cases([("email", "030 5550001")], by=OFFICER)


# reopened


def test_what_was_seen_again_is_erased_in_the_same_case(
    memory_shop: Shop, settings: LazySettings
) -> None:
    request = completed(memory_shop)
    back_again(memory_shop)
    reopen.reopen_case(request, identifiers=ANN_NOW, by=OLGA, **WHY)
    assert (request.state, request.closed_at, request.run) == ("reopened", None, None)
    identify.confirm_identity(request, by=OLGA, method="rang back")
    planning.make_plan(request, by=OLGA)
    digest = request.plans.get(state="draft").digest
    with pytest.raises(UsageError, match="another officer"):
        decide.approve_plan(request, digest=digest, by=OLGA)
    decide.approve_plan(request, digest=digest, by=APPROVER)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    assert emails(memory_shop) == [None]
    first, second = Certificate.objects.filter(request=str(request.id)).order_by("leaf")
    assert statement.certificates_of(request).first() == second
    body = json.loads((Path(settings.LETHE_HOME) / second.path).read_text())["body"]
    assert "reopened" in [entry["event"] for entry in body["request"]["clock"]]
    assert body["amends"] == first.pk == f"lethe-{request.id}"
    assert [told for told in audit(pinned_keys()) if str(request.id) in told] == []


def test_a_backup_between_the_two_erasures_is_replayed(sqlite_shop: Shop) -> None:
    request = completed(sqlite_shop)
    back_again(sqlite_shop)
    taken_at = timezone.now()
    reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    identify.confirm_identity(request, by=OFFICER, method="rang back")
    planning.make_plan(request, by=OFFICER)
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(request)
    back_again(sqlite_shop)  # the backup was restored
    returned = restore.find_returned("shop_db", taken_at=taken_at, by=CONSOLE)
    assert [one.request for one in returned] == [request.id]


@pytest.mark.parametrize("end", ["refused", "no_data", "withdrawn", "unidentifiable"])
def test_a_case_that_ended_without_an_erasure_goes_on_with_its_identity(
    memory_shop: Shop, end: str
) -> None:
    request = ENDS[end]()
    assert request.state == end
    given = [("email", "nobody@example.com")] if end == "no_data" else ANN_NOW
    reopen.reopen_case(request, identifiers=given, by=OFFICER, **WHY)
    assert not Identifier.objects.exclude(proved_by="").exists()
    identify.ask_identity(request, by=OFFICER, doubt="another voice")
    identify.confirm_identity(request, by=OFFICER, method="card shown")
    planning.make_plan(request, by=OFFICER)
    assert request.state == ("no_data" if end == "no_data" else "planned")


def test_an_undone_case_goes_on_once_its_images_are_gone_and_has_no_second_window(
    memory_shop: Shop, settings: LazySettings
) -> None:
    settings.LETHE_UNDO_WINDOW = timedelta(hours=24)
    (request,) = erased(SUBJECT)
    undone(request)
    windows = UndoWindow.objects.filter(request=request)
    closed_at = windows.get().closed_at
    windows.update(closed_at=None)  # its worker was killed before that
    with pytest.raises(WrongState, match="just being finished"):
        reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    windows.update(closed_at=closed_at)
    reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    identify.confirm_identity(request, by=OFFICER, method="rang back")
    planning.make_plan(request, by=OFFICER)
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert emails(memory_shop) == [None]
    assert windows.get().closed_at == closed_at


def _nobody() -> ErasureRequest:
    request = identified(("email", "nobody@example.com"))
    planning.make_plan(request, by=OFFICER)
    return request


def _unknown() -> ErasureRequest:
    request = planned(SUBJECT)
    identify.ask_identity(request, by=OFFICER, doubt="x")
    return identify.give_up_identifying(request, by=OFFICER, because="no answer")


ENDS: dict[str, Callable[[], ErasureRequest]] = {
    "refused": refused,
    "no_data": _nobody,
    "withdrawn": lambda: decide.withdraw_request(approved(SUBJECT), by=OFFICER),
    "unidentifiable": _unknown,
}


def test_a_stranger_cannot_have_somebodys_case_reopened(memory_shop: Shop) -> None:
    request = refused()
    before = everything()
    for wrong in ([("email", NEIGHBOUR)], PHONE):  # PHONE is hers, and this case never knew it
        with pytest.raises(UsageError, match="knows nobody"):
            reopen.reopen_case(request, identifiers=wrong, by=OFFICER, **WHY)
    assert everything() == before


def test_what_is_given_now_joins_what_is_known_and_nothing_old_is_opened(
    memory_shop: Shop,
) -> None:
    request = identified(("email", SUBJECT), ("phone", "030 5550001"))
    planning.make_plan(request, by=OFFICER)
    decide.refuse_request(request, by=OFFICER, because="not a customer")
    reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    assert disclose.show_identifiers(request, by=OFFICER) == [("email", SUBJECT.upper())]
    assert request.identifiers.filter(kind="phone").exists()  # as a pseudonym, to be found by
    identify.confirm_identity(request, by=OFFICER, method="rang back", proves=["email"])
    (pairs,) = case.given_by([request]).values()
    assert pairs == [("email", SUBJECT.upper())]
    planning.make_plan(request, by=OFFICER)
    assert request.state == "planned"


@pytest.mark.parametrize("state", sorted(s for s, to in REQUEST.items() if "reopened" not in to))
def test_a_case_that_is_not_closed_cannot_be_reopened(memory_shop: Shop, state: str) -> None:
    request = planned(SUBJECT)
    ErasureRequest.objects.update(state=state)
    before = everything()
    with pytest.raises((WrongState, UsageError)):
        reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    assert everything() == before


def test_a_complaint_reopens_a_case_only_when_it_was_upheld(memory_shop: Shop) -> None:
    request = refused()
    complaint = complain.open_complaint(request=request, because="x", by=OFFICER)
    again: dict[str, Any] = {
        "identifiers": ANN_NOW,
        "why": "complaint",
        "because": "they were right",
    }
    with pytest.raises(UsageError, match="upheld"):
        reopen.reopen_case(request, by=OFFICER, **again)
    complain.answer_complaint(complaint, verdict="upheld", because="we were wrong", by=OFFICER)
    reopen.reopen_case(request, by=OFFICER, **again)
    hour = timedelta(hours=1)
    counted = figures.figures(timezone.now() - hour, timezone.now() + hour)
    assert (counted["reopened"], counted["by_complaint"]) == (1, {"upheld": 1})
    assert (request.state, request.reopened_for, request.refused_for) == (
        "reopened", "complaint", ""
    )  # fmt: skip


@pytest.mark.parametrize("wrong", [{"why": "because"}, {"because": " "}, {"identifiers": []}])
def test_a_reopening_without_its_reason_changes_nothing(
    memory_shop: Shop, wrong: dict[str, object]
) -> None:
    request = refused()
    before = everything()
    with pytest.raises(UsageError):
        reopen.reopen_case(request, by=OFFICER, **{"identifiers": ANN_NOW, **WHY, **wrong})
    assert everything() == before


def test_who_has_another_open_case_goes_on_there(memory_shop: Shop) -> None:
    request = refused()
    other = planned(SUBJECT)
    with pytest.raises(UsageError, match=str(other.pk)):
        reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)


def test_the_time_to_answer_counts_from_the_reopening(memory_shop: Shop) -> None:
    request = refused()
    ErasureRequest.objects.update(received_at=datetime(2026, 1, 2, tzinfo=UTC))
    request.refresh_from_db()
    at = datetime(2026, 8, 31, 9, tzinfo=UTC)
    reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, at=at, **WHY)
    assert request.due_at is not None
    assert timezone.localdate(request.due_at) == date(2026, 9, 30)
    assert list(records.over(timezone.now() + timedelta(days=9999))) == []


def test_a_sweep_that_saw_the_case_closed_leaves_its_new_keys(memory_shop: Shop) -> None:
    request = refused()
    seen_closed = ErasureRequest.objects.get()
    reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    case.forget_identifiers(seen_closed)
    finish_keys()
    assert disclose.show_identifiers(request, by=OFFICER)


def test_only_those_who_may_look_and_reopen(memory_shop: MemoryShop) -> None:
    request = refused()
    before = everything()
    for nobody in (AUDITOR, DPO, APPROVER, Actor("ingo")):
        with pytest.raises(Denied, match="is for officer"):
            reopen.reopen_case(request, identifiers=ANN_NOW, by=nobody, **WHY)
    assert everything() == before
    assert not SuppressionEntry.objects.exists()
