"""import_lineage, discover_lineage, check_lineage on a real SQLite database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from lineage import selectors
from lineage.models import Store

pytestmark = pytest.mark.django_db

SCHEMA = """
create table customer (id integer primary key, name text, email text not null unique);
create table invoice (id integer primary key, total real, customer_id integer not null
                      references customer (id));
create table country (code text primary key, label text);
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA)
    return path


@pytest.fixture
def draft(shop: Path, tmp_path: Path) -> Path:
    path = tmp_path / "draft.yml"
    call_command("discover_lineage", f"sqlite:///{shop}", "--out", str(path))
    return path


def justified(draft: Path) -> Path:
    """What a person still has to say before the gate is content."""
    said = "purpose: sell, legal_basis: contract, retention: {period: 3y, starts: id}"
    text = draft.read_text().replace("{store: shop}", f"{{store: shop, {said}}}")
    draft.write_text(text)
    return draft


def failure(*command: str) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        call_command(*command)
    text = str(caught.value)
    assert "\n" not in text
    return text, caught.value.returncode


def test_import_counts_what_it_did(draft: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_lineage", str(draft))
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "added: 1 store, 3 datasets, 8 fields, 1 reference",
        "changed: nothing",
        "removed: nothing",
    ]
    draft.write_text(draft.read_text().partition("      - name: customer")[0])
    call_command("import_lineage", str(draft), "--prune")
    out = capsys.readouterr().out.splitlines()
    assert out[2] == "removed: 1 reference, 6 fields, 2 datasets"
    assert "  dataset shop.customer" in out


def test_import_prints_warnings_on_the_error_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yml"
    path.write_text("store: []\nsystem: []\n")
    call_command("import_lineage", str(path))
    assert capsys.readouterr().err == f"warning: {path}:2: 'system' is not read\n"


