"""After care at the desk and by the API: complaints, cases found again and reopened, looks, the
procedure, the training log, and data past their retention."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core import mail
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from erasure.flow import decide, end_records, intake
from erasure.models import (
    Complaint,
    ErasureRequest,
    LedgerLeaf,
    Letter,
    Reasoning,
    StaffTraining,
)
from erasure.runs import expiring
from tests.flow.cast import OFFICER, OLGA
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import caller
from tests.web.conftest import LIST, Person, everything_written, page, person

COMPLAINTS = "/admin/erasure/complaint/"
HOUSE = "/admin/erasure/stafftraining/"
GIVEN = f"email={EMAIL}"
WORDS = "nobody has answered Mrs Archer"


@pytest.fixture
def refused(planned: ErasureRequest) -> ErasureRequest:
    return decide.refuse_request(planned, by=OLGA, because="not a customer")


def text(answer: object) -> str:
    return str(answer.content.decode())  # type: ignore[attr-defined]


# complaints


def test_a_complaint_is_recorded_confirmed_read_and_answered(
    officer: Person, refused: ErasureRequest
) -> None:
    officer.post(f"{COMPLAINTS}add/", about=str(refused.pk), law="uk", because=WORDS)
    complaint = Complaint.objects.get()
    own = f"{COMPLAINTS}{complaint.pk}/"
    assert f"complaint {str(complaint.pk)[:8]}" in officer.case(refused)
    assert "due-quiet" in text(officer.get(COMPLAINTS))
    assert "complaint open" in text(officer.get("/admin/"))
    shown = text(officer.get(f"{own}change/"))
    assert "confirm the receipt by" in shown
    assert WORDS not in shown
    assert "stay while a complaint about the case is open" in officer.case(refused)
    offered = f"{page(refused, 'letters')}?code=complaint_receipt"
    assert offered in shown
    assert "we received your complaint" in text(officer.get(offered))
    officer.post(f"{own}acknowledge/")
    assert officer.get(f"{own}read/").status_code == 405
    assert WORDS in text(officer.client.post(f"{own}read/"))
    officer.post(f"{own}answer/", verdict="upheld", because="we were late")
    shown = text(officer.get(f"{own}change/"))
    assert "upheld" in shown
    assert "?code=complaint_answer" in shown
    complaint.refresh_from_db()
    assert (complaint.state, complaint.verdict) == ("answered", "upheld")
    assert "letters and reasons can be read until" in officer.case(refused)
    assert officer.get(COMPLAINTS).status_code == 200


def test_a_complaint_that_lacks_something_is_not_recorded_and_not_shown_again(
    officer: Person, refused: ErasureRequest
) -> None:
    for wrong in ({"reference": "1"}, {"about": "x"}, {"law": "roman"}, {"received": "2999-01-01"}):
        form = {"about": str(refused.pk), "because": WORDS, **wrong}
        answer = officer.post(f"{COMPLAINTS}add/", **form)
        assert answer.status_code == 200
        assert WORDS not in text(answer)
        assert "errorlist" in text(answer)
    assert not Complaint.objects.exists()


@pytest.mark.parametrize("who", ["auditor", "intruder", "stranger"])
def test_whoever_may_not_changes_nothing_of_after_care(
    who: str, refused: ErasureRequest, request: pytest.FixtureRequest
) -> None:
    officer_made = Complaint.objects.create(
        law="uk", received_at=timezone.now(), opened_at=timezone.now(), request=refused
    )
    nobody: Person = request.getfixturevalue(who)
    own, before = f"{COMPLAINTS}{officer_made.pk}/", everything_written()
    for address in (
        f"{COMPLAINTS}add/", f"{own}acknowledge/", f"{own}answer/", f"{own}withdraw/",
        f"{own}read/", page(refused, "reopen"), page(refused, "duplicate"),
        page(refused, "reasons"), f"{LIST}find/", f"{HOUSE}add/",
    ):  # fmt: skip
        answer = nobody.post(address, because="x", verdict="upheld", identifiers=GIVEN)
        assert answer.status_code == (302 if who == "stranger" else 403), address
    assert everything_written() == before
    officer_made.refresh_from_db()
    assert officer_made.state == "received"


# found again, linked, reopened


def test_a_closed_case_is_found_and_reopened_and_nothing_typed_comes_back(
    officer: Person, refused: ErasureRequest
) -> None:
    assert officer.get(f"{LIST}find/?identifiers={'x'}").status_code == 200
    assert "1 case found" in text(officer.post(f"{LIST}find/", identifiers=GIVEN))
    nobody = text(officer.post(f"{LIST}find/", identifiers="email=x@example.com"))
    assert "No case knows this person" in nobody
    assert "Line 1" in text(officer.post(f"{LIST}find/", identifiers=EMAIL))
    typed = {"why": "seen_again", "because": f"a letter to {EMAIL}", "identifiers": GIVEN}
    officer.post(page(refused, "reopen"), **{**typed, "identifiers": "email=b@example.com"})
    assert "knows nobody by them" in officer.told(refused)
    officer.post(page(refused, "reopen"), **typed)
    shown = officer.case(refused)
    assert "Reopened" in shown
    assert "the person&#x27;s data were seen again" in shown
    officer.post(page(refused, "proved"), method="rang back", proves=["email"])
    refused.refresh_from_db()
    assert refused.state == "identified"


def test_who_asks_twice_is_shown_and_linked(officer: Person, shop: Path) -> None:
    pairs = [("email", EMAIL), ("email", "ann@example.org")]
    first = intake.open_request(pairs, by=OFFICER)
    second = intake.open_request(pairs[:1], by=OFFICER)
    assert "The same person has another open case" in officer.case(second)
    officer.post(page(first, "duplicate"), of=str(second.pk))
    assert "came in later, and has more time" in officer.told(first)
    officer.post(page(second, "duplicate"), of=str(first.pk))
    for case in (first, second):
        case.refresh_from_db()
    assert (first.state, second.state) == ("received", "duplicate")
    assert second.duplicate_of == first.pk


# looks


def test_reasons_are_read_only_by_a_look_that_is_recorded(
    officer: Person, planned: ErasureRequest
) -> None:
    officer.post(page(planned, "extend"), because="we have 12 stores to ask")
    assert Reasoning.objects.count() == 1
    shown = officer.case(planned)
    assert "Why the time to answer was extended" in shown
    assert "12 stores" not in shown
    assert not LedgerLeaf.objects.filter(kind="reasons_seen").exists()
    assert officer.get(page(planned, "reasons")).status_code == 405
    assert "12 stores" in officer.reasons(planned)
    auditor = person("ada", "auditor")
    listed = text(auditor.get(f"{HOUSE}looks/"))
    assert "olga" in listed
    assert str(planned.pk)[:8] in listed
    assert officer.get(f"{HOUSE}looks/").status_code == 403


def test_why_a_request_was_refused_is_among_the_reasons_and_not_in_the_history(
    officer: Person, auditor: Person, refused: ErasureRequest
) -> None:
    for somebody in (officer, auditor):
        shown = somebody.case(refused)
        assert "not a customer" not in shown
        assert "Why the request was refused" in shown
    assert not LedgerLeaf.objects.filter(kind="reasons_seen").exists()
    assert "not a customer" in officer.reasons(refused)
    assert LedgerLeaf.objects.filter(kind="reasons_seen").count() == 1


# the house


def test_the_procedure_tells_who_does_what_and_what_is_missing(
    officer: Person, auditor: Person, shop: Path, settings: LazySettings, tmp_path: Path
) -> None:
    settings.LETHE_ESTABLISHMENT = "GB-ENG"
    settings.LETHE_CONTROLLER = "Shop <&> Sons | Ltd"
    for somebody in (officer, auditor):
        shown = text(somebody.get(f"{HOUSE}procedure/"))
        for part in ("olga", "shop_db", "Nobody has the role operator", "Mon 20"):
            assert part in shown
        assert "Shop &lt;&amp;&gt; Sons" in shown
    out = tmp_path / "procedure.md"
    call_command("procedure", out=out)
    written = out.read_text()
    assert "| controller | Shop &lt;&> Sons \\| Ltd |" in written
    assert "12-28" in written or "12-25" in written
    assert written in text(officer.get(f"{HOUSE}procedure/?as=markdown")).replace("\r", "")
    call_command("procedure", html=True, out=out)
    assert "<table" in out.read_text()


def test_the_training_log_says_who_is_due_again(officer: Person, auditor: Person) -> None:
    today = timezone.localdate()
    late = {"on": str(today - timedelta(days=400)), "next_due": str(today - timedelta(days=30))}
    officer.post(f"{HOUSE}add/", who="olga", topic="requests", **late)
    officer.post(f"{HOUSE}add/", who="arne", topic="requests", **late)
    assert "2 to be trained again" in text(auditor.get(HOUSE))
    officer.post(f"{HOUSE}add/", who="olga", topic="requests", on=str(today))
    assert "1 to be trained again" in text(auditor.get(HOUSE))
    for wrong in ({"on": "2999-01-01"}, {"next_due": "2000-01-01"}, late):
        form = {"who": "olga", "topic": "requests", "on": str(today), **wrong}
        assert "errorlist" in text(officer.post(f"{HOUSE}add/", **form))
    assert StaffTraining.objects.count() == 3


# past their retention

RULED = "erasure: {store: shop_db, retention: {period: 2y, starts: placed_on, basis: words}}"


def test_data_past_their_retention_are_counted_and_left_alone(
    officer: Person, shop: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, who TEXT, placed_on TEXT)")
        days = ["2020-01-01", "2021-05-05", "2999-01-01", None]
        connection.executemany("INSERT INTO visit VALUES (?, 'Ann', ?)", enumerate(days))
        connection.commit()
    more = tmp_path / "more.yml"
    more.write_text(f"""
