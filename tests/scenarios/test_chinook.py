"""One real customer of Chinook (SQLite) is forgotten; everybody else is as before."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.conftest import Installation, shared

pytestmark = pytest.mark.shared

EMAIL = "luisg@embraer.com.br"
HIS = (EMAIL, "+55 (12) 3923-5555", "Av. Brigadeiro Faria Lima, 2170", "Luís Gonçalves")

Dump = dict[str, set[tuple[object, ...]]]


@pytest.fixture
def installation(tmp_path: Path, catalogued: Callable[[str], Path]) -> Installation:
    """An installation that knows the shop's catalogue."""
    home = tmp_path / "home"
    shutil.copytree(catalogued("chinook.yml"), home)
    return Installation(home=home)


@pytest.fixture
def chinook(installation: Installation, tmp_path: Path) -> Path:
    """A copy of the shop's database."""
    copy = tmp_path / "chinook.sqlite"
    shutil.copy(shared("chinook", "Chinook_Sqlite.sqlite"), copy)
    copy.chmod(0o600)
    installation.environment["CHINOOK_FILE"] = str(copy)
    return copy


def dump(path: Path) -> Dump:
    """Every row of every table."""
    with sqlite3.connect(path) as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'")
        return {
            name: set(connection.execute(f'select * from "{name}"').fetchall())
            for (name,) in names.fetchall()
        }


def removed(before: Dump, after: Dump) -> dict[str, int]:
    """Rows gone per table; no row may have been added or changed."""
    assert before.keys() == after.keys()
    assert all(after[name] <= before[name] for name in before)
    counts = {name: len(before[name]) - len(after[name]) for name in before}
    return {name: count for name, count in counts.items() if count}


def test_a_customer_goes_with_invoices_and_lines_and_nobody_else_is_touched(
    installation: Installation, chinook: Path
) -> None:
    before = dump(chinook)
    done = installation.erase(f"email={EMAIL.upper()}")
    assert done["outcome"] == "completed"
    assert removed(before, dump(chinook)) == {"Customer": 1, "Invoice": 7, "InvoiceLine": 38}
    rows = {s["dataset"]: (s["action"], s["rows"], s["residue"]) for s in done["steps"]}
    assert rows["shop.Customer"] == ("delete", 1, "clean")
    assert rows["shop.Invoice"] == ("delete", 7, "clean")
    assert rows["shop.InvoiceLine"] == ("delete", 38, "clean")
    with sqlite3.connect(chinook) as connection:
        assert connection.execute("pragma foreign_key_check").fetchall() == []


def test_no_byte_of_him_stays_in_the_file_or_in_our_own_home(
    installation: Installation, chinook: Path
) -> None:
    assert EMAIL.encode() in chinook.read_bytes()
    installation.erase(f"email={EMAIL}")
    files = [chinook, *chinook.parent.glob(chinook.name + "-*")]
    for path in files:
        content = path.read_bytes()
        assert not [v for v in HIS if v.encode() in content], path
    assert installation.bytes_holding(*HIS) == []


def test_values_he_shares_with_others_stay_and_are_reported(
    installation: Installation, chinook: Path
) -> None:
    done = installation.erase(f"email={EMAIL}")
    shared_fields = {(s["dataset"], s["field"]) for s in done["shared"]}
    assert ("chinook.Customer", "Country") in shared_fields
    assert ("chinook.Invoice", "BillingCountry") in shared_fields


