"""Exports by the API, the desk and the console: the archive, its passphrase once, and who may."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pyzipper
from django.core.management import CommandError, call_command

from erasure.advance import Job, perform
from erasure.models import ErasureRequest, Export, LedgerLeaf
from erasure.runs import archive
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import Caller, caller
from tests.web.conftest import FORM, LIST, Person, everything_written, page, plan_of

NEW = {"identifiers": [{"kind": "email", "value": EMAIL}], "export_first": True}


@pytest.fixture
def olga(db: None) -> Caller:
    return caller("officer", name="olga-by-api")


def gathered() -> Export:
    """What the worker does once there is a plan."""
    made = Export.objects.get()
    plan_of(made.request)
    perform(Job("gather", made.id))
    made.refresh_from_db()
    return made


def rows_of(content: bytes, passphrase: str) -> bytes:
    found = pyzipper.AESZipFile(io.BytesIO(content))
    found.setpassword(passphrase.encode())
    return b"".join(found.read(name) for name in found.namelist())


@pytest.fixture(autouse=True)
def swept() -> Any:
    yield
    for path in archive.folder().glob("*"):
        path.unlink()


def test_a_request_carries_an_export_and_the_api_hands_it_over(olga: Caller, shop: Path) -> None:
    case = f"/requests/{olga.post('/requests', NEW).json()['id']}"
    assert olga.post(f"{case}/export").status_code == 422  # it has one
    olga.post(f"{case}/identify", {"method": "rang back"})
    one = f"/exports/{gathered().id}"
    (shown,) = olga.get(f"{case}/exports").json()["results"]
    assert (shown["state"], shown["passphrase_waits"]) == ("ready", True)
    answer = olga.get(f"{one}/archive")
    content = b"".join(answer.streaming_content)
    assert (answer["Content-Type"], int(answer["Content-Length"])) == (
        "application/zip",
        len(content),
    )
    passphrase = olga.post(f"{one}/passphrase")
    assert passphrase["Cache-Control"] == "no-store"
    assert EMAIL.casefold().encode() in rows_of(content, passphrase.json()["passphrase"]).lower()
    assert olga.post(f"{one}/passphrase").status_code == 409
    assert olga.post(f"{one}/hand-over").json()["state"] == "handed_over"
    assert olga.post(f"{one}/cancel").json()["state"] == "destroyed"
    assert olga.get(f"{one}/archive").status_code == 409
    assert list(archive.folder().glob("*")) == []


def test_nobody_but_an_officer_takes_it_and_a_denied_one_changes_nothing(
    olga: Caller, shop: Path
) -> None:
    case = f"/requests/{olga.post('/requests', NEW).json()['id']}"
    olga.post(f"{case}/identify", {"method": "rang back"})
    one, narrow = f"/exports/{gathered().id}", caller("officer", scopes=("read", "intake"))
    others = (caller("approver", "operator"), caller("auditor"), caller(), narrow)
    before = everything_written()
    for someone in others:
        assert someone.get(f"{one}/archive").status_code == 403
        assert someone.post(f"{one}/passphrase").status_code == 403
        if someone is not narrow:
            assert someone.post(f"{one}/hand-over").status_code == 403
            assert someone.post(f"{case}/export").status_code == 403
    assert everything_written() == before
    assert Export.objects.get().sealed_passphrase is not None


def test_the_desk_orders_it_with_the_request_and_hands_it_over(officer: Person, shop: Path) -> None:
    officer.post(f"{LIST}add/", **FORM, export_first="on")
    made = gathered()
    case, place = made.request, f"exports/{made.id}"
    assert "to be handed over" in officer.case(case)
    answer: Any = officer.client.post(page(case, f"{place}/archive"))
    content = b"".join(answer.streaming_content)
    shown = officer.post(page(case, f"{place}/passphrase")).content.decode()
    passphrase = shown.partition('<pre class="letter">')[2].partition("</pre>")[0]
    assert EMAIL.casefold().encode() in rows_of(content, passphrase).lower()
    officer.post(page(case, f"{place}/passphrase"))
    assert "was shown" in officer.told(case)
    officer.post(page(case, f"{place}/hand-over"))
    assert "The erasure goes on" in officer.told(case)
    assert officer.get(page(case, f"{place}/archive")).status_code == 405
    officer.post(page(case, f"{place}/cancel"))
    assert "destroyed" in officer.case(case)


def test_the_desk_offers_nothing_of_it_to_others(
    officer: Person, auditor: Person, planned: ErasureRequest
) -> None:
    assert "Gather their data first" in officer.case(planned)
    officer.post(page(planned, "export"))
    made = gathered_now(planned)
    assert "Show the passphrase" not in auditor.case(planned)
    for deed in ("archive", "passphrase"):
        assert auditor.post(page(planned, f"exports/{made.id}/{deed}")).status_code == 403
    made.refresh_from_db()
    assert made.sealed_passphrase is not None


def gathered_now(case: ErasureRequest) -> Export:
    made = case.exports.get()
    perform(Job("gather", made.id))
    made.refresh_from_db()
    return made


def test_the_console_writes_it_to_a_file_and_never_over_one(
    planned: ErasureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data.zip"
    call_command("export_data", str(planned.pk), "--out", str(out))
    told = capsys.readouterr().out
    passphrase = told.partition("this once: ")[2].splitlines()[0]
    assert EMAIL.casefold().encode() in rows_of(out.read_bytes(), passphrase).lower()
    assert out.stat().st_mode & 0o077 == 0
    with pytest.raises(CommandError, match="--out"):
        call_command("export_data", str(planned.pk), "--out", str(out))
    call_command("export_data", str(planned.pk), "--handed-over")
    assert "handed_over" in capsys.readouterr().out
    call_command("export_data", str(planned.pk), "--cancel")
    with pytest.raises(CommandError, match="no export"):
        call_command("export_data", str(planned.pk))
    kinds = set(LedgerLeaf.objects.values_list("kind", flat=True))
    assert {"export_read", "export_passphrase_shown", "export_destroyed"} <= kinds


def test_a_copy_alone_is_asked_for_by_the_api_and_answered_at_the_desk(
    olga: Caller, officer: Person, shop: Path
) -> None:
    before = shop.read_bytes()
    new = {"identifiers": NEW["identifiers"], "right": "access"}
    case = olga.post("/requests", new).json()
    olga.post(f"/requests/{case['id']}/identify", {"method": "rang back"})
    perform(Job("advance", UUID(case["id"])))
    made = Export.objects.get()
    perform(Job("gather", made.id))
    assert olga.get(f"/requests/{case['id']}").json()["state"] == "gathering"
    digest = made.request.plans.get().digest
    arne = caller("approver")
    assert arne.post(f"/requests/{case['id']}/approve", {"digest": digest}).status_code == 409
    shown = officer.case(made.request)
    assert "Copy to be handed over" in shown
    assert "Handing it over closes the case" in shown
    assert "Approve plan" not in shown
    officer.post(page(made.request, f"exports/{made.pk}/hand-over"))
    assert olga.get(f"/requests/{case['id']}").json()["state"] == "answered"
    assert "Copy handed over" in officer.case(made.request)
    assert shop.read_bytes() == before