store: [{{name: shop_db, kind: sql, url: "${{SHOP_URL}}"}}]
dataset:
  - fides_key: visits
    {RULED}
    collections:
      - name: visit
        erasure: {{action: delete}}
        fields:
          - {{name: id, fides_meta: {{primary_key: true}}}}
          - {{name: who, data_categories: [user.name]}}
          - {{name: placed_on}}
      - name: gone
        erasure: {{action: delete}}
        fields:
          - {{name: who, data_categories: [user.name]}}
""")
    call_command("import_lineage", str(more), verbosity=0)
    before = shop.read_bytes()
    gone, visit = [one for one in expiring.expired(timezone.localdate()) if "visits" in one.dataset]
    assert (visit.rows, visit.looked_at, visit.undated) == (2, 4, 1)
    assert str(visit.since) == "2022-01-01"
    assert "no column" in gone.why_not
    shown = text(officer.post(f"{HOUSE}expired/"))
    assert "2 of 4 rows" in shown
    with pytest.raises(CommandError, match="need somebody"):
        call_command("expired_data")
    assert shop.read_bytes() == before


def test_a_complaint_about_no_case_gets_a_letter_from_every_door(
    officer: Person, shop: Path, capsys: pytest.CaptureFixture[str], settings: LazySettings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    officer.post(f"{COMPLAINTS}add/", about="", law="uk", because=WORDS)
    complaint = Complaint.objects.get()
    own = f"{COMPLAINTS}{complaint.pk}/"
    assert "“Complaint received”, in" in text(officer.get(f"{own}change/"))
    assert "we received your complaint" in text(officer.get(f"{own}letters/?language=en"))
    sent = {"where": "other", "to": EMAIL, "block_greeting": "Dear Ann,", "draft": "1"}
    wrong = text(officer.post(f"{own}letters/", **{**sent, "to": "no address"}))
    assert "is not the address of one mailbox" in wrong
    assert "no address" not in wrong
    officer.post(f"{own}letters/", **sent)
    drafted = Letter.objects.get()
    shown = text(officer.get(f"{own}letters/{drafted.pk}/"))
    assert "Dear Ann," in shown
    assert EMAIL not in shown
    dpo = person("dora", "dpo")
    assert dpo.post(f"{own}letters/{drafted.pk}/send/").status_code == 403
    assert officer.get(f"{own}letters/{drafted.pk}/send/").status_code == 405
    assert mail.outbox == []
    officer.post(f"{own}letters/{drafted.pk}/send/")
    (taken,) = mail.outbox
    assert taken.to == [EMAIL]
    listed = text(officer.get(f"{own}change/"))
    assert "badge-done" in listed
    assert EMAIL not in listed
    olga, ada = caller("officer"), caller("auditor")
    path, letter = f"/complaints/{complaint.pk}/letter", {"code": "complaint_receipt"}
    assert "we received" in olga.post(path, letter).json()["body"]
    assert ada.post(path, letter).status_code == 403
    assert olga.post(path, {"code": "refusal"}).status_code == 400
    assert olga.post(path, {"code": "complaint_answer"}).status_code == 422
    made = olga.post(f"{path}s", letter)
    assert (made.status_code, made.json()["state"]) == (201, "drafted")
    assert EMAIL not in made.content.decode()
    assert ada.post(f"{path}s", letter).status_code == 403
    assert olga.post(f"/letters/{made.json()['id']}/by-hand").json()["state"] == "by_hand"
    assert len(ada.get(f"{path}s").json()["results"]) == 2
    console = ("complaints", "letter", str(complaint.pk), "--code", "complaint_receipt")
    call_command(*console)
    assert "We have received your complaint" in capsys.readouterr().out
    call_command(*console, "--send")
    assert "complaint_receipt: sent" in capsys.readouterr().out
    assert [one.to for one in mail.outbox] == [[EMAIL], [EMAIL]]
    assert "a letter before it was written" in text(person("ada", "auditor").get(f"{HOUSE}looks/"))


def test_a_complaint_about_a_case_whose_record_has_ended_says_so_and_is_answered_from_its_page(
    officer: Person, refused: ErasureRequest
) -> None:
    ErasureRequest.objects.update(closed_at=timezone.now() - timedelta(days=4000))
    end_records.end_records(timezone.now())
    assert "Write the letter" not in officer.case(refused)
    officer.post(f"{COMPLAINTS}add/", about=str(refused.pk), law="uk", because=WORDS)
    complaint = Complaint.objects.get()
    own = f"{COMPLAINTS}{complaint.pk}/"
    shown = text(officer.get(f"{own}change/"))
    assert "that of the case ended on" in shown
    assert "“Complaint received”, in" in shown
    assert "Write the confirmation" not in shown  # with the case there is none
    officer.post(f"{own}letters/?language=en", where="hand", block_greeting="Dear A,", draft="1")
    drafted = Letter.objects.get()
    assert drafted.owner == complaint.pk
    officer.post(f"{own}letters/{drafted.pk}/by-hand/")
    officer.post(f"{own}answer/", verdict="upheld", because="we were wrong")
    assert "“Answer to a complaint”, in" in text(officer.get(f"{own}change/"))
    olga = caller("officer")
    (listed,) = olga.get("/complaints").json()["results"]
    assert (listed["state"], bool(listed["record_ended_at"])) == ("answered", True)
    letter = olga.post(f"/complaints/{complaint.pk}/letter", {"code": "complaint_answer"}).json()
    assert str(refused.pk)[:8] in letter["subject"]
    told = olga.post(f"/requests/{refused.pk}/letters/preview", {"code": "complaint_answer"})
    assert told.status_code == 422
    assert "write it with the complaint" in told.json()["detail"]


# the API


def test_the_api_finds_reopens_complains_and_lists_looks(
    refused: ErasureRequest, officer: Person
) -> None:
    olga, ada = caller("officer"), caller("auditor")
    given = {"identifiers": [{"kind": "email", "value": EMAIL}]}
    (found,) = olga.post("/requests/find", given).json()
    assert found["id"] == str(refused.pk)
    new = {"request": str(refused.pk), "because": WORDS, "law": "uk", "received_on": "2026-03-02"}
    made = olga.post("/complaints", new)
    assert made.status_code == 201
    assert WORDS not in made.content.decode()
    assert made.json()["acknowledge_by"].startswith("2026-04-01")
    way = f"/complaints/{made.json()['id']}"
    assert olga.post(f"{way}/acknowledge").json()["state"] == "acknowledged"
    answer = {"verdict": "upheld", "because": "we were wrong"}
    assert olga.post(f"{way}/answer", answer).json()["verdict"] == "upheld"
    assert olga.post(f"{way}/withdraw").status_code == 409
    assert len(ada.get("/complaints", state="answered").json()["results"]) == 1
    again = {**given, "why": "complaint", "because": "they were right"}
    reopened = olga.post(f"/requests/{refused.pk}/reopen", again).json()
    assert (reopened["state"], reopened["reopened_for"]) == ("reopened", "complaint")
    looks = ada.get("/accesses").json()["results"]
    assert [look["what"] for look in looks] == ["whether a person is known"]
    assert EMAIL not in str(looks)
    assert olga.get("/accesses").status_code == 403
    entry = {"who": "olga", "topic": "requests", "on": "2026-01-02"}
    assert olga.post("/training", entry).status_code == 201
    assert olga.post("/training", entry).status_code == 422
    assert ada.get("/training").json()["results"][0]["who"] == "olga"
