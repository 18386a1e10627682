"""A store too large to be read for one person is read once for everybody who waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from erasure import vault
from erasure.advance import due_jobs, finish_keys, give_up, perform
from erasure.domain.errors import KeyDestroyed
from erasure.flow import attest, decide, verify
from erasure.models import Certificate, ErasureRequest
from tests.flow.cast import (
    APPROVER,
    BYSTANDER,
    CATALOGUE,
    CLEO,
    OFFICER,
    SUBJECT,
    Shop,
)
from tests.flow.deeds import approved, work_off
from tests.flow.spied import Spied

CRM = '{name: crm_db, kind: KIND, url: "CRM"'
LATER = CATALOGUE.read_text().replace(CRM, CRM + ", options: {rescan: scheduled}")


class Killed(BaseException):
    """The worker dies."""


@pytest.fixture
def later(shop: Shop) -> Shop:
    """The shop; what is in its CRM is looked at by schedule."""
    assert CRM in CATALOGUE.read_text()
    shop.describe(LATER)
    return shop


def erased(*emails: str) -> ErasureRequest:
    request = approved(*emails)
    work_off(request)
    assert request.state == "awaiting_rescan", request.blocked_because
    return request


def sweep(*requests: ErasureRequest) -> None:
    """What beat does when the re-scan is due: keys first, then whatever is due."""
    with override_settings(LETHE_RESCAN_HOURS=0):
        finish_keys()
        for job in list(due_jobs()):
            perform(job)
    for request in requests:
        request.refresh_from_db()


def body(request: ErasureRequest, addendum: str = "") -> Any:
    path = Path(Certificate.objects.get(pk=f"lethe-{request.id}{addendum}").path)
    return json.loads((Path(settings.LETHE_HOME) / path).read_text())["body"]


def key_is_there(request: ErasureRequest, purpose: str = "identifiers") -> bool:
    try:
        return bool(vault.open_key(request.id, purpose))
    except KeyDestroyed:
        return False


def come_back(shop: Shop) -> None:
    shop.create("newsletter", [{"id": 1, "mail": SUBJECT}], "crm_db")


def test_the_certificate_says_what_was_not_looked_into_yet(later: Shop) -> None:
    come_back(later)
    request = erased(SUBJECT)
    assert ("crm_db", "scan") not in Spied.asked
    said = body(request)
    assert said["decision"]["outcome"] == "awaiting_rescan"
    assert [r["dataset"] for r in said["residual"] if "re-scan is due" in r["reason"]] == ["crm_db"]
    assert not any(line.startswith("crm_db") for line in said["scope"]["searched_without_hit"])
    assert not any("verified_at" in at for at in said["locations"] if at["store"] == "crm_db")


def test_nobody_is_looked_for_before_the_first_is_due_and_no_key_dies(later: Shop) -> None:
    request = erased(SUBJECT)
    finish_keys()
    assert not list(due_jobs())
    assert request.state == "awaiting_rescan"
    assert key_is_there(request)
    assert key_is_there(request, "deferred")


def test_one_pass_looks_for_everybody_who_waits(later: Shop) -> None:
    ann, cleo = erased(SUBJECT), erased(BYSTANDER)
    assert ann.run_id != cleo.run_id
    Spied.asked.clear()
    sweep(ann, cleo)
    assert (ann.state, cleo.state) == ("partly_granted", "completed")
    assert Spied.asked.count(("crm_db", "scan")) == 1
    for request in (ann, cleo):
        added = body(request, "-1")
        assert added["amends"] == f"lethe-{request.id}"
        assert added["decision"]["outcome"] == request.state
        assert not any("re-scan is due" in r["reason"] for r in added["residual"])
        assert not key_is_there(request)
    sweep()
    assert Certificate.objects.count() == 4


def test_what_the_pass_sees_blocks_its_own_case_only_and_is_looked_for_again(
    later: Shop,
) -> None:
    ann, cleo = erased(SUBJECT), erased(BYSTANDER)
    come_back(later)
    sweep(ann, cleo)
    assert (ann.state, cleo.state) == ("blocked", "completed")
    assert "crm_db.newsletter.mail (1)" in ann.blocked_because
    assert body(ann, "-1")["decision"]["outcome"] == "blocked"
    assert key_is_there(ann)
    later.delete("newsletter", 1, "crm_db")
    assert decide.retry_blocked(ann, by=OFFICER).state == "identified"
    work_off(ann)
    assert ann.state == "awaiting_rescan"
    sweep(ann)
    assert ann.state == "partly_granted", ann.blocked_because
    assert body(ann, "-2")["amends"] == f"lethe-{ann.id}"


def test_a_row_that_came_back_is_erased_by_another_run(later: Shop) -> None:
    cleo = later.row("customer", CLEO)
    assert cleo is not None
    request = erased(BYSTANDER)
    first = request.run_id
    later.insert("customer", {**cleo, "id": 77})
    sweep(request)
    assert request.state == "blocked"
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(request)
    assert (request.state, request.run_id == first) == ("awaiting_rescan", False)
    assert body(request, "-again-1")["amends"] == f"lethe-{request.id}"
    sweep(request)
    assert request.state == "completed", request.blocked_because
    again = later.row("customer", 77)
    assert again is not None
    assert again["email"] != BYSTANDER


@pytest.mark.parametrize("where", ["scan", "write", "first", "second"])
def test_a_pass_that_is_killed_is_made_again_and_claims_nothing(
    where: str, later: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, cleo = erased(SUBJECT), erased(BYSTANDER)
    come_back(later)
    with monkeypatch.context() as patch:
        _die(where, patch)
        with pytest.raises(Killed):
            sweep()
    ann.refresh_from_db()
    assert ann.state == ("blocked" if where == "second" else "awaiting_rescan")
    cleo.refresh_from_db()
    assert cleo.state == "awaiting_rescan"
    assert key_is_there(cleo)
    sweep(ann, cleo)
    assert (ann.state, cleo.state) == ("blocked", "completed")
    assert "crm_db.newsletter.mail (1)" in ann.blocked_because
    assert not key_is_there(cleo)


def _die(where: str, patch: pytest.MonkeyPatch) -> None:
    calls = []

    def die(*_: Any) -> None:
        raise Killed

    def die_second(request: ErasureRequest, fence: Any) -> None:
        calls.append(request)
        if len(calls) == (2 if where == "second" else 1):
            raise Killed
        conclude(request, fence)

    conclude = attest.conclude_rescan
    if where == "scan":
        patch.setitem(Spied.before, ("shop_db", "scan"), die)
    elif where == "write":
        patch.setattr(verify, "_write", die)
    else:
        patch.setattr(attest, "conclude_rescan", die_second)


def test_a_store_that_cannot_be_read_is_seen_and_looked_into_once_it_can(later: Shop) -> None:
    request = erased(SUBJECT)
    with override_settings(LETHE_RESCAN_HOURS=0):
        (job,) = due_jobs()
    give_up(job, "crm_db: no connection")
    request.refresh_from_db()
    assert (request.state, request.blocked_because) == ("blocked", "crm_db: no connection")
    assert decide.retry_blocked(request, by=OFFICER).state == "awaiting_rescan"
    sweep(request)
    assert request.state == "partly_granted"


def test_a_pass_made_for_others_of_the_run_says_nothing_of_who_was_tried_again(
    later: Shop,
) -> None:
    later.insert("orders", {"id": 40, "customer_id": 1, "wish": "call Ann Archer"})
    ann, cleo = approved(SUBJECT), approved(BYSTANDER)
    work_off(ann, cleo)
    assert ann.run_id == cleo.run_id
    assert (ann.state, cleo.state) == ("blocked", "awaiting_rescan")
    sweep(cleo)
    assert cleo.state == "completed"
    come_back(later)
    later.delete("orders", 40)
    decide.retry_blocked(ann, by=OFFICER)
    work_off(ann)
    assert ann.state == "awaiting_rescan"
    sweep(ann)
    assert ann.state == "blocked"
