"""Who may have whom forgotten: only what was proved is searched by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import LazySettings
from django.utils import timezone

from erasure.advance import finish_keys
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.identity import Asker
from erasure.domain.roles import THE_PERSON
from erasure.domain.states import REQUEST
from erasure.flow import decide, identify, intake, planning
from erasure.models import ErasureRequest, Event, Identifier, LedgerLeaf, Token
from erasure.runs import tokens
from tests.flow.account import PUBLIC, assertion
from tests.flow.cast import (
    APPROVER,
    BEN,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    MemoryShop,
    Shop,
)
from tests.flow.deeds import work_off

NEIGHBOURS_PHONE = ("phone", "030 5550002")


def asked(*identifiers: tuple[str, str], asked_by: Asker = "self") -> ErasureRequest:
    """A request of which nothing is proved."""
    given = identifiers or (("email", SUBJECT),)
    return intake.open_request(given, by=THE_PERSON, channel="portal", asked_by=asked_by)


def erased(request: ErasureRequest) -> ErasureRequest:
    """Planned, approved and carried out."""
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    work_off(request)
    return request


def proofs(request: ErasureRequest) -> dict[str, str]:
    """By kind, what has proved it."""
    return dict(request.identifiers.values_list("kind", "proved_by"))


def everything() -> tuple[Any, ...]:
    """What a refused deed may not have changed."""
    return (
        list(ErasureRequest.objects.order_by("pk").values()),
        list(Identifier.objects.order_by("pk").values()),
        Event.objects.count(),
        LedgerLeaf.objects.count(),
    )


# --- what was not proved ---


def test_nobody_has_their_neighbour_forgotten_by_typing_their_number(
    memory_shop: MemoryShop,
) -> None:
    before = memory_shop.rows("customer")
    request = asked(("email", SUBJECT), NEIGHBOURS_PHONE)
    identify.confirm_identity(request, by=OFFICER, method="card", proves=["email"])
    assert proofs(request) == {"email": "officer", "phone": ""}
    erased(request)
    after = memory_shop.rows("customer")
    assert [r for r in after if r["id"] == BEN] == [r for r in before if r["id"] == BEN]
    assert SUBJECT not in str(after).casefold()


@pytest.mark.parametrize("proves", [[], ["phone"], ["email", "phone"]])
@pytest.mark.usefixtures("memory_shop")
def test_a_check_that_proves_nothing_that_was_given_is_none(proves: list[str]) -> None:
    request = asked()
    before = everything()
    with pytest.raises(UsageError, match="identity:"):
        identify.confirm_identity(request, by=OFFICER, method="card", proves=proves)
    assert everything() == before


@pytest.mark.usefixtures("memory_shop")
def test_a_later_doubt_takes_the_proof_back() -> None:
    request = asked(("email", SUBJECT), NEIGHBOURS_PHONE)
    identify.confirm_identity(request, by=OFFICER, method="card")
    identify.ask_identity(request, by=OFFICER, doubt="the number is on another account")
    assert proofs(request) == {"email": "", "phone": ""}
    identify.confirm_identity(request, by=OFFICER, method="card", proves=["email"])
    assert proofs(request) == {"email": "officer", "phone": ""}


# --- several people behind what was proved ---


def sharing(shop: Shop, **changes: Any) -> ErasureRequest:
    """The neighbour uses the subject's mailbox too; the subject's case, planned."""
    shop.change("customer", BEN, email=SUBJECT, **changes)
    request = asked()
    identify.confirm_identity(request, by=OFFICER, method="card")
    assert planning.make_plan(request, by=OFFICER)
    return request


def test_two_people_behind_one_mailbox_stop_the_plan_until_an_officer_has_looked(
    shop: Shop,
) -> None:
    request = sharing(shop)
    plan = request.plans.get(state="draft")
    (finding,) = plan.findings
    assert (finding["code"], finding["rows"]) == ("people:shop.customer", 2)
    assert "under 2 names" in finding["words"]
    for private in (SUBJECT, "ann", "ben"):
        assert private not in str(finding).casefold()
    before = shop.everything(), everything()
    with pytest.raises(UsageError, match=r"people:shop\.customer"):
        decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    assert (shop.everything(), everything()) == before
    decide.approve_plan(request, digest=plan.digest, by=APPROVER, accept=["people:shop.customer"])


def test_a_second_account_under_the_same_name_asks_nobody(shop: Shop) -> None:
    request = sharing(shop, name="Ann ARCHER")
    assert request.plans.get(state="draft").findings == []


def test_somebody_who_begins_to_share_the_mailbox_later_makes_the_plan_stale(shop: Shop) -> None:
    request = asked()
    identify.confirm_identity(request, by=OFFICER, method="card")
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    shop.change("customer", BEN, email=SUBJECT)
    work_off(request)
    assert request.state == "planned"
    assert [f["kind"] for f in request.plans.get(state="draft").findings] == ["people"]
    assert shop.row("customer", BEN) is not None


def test_more_rows_than_policy_expects_must_be_accepted(shop: Shop, settings: LazySettings) -> None:
    settings.LETHE_MOST_ROWS = 3
    request = asked()
    identify.confirm_identity(request, by=OFFICER, method="card")
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    (finding,) = plan.findings
    assert finding["code"] == "many-rows"
    before = shop.everything(), everything()
    with pytest.raises(UsageError, match="many-rows"):
        decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    assert (shop.everything(), everything()) == before
    decide.approve_plan(request, digest=plan.digest, by=APPROVER, accept=["many-rows"])
    work_off(request)
    assert request.state == "partly_granted"


# --- a mailbox ---


@pytest.mark.usefixtures("memory_shop")
def test_a_confirmed_mailbox_proves_the_address_and_waits_for_an_officer() -> None:
    request = asked(("email", SUBJECT), NEIGHBOURS_PHONE)
    token = tokens.issue(request)
    assert token not in str(list(Token.objects.values()))
    assert identify.confirm_mailbox(token).state == "confirmed"
    assert proofs(request) == {"email": "mailbox", "phone": ""}


@pytest.mark.usefixtures("memory_shop")
def test_where_policy_lets_it_a_confirmed_mailbox_is_enough_for_that_address(
    settings: LazySettings,
) -> None:
    settings.LETHE_MAILBOX_SUFFICES = True
    request = asked(("email", SUBJECT), NEIGHBOURS_PHONE)
    found = identify.confirm_mailbox(tokens.issue(request))
    assert (found.state, found.identity_check) == ("identified", "mailbox confirmed")
    assert proofs(request) == {"email": "mailbox", "phone": ""}


@pytest.mark.usefixtures("memory_shop")
def test_policy_never_lets_an_agent_pass_by_a_mailbox(settings: LazySettings) -> None:
    settings.LETHE_MAILBOX_SUFFICES = True
    request = asked(asked_by="agent")
    assert identify.confirm_mailbox(tokens.issue(request)).state == "confirmed"


@pytest.mark.usefixtures("memory_shop")
def test_a_link_works_once_until_it_expires_and_only_the_newest(settings: LazySettings) -> None:
    request = asked()
    now = timezone.now()
    old = tokens.issue(request, now=now)
    late = now + timedelta(hours=settings.LETHE_LINK_HOURS, seconds=1)
    newest = tokens.issue(request, now=now)
    before = everything()
    for token, at in ((old, now), (newest, late), ("guessed", now), ("", now)):
        with pytest.raises(UsageError, match="this link is not valid any more"):
            identify.confirm_mailbox(token, now=at)
    assert everything() == before
    identify.confirm_mailbox(newest, now=now)
    with pytest.raises(UsageError, match="not valid any more"):
        identify.confirm_mailbox(newest, now=now)


@pytest.mark.parametrize(
    "given",
    [[NEIGHBOURS_PHONE], [("email", SUBJECT), ("email", NEIGHBOUR)]],
    ids=["no mailbox", "two mailboxes"],
)
@pytest.mark.usefixtures("memory_shop")
def test_only_one_mailbox_can_be_confirmed(given: list[tuple[str, str]]) -> None:
    request = asked(*given)
    with pytest.raises(UsageError, match="no one mailbox"):
        tokens.issue(request)
    assert not Token.objects.exists()


@pytest.mark.usefixtures("memory_shop")
def test_expired_tokens_are_swept() -> None:
    tokens.issue(asked(), now=timezone.now() - timedelta(days=40))
    finish_keys()
    assert not Token.objects.exists()


# --- the controller's own login ---


@pytest.fixture
def login(settings: LazySettings) -> None:
    """The controller's login may vouch for people."""
    settings.LETHE_ACCOUNT_KEY = PUBLIC