def test_the_certificate_verifies_and_a_flipped_byte_does_not(
    installation: Installation, chinook: Path
) -> None:
    done = installation.erase(f"email={EMAIL}")
    certificate = Path(done["certificate"])
    installation.must("verify_evidence", str(certificate))
    installation.must("verify_evidence")
    content = bytearray(certificate.read_bytes())
    content[len(content) // 2] ^= 1
    certificate.write_bytes(bytes(content))
    assert installation.run("verify_evidence", str(certificate)).returncode == 1


def test_an_altered_ledger_row_is_found(installation: Installation, chinook: Path) -> None:
    installation.erase(f"email={EMAIL}")
    with sqlite3.connect(installation.home / "control.sqlite3") as control:
        control.execute(
            "update erasure_ledgerleaf set payload = replace(payload, 'gdpr', 'ccpa') "
            'where "index" = 0'
        )
    assert installation.run("verify_evidence").returncode == 1


def test_a_value_planted_in_an_undeclared_column_blocks_the_case(
    installation: Installation, chinook: Path
) -> None:
    with sqlite3.connect(chinook) as connection:
        connection.execute("alter table Track add column Remark text")
        connection.execute("update Track set Remark = 'asked by ' || ? where TrackId = 5", [EMAIL])
    done = installation.run("erase", f"email={EMAIL}", "--yes", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["outcome"] == "blocked"
    assert told["certificate"] is None
    assert "Track.Remark" in done.stdout
    assert EMAIL not in done.stdout + done.stderr


def test_a_blocked_case_goes_on_with_the_same_command_once_the_cause_is_gone(
    installation: Installation, chinook: Path
) -> None:
    with sqlite3.connect(chinook) as connection:
        connection.execute("alter table Track add column Remark text")
        connection.execute("update Track set Remark = ? where TrackId = 5", [EMAIL])
    blocked = json.loads(installation.run("erase", f"email={EMAIL}", "--yes", "--json").stdout)
    with sqlite3.connect(chinook) as connection:
        connection.execute("update Track set Remark = null")
    done = installation.erase(f"email={EMAIL}")
    assert done["request"] == blocked["request"]
    assert done["outcome"] == "completed"
    assert {s["dataset"]: s["rows"] for s in done["steps"]}["shop.Invoice"] == 7


def test_a_dry_run_changes_nothing_and_keeps_no_identifier(
    installation: Installation, chinook: Path
) -> None:
    before = dump(chinook)
    planned = json.loads(installation.must("erase", f"email={EMAIL}", "--dry-run", "--json"))
    counted = {s["dataset"]: s["rows"] for s in planned["steps"]}
    assert counted["shop.InvoiceLine"] == 38
    assert dump(chinook) == before
    assert not list((installation.home / "keys").glob("*.key"))


def test_a_person_nobody_knows_is_no_data_and_never_completed(
    installation: Installation, chinook: Path
) -> None:
    before = dump(chinook)
    done = installation.erase("email=nobody@example.com")
    assert done["outcome"] == "no_data"
    assert done["certificate"] is None
    assert dump(chinook) == before


def test_two_identities_of_two_people_are_refused(
    installation: Installation, chinook: Path
) -> None:
    before = dump(chinook)
    done = installation.run("erase", f"email={EMAIL}", "customer_id=2", "--yes", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["outcome"] == "blocked"
    assert "not one person" in done.stderr
    assert dump(chinook) == before


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("shoe_size=42", "unknown identity kind 'shoe_size'"),
        ("email=not-an-address", "not an email address"),
        ("email=", "empty"),
        ("luisg", "KIND=VALUE"),
    ],
)
def test_what_cannot_be_an_identifier_is_refused_in_one_line(
    installation: Installation, chinook: Path, argument: str, told: str
) -> None:
    before = dump(chinook)
    done = installation.run("erase", argument, "--yes")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert dump(chinook) == before


def test_a_column_that_has_gone_is_named_before_anything_happens(
    installation: Installation, chinook: Path
) -> None:
    with sqlite3.connect(chinook) as connection:
        connection.execute("alter table Invoice drop column BillingState")
    before = dump(chinook)
    done = installation.run("erase", f"email={EMAIL}", "--yes")
    assert done.returncode == 1
    assert "shop.Invoice: the column BillingState has gone" in done.stderr
    assert dump(chinook) == before


def test_a_database_that_is_not_there_is_named_and_not_made(
    installation: Installation, chinook: Path
) -> None:
    chinook.rename(chinook.with_suffix(".away"))
    done = installation.run("erase", f"email={EMAIL}", "--yes")
    assert done.returncode == 1
    assert "chinook" in done.stderr
    assert "Traceback" not in done.stderr
    assert not chinook.exists()
