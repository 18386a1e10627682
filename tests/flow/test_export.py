"""A person's data are gathered for them before they are erased, and nothing of it stays here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import pyzipper
from django.utils import timezone

from erasure import vault
from erasure.advance import Job, due_jobs, finish_keys, give_up, perform
from erasure.domain.errors import Denied, KeyDestroyed, StoreError, UsageError, WrongState
from erasure.flow import decide, execute, export, identify
from erasure.models import DataKey, ErasureRequest, Export, LedgerLeaf, Run
from erasure.runs import archive, gathering
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import (
    ANN,
    APPROVER,
    AUDITOR,
    INTRUDER,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    MemoryShop,
    Shop,
)
from tests.flow.deeds import identified, planned, work_off

pytestmark = pytest.mark.usefixtures("memory_shop")


def ready(request: ErasureRequest) -> Export:
    """What was ordered for a case with a plan is gathered."""
    ordered = export.order_export(request, by=OFFICER)
    perform(Job("gather", ordered.id))
    ordered.refresh_from_db()
    return ordered


def opened(made: Export) -> pyzipper.AESZipFile:
    """The archive as the person opens it."""
    passphrase = export.show_passphrase(made, by=OFFICER)
    content = io.BytesIO(b"".join(export.read_export(made, by=OFFICER)))
    found = pyzipper.AESZipFile(content)
    found.setpassword(passphrase.encode())
    return found


def rows_in(found: pyzipper.AESZipFile, dataset: str) -> list[dict[str, Any]]:
    name = next(n for n in found.namelist() if n.endswith(f"{dataset}.json"))
    rows: list[dict[str, Any]] = json.loads(found.read(name))
    return rows


def files() -> list[str]:
    return sorted(path.name for path in archive.folder().glob("*"))


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Every test begins and ends with an empty folder."""
    assert files() == []
    yield
    for name in files():
        (archive.folder() / name).unlink()


def test_the_archive_holds_the_person_s_rows_and_nobody_else_s(shop: Shop) -> None:
    made = ready(planned(SUBJECT))
    found = opened(made)
    (customer,) = rows_in(found, "shop.customer")
    assert (customer["id"], customer["phone"]) == (ANN, "030 5550001")
    assert customer["remark"] == "Ann Archer likes tea"
    assert [row["id"] for row in rows_in(found, "shop.orders")] == [1, 2]
    assert [row["id"] for row in rows_in(found, "shop.invoice")] == [1]  # what the law keeps, too
    assert [row["mobile"] for row in rows_in(found, "crm.lead")] == ["030 5550001"]
    whole = b"".join(found.read(name) for name in found.namelist())
    assert b"Baker" not in whole
    assert NEIGHBOUR.encode() not in whole
    assert made.rows == sum(len(json.loads(found.read(n))) for n in found.namelist()
                            if n.startswith("data/") and n.endswith(".json"))  # fmt: skip


def test_what_is_left_out_is_named_with_its_reason(sqlite_shop: Shop) -> None:
    sqlite_shop.widen("customer", "shoe_size")
    found = opened(ready(planned(SUBJECT)))
    (customer,) = rows_in(found, "shop.customer")
    assert "rep_id" not in customer
    readme = found.read("README.txt").decode()
    assert "rep_id (refers to another person)" in readme
    assert "not classified by the controller: shoe_size" in readme
    assert "rows of others in which you stand, left out: 1" in readme  # Cleo's message
    index = {one["name"]: one for one in json.loads(found.read("index.json"))["datasets"]}
    assert index["shop.customer"]["fields"]["email"] == ["user.contact.email"]
    assert index["shop.invoice"]["retention"] == "until end_of_year(issued_on) + 8y"
    assert index["shop.message"]["rows_of_others"] == 1


def test_tables_come_as_csv_too_and_no_cell_is_a_formula(memory_shop: MemoryShop) -> None:
    memory_shop.change("customer", ANN, remark="=HYPERLINK(1)", phone="+49 30 5550001")
    found = opened(ready(planned(SUBJECT)))
    name = next(n for n in found.namelist() if n.endswith("shop.customer.csv"))
    (row,) = csv.DictReader(io.StringIO(found.read(name).decode("utf-8-sig")))
    assert (row["remark"], row["phone"]) == ("'=HYPERLINK(1)", "+49 30 5550001")