@pytest.mark.usefixtures("memory_shop", "login")
def test_a_login_vouches_for_what_it_names_and_nothing_else() -> None:
    request = asked(("email", SUBJECT), NEIGHBOURS_PHONE)
    identify.confirm_by_login(request, assertion())
    assert (request.state, request.identity_check) == ("identified", "logged in")
    assert proofs(request) == {"email": "account", "phone": ""}


@pytest.mark.usefixtures("memory_shop", "login")
def test_an_assertion_works_once() -> None:
    said = assertion()
    identify.confirm_by_login(asked(), said)
    other = asked(("email", NEIGHBOUR))
    with pytest.raises(UsageError, match="used before"):
        identify.confirm_by_login(other, said)
    assert other.state == "received"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": Ed25519PrivateKey.generate()}, "InvalidSignature"),
        ({"key": "x" * 32, "algorithm": "HS256"}, "InvalidAlgorithm"),
        ({"key": "", "algorithm": "none"}, "InvalidAlgorithm"),
        ({"aud": "shop"}, "InvalidAudience"),
        ({"aud": None}, "MissingRequiredClaim"),
        ({"jti": None}, "MissingRequiredClaim"),
        ({"exp": datetime(2020, 1, 1, tzinfo=UTC)}, "ExpiredSignature"),
        ({"exp": datetime.now(UTC) + timedelta(days=1)}, "over ten minutes"),
        ({"identifiers": None}, "names no identifiers"),
        ({"identifiers": [SUBJECT]}, "names no identifiers"),
        ({"identifiers": {"email": NEIGHBOUR}}, "was not made for whoever has logged in"),
    ],
)
@pytest.mark.usefixtures("memory_shop", "login")
def test_an_assertion_that_proves_nothing_changes_nothing(
    changes: dict[str, Any], why: str
) -> None:
    request = asked()
    before = everything()
    with pytest.raises(UsageError, match=why) as caught:
        identify.confirm_by_login(request, assertion(**changes))
    assert everything() == before
    for private in (SUBJECT, NEIGHBOUR):
        assert private not in str(caught.value).casefold()


