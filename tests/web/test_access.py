"""Who may see and do what at the desk; a denied deed changes nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from erasure.inline import approve, run_inline
from erasure.models import ErasureRequest, Notice
from tests.flow.cast import CONSOLE
from tests.web.conftest import (
    FORM,
    LIST,
    PAGES,
    Person,
    everything_written,
    page,
    person,
)


def deeds(case: ErasureRequest) -> dict[str, dict[str, str]]:
    """Every address that changes something, with a form that an officer's would be."""
    notice, _ = Notice.objects.get_or_create(request=case, dataset="m.r", store="m")
    return {
        page(case, "approve"): {"digest": case.plans.get().digest},
        page(case, "refuse"): {"because": "no"},
        page(case, "retry"): {},
        page(case, "again"): {},
        f"{LIST}{case.pk}/told/{notice.pk}/": {},
        f"{LIST}add/": FORM,
        page(case, "change"): {"state": "completed"},
        page(case, "delete"): {"post": "yes"},
    }


@pytest.mark.parametrize("who", ["auditor", "intruder", "stranger"])
def test_whoever_may_not_decide_changes_nothing(
    who: str, planned: ErasureRequest, request: pytest.FixtureRequest
) -> None:
    person: Person = request.getfixturevalue(who)
    tried = deeds(planned)
    before = everything_written()
    for address, form in tried.items():
        answer = person.post(address, **form)
        if who == "stranger":
            assert answer.status_code == 302, address
            assert answer["Location"].startswith("/admin/login/")
        else:
            assert answer.status_code == 403, address
    assert everything_written() == before


def test_even_an_officer_edits_and_deletes_nothing_by_hand(
    officer: Person, planned: ErasureRequest
) -> None:
    before = everything_written()
    assert officer.post(page(planned, "change"), state="completed").status_code == 403
    assert officer.post(page(planned, "delete"), post="yes").status_code == 403
    assert everything_written() == before


@pytest.mark.parametrize("deed", ["approve", "refuse", "retry", "again", "told/1"])
def test_a_deed_is_never_done_by_opening_its_address(
    officer: Person, planned: ErasureRequest, deed: str
) -> None:
    before = everything_written()
    assert officer.get(page(planned, deed)).status_code == 405
    assert everything_written() == before


def test_an_auditor_reads_everything_and_finds_no_button(
    auditor: Person, planned: ErasureRequest
) -> None:
    approve(planned, by=CONSOLE, because="test")
    run_inline(planned)
    for address in PAGES:
        assert auditor.get(address).status_code == 200, address
    shown = auditor.case(planned)
    assert "shop.invoice" in shown
    own = shown[shown.index('<article class="case">') : shown.index("</article>")]
    assert "<form" not in own
    assert auditor.get(page(planned, "report")).status_code == 200
    assert auditor.get(page(planned, "certificate")).status_code == 200
    assert f'"request":"{planned.pk}"' in auditor.answers[-1]


@pytest.mark.parametrize("address", [*PAGES[1:], "CASE", "CERTIFICATE"])
def test_somebody_without_business_here_reads_nothing(
    intruder: Person, stranger: Person, planned: ErasureRequest, address: str
) -> None:
    known = {"CASE": page(planned), "CERTIFICATE": page(planned, "certificate")}
    assert intruder.get(known.get(address, address)).status_code == 403
    assert stranger.get(known.get(address, address)).status_code == 302


def test_the_first_page_tells_somebody_without_business_here_nothing(
    intruder: Person, planned: ErasureRequest
) -> None:
    assert b"waiting for approval" not in intruder.get("/admin/").content


@pytest.fixture
def administrator(db: None) -> Person:
    """Looks after accounts."""
    return person("admin", "administrator")


def test_an_administrator_sees_no_case(administrator: Person, planned: ErasureRequest) -> None:
    for address in (*PAGES[1:16], page(planned), page(planned, "report")):
        assert administrator.get(address).status_code == 403, address
    assert str(planned.pk)[:8] not in str(administrator.get("/admin/").content)


def test_an_administrator_gives_roles_to_others_and_nothing_to_themselves(
    administrator: Person,
) -> None:
    new = User.objects.create_user("nora")
    approver = Group.objects.get(name="approver")
    form = {"username": "nora", "groups": str(approver.pk), "is_superuser": "on", "is_active": "on"}
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    answer = administrator.post(f"/admin/auth/user/{new.pk}/change/", **form, **joined)
    assert answer.status_code == 302, answer.content
    new.refresh_from_db()
    assert (list(new.groups.all()), new.is_superuser) == ([approver], False)
    own = User.objects.get(username="admin")
    answer = administrator.post(f"/admin/auth/user/{own.pk}/change/", **form, **joined)
    assert answer.status_code == 403
    assert administrator.post(f"/admin/auth/user/{own.pk}/password/").status_code == 403
    chief = User.objects.create_superuser("chief")
    answer = administrator.post(f"/admin/auth/user/{chief.pk}/change/", **form, **joined)
    assert answer.status_code == 403
    assert [g.name for g in own.groups.all()] == ["administrator"]


def test_an_approver_who_is_no_officer_finds_only_what_is_theirs(
    db: None, planned: ErasureRequest
) -> None:
    alone = person("anton", "approver")
    shown = alone.case(planned)
    assert "Approve plan" in shown
    assert "Plan again" not in shown
    assert "Ask for proof of identity" not in shown
    before = everything_written()
    assert alone.post(page(planned, "again")).status_code == 403
    assert alone.post(page(planned, "extend"), because="no").status_code == 403
    assert everything_written() == before