def test_without_the_passphrase_nothing_can_be_read() -> None:
    made = ready(planned(SUBJECT))
    content = b"".join(export.read_export(made, by=OFFICER))
    found = pyzipper.AESZipFile(io.BytesIO(content))
    found.setpassword(b"guessed")
    with pytest.raises(RuntimeError, match="password"):
        found.read("README.txt")
    assert b"Ann" not in content
    on_disk = (archive.folder() / made.file).read_bytes()
    assert b"PK\x03\x04" not in on_disk  # and not even its shape is on the disk
    passphrase = export.show_passphrase(made, by=OFFICER)
    with pytest.raises(WrongState, match="was shown"):
        export.show_passphrase(made, by=OFFICER)
    leaves = "".join(LedgerLeaf.objects.values_list("payload", flat=True))
    assert passphrase not in leaves
    told = LedgerLeaf.objects.filter(kind__startswith="export")
    assert list(told.values_list("kind", flat=True)) == [
        "export_ordered", "export_ready", "export_read", "export_passphrase_shown",
    ]  # fmt: skip


def test_the_erasure_waits_for_the_hand_over_and_then_nothing_of_it_is_left() -> None:
    request = planned(SUBJECT)
    made = ready(request)
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    work_off(request)
    assert request.state == "approved"
    export.hand_over(made, by=OFFICER)
    work_off(request)
    assert request.state == "partly_granted"
    made.refresh_from_db()
    assert (made.state, made.sealed_passphrase, files()) == ("destroyed", None, [])
    assert DataKey.objects.get(owner=made.id).destroyed_at is not None
    with pytest.raises(WrongState, match="nothing to read"):
        export.read_export(made, by=OFFICER)


def test_others_approved_with_the_same_plan_do_not_take_it_along(memory_shop: MemoryShop) -> None:
    waiting, going = planned(SUBJECT), planned(NEIGHBOUR)
    ready(waiting)
    for request in (waiting, going):
        decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    work_off(going)
    waiting.refresh_from_db()
    assert (waiting.state, going.state) == ("approved", "partly_granted")
    assert memory_shop.row("customer", ANN)["name"] == "Ann Archer"  # type: ignore[index]


def test_a_copy_that_is_ordered_when_a_run_is_about_to_begin_comes_first() -> None:
    request = planned(SUBJECT)
    ready(request)
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    assert execute.start_run(request) is None
    assert not Run.objects.exists()
    request.refresh_from_db()
    assert request.state == "approved"


def test_a_window_that_has_passed_destroys_it_and_the_erasure_goes_on() -> None:
    request = planned(SUBJECT)
    made = ready(request)
    assert made.expires_at is not None
    assert made.ready_at is not None
    assert made.expires_at - made.ready_at == timedelta(days=14)
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    Export.objects.update(expires_at=timezone.now())
    finish_keys()
    made.refresh_from_db()
    assert (made.state, files()) == ("destroyed", [])
    work_off(request)
    assert request.state == "partly_granted"


def test_the_window_ends_with_the_day_the_answer_is_due() -> None:
    request = planned(SUBJECT)
    soon = timezone.now() + timedelta(days=3)
    ErasureRequest.objects.update(due_at=soon)
    request.refresh_from_db()
    assert ready(request).expires_at == soon


def test_whoever_withdraws_leaves_no_archive() -> None:
    request = planned(SUBJECT)
    made = ready(request)
    decide.withdraw_request(request, by=OFFICER)
    with pytest.raises(KeyDestroyed):
        export.read_export(made, by=OFFICER)
    finish_keys()
    made.refresh_from_db()
    assert (made.state, files()) == ("destroyed", [])