@pytest.mark.usefixtures("memory_shop")
def test_without_a_key_no_login_can_vouch() -> None:
    with pytest.raises(UsageError, match="LETHE_ACCOUNT_KEY"):
        identify.confirm_by_login(asked(), assertion())


# --- who asks for somebody else ---


@pytest.mark.parametrize("asked_by", ["agent", "guardian"])
@pytest.mark.usefixtures("memory_shop")
def test_who_asks_for_another_shows_a_mandate(asked_by: Asker) -> None:
    request = asked(asked_by=asked_by)
    before = everything()
    with pytest.raises(UsageError, match="mandate"):
        identify.confirm_identity(request, by=OFFICER, method="card")
    assert everything() == before
    identify.confirm_identity(
        request, by=OFFICER, method="card", mandate="power of attorney, seen and returned"
    )
    request.refresh_from_db()
    assert request.mandate == "power of attorney, seen and returned"


@pytest.mark.usefixtures("memory_shop", "login")
def test_a_login_is_no_mandate() -> None:
    request = asked(asked_by="agent")
    with pytest.raises(UsageError, match="mandate"):
        identify.confirm_by_login(request, assertion())
    assert request.state == "received"


@pytest.mark.usefixtures("memory_shop")
def test_a_mandate_may_not_repeat_what_the_person_is_known_by() -> None:
    request = asked(asked_by="guardian")
    with pytest.raises(UsageError, match="leave that out"):
        identify.confirm_identity(request, by=OFFICER, method="card", mandate=f"of {SUBJECT}")


@pytest.mark.usefixtures("memory_shop")
def test_a_case_that_has_ended_cannot_be_identified_again() -> None:
    request = asked()
    token = tokens.issue(request)
    decide.refuse_request(request, by=OFFICER, because="not a customer")
    with pytest.raises(WrongState):
        identify.confirm_identity(request, by=OFFICER, method="card")
    with pytest.raises(WrongState):
        identify.confirm_mailbox(token)


@pytest.mark.usefixtures("memory_shop", "login")
@pytest.mark.parametrize(
    "state", sorted(REQUEST.keys() - {"received", "confirmed", "identity_required", "reopened"})
)
def test_who_was_identified_is_not_identified_again_behind_their_plan_or_run(state: str) -> None:
    request = asked()
    ErasureRequest.objects.filter(pk=request.pk).update(state=state)
    request.refresh_from_db()
    before = everything()
    with pytest.raises(WrongState, match=f"is {state}, its identity is not to be checked now"):
        identify.confirm_identity(request, by=OFFICER, method="card")
    with pytest.raises(WrongState, match="is not to be checked now"):
        identify.confirm_by_login(request, assertion())
    assert everything() == before


@pytest.mark.usefixtures("memory_shop")
@pytest.mark.parametrize("deed", [decide.plan_again, decide.retry_blocked])
def test_nobody_comes_past_the_check_of_identity(deed: Callable[..., object]) -> None:
    request = asked()
    with pytest.raises(WrongState, match="is received"):
        deed(request, by=OFFICER)
    request.refresh_from_db()
    assert request.state == "received"
