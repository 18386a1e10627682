"""The cast of the desk: an officer, an approver, an auditor, an intruder, and the person they talk
about; and a shop in which that person is a customer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from erasure.domain.roles import SYSTEM
from erasure.flow import identify, intake, planning
from erasure.models import ErasureRequest, Event, LedgerLeaf, Letter, Notice, Plan
from tests.flow.cast import OLGA
from tests.scenarios.small_shop import EMAIL, NAME, make_shop

CATALOGUE = Path(__file__).parents[1] / "scenarios" / "small_shop.yml"
LIST = "/admin/erasure/erasurerequest/"
PAGES = (
    *("/admin/", LIST, f"{LIST}?state=planned", f"{LIST}?due=overdue", f"{LIST}?due=soon"),
    *(f"{LIST}?due=running", f"{LIST}?due=open"),
    *(f"/admin/erasure/{name}/" for name in ("plan", "run", "storerun", "scanresult", "modeljob")),
    *(f"/admin/erasure/{name}/" for name in ("notice", "letter", "certificate", "ledgerleaf")),
    *(f"/admin/erasure/{name}/" for name in ("complaint", "stafftraining")),
    "/admin/erasure/stafftraining/procedure/",
    *(f"/admin/lineage/{name}/" for name in ("store", "dataset", "field", "reference")),
    *("/admin/lineage/derivation/", "/admin/map/"),
)
FORM = {"identifiers": f"email={EMAIL}", "law": "gdpr", "identity_check": "rang back"}
# What the desk may show nowhere: the subject's values, folded.
PRIVATE = tuple(value.casefold() for value in (EMAIL, NAME, "12 Quiet Lane", "ann.archer"))


@dataclass
class Person:
    """Somebody with a browser. Every answer is kept, to be searched for what it may not hold."""

    name: str
    client: Client
    answers: list[str] = field(default_factory=list)

    def get(self, address: str) -> Any:
        """Open a page."""
        return self._keep(address, self.client.get(address))

    def post(self, address: str, **form: str | list[str]) -> Any:
        """Send a form, and stay where the answer leads."""
        return self._keep(address, self.client.post(address, form))

    def case(self, request: ErasureRequest) -> str:
        """The page of a case, as text."""
        answer = self.get(page(request))
        assert answer.status_code == 200
        return str(answer.content.decode())

    def reasons(self, request: ErasureRequest) -> str:
        """The reasons on record, as text; a look of its own."""
        return str(self.post(page(request, "reasons")).content.decode())

    def told(self, request: ErasureRequest) -> str:
        """The messages that wait for this person, as the page of a case shows them."""
        text = self.case(request)
        start = text.find('<ul class="messagelist">')
        return text[start : text.find("</ul>", start)] if start >= 0 else ""

    def _keep(self, address: str, answer: Any) -> Any:
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        headers = " ".join(f"{k}: {v}" for k, v in answer.items())
        kept = f"{address} {unquote_plus(headers)} {answer.cookies} {body.decode()}"
        self.answers.append(kept.casefold())
        return answer


def digest_shown(text: str) -> str:
    """The digest that the approve button of a page would send."""
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', text)
    assert found, "the page has no approve button"
    return found[1]


def everything_written() -> tuple[object, ...]:
    """What a denied deed may not have changed."""
    return (
        list(ErasureRequest.objects.order_by("pk").values()),
        list(Plan.objects.order_by("pk").values()),
        list(Notice.objects.order_by("pk").values()),
        list(Letter.objects.order_by("pk").values()),
        Event.objects.count(),
        LedgerLeaf.objects.count(),
        LogEntry.objects.count(),
    )


def page(request: ErasureRequest, deed: str = "change") -> str:
    """The address of a case, or of a deed on it."""
    return f"{LIST}{request.pk}/{deed}/"


def person(name: str, *roles: str, staff: bool = True) -> Person:
    """A logged-in user with these roles."""
    user = User.objects.create_user(name, password=f"{name} knows", is_staff=staff)
    user.groups.set(Group.objects.filter(name__in=roles))
    assert user.groups.count() == len(roles)
    client = Client()
    client.force_login(user)
    return Person(name, client)


def plan_of(request: ErasureRequest) -> ErasureRequest:
    """What a worker does with a request that the desk has opened."""
    request.refresh_from_db()
    planning.make_plan(request, by=SYSTEM)
    return request


@pytest.fixture
def shop(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop's database with its catalogue imported."""
    database = make_shop(tmp_path / "shop.sqlite3")
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{database}")
    call_command("import_lineage", str(CATALOGUE), verbosity=0)
    return database


@pytest.fixture
def officer(db: None) -> Iterator[Person]:
    """Opens requests and decides them."""
    yield from _watched(person("olga", "officer", "approver"))


@pytest.fixture
def approver(db: None) -> Iterator[Person]:
    """The other pair of eyes."""
    yield from _watched(person("arne", "officer", "approver"))


@pytest.fixture
def auditor(db: None) -> Iterator[Person]:
    """Reads everything."""
    yield from _watched(person("ada", "auditor"))


@pytest.fixture
def intruder(db: None) -> Iterator[Person]:
    """Works here, with no business at this desk."""
    yield from _watched(person("ingo"))


@pytest.fixture
def stranger(db: None) -> Iterator[Person]:
    """Has not logged in."""
    yield from _watched(Person("", Client()))


def _watched(person: Person) -> Iterator[Person]:
    """Whatever a test does: nothing private was in any answer."""
    yield person
    for answer in person.answers:
        assert not [value for value in PRIVATE if value in answer], answer[:200]


@pytest.fixture
def opened(shop: Path) -> ErasureRequest:
    """The subject's request, opened by the officer; not planned yet."""
    request = intake.open_request([("email", EMAIL)], by=OLGA, channel="desk")
    return identify.confirm_identity(request, by=OLGA, method="rang back")


@pytest.fixture
def planned(opened: ErasureRequest) -> ErasureRequest:
    """The same, with a plan that waits for approval."""
    assert plan_of(opened).state == "planned"
    return opened


def other(state: str, days: int) -> ErasureRequest:
    """A case that is due in so many days."""
    now = timezone.now()
    return ErasureRequest.objects.create(
        state=state,
        subject=f"{days + 500:064x}",
        received_at=now,
        due_at=now + timedelta(days=days),
    )
