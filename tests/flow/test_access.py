"""A copy is all that is asked for: gathered along the plan of an erasure, handed over, and closed;
nothing is erased."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import Denied, KeyDestroyed, StalePlan, UsageError, WrongState
from erasure.flow import decide, export, extend, identify, intake, planning, reopen, route
from erasure.models import Certificate, ErasureRequest, Event, Export
from erasure.runs import dues
from tests.flow.cast import (
    APPROVER,
    AUDITOR,
    NOBODY,
    OFFICER,
    OLGA,
    SUBJECT,
    MemoryShop,
    Shop,
)
from tests.flow.deeds import sweep
from tests.flow.test_export import opened

RIGHTS = ["access", "portability"]


def asked(email: str = SUBJECT, right: str = "access") -> ErasureRequest:
    """A copy is asked for, and it is known who asks."""
    request = intake.open_request([("email", email)], by=OFFICER, right=right)
    return identify.confirm_identity(request, by=OFFICER, method="rang back")


@pytest.mark.parametrize("right", RIGHTS)
def test_a_copy_is_gathered_by_itself_and_handing_it_over_answers_the_case(
    shop: Shop, right: str
) -> None:
    before, request = shop.everything(), asked(right=right)
    sweep()
    request.refresh_from_db()
    assert request.state == "gathering"
    made = request.exports.get()
    assert made.state == "ready"
    assert "data/001" in str(opened(made).namelist())
    with pytest.raises(Denied):
        export.hand_over(made, by=AUDITOR)
    export.hand_over(made, by=OFFICER)
    request.refresh_from_db()
    assert (request.state, request.closed_at is not None) == ("answered", True)
    assert not dues.unanswered(ErasureRequest.objects.filter(pk=request.pk)).exists()
    sweep()
    made.refresh_from_db()
    assert made.state == "destroyed"
    for purpose in ("identifiers", "deferred"):
        with pytest.raises(KeyDestroyed):
            vault.open_key(request.id, purpose)
    assert shop.everything() == before
    assert not Certificate.objects.exists()


def test_the_plan_of_a_copy_is_never_approved_and_nothing_goes(memory_shop: MemoryShop) -> None:
    before, request = memory_shop.everything(), asked()
    planning.make_plan(request, by=OFFICER)
    digest = request.plans.get().digest
    with pytest.raises(WrongState):
        decide.approve_plan(request, digest=digest, by=APPROVER)
    request.refresh_from_db()
    assert (request.state, request.plans.get().state) == ("gathering", "draft")
    with pytest.raises((WrongState, StalePlan)):
        decide.approve_plan(request, digest=digest, by=OLGA)
    sweep()
    assert memory_shop.everything() == before


def test_a_worker_that_dies_between_plan_and_order_loses_no_copy(memory_shop: MemoryShop) -> None:
    request = asked()
    planning.make_plan(request, by=OFFICER)
    assert not request.exports.exists()
    sweep()
    assert request.exports.get().state == "ready"


def test_a_copy_that_was_cancelled_is_ordered_by_a_person_alone(memory_shop: MemoryShop) -> None:
    request = asked()
    sweep()
    export.cancel_export(request.exports.get(), by=OFFICER)
    sweep()
    assert [one.state for one in request.exports.all()] == ["destroyed"]
    export.order_export(ErasureRequest.objects.get(pk=request.pk), by=OFFICER)
    sweep()
    assert {one.state for one in Export.objects.all()} == {"destroyed", "ready"}


def test_a_copy_that_nobody_fetches_is_destroyed_and_the_case_stays_open(
    memory_shop: MemoryShop,
) -> None:
    request = asked()
    sweep()
    Export.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    sweep()
    request.refresh_from_db()
    assert (request.state, request.exports.get().state) == ("gathering", "destroyed")
    with pytest.raises(WrongState):
        export.hand_over(request.exports.get(), by=OFFICER)
    assert request.state == "gathering"


def test_a_copy_is_extended_refused_and_withdrawn_as_any_request(memory_shop: MemoryShop) -> None:
    request = asked()
    sweep()
    request.refresh_from_db()
    extend.extend_deadline(request, because="many systems", by=OFFICER)
    decide.refuse_request(request, by=OFFICER, because="manifestly repeated")
    sweep()
    assert request.exports.get().state == "destroyed"
    other = asked(right="portability")
    sweep()
    other.refresh_from_db()
    decide.withdraw_request(other, by=OFFICER)
    assert other.state == "withdrawn"


def test_of_somebody_unknown_there_is_nothing_to_copy(memory_shop: MemoryShop) -> None:
    request = asked(NOBODY)
    sweep()
    request.refresh_from_db()
    assert (request.state, request.exports.count()) == ("no_data", 0)


def test_an_answered_case_is_reopened_and_another_copy_is_gathered(
    memory_shop: MemoryShop,
) -> None:
    request = asked()
    sweep()
    export.hand_over(request.exports.get(), by=OFFICER)
    sweep()
    request.refresh_from_db()
    reopen.reopen_case(
        request, identifiers=[("email", SUBJECT)], why="asked_again", because="lost it", by=OFFICER
    )
    identify.confirm_identity(request, by=OFFICER, method="rang back")
    sweep()
    request.refresh_from_db()
    assert request.state == "gathering"
    export.hand_over(request.exports.exclude(state="destroyed").get(), by=OFFICER)
    request.refresh_from_db()
    assert request.state == "answered"


def test_other_rights_are_handed_on_and_nothing_is_gathered(memory_shop: MemoryShop) -> None:
    request = asked(right="objection")
    sweep()
    request.refresh_from_db()
    assert request.state == "identified"
    with pytest.raises(UsageError, match="objection"):
        export.order_export(request, by=OFFICER)
    route.forward_request(request, to="marketing", because="they stop it", by=OFFICER)
    assert Event.objects.filter(subject_id=str(request.pk), to_state="forwarded").exists()
