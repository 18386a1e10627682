"""What is broken out there is named in one line, with the remedy, and nothing is half-done."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from erasure.demo import company as demo
from erasure.demo.company import Company
from tests.scenarios.conftest import Installation

LEAVER = "mara.lindqvist@example.com"


@pytest.fixture(scope="module")
def known(fresh_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Company]:
    """A home that knows a small demo company's catalogue, and the company: to be copied."""
    folder = tmp_path_factory.mktemp("known")
    made = Installation(home=Path(shutil.copytree(fresh_home, folder / "home")))
    key = made.must(
        "shell", "--no-imports", "-v", "0", "-c",
        "from erasure.connect import derived_key; print(derived_key('models'))",
    ).strip()  # fmt: skip
    built = demo.build(folder / "company", people=200, hash_key=key)
    made.environment.update(built.environment)
    made.must("import_lineage", str(built.catalogue))
    return made.home, built


@pytest.fixture
def company(tmp_path: Path, installation: Installation, known: tuple[Path, Company]) -> Company:
    """A small demo company whose catalogue is known."""
    home, built = known
    shutil.copytree(home, installation.home, dirs_exist_ok=True)
    copied = replace(built, folder=Path(shutil.copytree(built.folder, tmp_path / "company")))
    installation.environment.update(copied.environment)
    return copied


def not_parquet(company: Company) -> None:
    sorted(company.lake.iterdir())[3].write_bytes(b"this is no table")


def truncated_gzip(company: Company) -> None:
    path = next(company.logs.rglob("*.gz"))
    path.write_bytes(path.read_bytes()[:-20])


def gone_column(company: Company) -> None:
    with closing(sqlite3.connect(company.database)) as connection, connection:
        connection.execute("alter table orders drop column gift_message")


def no_database(company: Company) -> None:
    company.database.unlink()


def no_folder(company: Company) -> None:
    company.models.rename(company.models.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (not_parquet, "lake"),
        (truncated_gzip, "log"),
        (gone_column, "gift_message"),
        (no_database, "shop_db"),
        (no_folder, "models"),
    ],
)
def test_a_broken_store_is_named_in_one_line_and_nothing_is_deleted_unseen(
    installation: Installation,
    company: Company,
    harm: Callable[[Company], None],
    told: str,
) -> None:
    harm(company)
    done = installation.run("erase", f"email={LEAVER}", "--yes", "--json")
    assert done.returncode == 1, done.stdout
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert LEAVER not in done.stderr + done.stdout
    assert json.loads(done.stdout)["outcome"] == "blocked"
    if company.database.exists():
        with closing(sqlite3.connect(company.database)) as connection:
            left = connection.execute(
                "select count(*) from customer where email = ?", [LEAVER]
            ).fetchone()
        assert left == (1,)


def test_a_table_without_any_key_is_named_and_nothing_is_deleted(
    installation: Installation, tmp_path: Path
) -> None:
    shop, catalogue = tmp_path / "shop.sqlite3", tmp_path / "shop.yml"
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("create table member (email text)")
        connection.execute("insert into member values (?)", [LEAVER])
    catalogue.write_text(
        f"""
store:
  - {{name: shop_db, kind: sql, url: "sqlite:///{shop}"}}
dataset:
  - fides_key: shop
    erasure: {{store: shop_db}}
    collections:
      - name: member
        erasure: {{action: delete}}
        fields:
          - {{name: email, data_categories: [user.contact.email], fides_meta: {{identity: email}}}}
"""
    )
    installation.must("import_lineage", str(catalogue))
    done = installation.run("erase", f"email={LEAVER}", "--yes")
    assert done.returncode == 1
    assert "member" in done.stderr
    assert "key" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    with closing(sqlite3.connect(shop)) as connection:
        assert connection.execute("select count(*) from member").fetchone() == (1,)


def test_a_repaired_store_is_gone_on_with_by_the_same_command(
    installation: Installation, company: Company
) -> None:
    path = next(company.logs.rglob("*.gz"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert installation.run("erase", f"email={LEAVER}", "--yes").returncode == 1
    path.write_bytes(whole)
    assert gzip.decompress(path.read_bytes())
    assert installation.erase(f"email={LEAVER}")["outcome"] == "awaiting_copies"
