"""A case of which something may be erased is gone on with: nobody ends or halts it as if nothing
had been done. One that is blocked before its run can still be ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from erasure.domain.errors import UsageError, WrongState
from erasure.flow import charge, decide, identify, intake, route
from erasure.models import ErasureRequest, Event, Identifier, LedgerLeaf
from tests.flow.cast import OFFICER, SUBJECT, Shop
from tests.flow.deeds import approved, identified, planned, work_off

Deed = Callable[[ErasureRequest], object]
ENDING: dict[str, Deed] = {
    "refuse": lambda r: decide.refuse_request(r, by=OFFICER, because="not a customer"),
    "withdraw": lambda r: decide.withdraw_request(r, by=OFFICER),
    "forward": lambda r: route.forward_request(r, by=OFFICER, to="the shop", because="theirs"),
    "ask identity": lambda r: identify.ask_identity(r, by=OFFICER, doubt="another name"),
}


def everything() -> tuple[object, ...]:
    return (
        list(ErasureRequest.objects.order_by("pk").values()),
        list(Identifier.objects.order_by("pk").values()),
        Event.objects.count(),
        LedgerLeaf.objects.count(),
    )


@pytest.mark.parametrize("state", ["identified", "planned", "blocked"])
@pytest.mark.parametrize("deed", [*ENDING, "ask fee"])
def test_what_was_begun_is_not_ended_as_if_nothing_were_gone(
    memory_shop: Shop, deed: str, state: str
) -> None:
    """As a case is planned again after the deep re-scan has seen something."""
    request = approved(SUBJECT)
    work_off(request)
    ErasureRequest.objects.update(state=state)
    request.refresh_from_db()
    before = everything()
    ending = ENDING | {
        "ask fee": lambda r: charge.ask_fee(r, because="for the third time", by=OFFICER)
    }
    with pytest.raises(WrongState, match=r"its erasure has begun|no fee can be asked"):
        ending[deed](request)
    assert everything() == before


def test_what_was_begun_is_not_linked_to_another(memory_shop: Shop) -> None:
    first = planned(SUBJECT)
    ErasureRequest.objects.update(state="refused")
    request = approved(SUBJECT)
    work_off(request)
    ErasureRequest.objects.update(state="planned")
    request.refresh_from_db()
    first.refresh_from_db()
    with pytest.raises(WrongState, match="has begun"):
        route.link_duplicate(request, of=first, by=OFFICER)
    assert ErasureRequest.objects.filter(state="planned").count() == 2


@pytest.mark.parametrize("deed", ENDING)
def test_a_case_that_could_not_be_planned_can_still_be_ended(memory_shop: Shop, deed: str) -> None:
    request = identified(("email", SUBJECT))
    ErasureRequest.objects.update(state="blocked", blocked_because="shop_db: is away")
    request.refresh_from_db()
    ENDING[deed](request)
    request.refresh_from_db()
    assert request.state in ("refused", "withdrawn", "forwarded", "identity_required")
    assert request.blocked_because == ""


def test_a_whole_request_does_not_go_on_in_one_store_alone(memory_shop: Shop) -> None:
    one = intake.open_request(
        [("email", SUBJECT)], by=OFFICER, channel="replay", only_store="crm_db"
    )
    whole = planned(SUBJECT)
    assert whole.pk != one.pk
    with pytest.raises(UsageError, match="looks in other stores"):
        route.link_duplicate(whole, of=one, by=OFFICER)
    whole.refresh_from_db()
    assert whole.state == "planned"
