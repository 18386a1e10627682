"""The demo company: one seed, one company; the leaver everywhere, the neighbour beside them."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from erasure.demo import company as demo
from erasure.demo.company import Company
from erasure.demo.shop import copy
from erasure.demo.snapshot import mentioned, snapshots
from erasure.domain.errors import UsageError
from erasure.domain.needles import Matcher
from tests.scenarios.company_cast import (
    TODAY,
    build_company,
    found_in_model,
    rows,
    text_of,
    write,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """For reading only."""
    return build_company(tmp_path_factory.mktemp("company"))


@pytest.fixture
def own(tmp_path: Path) -> Company:
    """To be changed."""
    return build_company(tmp_path / "own")


def _digests(folder: Path) -> dict[str, str]:
    """Of every file but the model's, which knows when it was trained."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and "models" not in p.parts)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_one_seed_makes_one_company(built: Company, own: Company) -> None:
    assert snapshots(own) == snapshots(built)
    assert _digests(own.folder) == _digests(built.folder)
    name = "models/churn/1/model.skops"
    assert (own.folder / name).read_bytes() == (built.folder / name).read_bytes()


def test_another_seed_makes_another_company_with_the_same_two(
    built: Company, tmp_path: Path
) -> None:
    other = build_company(tmp_path / "other", seed=8)
    assert other.leaver.email == built.leaver.email
    assert other.neighbour.name == built.neighbour.name
    names = "SELECT email FROM customer WHERE id NOT IN (42, 43)"
    assert not set(rows(other.database, names)) & set(rows(built.database, names))


def test_the_foreign_keys_hold(built: Company) -> None:
    assert rows(built.database, "PRAGMA foreign_key_check") == []
    assert rows(built.database, "SELECT count(*) FROM customer") == [(400,)]


def test_the_leaver_is_in_every_table_that_knows_people(built: Company) -> None:
    for table, ids in built.mine.items():
        marks = ", ".join("?" * len(ids))
        found = rows(built.database, f"SELECT count(*) FROM {table} WHERE id IN ({marks})", *ids)
        assert found == [(len(ids),)], table
        assert ids, table
    lines = "SELECT count(*) FROM order_line l JOIN orders o ON o.id = l.order_id "
    assert rows(built.database, lines + "WHERE customer_id = 42") != [(0,)]


def test_the_rows_that_are_the_leavers_alone_are_all_of_them(built: Company) -> None:
    owners = {
        "customer": "id = 42",
        "orders": "customer_id = 42",
        "invoice": "billing_email = 'mara.lindqvist@example.com'",
        "ticket": "customer_id = 42",
        "ticket_message": "author_id = 42",
        "review": "customer_id = 42",
    }
    for table, where in owners.items():
        found = rows(built.database, f"SELECT id FROM {table} WHERE {where} ORDER BY id")
        assert tuple(row[0] for row in found) == built.mine[table], table


def test_the_leaver_is_in_lake_logs_backup_and_model(built: Company) -> None:
    in_lake = [
        path
        for path in sorted(built.lake.iterdir())
        if built.leaver.id in pq.ParquetFile(path).read()["customer_id"].to_pylist()
    ]
    assert len(in_lake) > 1
    logs = sorted(p for p in built.logs.rglob("*") if p.is_file())
    assert [p.name for p in logs] == [
        "access.log",
        "access.log.1",
        "access.log.2.gz",
        "app.log",
        "app.log.1.gz",
    ]
    assert all(built.leaver.email in text_of(path) for path in logs)
    assert rows(built.backup, "SELECT email FROM customer WHERE id = 42")
    assert [f.key.count for f in found_in_model(built)] == [len(built.mine["orders"])]


def test_rotated_logs_are_older(built: Company) -> None:
    for folder in ("access", "app"):
        times = [p.stat().st_mtime for p in sorted((built.logs / folder).iterdir())]
        assert times == sorted(times, reverse=True)


def test_the_neighbour_shares_what_households_share(built: Company) -> None:
    both = "SELECT address_id, phone FROM customer WHERE id IN (42, 43)"
    assert len(set(rows(built.database, both))) == 1
    leaver, neighbour = built.leaver, built.neighbour
    assert leaver.ip == neighbour.ip
    threads = "SELECT DISTINCT ticket_id FROM ticket_message WHERE author_id = ? ORDER BY 1"
    shared = [(1,), (2,)]
    assert rows(built.database, threads, 42) == rows(built.database, threads, 43) == shared
    lines = text_of(built.logs / "app" / "app.log").splitlines()
    assert any(leaver.email in line and neighbour.email in line for line in lines)
    replies = "SELECT r.id FROM review r JOIN review t ON t.id = r.reply_to WHERE "
    assert rows(built.database, replies + "r.customer_id = 43 AND t.customer_id = 42")
    assert rows(built.database, replies + "r.customer_id = 42 AND t.customer_id = 43")


def test_nobody_else_is_mentioned_by_the_leavers_name_or_mailbox(built: Company) -> None:
    matcher = Matcher(mentioned(built.leaver))
    others = rows(built.database, "SELECT first_name || ' ' || last_name, email FROM customer")
    named = [row for row in others if any(matcher.found_in(str(v)) for v in row)]
    assert named == [("Mara Lindqvist", "mara.lindqvist@example.com")]


def test_mailboxes_are_nobodys(built: Company) -> None:
    emails = rows(built.database, "SELECT email FROM customer")
    assert len(set(emails)) == 400
    assert all(str(e[0]).isascii() and " " not in str(e[0]) for e in emails)
    assert {str(e[0]).rpartition("@")[2] for e in emails} == {"example.com", "example.org"}


# Building


def test_a_build_that_was_cut_short_is_begun_again(tmp_path: Path, built: Company) -> None:
    def stop(what: str) -> None:
        if what == "logs":
            raise KeyboardInterrupt

    folder = tmp_path / "company"
    with pytest.raises(KeyboardInterrupt):
        demo.build(folder, people=400, today=TODAY, progress=stop)
    assert demo.load(folder) is None
    assert snapshots(build_company(folder)) == snapshots(built)


def test_a_built_company_is_found_again(built: Company) -> None:
    assert demo.load(built.folder) == built
    assert built.hash_key not in (built.folder / "company.json").read_text()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not lose me")
    with pytest.raises(UsageError, match="is not empty"):
        build_company(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs at least 200"):
        build_company(tmp_path / "x", people=10)
    assert not (tmp_path / "x").exists()


def test_the_record_of_who_is_who_can_be_removed(own: Company) -> None:
    demo.forget_cast(own)
    demo.forget_cast(own)
    assert demo.load(own.folder) is None
    left = [p for p in own.folder.iterdir() if p.is_file() and p != own.database]
    assert left == []


def test_a_copy_is_the_database_of_that_moment(own: Company, tmp_path: Path) -> None:
    copy(own.database, tmp_path / "copy.sqlite3")
    write(own.database, "DELETE FROM review")
    assert rows(tmp_path / "copy.sqlite3", "SELECT count(*) FROM review WHERE id = 1") == [(1,)]


@pytest.mark.benchmark
def test_five_thousand_people_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.perf_counter()
    company = build_company(tmp_path / "large", people=5000)
    seconds = time.perf_counter() - started
    assert rows(company.database, "SELECT count(*) FROM customer") == [(5000,)]
    size = sum(p.stat().st_size for p in company.folder.rglob("*") if p.is_file())
    with capsys.disabled():
        sys.stdout.write(
            f"\ndemo company: 5,000 people in {seconds:.1f} s, {size / 1e6:.1f} MB, "
            f"{5000 / seconds:,.0f} people/s\n"
        )
