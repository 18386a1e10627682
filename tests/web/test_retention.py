"""Data past their date at the desk, by the API and from the console: looked at, planned, approved,
erased; and by whom not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from erasure.flow import expire
from erasure.models import Expiry, RetentionLook, StandingApproval
from tests.flow.cast import OFFICER
from tests.web.api_cast import Caller, caller
from tests.web.conftest import Person, everything_written

PLANS = "/admin/erasure/expiry/"
HOUSE = "/admin/erasure/stafftraining/expired/"
CATALOGUE = """
store: [{name: shop_db, kind: sql, url: "${SHOP_URL}"}]
dataset:
  - fides_key: visits
    erasure: {store: shop_db}
    collections:
      - name: visit
        erasure: {action: delete, retention: {period: 2y, starts: placed_on, basis: house rules}}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: who, data_categories: [user.name]}
          - {name: placed_on}
"""


@pytest.fixture
def visits(shop: Path, tmp_path: Path) -> Path:
    """Four visits, two of them past their date."""
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, who TEXT, placed_on TEXT)")
        days = ["2020-01-01", "2021-05-05", "2999-01-01", None]
        connection.executemany("INSERT INTO visit VALUES (?, 'Ann', ?)", enumerate(days))
        connection.commit()
    more = tmp_path / "more.yml"
    more.write_text(CATALOGUE)
    call_command("import_lineage", str(more), verbosity=0)
    return shop


@pytest.fixture
def plan(visits: Path) -> Expiry:
    """What the sweep has made."""
    made = expire.plan_expired("visits.visit", by=OFFICER)
    assert made is not None
    return made


def left(shop: Path) -> list[int]:
    with closing(sqlite3.connect(shop)) as connection:
        return [row for (row,) in connection.execute("select id from visit order by id")]


def text(answer: object) -> str:
    return str(answer.content.decode())  # type: ignore[attr-defined]


def test_an_officer_looks_and_an_approver_approves_at_the_desk(
    officer: Person, approver: Person, visits: Path
) -> None:
    expire.looks_due(timezone.localdate())
    shown = text(officer.get(HOUSE))
    assert "visits.visit" in shown
    look = RetentionLook.objects.get()
    officer.post(f"{PLANS}look/{look.pk}/")
    plan = Expiry.objects.get()
    assert "Waiting for approval" in text(officer.get(HOUSE))
    assert "retention plan to approve" in text(officer.get("/admin/"))
    own = f"{PLANS}{plan.pk}/"
    page = text(officer.get(f"{own}change/"))
    assert "2 rows past their date" in page
    assert "Approve these rows" not in page
    assert "another person approves it" in page
    officer.post(f"{own}approve/", digest=plan.digest)
    plan.refresh_from_db()
    assert plan.state == "planned"
    assert "Approve these rows" in text(approver.get(f"{own}change/"))
    approver.post(f"{own}approve/", digest="0" * 64)
    plan.refresh_from_db()
    assert plan.state == "planned"
    approver.post(f"{own}approve/", digest=plan.digest)
    plan.refresh_from_db()
    assert plan.state == "approved"
    assert left(visits) == [0, 1, 2, 3]
    expire.carry_out(plan.id)
    assert left(visits) == [2, 3]
    page = text(officer.get(f"{own}change/"))
    assert "Erased and asked again" in page
    assert f"lethe-{plan.pk}" in page


def test_a_retention_in_words_is_shown_as_by_hand_and_not_as_a_fault(
    officer: Person, visits: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more.yml"
    more.write_text(CATALOGUE.replace("starts: placed_on", "starts: the last visit"))
    call_command("import_lineage", str(more), verbosity=0)
    (look,) = expire.looks_due(timezone.localdate())
    expire.note_trouble(look, "as the sweep does")
    page = text(officer.get(HOUSE))
    assert "by hand</span> its retention starts with &#x27;the last visit&#x27;" in page
    assert "not told" not in page
    assert "Look now" not in page
    assert "by hand</span>" in text(officer.post(HOUSE)).partition("Count now")[2]


def test_a_dataset_that_has_lost_its_retention_is_not_listed(
    officer: Person, visits: Path, tmp_path: Path
) -> None:
    expire.looks_due(timezone.localdate())
    assert "visits.visit" in text(officer.get(HOUSE))
    more = tmp_path / "more.yml"
    more.write_text(
        CATALOGUE.replace(", retention: {period: 2y, starts: placed_on, basis: house rules}", "")
    )
    call_command("import_lineage", str(more), verbosity=0)
    assert "visits.visit" not in text(officer.get(HOUSE))


def test_a_plan_is_declined_and_approved_beforehand_at_the_desk(
    officer: Person, approver: Person, plan: Expiry, visits: Path
) -> None:
    own = f"{PLANS}{plan.pk}/"
    officer.post(f"{own}decline/", because="", not_before="")
    officer.post(f"{own}decline/", because="audit", not_before="soon")
    plan.refresh_from_db()
    assert plan.state == "planned"
    given = {"digest": plan.digest, "standing": "1", "because": "by the board"}
    approver.post(f"{own}approve/", most_rows="many", **given)
    assert not StandingApproval.objects.exists()
    approver.post(f"{own}approve/", most_rows="50", **given)
    standing = StandingApproval.objects.get()
    assert "by the board" in text(officer.get(HOUSE))
    officer.post(f"{PLANS}standing/{standing.pk}/revoke/")
    standing.refresh_from_db()
    assert standing.revoked_by == officer.name
    assert left(visits) == [0, 1, 2, 3]


def test_an_auditor_sees_plans_and_decides_nothing(auditor: Person, plan: Expiry) -> None:
    before = everything_written()
    own = f"{PLANS}{plan.pk}/"
    page = text(auditor.get(f"{own}change/"))
    assert "Decide" not in page
    for deed in ("approve", "decline", "retry"):
        assert auditor.get(f"{own}{deed}/").status_code == 405
        assert auditor.post(f"{own}{deed}/", digest=plan.digest, because="x").status_code == 403
    assert everything_written() == before


def test_the_api_plans_approves_and_shows(visits: Path) -> None:
    olga, arne, ada = caller("officer"), caller("approver"), caller("auditor")
    (made,) = olga.post("/retention", {"dataset": "visits.visit"}).json()
    assert (made["rows"], made["state"]) == (2, "planned")
    assert made["steps"][0]["counted"] == 2
    listed = ada.get("/retention", state="planned").json()["results"]
    assert [one["id"] for one in listed] == [made["id"]]
    own = f"/retention/{made['id']}"
    digest = {"digest": made["digest"]}
    for who in (olga, ada):
        assert who.post(f"{own}/approve", digest).status_code == 403
    assert arne.post(f"{own}/approve", {"digest": "0" * 64}).status_code == 409
    assert arne.post(f"{own}/approve", {}).status_code == 400
    answer = arne.post(f"{own}/stand", {**digest, "most_rows": 10, "because": "decided"})
    assert answer.json()["state"] == "approved"
    (standing,) = ada.get("/retention/standing").json()["results"]
    assert standing["because"] == "decided"
    expire.carry_out(Expiry.objects.get().id)
    done = ada.get(own).json()
    assert (done["state"], done["steps"][0]["rows"]) == ("completed", 2)
    assert left(visits) == [2, 3]
    assert olga.post("/retention", {"dataset": "visits.visit"}).json() == []
    assert olga.post("/retention", {"dataset": "visits.none"}).status_code == 422
    assert [one["dataset"] for one in ada.get("/retention/datasets").json()["results"]] == [
        "visits.visit"
    ]
    revoked = olga.post(f"/retention/standing/{standing['id']}/revoke")
    assert revoked.json()["revoked_by"]
    assert olga.post(f"{own}/retry").status_code == 409


def _refused(who: Caller, path: str, body: object, field: str) -> None:
    answer = who.post(path, body)
    assert answer.status_code in (400, 422), answer.content
    assert field in str(answer.json())


def test_bad_input_is_refused_by_field_and_nothing_is_done(plan: Expiry) -> None:
    arne = caller("approver", "officer")
    own, before = f"/retention/{plan.pk}", everything_written()
    digest = {"digest": plan.digest}
    _refused(arne, f"{own}/approve", {**digest, "accept": ["trigger:x"]}, "accept")
    _refused(arne, f"{own}/stand", {**digest, "because": "x", "most_rows": 0}, "most_rows")
    _refused(arne, f"{own}/stand", {**digest, "most_rows": 5}, "because")
    _refused(arne, f"{own}/decline", {}, "because")
    _refused(arne, f"{own}/decline", {"because": "x", "not_before": "2020-01-01"}, "not_before")
    _refused(arne, "/retention", {}, "dataset")
    assert everything_written() == before


def test_the_console_plans_approves_and_erases(
    visits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("expired_data", "plan")
    plan = Expiry.objects.get()
    told = capsys.readouterr().out
    assert f"{plan.pk}  planned  visits.visit  2 rows" in told
    assert left(visits) == [0, 1, 2, 3]
    with pytest.raises(CommandError, match="the plan has changed"):
        call_command("expired_data", "approve", str(plan.pk), "--digest", "0" * 12)
    with pytest.raises(CommandError, match="nothing has this number"):
        call_command("expired_data", "approve", "nonsense", "--digest", "0" * 12)
    call_command("expired_data", "approve", str(plan.pk), "--digest", plan.digest[:12])
    assert "delete visits.visit: 2, 2 done" in capsys.readouterr().out
    assert left(visits) == [2, 3]
    call_command("expired_data", "plan", "visits.visit")
    assert "nothing is over that may go" in capsys.readouterr().out
