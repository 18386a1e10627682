"""The officer's desk: the way of a case, decisions, and recipients who are told by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks

from config.celery import app as celery_app
from erasure.advance import due_jobs
from erasure.domain.errors import UsageError
from erasure.flow import decide, execute
from erasure.inline import approve, run_inline
from erasure.models import ErasureRequest, LedgerLeaf, Notice, Plan, StoreRun
from erasure.transitions import move
from tests.flow.cast import CONSOLE, OLGA
from tests.scenarios.small_shop import EMAIL, dump
from tests.web.conftest import (
    FORM,
    LIST,
    Person,
    digest_shown,
    everything_written,
    other,
    page,
    plan_of,
)

# --- the way of a case ---------------------------------------------------------------------------


def test_a_request_goes_from_the_form_to_the_certificate(
    officer: Person, approver: Person, shop: Path
) -> None:
    answer = officer.post(f"{LIST}add/", **FORM)
    case = ErasureRequest.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == page(case)
    assert (case.state, case.opened_by, case.channel) == ("identified", "olga", "desk")
    assert "The plan is being made" in officer.told(case)
    plan_of(case)
    shown = approver.case(case)
    for part in ("Waiting for approval", "shop.invoice", "Keep: the law asks for it", "Tax law"):
        assert part in shown
    assert "shop.customer.id → shop.orders.customer_id" in shown
    approver.post(page(case, "approve"), digest=digest_shown(shown))
    assert "The run has been queued" in approver.told(case)
    assert run_inline(case).state == "partly_granted"
    shown = officer.case(case)
    for part in ("Erased, except what the law keeps", "by arne", "Not erased:", "signed file"):
        assert part in shown
    assert EMAIL not in str(dump(shop)).casefold()


def test_asking_twice_leads_to_the_open_case(officer: Person, planned: ErasureRequest) -> None:
    answer = officer.post(f"{LIST}add/", **FORM)
    assert answer["Location"] == page(planned)
    assert "has an open case already" in officer.told(planned)
    assert ErasureRequest.objects.count() == 1


def test_a_refusal_is_kept_with_its_reason(officer: Person, planned: ErasureRequest) -> None:
    officer.post(page(planned, "refuse"), because="not this customer")
    planned.refresh_from_db()
    assert planned.state == "refused"
    assert "not this customer" not in officer.case(planned)
    assert "not this customer" in officer.reasons(planned)


def test_a_refusal_says_as_what(officer: Person, planned: ErasureRequest) -> None:
    assert '<option value="excessive">' in officer.case(planned)
    officer.post(page(planned, "refuse"), because="nothing is owed", code="fee_unpaid")
    planned.refresh_from_db()
    assert planned.state == "planned"
    assert "no fee is waited for" in officer.told(planned)
    officer.post(page(planned, "refuse"), because="the tenth this week", code="excessive")
    planned.refresh_from_db()
    assert (planned.state, planned.refused_for) == ("refused", "excessive")


@pytest.mark.parametrize("because", ["", "   "])
def test_a_refusal_without_a_reason_is_none(
    officer: Person, planned: ErasureRequest, because: str
) -> None:
    officer.post(page(planned, "refuse"), because=because)
    planned.refresh_from_db()
    assert planned.state == "planned"
    assert "needs a reason" in officer.told(planned)


def test_a_reason_that_names_the_person_is_not_kept(
    officer: Person, planned: ErasureRequest
) -> None:
    before = everything_written()
    officer.post(page(planned, "refuse"), because=f"we know no {EMAIL.upper()} here")
    assert everything_written() == before
    assert "leave that out" in officer.told(planned)


def blocked_in_shop(case: ErasureRequest) -> StoreRun:
    """The approved case, blocked by its only store before anything was done there."""
    approve(case, by=CONSOLE, because="test")
    run = execute.start_run(case)
    assert run is not None
    execute.block_store(run.stores.get(), "shop_db: is closed for repair; open it and try again")
    run_inline(case)
    assert case.state == "blocked"
    return run.stores.get()


def test_a_blocked_case_says_why_and_goes_on_when_it_is_tried_again(
    officer: Person, planned: ErasureRequest
) -> None:
    store = blocked_in_shop(planned)
    shown = officer.case(planned)
    assert "is closed for repair" in shown
    assert "http-equiv" not in shown
    officer.post(page(planned, "retry"))
    store.refresh_from_db()
    assert store.state == "pending"
    assert run_inline(planned).state == "partly_granted"


def test_a_decision_stands_when_the_broker_is_down(
    approver: Person,
    planned: ErasureRequest,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(celery_app.tasks["erasure.tasks.advance"], "apply_async", refused)
    digest = digest_shown(approver.case(planned))
    with django_capture_on_commit_callbacks(execute=True) as sent:
        assert approver.post(page(planned, "approve"), digest=digest).status_code == 302
    assert len(sent) == 1
    planned.refresh_from_db()
    assert planned.state == "approved"
    assert [job.id for job in due_jobs()] == [planned.pk]


# --- exactly what was shown ----------------------------------------------------------------------


@pytest.mark.parametrize("digest", ["", "0" * 64, "not a digest"])
def test_another_digest_than_the_one_shown_approves_nothing(
    approver: Person, planned: ErasureRequest, digest: str
) -> None:
    before = everything_written()
    approver.post(page(planned, "approve"), digest=digest)
    assert everything_written() == before
    assert "look at it again" in approver.told(planned)


def test_a_plan_that_was_made_anew_is_not_approved_by_the_old_page(
    approver: Person, planned: ErasureRequest
) -> None:
    old = digest_shown(approver.case(planned))
    Plan.objects.filter(request=planned).update(digest="f" * 64)
    approver.post(page(planned, "approve"), digest=old)
    assert Plan.objects.get().state == "draft"
    assert digest_shown(approver.case(planned)) == "f" * 64


@pytest.mark.parametrize("deed", ["approve", "refuse", "retry", "again"])
def test_a_deed_that_the_state_does_not_allow_becomes_a_message(
    officer: Person, opened: ErasureRequest, deed: str
) -> None:
    move(opened, "withdrawn", by="test")
    before = everything_written()
    answer = officer.post(page(opened, deed), because="too late", digest="0" * 64)
    assert answer.status_code == 302
    assert everything_written() == before
    assert 'class="error"' in officer.told(opened)


# --- four eyes -----------------------------------------------------------------------------------


def test_who_opened_a_request_cannot_approve_its_plan(
    officer: Person, approver: Person, planned: ErasureRequest
) -> None:
    digest = digest_shown(approver.case(planned))
    assert "Somebody else approves its plan" in officer.case(planned)
    before = everything_written()
    officer.post(page(planned, "approve"), digest=digest)
    assert everything_written() == before
    assert "let another officer approve it" in officer.told(planned)


def test_one_pair_of_eyes_is_enough_where_the_setting_says_so(
    officer: Person, planned: ErasureRequest, settings: LazySettings
) -> None:
    settings.LETHE_FOUR_EYES = False
    officer.post(page(planned, "approve"), digest=digest_shown(officer.case(planned)))
    planned.refresh_from_db()
    assert planned.state == "approved"


def test_the_console_approves_what_it_opened_and_is_recorded(planned: ErasureRequest) -> None:
    digest = planned.plans.get().digest
    with pytest.raises(UsageError, match="another officer"):
        decide.approve_plan(planned, digest=digest, by=OLGA)
    approve(planned, by=CONSOLE, because="on the console")
    assert f'"by":"{CONSOLE}"' in LedgerLeaf.objects.get(kind="approved").payload


# --- recipients told by hand ---------------------------------------------------------------------


def test_an_officer_confirms_once_that_a_recipient_was_told(
    officer: Person, approver: Person, planned: ErasureRequest
) -> None:
    notice = Notice.objects.create(request=planned, dataset="mail.recipients", store="mail")
    address = f"{LIST}{planned.pk}/told/{notice.pk}/"
    assert "I have told them" in officer.case(planned)
    officer.post(address)
    notice.refresh_from_db()
    assert notice.told_by == "olga"
    leaf = LedgerLeaf.objects.get(kind="told")
    assert leaf.request == str(planned.pk)
    assert json.loads(leaf.payload)["dataset"] == "mail.recipients"
    assert "I have told them" not in officer.case(planned)
    approver.post(address)
    assert "was confirmed before" in approver.told(planned)
    notice.refresh_from_db()
    assert notice.told_by == "olga"
    assert LedgerLeaf.objects.filter(kind="told").count() == 1


def test_a_notice_is_confirmed_on_its_own_case_only(
    officer: Person, planned: ErasureRequest
) -> None:
    notice = Notice.objects.create(request=planned, dataset="mail.recipients", store="mail")
    somebody = other("completed", 3)
    assert officer.post(f"{LIST}{somebody.pk}/told/{notice.pk}/").status_code == 404
    notice.refresh_from_db()
    assert notice.told_at is None
