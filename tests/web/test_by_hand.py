"""What goes on once an officer has done something: the first page names it, the list finds it, and
the page of the case offers it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from erasure.advance import Job, perform
from erasure.domain.errors import UsageError
from erasure.flow import decide, identify, intake
from erasure.models import DataKey, ErasureRequest, Event, LedgerLeaf
from tests.flow.cast import OLGA
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import caller
from tests.web.conftest import LIST, Person, everything_written, page


def came_in(right: str = "erasure") -> ErasureRequest:
    """A request that nobody at the desk has seen yet."""
    return intake.open_request([("email", EMAIL)], by=OLGA, channel="api", right=right)


def listed(officer: Person, narrowed: str) -> str:
    """The rows of the list, narrowed."""
    text = str(officer.get(f"{LIST}?{narrowed}").content.decode())
    return text[text.find('id="result_list"') : text.find('class="paginator"')]


def test_who_asks_is_recorded_at_the_desk_without_a_doubt(officer: Person, shop: Path) -> None:
    case = came_in()
    assert "?due=identify" in officer.get("/admin/").content.decode()
    assert str(case.pk)[:8] in listed(officer, "due=identify")
    shown = officer.case(case)
    assert "Nobody has checked yet who asks" in shown
    assert "Close as unidentifiable" not in shown  # only where proof was asked for
    officer.post(page(case, "proved"), method="rang back", proves=["email"])
    case.refresh_from_db()
    assert (case.state, case.identity_check) == ("identified", "rang back")
    assert not case.pauses.exists()
    assert "?due=identify" not in officer.get("/admin/").content.decode()


def test_what_nothing_here_carries_out_is_handed_on_and_not_called_planned(
    officer: Person, shop: Path
) -> None:
    case = identify.confirm_identity(came_in("rectification"), by=OLGA, method="rang back")
    assert perform(Job("advance", case.id)) == []
    home, shown = officer.get("/admin/").content.decode(), officer.case(case)
    assert "?due=hand_on" in home
    assert "<strong>0</strong> running now" in home
    for part in (
        "To be answered by hand",
        "<strong>Rectification</strong>",
        "Nothing here carries out",
    ):
        assert part in shown
    for wrong in ("Being planned", "Is a worker running", 'http-equiv="refresh"'):
        assert wrong not in shown
    assert "To be answered by hand" in listed(officer, "due=hand_on")
    assert str(case.pk)[:8] not in listed(officer, "due=running")
    officer.post(page(case, "forward"), to="the shop team", because="they correct addresses")
    case.refresh_from_db()
    assert case.state == "forwarded"
    assert "?due=hand_on" not in officer.get("/admin/").content.decode()


def test_what_nothing_here_carries_out_is_answered_with_what_was_done(
    officer: Person, auditor: Person, shop: Path
) -> None:
    case = identify.confirm_identity(came_in("rectification"), by=OLGA, method="rang back")
    assert "What was done, as the person is told" in officer.case(case)
    before = everything_written()
    assert auditor.post(page(case, "answer"), because="x").status_code == 403
    assert officer.get(page(case, "answer")).status_code == 405
    assert everything_written() == before
    officer.post(page(case, "answer"), because=" ")
    assert "Give the reason" in officer.case(case)
    officer.post(page(case, "answer"), because="the street was corrected")
    case.refresh_from_db()
    assert case.state == "answered"
    shown = officer.case(case)
    assert 'badge-done">Answered<' in shown
    for wrong in ("Copy handed over", "the street was corrected", "Nothing here carries out"):
        assert wrong not in shown
    read = officer.post(page(case, "reasons"), read="1").content.decode()
    assert "the street was corrected" in read
    assert "What was done, as the person is told" in read
    assert '<option value="answer">Answer<' in shown
    assert '<option value="completion">' not in shown
    letter = officer.get(f"{LIST}{case.pk}/letters/?code=answer&language=en").content.decode()
    assert "you asked us to correct your personal data" in letter
    assert "the street was corrected" in letter


def test_a_case_that_is_carried_out_here_offers_no_answer_by_hand(
    officer: Person, planned: ErasureRequest
) -> None:
    assert page(planned, "answer") not in officer.case(planned)
    officer.post(page(planned, "answer"), because="done")
    assert "is answered by its plan" in officer.told(planned)
    planned.refresh_from_db()
    assert planned.state == "planned"


def test_the_list_says_what_each_asks_for_and_is_narrowed_by_it(
    officer: Person, shop: Path
) -> None:
    erasure, access = came_in(), came_in("access")
    every = listed(officer, "")
    assert 'class="field-asks_for">Erasure<' in every
    assert 'class="field-asks_for">Access<' in every
    some = listed(officer, "right=access")
    assert str(access.pk)[:8] in some
    assert str(erasure.pk)[:8] not in some


def test_a_first_copy_is_not_called_the_last_and_is_ordered_by_itself(
    officer: Person, shop: Path
) -> None:
    case = came_in("access")
    shown = officer.case(case)
    assert "It is gathered by itself" in shown
    assert "The last copy is gone" not in shown
    assert "Gather a copy" not in shown
    identify.confirm_identity(case, by=OLGA, method="rang back")
    (gather,) = perform(Job("advance", case.id))
    assert "hand_over" not in officer.get("/admin/").content.decode()
    perform(gather)
    assert "?due=hand_over" in officer.get("/admin/").content.decode()
    assert str(case.pk)[:8] in listed(officer, "due=hand_over")
    officer.post(page(case, f"exports/{gather.id}/cancel"))
    assert "The last copy is gone" in officer.case(case)


def test_a_person_who_no_longer_wants_it_is_taken_at_their_word(
    officer: Person, planned: ErasureRequest
) -> None:
    assert "The person no longer wants it" in officer.case(planned)
    officer.post(page(planned, "withdraw"), because="rang and said so")
    planned.refresh_from_db()
    assert planned.state == "withdrawn"
    keys = DataKey.objects.filter(owner=planned.pk, purpose="identifiers")
    assert [key.destroyed_at is not None for key in keys] == [True]
    assert "What the person gave has been destroyed" in officer.told(planned)


def test_a_withdrawal_that_names_the_person_is_not_kept(
    officer: Person, planned: ErasureRequest
) -> None:
    before = everything_written()
    officer.post(page(planned, "withdraw"), because=f"{EMAIL} rang")
    with pytest.raises(UsageError, match="leave that out"):
        decide.withdraw_request(planned, by=OLGA, because=f"{EMAIL} rang")
    answer = caller("officer").post(f"/requests/{planned.pk}/withdraw", {"because": EMAIL})
    assert answer.status_code == 422
    assert everything_written()[:4] == before[:4]
    assert not Event.objects.filter(because__contains=EMAIL).exists()


def test_lists_begin_with_the_newest_and_write_days_as_the_cases_do(
    auditor: Person, planned: ErasureRequest
) -> None:
    shown = auditor.get("/admin/erasure/ledgerleaf/").content.decode()
    newest, first = LedgerLeaf.objects.order_by("-index")[0], LedgerLeaf.objects.get(index=0)
    assert shown.find(f">{newest.index}</a>") < shown.find(f">{first.index}</a>")
    at = timezone.localtime(newest.created_at)
    assert f"{at:%d %b %Y, %H:%M}" in shown


def test_an_auditor_withdraws_and_identifies_nothing(auditor: Person, shop: Path) -> None:
    case = came_in()
    before = everything_written()
    for deed, form in (("withdraw", {"because": "x"}), ("proved", {"method": "x"})):
        assert auditor.post(page(case, deed), **form).status_code == 403
    assert everything_written() == before
    shown = auditor.case(case)
    assert "no longer wants it" not in shown
    assert "checked by" not in shown
