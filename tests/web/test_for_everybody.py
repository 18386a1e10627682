"""The desk is for everybody: on a telephone, with a keyboard, read aloud, in the dark, and without
scripts. Every page is asked in a real browser what would keep somebody from using it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from erasure.flow import complain, identify, intake
from erasure.models import Complaint, ErasureRequest, Expiry, Hold, Letter, Notice
from tests.flow.cast import OLGA
from tests.web.browser import measured, measured_all
from tests.web.conftest import LIST, PAGES, Person, page, person, plan_of
from tests.web.test_holds import UNTIL, WHY
from tests.web.test_letters import kept
from tests.web.test_retention import plan, visits  # noqa: F401 - fixtures

AUDIT = Path(__file__).with_name("auditing.js").read_text()
HOUSE = "/admin/erasure/stafftraining/"
NEW = tuple(f"/admin/erasure/{name}/add/" for name in ("complaint", "hold", "stafftraining"))
DARK = ("<html", '<html data-theme="dark"')


def shown(who: Person, address: str, **form: str) -> str:
    """A page with everything unfolded."""
    answer = who.post(address, **form) if form else who.get(address)
    assert answer.status_code == 200, address
    return str(answer.content.decode()).replace("<details", "<details open")


def audited(pages: dict[str, str], folder: Path) -> list[str]:
    """What is wrong with each, on a telephone, and on a screen in the light and in the dark."""
    ways = [(name, html, 390) for name, html in pages.items()]
    ways += [(name, html, 1280) for name, html in pages.items()]
    ways += [(f"{name} in the dark", html.replace(*DARK), 1280) for name, html in pages.items()]
    told = measured_all([(html, width) for _, html, width in ways], folder, AUDIT)
    found = zip(ways, told, strict=True)
    return [f"{name}, {width} wide: {one}" for (name, _, width), said in found for one in said]


@pytest.fixture
def busy(officer: Person, planned: ErasureRequest) -> ErasureRequest:
    """A case with something of everything."""
    officer.post(page(planned, "except"), dataset="shop.orders", **WHY, **UNTIL)
    Notice.objects.create(request=planned, dataset="mail.recipients", store="mail")
    complain.open_complaint(request=planned, because="nobody answers", by=OLGA)
    officer.post("/admin/erasure/hold/add/", datasets="shop.orders", **WHY)
    kept(officer, planned)
    officer.post(page(planned, "again"))
    return plan_of(planned)


def test_every_list_and_every_form_is_for_everybody(
    officer: Person, busy: ErasureRequest, tmp_path: Path
) -> None:
    more = ("/admin/erasure/hold/", "/admin/erasure/expiry/", "/admin/erasure/modeljob/inventory/")
    pages = {address: shown(officer, address) for address in (*PAGES, *more, *NEW, f"{LIST}add/")}
    pages |= {
        f"{address}, refused": shown(officer, address, law="x", received="1", person="x", on="x")
        for address in (*NEW, f"{LIST}add/", f"{LIST}find/")
    }
    assert audited(pages, tmp_path) == []


def test_every_page_of_a_case_is_for_everybody(
    officer: Person,
    approver: Person,
    busy: ErasureRequest,
    plan: Expiry,  # noqa: F811
    tmp_path: Path,
) -> None:
    dpo, own = person("dora", "dpo"), page(busy)
    asked = intake.open_request([("email", "ben.baker@example.com")], by=OLGA, asked_by="agent")
    identify.ask_identity(asked, by=OLGA, doubt="another voice")
    handed = intake.open_request([("email", "cleo.carter@example.com")], by=OLGA, right="objection")
    identify.confirm_identity(handed, by=OLGA, method="rang back")
    letter, complaint = Letter.objects.get(), Complaint.objects.get()
    complaints = f"/admin/erasure/complaint/{complaint.pk}"
    pages = {
        "case": shown(officer, own),
        "case, for its approver": shown(approver, own),
        "case, for the data protection officer": shown(dpo, own),
        "case in doubt": shown(officer, page(asked)),
        "case to be handed on": shown(officer, page(handed)),
        "map": shown(officer, page(busy, "map")),
        "reasons": shown(officer, page(busy, "reasons"), read="1"),
        "letter": shown(officer, f"{LIST}{busy.pk}/letters/{letter.pk}/"),
        "new letter": shown(officer, f"{LIST}{busy.pk}/letters/?code=acknowledgment&language=fr"),
        "complaint": shown(officer, f"{complaints}/change/"),
        "complaint, read": shown(officer, f"{complaints}/read/", read="1"),
        "hold": shown(officer, f"/admin/erasure/hold/{Hold.objects.get().pk}/change/"),
        "find": shown(officer, f"{LIST}find/"),
        "retention": shown(officer, f"{HOUSE}expired/"),
        "dates due": shown(officer, "/admin/erasure/datedue/"),
        "retention, counted": shown(officer, f"{HOUSE}expired/", count="1"),
        "retention plan": shown(approver, f"/admin/erasure/expiry/{plan.pk}/change/"),
        "looks": shown(dpo, f"{HOUSE}looks/"),
        "log in": Client().get("/admin/login/").content.decode(),
    }
    assert audited(pages, tmp_path) == []


def test_withdrawing_and_handing_on_are_for_everybody(
    officer: Person, planned: ErasureRequest, tmp_path: Path
) -> None:
    before = shown(officer, page(planned))
    officer.post(page(planned, "withdraw"), because="rang and said so")
    assert audited({"before": before, "withdrawn": shown(officer, page(planned))}, tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('<html lang="en"', "<html", "no language"),
        ('<th scope="col"', "<th", "a header of nothing said"),
        ('<label for="because">', "<label>", "no label"),
        ("<main", "<div", "no main part"),
        ("<h2 ", "<h3 ", "a heading skips a level"),
    ],
)
def test_the_audit_finds_what_is_missing(
    approver: Person, planned: ErasureRequest, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    html = shown(approver, page(planned))
    assert right in html
    assert said in "; ".join(measured(html.replace(right, wrong), tmp_path, AUDIT, width=390))


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        ("<p style='width: 500px; background: red'>x</p>", "wider than the screen by"),
        ("<p style='color: #999; background: #fff'>pale</p>", "pale, 2.8 to 1"),
        ("<button style='height: 12px; padding: 0'>x</button>", "small to hit"),
        ("<h6>deep</h6>", "a heading skips a level"),
        ("<h1>second</h1>", "2 first headings"),
        ("<a href='javascript:x()'>y</a>", "needs a script"),
        ("<form method='post'></form>", "nothing to press"),
        ("<p>until 2027-06-30.</p>", "a day as machines write it"),
        ("<i id='q'></i><i id='q'></i>", "the same id twice"),
        ("<ul class='errorlist'><li>x</li></ul>", "an error beside no field"),
    ],
)
def test_the_audit_finds_what_is_added(
    officer: Person, tmp_path: Path, worse: str, said: str
) -> None:
    html = shown(officer, f"{LIST}find/").replace("</main>", f"{worse}</main>")
    assert said in "; ".join(measured(html, tmp_path, AUDIT, width=390))
