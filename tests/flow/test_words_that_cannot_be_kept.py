"""A reason with what no database can keep, or of no end, is refused before anything is done; on
PostgreSQL it was found when the deed was done, or half of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.flow import (
    charge,
    complain,
    decide,
    exempt,
    extend,
    hold,
    identify,
    intake,
    reopen,
    route,
    weigh,
)
from erasure.models import ErasureRequest
from tests.flow.cast import APPROVER, DPO, OFFICER, SUBJECT
from tests.flow.deeds import planned
from tests.flow.test_roles import everything

pytestmark = pytest.mark.usefixtures("memory_shop")

WORDS = {"nul": "a\x00b", "half": "a\ud800b", "endless": "x" * 300_000}


def refuse(case: ErasureRequest, words: str) -> object:
    return decide.refuse_request(case, by=OFFICER, because=words)


def withdraw(case: ErasureRequest, words: str) -> object:
    return decide.withdraw_request(case, by=OFFICER, because=words)


def approve(case: ErasureRequest, words: str) -> object:
    digest = case.plans.get().digest
    return decide.approve_plan(case, digest=digest, by=APPROVER, because=words)


def forward(case: ErasureRequest, words: str) -> object:
    return route.forward_request(case, to="elsewhere", because=words, by=OFFICER)


def prolong(case: ErasureRequest, words: str) -> object:
    return extend.extend_deadline(case, because=words, by=OFFICER)


def doubt(case: ErasureRequest, words: str) -> object:
    return identify.ask_identity(case, by=OFFICER, doubt=words)


def ask_fee(case: ErasureRequest, words: str) -> object:
    return charge.ask_fee(case, because=words, by=OFFICER)


def advise(case: ErasureRequest, words: str) -> object:
    digest = case.plans.get().digest
    return weigh.advise(case, digest=digest, advice="for", because=words, by=DPO)


def advise_on_nothing(case: ErasureRequest, words: str) -> object:
    return weigh.advise(case, digest=words, advice="for", because="x", by=DPO)


def keep(case: ErasureRequest, words: str) -> object:
    until = timezone.localdate() + timedelta(days=9)
    given: Any = {"dataset": "shop.message", "code": "legal_claims", "until": until}
    return exempt.add_exception(case, legal_reference="x", because=words, by=OFFICER, **given)


def place(case: ErasureRequest, words: str) -> object:
    given: Any = {"code": "legal_claims", "legal_reference": "x", "request": case}
    return hold.place_hold(because=words, by=OFFICER, **given)


def complain_of(case: ErasureRequest, words: str) -> object:
    return complain.open_complaint(request=case, because=words, by=OFFICER)


DEEDS = (
    *(refuse, withdraw, approve, forward, prolong, doubt, ask_fee, advise, advise_on_nothing),
    *(keep, place, complain_of),
)


@pytest.mark.parametrize("how", WORDS)
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_a_reason_that_cannot_be_kept_is_refused_and_nothing_is_done(
    deed: Callable[[ErasureRequest, str], object], how: str
) -> None:
    case = planned(SUBJECT)
    before = everything()
    with pytest.raises(UsageError) as caught:
        deed(case, WORDS[how])
    assert WORDS[how] not in str(caught.value)
    assert everything() == before


def test_what_is_said_with_an_approval_stands_in_clear_and_names_nobody() -> None:
    case = planned(SUBJECT)
    before = everything()
    with pytest.raises(UsageError, match="repeats what the person is known by"):
        approve(case, f"talked to {SUBJECT}")
    assert everything() == before


@pytest.mark.parametrize(
    "words",
    [
        "rang 030-555 00 01 back",
        "rang (030) 5550001",
        "+49 30 555 0001",
        "wrote to a @ example.com",
    ],
)
def test_what_the_person_is_known_by_is_not_kept_with_other_blanks_either(words: str) -> None:
    known = [("phone", "030 5550001"), ("email", "a@example.com")]
    case = intake.open_request(known, by=OFFICER)
    before = everything()
    with pytest.raises(UsageError, match="repeat what the person is known by"):
        identify.confirm_identity(case, by=OFFICER, method=words)
    assert everything() == before
    identify.confirm_identity(case, by=OFFICER, method="rang back on 3 May 2026 at 10.15, room 555")


@pytest.mark.parametrize("how", WORDS)
@pytest.mark.parametrize("field", ["method", "mandate"])
def test_how_identity_was_checked_is_said_in_a_line_that_can_be_kept(field: str, how: str) -> None:
    case = intake.open_request([("email", SUBJECT)], by=OFFICER, asked_by="agent")
    given: Any = {"method": "rang back", "mandate": "a deed", field: WORDS[how]}
    before = everything()
    with pytest.raises(UsageError):
        identify.confirm_identity(case, by=OFFICER, **given)
    assert everything() == before


@pytest.mark.parametrize("how", WORDS)
def test_a_hold_is_released_with_words_that_can_be_kept(how: str) -> None:
    held = hold.place_hold(
        datasets=["shop.orders"], code="legal_claims", legal_reference="x", because="c", by=OFFICER
    )
    before = everything()
    with pytest.raises(UsageError, match="because:"):
        hold.release_hold(held, because=WORDS[how], by=OFFICER)
    held.refresh_from_db()
    assert (held.released_at, everything()) == (None, before)


@pytest.mark.parametrize("how", WORDS)
def test_a_case_is_reopened_with_words_that_can_be_kept(how: str) -> None:
    case = decide.refuse_request(planned(SUBJECT), by=OFFICER, because="no customer")
    before = everything()
    with pytest.raises(UsageError):
        reopen.reopen_case(
            case, identifiers=[("email", SUBJECT)], why="mistake", because=WORDS[how], by=OFFICER
        )
    assert everything() == before