def test_import_refuses_a_fault_with_exit_2_and_takes_nothing(draft: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("stores: []\n")
    text, code = failure("import_lineage", str(draft), str(bad))
    assert (text.partition(";")[0], code) == (
        f"{bad}: holds neither 'store' nor 'dataset'",
        2,
    )
    assert selectors.stores() == []


def test_discover_prints_a_draft_and_never_overwrites_one(
    shop: Path, draft: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    call_command("discover_lineage", f"sqlite:///{shop}")
    assert capsys.readouterr().out == draft.read_text()
    text, code = failure("discover_lineage", f"sqlite:///{shop}", "--out", str(draft))
    assert ("is there already" in text, code) == (True, 2)


def test_discover_drafts_a_store_of_the_catalogue_with_its_address_unresolved(
    shop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "c.yml"
    path.write_text('store: [{name: s, kind: sql, url: "sqlite:///${SHOP}"}]\n')
    monkeypatch.setenv("SHOP", str(shop))
    call_command("import_lineage", str(path))
    capsys.readouterr()
    call_command("discover_lineage", "s")
    out = capsys.readouterr().out
    assert '{name: s, kind: sql, url: "sqlite:///${SHOP}"}' in out
    assert str(shop) not in out


@pytest.mark.parametrize(
    ("store", "message", "code"),
    [
        ("nobody", "nobody: unknown store", 2),
        ("sqlite:////nowhere/at/all.sqlite", "all", 1),
        ("http://[", "STORE: is no url", 2),
    ],
)
def test_discover_says_what_is_wrong_with_a_store(store: str, message: str, code: int) -> None:
    text, returned = failure("discover_lineage", store)
    assert message in text
    assert returned == code


def test_a_password_does_not_get_into_a_draft() -> None:
    from erasure.management.commands.discover_lineage import entry_of_url, written

    entry = entry_of_url("postgresql://someone:hunter2@db.example.com/shop")
    assert written(entry).url == "${SHOP_URL}"
    kept = entry_of_url("postgresql://someone:${PW}@db.example.com/shop")
    assert written(kept) == kept


def test_check_passes_where_everything_is_said(
    draft: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("import_lineage", str(justified(draft)))
    capsys.readouterr()
    call_command("check_lineage")
    assert capsys.readouterr().out == "nothing found\n"


def test_check_tells_a_retention_by_hand_as_a_note_and_one_that_is_misspelt_as_a_fault(
    draft: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = justified(draft).read_text()
    draft.write_text(text.replace("starts: id", "starts: the last order"))
    call_command("import_lineage", str(draft))
    capsys.readouterr()
    call_command("check_lineage")
    out = capsys.readouterr().out
    assert "shop.customer: its retention starts with 'the last order'" in out
    assert out.endswith("nothing to mend; 1 note\n")
    draft.write_text(text.replace("starts: id", "starts: nam"))
    call_command("import_lineage", str(draft))
    assert failure("check_lineage") == ("1 finding", 1)
    assert "retention: {period: 3y, starts: name}" in capsys.readouterr().out


def test_check_finds_what_came_after_the_import_and_goes_on_past_a_broken_store(
    draft: Path, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    justified(draft)
    text = draft.read_text()
    lost = "store:\n  - {name: lost, kind: sql, url: sqlite:////nowhere/lost.sqlite}\n"
    draft.write_text(text.replace("store:\n", lost, 1))
    call_command("import_lineage", str(draft))
    with closing(sqlite3.connect(shop)) as database:
        database.execute("alter table customer add column phone text")
        database.execute("create table visit (at text)")
    report = tmp_path / "report.sarif"
    said, code = failure("check_lineage", "--sarif", str(report))
    assert (said, code) == ("3 findings", 1)
    results = json.loads(report.read_text())["runs"][0]["results"]
    assert {r["ruleId"] for r in results} == {
        "store-unreachable",
        "unclassified-column",
        "unclassified-table",
    }
    out = capsys.readouterr().out
    assert "shop.customer.phone: the column is not in the catalogue [unclassified-column]" in out
    assert "- {name: phone, data_categories: [user.contact.phone_number]}" in out


def test_a_baseline_is_written_once_and_then_only_what_is_new_fails(
    draft: Path, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("import_lineage", str(draft))
    baseline = str(tmp_path / "baseline.json")
    call_command("check_lineage", "--baseline", baseline)
    before = Path(baseline).read_text()
    call_command("check_lineage", "--baseline", baseline)
    with closing(sqlite3.connect(shop)) as database:
        database.execute("create table visit (id integer primary key)")
    said, code = failure("check_lineage", "--baseline", baseline)
    assert (said, code) == ("1 finding (1 more in the baseline)", 1)
    assert "unclassified-table" in capsys.readouterr().out
    assert Path(baseline).read_text() == before


def test_check_refuses_an_empty_catalogue_and_a_file_that_is_no_baseline(
    draft: Path, tmp_path: Path
) -> None:
    said, code = failure("check_lineage")
    assert ("the catalogue is empty" in said, code) == (True, 2)
    call_command("import_lineage", str(draft))
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[1]")
    said, code = failure("check_lineage", "--baseline", str(wrong))
    assert ("is no baseline" in said, code) == (True, 2)
    said, code = failure("check_lineage", "--sarif", str(tmp_path / "no" / "where"))
    assert ("cannot be written" in said, code) == (True, 2)


def test_a_report_names_lines_and_a_store_that_nothing_connects_to(
    draft: Path, shop: Path, tmp_path: Path
) -> None:
    call_command("import_lineage", str(justified(draft)))
    Store.objects.create(name="jaffle", kind="duckdb")
    with closing(sqlite3.connect(shop)) as database:
        database.execute("alter table customer add column phone text")
    report = tmp_path / "report.sarif"
    said, _ = failure("check_lineage", "--sarif", str(report), "--files", str(draft))
    assert said == "2 findings"
    results = json.loads(report.read_text())["runs"][0]["results"]
    lines = {r["ruleId"]: r["locations"][0].get("physicalLocation") for r in results}
    assert lines["no-connector"] is None
    where = lines["unclassified-column"]
    line = draft.read_text().splitlines()[where["region"]["startLine"] - 1]
    assert (where["artifactLocation"]["uri"], line) == (str(draft), "      - name: customer")


@pytest.mark.parametrize("model", ["store", "dataset", "field", "reference", "derivation"])
def test_the_desk_shows_the_catalogue_and_changes_nothing(
    model: str, draft: Path, client: Client
) -> None:
    call_command("import_lineage", str(draft))
    client.force_login(User.objects.create_superuser("officer", password="x"))
    page = client.get(f"/admin/lineage/{model}/", {"q": "customer"})
    assert page.status_code == 200
    assert client.get(f"/admin/lineage/{model}/add/").status_code == 403
    if model != "derivation":
        assert b"shop" in client.get(f"/admin/lineage/{model}/").content


def test_the_desk_never_shows_a_password(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text(
        'store: [{name: a, kind: sql, url: "postgresql://u:hunter2@h/db"},'
        '{name: b, kind: sql, url: "postgresql://u:${PW}@h/db"}]'
    )
    call_command("import_lineage", str(path))
    client.force_login(User.objects.create_superuser("officer", password="x"))
    shown = client.get("/admin/lineage/store/").content.decode()
    assert "postgresql://u:…@h/db" in shown
    assert "postgresql://u:${PW}@h/db" in shown
    assert "hunter2" not in shown