def test_one_ordered_before_there_is_a_plan_is_gathered_with_it() -> None:
    request = identified(("email", SUBJECT))
    ordered = export.order_export(request, by=OFFICER)
    assert Job("gather", ordered.id) not in due_jobs()
    follows = perform(Job("advance", request.id))
    assert follows == [Job("gather", ordered.id)]
    assert Job("gather", ordered.id) in due_jobs()
    work_off(request)
    perform(follows[0])
    ordered.refresh_from_db()
    assert ordered.state == "ready"


def test_while_it_is_in_doubt_who_asks_nothing_is_gathered_shown_or_handed_over() -> None:
    request = planned(SUBJECT)
    made = ready(request)
    identify.ask_identity(request, by=OFFICER, doubt="another name")
    for deed in (export.show_passphrase, export.read_export, export.hand_over):
        with pytest.raises(WrongState, match="nobody knows yet who asks"):
            deed(made, by=OFFICER)
    made.refresh_from_db()
    assert (made.state, made.sealed_passphrase is None) == ("ready", False)
    identify.confirm_identity(request, by=OFFICER, method="rang back")
    made.refresh_from_db()
    again = request.exports.get(state="ordered")
    assert made.state == "destroyed"
    assert files() == []
    perform(Job("advance", request.id))
    perform(Job("gather", again.id))
    again.refresh_from_db()
    assert (again.state, again.rows > 0) == ("ready", True)


def test_what_is_ordered_while_it_is_in_doubt_who_asks_waits_for_the_next_plan() -> None:
    request = planned(SUBJECT)
    identify.ask_identity(request, by=OFFICER, doubt="another name")
    ordered = export.order_export(request, by=OFFICER)
    perform(Job("gather", ordered.id))
    ordered.refresh_from_db()
    assert ordered.state == "ordered"


def test_one_that_was_killed_in_the_middle_is_done_again_wholly() -> None:
    request = planned(SUBJECT)
    ordered = export.order_export(request, by=OFFICER)
    left = archive.folder() / f"{ordered.id}.7"
    archive.folder().mkdir(exist_ok=True)
    left.write_bytes(b"half of it, sealed")  # by a process that has died
    perform(Job("gather", ordered.id))
    ordered.refresh_from_db()
    assert files() == [ordered.file]
    assert rows_in(opened(ordered), "shop.customer")
    perform(Job("gather", ordered.id))  # twice is as good as once
    assert files() == [ordered.file]


def test_one_that_breaks_off_leaves_no_file_and_tells_why() -> None:
    request = planned(SUBJECT)
    ordered = export.order_export(request, by=OFFICER)
    fault = StoreError("crm_db", "no connection", permanent=False)
    with (
        patch("erasure.stores.memory.MemoryStore.hand_out", side_effect=fault),
        pytest.raises(StoreError),
    ):
        perform(Job("gather", ordered.id))
    assert files() == []
    give_up(Job("gather", ordered.id), str(fault))
    ordered.refresh_from_db()
    assert (ordered.state, ordered.error) == ("blocked", "crm_db: no connection")
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    work_off(request)
    assert request.state == "approved"  # nobody is erased without the copy they asked for
    export.retry_export(ordered, by=OFFICER)
    perform(Job("gather", ordered.id))
    ordered.refresh_from_db()
    assert ordered.state == "ready"


def test_files_that_nobody_knows_are_swept_away() -> None:
    archive.folder().mkdir(exist_ok=True)
    (archive.folder() / "00000000-0000-4000-8000-000000000000.1").write_bytes(b"left")
    (archive.folder() / "not-one.txt").write_bytes(b"left")
    finish_keys()
    assert files() == ["not-one.txt"]
    (archive.folder() / "not-one.txt").unlink()


def test_a_file_that_was_cut_or_changed_does_not_open() -> None:
    made = ready(planned(SUBJECT))
    path = archive.folder() / made.file
    whole = path.read_bytes()
    for other in (whole[:-9], whole[:20] + b"x" + whole[21:], b""):
        path.write_bytes(other)
        with pytest.raises(KeyDestroyed):
            b"".join(export.read_export(made, by=OFFICER))


