"""A right that nothing here carries out is answered by hand: what was done is on record, sealed,
and the case ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from erasure import vault
from erasure.domain.errors import Denied, KeyDestroyed, UsageError, WrongState
from erasure.domain.roles import Actor
from erasure.flow import decide, identify, intake, reopen, route
from erasure.models import DataKey, ErasureRequest, Event, LedgerLeaf
from erasure.runs import dues, reasoning
from tests.flow.cast import APPROVER, AUDITOR, DPO, OFFICER, SUBJECT, MemoryShop
from tests.flow.deeds import sweep
from tests.flow.test_roles import everything

pytestmark = pytest.mark.usefixtures("memory_shop")

BY_HAND = ["rectification", "restriction", "objection"]
DONE = "The street is now Long Road 2, for Ann."


def opened(right: str = "rectification") -> ErasureRequest:
    return intake.open_request([("email", SUBJECT)], by=OFFICER, right=right)


def asked(right: str = "rectification") -> ErasureRequest:
    """It is known who asks for what nothing here carries out."""
    return identify.confirm_identity(opened(right), by=OFFICER, method="rang back")


def answered(right: str = "rectification", because: str = DONE) -> ErasureRequest:
    return route.answer_request(asked(right), by=OFFICER, because=because)


@pytest.mark.parametrize("right", BY_HAND)
def test_it_ends_with_its_answer_and_keeps_nothing_that_the_person_gave(
    right: str, memory_shop: MemoryShop
) -> None:
    before, request = memory_shop.everything(), answered(right)
    sweep()
    request.refresh_from_db()
    assert (request.state, request.closed_at is not None) == ("answered", True)
    one = ErasureRequest.objects.filter(pk=request.pk)
    assert not dues.unanswered(one).exists()
    assert not dues.to_hand_on(one).exists()
    for purpose in ("identifiers", "deferred"):
        with pytest.raises(KeyDestroyed):
            vault.open_key(request.id, purpose)
    assert memory_shop.everything() == before


def test_what_was_done_is_sealed_and_stands_nowhere_in_clear() -> None:
    request = answered()
    (reason,) = request.reasoning.all()
    assert (reason.about, reason.by, reasoning.read(reason)) == ("answer", OFFICER, DONE)
    for text in (
        *map(str, Event.objects.values_list("because", flat=True)),
        *map(str, LedgerLeaf.objects.values_list("payload", flat=True)),
        repr(bytes(reason.sealed)),
    ):
        assert "Long Road" not in text
    assert [given.about for given in reasoning.given_in(request)] == ["answer"]
    assert '"right":"rectification"' in LedgerLeaf.objects.get(kind="answered").payload


@pytest.mark.parametrize(
    ("right", "how"),
    [
        ("erasure", "its plan"),
        ("access", "its copy, handed over"),
        ("portability", "its copy, handed over"),
    ],
)
def test_what_is_carried_out_here_is_not_answered_by_hand(right: str, how: str) -> None:
    request = asked(right)
    before = everything()
    with pytest.raises(UsageError, match=f"is answered by {how}"):
        route.answer_request(request, by=OFFICER, because=DONE)
    assert (request.state, everything()) == ("identified", before)


def doubted() -> ErasureRequest:
    return identify.ask_identity(opened(), by=OFFICER, doubt="another voice")


def forwarded() -> ErasureRequest:
    return route.forward_request(asked(), to="the shop team", because="theirs", by=OFFICER)


def refused() -> ErasureRequest:
    return decide.refuse_request(asked(), by=OFFICER, because="not a customer")


def withdrawn() -> ErasureRequest:
    return decide.withdraw_request(asked(), by=OFFICER)


@pytest.mark.parametrize("made", [opened, doubted, forwarded, refused, withdrawn, answered])
def test_nobody_is_answered_before_it_is_known_who_asks_or_when_the_case_has_ended(
    made: Callable[[], ErasureRequest],
) -> None:
    request = made()
    state, before = request.state, everything()
    with pytest.raises(WrongState):
        route.answer_request(request, by=OFFICER, because=DONE)
    assert (request.state, everything()) == (state, before)


@pytest.mark.parametrize("words", ["", "  ", "a\x00b", "a\ud800b", "x" * 10_001])
def test_an_answer_says_what_was_done_in_words_that_can_be_kept(words: str) -> None:
    request = asked()
    before = everything()
    with pytest.raises(UsageError, match="give the reason"):
        route.answer_request(request, by=OFFICER, because=words)
    assert (request.state, everything()) == ("identified", before)


@pytest.mark.parametrize("by", [APPROVER, DPO, AUDITOR, "officer"])
def test_only_who_may_route_a_case_answers_it(by: Actor) -> None:
    request = asked()
    before = everything()
    with pytest.raises(Denied):
        route.answer_request(request, by=by, because=DONE)
    assert everything() == before


def test_an_answer_that_was_wrong_is_reopened_and_given_again() -> None:
    request = answered()
    again = {"identifiers": [("email", SUBJECT)], "why": "asked_again", "because": "still wrong"}
    reopen.reopen_case(request, **again, by=OFFICER)  # type: ignore[arg-type]
    identify.confirm_identity(request, by=OFFICER, method="rang back")
    route.answer_request(request, by=OFFICER, because="The number too.")
    said = request.reasoning.filter(about="answer")
    assert [reasoning.read(one) for one in said] == [DONE, "The number too."]
    keys = DataKey.objects.filter(owner=request.pk, purpose="identifiers")
    assert all(key.destroyed_at for key in keys)