def test_a_row_that_was_given_to_somebody_else_meanwhile_is_not_handed_out(shop: Shop) -> None:
    request = planned(SUBJECT)
    ordered = export.order_export(request, by=OFFICER)
    real = gathering._written

    def late(*args: Any) -> Any:
        shop.delete("orders", 2)
        shop.change("lead", 1, "crm_db", customer_id="1")
        return real(*args)

    with patch.object(gathering, "_written", late):
        perform(Job("gather", ordered.id))
    ordered.refresh_from_db()
    found = opened(ordered)
    assert [row["id"] for row in rows_in(found, "shop.orders")] == [1]
    assert "rows that went while they were read: 1" in found.read("README.txt").decode()
    assert rows_in(found, "crm.lead") == []


def test_only_officers_order_see_and_hand_over_and_a_denied_one_changes_nothing() -> None:
    request = planned(SUBJECT)
    made = ready(request)
    for someone in (APPROVER, AUDITOR, INTRUDER):
        for does in (export.show_passphrase, export.read_export, export.hand_over):
            with pytest.raises(Denied):
                does(made, by=someone)
        with pytest.raises(Denied):
            export.cancel_export(made, by=someone)
    made.refresh_from_db()
    assert (made.state, bool(made.sealed_passphrase)) == ("ready", True)
    with pytest.raises(UsageError, match="already"):
        export.order_export(request, by=OFFICER)
    export.cancel_export(made, by=OFFICER)
    assert export.order_export(request, by=OFFICER).pk != made.pk


def test_what_cannot_be_ordered_is_refused() -> None:
    other = planned(NEIGHBOUR)
    other.right = "rectification"
    with pytest.raises(UsageError, match="rectification"):
        export.order_export(other, by=OFFICER)
    request = planned(SUBJECT)
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    work_off(request)
    with pytest.raises(WrongState, match="nothing can be gathered"):
        export.order_export(request, by=OFFICER)


def test_the_archive_is_read_piece_by_piece() -> None:
    made = ready(planned(SUBJECT))
    key = vault.open_key(made.id, "export")
    pieces = [len(piece) for piece in archive.reading(made, key)]
    assert sum(pieces) == made.size
    assert max(pieces) <= archive.PIECE


LOGS = """
store: [{{name: web_log, kind: logs, url: "file://{folder}", options: {{format: jsonl}}}}]
dataset:
  - fides_key: web
    erasure: {{store: web_log}}
    collections:
      - name: visits
        erasure: {{action: delete}}
        fields:
          - {{name: email, data_categories: [user.contact.email], fides_meta: {{identity: email}}}}
          - {{name: login, data_categories: [user.contact.email], fides_meta: {{identity: email}}}}
          - {{name: page}}
"""


def test_lines_that_no_format_explains_are_named_as_not_exported_and_not_as_gone(
    tmp_path: Path,
) -> None:
    wanted = {"email": SUBJECT, "login": SUBJECT, "page": "/1"}  # found by two fields, once there
    torn = f'{{"email": "{SUBJECT}", "page": "/2'
    other = json.dumps({"email": NEIGHBOUR, "page": "/3"})
    (tmp_path / "visits.log").write_text(f"{json.dumps(wanted)}\n{torn}\n{other}\n")
    read = fideslang.read_text(LOGS.format(folder=tmp_path), "logs.yml")
    catalog.upsert(read, prune=False)
    made = ready(planned(SUBJECT))
    found = opened(made)
    assert rows_in(found, "web.visits") == [wanted]
    readme = found.read("README.txt").decode()
    why = "1 line with the person's data, not readable in the format of the file"
    assert f"NOT EXPORTED: {why}" in readme
    assert "went while they were read" not in readme
    (index,) = (
        one
        for one in json.loads(found.read("index.json"))["datasets"]
        if one["name"] == "web.visits"
    )
    assert (index["rows"], index["rows_gone_meanwhile"]) == (1, 0)
    assert index["not_exported"].startswith(why)
    assert made.unread["web.visits"] == index["not_exported"]
