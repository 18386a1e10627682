"""Backup sets: named, dated, untouched, restorable."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.domain.needles import Matcher, Needle
from erasure.stores import registry
from erasure.stores.backups import BackupsStore
from erasure.stores.base import Action, Declared, Key, Secrets, Selector, Step, Store, Work
from lineage.graph import Dataset

TODAY = date(2026, 11, 21)
SHOP = Dataset(address="backups.shop", store="vault", name="shop")
SECRETS = Secrets(
    seed=bytes(32), needles=Matcher([Needle(text="mara@example.com", category="email")])
)
OPTIONS: Mapping[str, Any] = {"glob": "*.sqlite3", "retention": "35d", "format": "sqlite"}


def _store(folder: Path, today: date = TODAY, **options: Any) -> BackupsStore:
    return BackupsStore(
        name="vault", url=f"file://{folder}", options={**OPTIONS, **options}, today=lambda: today
    )


def _database(path: Path, *emails: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT)")
        connection.executemany("INSERT INTO customer (email) VALUES (?)", [(e,) for e in emails])
        connection.commit()
    return path


def _emails(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT email FROM customer ORDER BY id")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    for night in ("20261113", "20261120"):
        _database(made / f"shop-{night}.sqlite3", "mara@example.com", "jonas@example.org")
    return made


def _work(*objects: str, action: Action = "expire") -> Work:
    keys = tuple(Key(values=(o,)) for o in objects)
    return Work(step=Step(dataset=SHOP, action=action), keys=keys)


def test_it_is_a_store_under_its_kind(folder: Path) -> None:
    made = registry.get("backups")(name="vault", url=f"file://{folder}", options=OPTIONS)
    assert isinstance(made, Store)
    assert isinstance(made, BackupsStore)


def test_the_sets_present_are_listed_with_their_copies(folder: Path) -> None:
    inspection = _store(folder).inspect()
    assert {name: t.rows for name, t in inspection.tables.items()} == {"shop": 2}


def test_another_night_does_not_make_an_approved_plan_stale(folder: Path) -> None:
    before = _store(folder).inspect().fingerprint
    _database(folder / "shop-20261121.sqlite3")
    assert _store(folder).inspect().fingerprint == before
    assert _store(folder, retention="36d").inspect().fingerprint != before


def test_copies_say_when_they_were_taken_and_when_they_go(folder: Path) -> None:
    copies = _store(folder).copies()
    assert [(c.object, c.taken_at, c.expires_on) for c in copies] == [
        ("shop-20261113.sqlite3", date(2026, 11, 13), date(2026, 12, 18)),
        ("shop-20261120.sqlite3", date(2026, 11, 20), date(2026, 12, 25)),
    ]


@given(
    taken=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    before=st.text("abcxyz-_", max_size=8),
    after=st.sampled_from(["", ".sqlite3", "-full.sqlite3", ".tar.gz", "_v2.dump"]),
)
def test_a_date_anywhere_in_the_name_is_read(taken: date, before: str, after: str) -> None:
    store = _store(Path("/nowhere"), taken_at="%Y-%m-%d")
    copy = store._copy(Path("/nowhere") / f"{before}{taken.isoformat()}{after}")
    assert copy is not None
    assert (copy.taken_at, copy.expires_on) == (taken, taken + timedelta(days=35))


@pytest.mark.parametrize(
    ("retention", "until"),
    [("2w", date(2026, 2, 14)), ("1m", date(2026, 2, 28)), ("1y", date(2027, 1, 31))],
)
def test_retention_is_counted_in_weeks_months_and_years(
    tmp_path: Path, retention: str, until: date
) -> None:
    (tmp_path / "shop-20260131.sqlite3").touch()
    (copy,) = _store(tmp_path, retention=retention).copies()
    assert copy.expires_on == until


def test_a_longer_number_is_not_a_date(folder: Path) -> None:
    (folder / "shop-99202611201.sqlite3").touch()
    with pytest.raises(StoreError, match="1 of the files that match"):
        _store(folder).copies()


def test_a_file_without_a_date_is_named_as_a_fault_not_skipped(folder: Path) -> None:
    (folder / "shop-final.sqlite3").touch()
    (folder / "shop-20261399.sqlite3").touch()
    with pytest.raises(StoreError, match=r"vault: 2 of the files .* have no date in their name"):
        _store(folder).inspect()


def test_every_copy_holds_whoever_is_asked_for(folder: Path) -> None:
    selector = Selector(dataset=SHOP)
    both = [("shop-20261113.sqlite3",), ("shop-20261120.sqlite3",)]
    found = list(_store(folder).find(selector, ["mara@example.com"]))
    assert [f.key.values for f in found] == both
    assert {f.matched for f in found} == {("mara@example.com",)}
    assert [f.key.values for f in _store(folder).find(selector, ())] == both
    assert list(_store(folder).find(Selector(dataset=SHOP, mode="text"), ["x"])) == []


def test_a_copy_dated_later_than_today_is_not_one_of_theirs(folder: Path) -> None:
    found = list(_store(folder, today=date(2026, 11, 19)).find(Selector(dataset=SHOP), ()))
    assert [f.key.values for f in found] == [("shop-20261113.sqlite3",)]


def test_the_last_copy_tells_the_date_and_nothing_is_touched(folder: Path) -> None:
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    store = _store(folder)
    (receipt,) = store.act([_work("shop-20261120.sqlite3")], SECRETS)
    assert (receipt.residue, receipt.until) == ("expires_on", date(2026, 12, 25))
    assert (receipt.done, receipt.note) == (2, "2 copies")
    assert store.check([_work("shop-20261120.sqlite3")], SECRETS) == []
    assert store.purge([SHOP]).until == date(2026, 12, 25)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before


def test_a_step_without_keys_is_about_the_whole_set(folder: Path) -> None:
    (receipt,) = _store(folder).act([_work()], SECRETS)
    assert receipt.until == date(2026, 12, 25)
    blank = Work(step=Step(dataset=SHOP, action="expire"), keys=(Key(values=()),))
    assert _store(folder).check([blank], SECRETS) == []


def test_a_lock_longer_than_the_retention_blocks(folder: Path) -> None:
    (receipt,) = _store(folder, immutable_for="2m").act([_work()], SECRETS)
    assert (receipt.residue, receipt.until) == ("blocked_until", date(2027, 1, 20))
    assert "locked until 2027-01-20" in receipt.note


def test_a_lock_shorter_than_the_retention_is_only_noted(folder: Path) -> None:
    (receipt,) = _store(folder, immutable_for="7d").act([_work()], SECRETS)
    assert (receipt.residue, receipt.until) == ("expires_on", date(2026, 12, 25))
    assert "locked until 2026-11-27" in receipt.note


def test_a_copy_past_its_retention_is_overdue_and_fails_its_check(folder: Path) -> None:
    store = _store(folder, today=date(2026, 12, 19))
    (receipt,) = store.act([_work()], SECRETS)
    assert (receipt.residue, receipt.until) == ("expires_on", date(2026, 12, 25))
    assert "1 overdue" in receipt.note
    (failure,) = store.check([_work("shop-20261113.sqlite3")], SECRETS)
    assert failure.count == 1
    assert store.check([_work("shop-20261120.sqlite3")], SECRETS) == []


def test_a_date_that_has_passed_promises_nothing(folder: Path) -> None:
    (receipt,) = _store(folder, today=date(2027, 1, 1)).act([_work()], SECRETS)
    assert receipt.residue == "present"


def test_when_all_copies_are_gone_nothing_is_left(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    store = _store(folder, today=date(2027, 1, 1))
    (receipt,) = store.act([_work("shop-20261120.sqlite3")], SECRETS)
    assert (receipt.residue, receipt.until, receipt.done) == ("clean", None, 0)
    assert store.check([_work("shop-20261120.sqlite3")], SECRETS) == []


def test_a_misnamed_set_is_not_taken_for_an_expired_one(folder: Path) -> None:
    crm = Dataset(address="backups.crm", store="vault", name="crm")
    work = Work(step=Step(dataset=crm, action="expire"), keys=())
    with pytest.raises(StoreError, match=r"no copy belongs to the set 'crm'; .* shop"):
        _store(folder).act([work], SECRETS)


@pytest.mark.parametrize("action", sorted(set(get_args(Action)) - {"expire"}))
def test_a_backup_only_expires(folder: Path, action: Action) -> None:
    with pytest.raises(StoreError, match="let the action be 'expire'"):
        _store(folder).act([_work(action=action)], SECRETS)


def test_a_scan_does_not_even_claim_to_have_looked(folder: Path) -> None:
    assert list(_store(folder).scan([Declared(dataset=SHOP)], SECRETS.needles)) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"retention": "soon"}, "options.retention must be a number"),
        ({"retention": None}, "options.retention must be a number"),
        ({"immutable_for": "1 year"}, "options.immutable_for must be a number"),
        ({"taken_at": "%B %Y"}, "options.taken_at must be made of"),
        ({"taken_at": "daily"}, "options.taken_at must be made of"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    folder: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(StoreError, match=words):
        _store(folder, **options)


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "file://host/x", "backups", ""])
def test_an_address_that_is_no_folder_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="file:///absolute/folder"):
        BackupsStore(name="vault", url=url, options=OPTIONS)


def test_a_folder_that_is_away_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable) as error:
        _store(tmp_path / "gone").copies()
    assert not error.value.permanent


def test_a_copy_is_restored_over_a_database_that_is_open(folder: Path, tmp_path: Path) -> None:
    target = _database(tmp_path / "live.sqlite3", "jonas@example.org")
    with closing(sqlite3.connect(target)) as reader:
        reader.execute("PRAGMA journal_mode=WAL")
        assert reader.execute("SELECT count(*) FROM customer").fetchone() == (1,)
        _store(folder).restore("shop-20261120.sqlite3", target)
        assert reader.execute("SELECT count(*) FROM customer").fetchone() == (2,)
    assert _emails(target) == ["mara@example.com", "jonas@example.org"]


@pytest.mark.parametrize("obj", ["../live.sqlite3", "shop-20200101.sqlite3", ""])
def test_only_a_copy_of_the_store_is_restored(folder: Path, tmp_path: Path, obj: str) -> None:
    target = _database(tmp_path / "live.sqlite3", "jonas@example.org")
    with pytest.raises(StoreError, match="not in this store"):
        _store(folder).restore(obj, target)
    assert _emails(target) == ["jonas@example.org"]


def test_a_damaged_copy_leaves_the_database_alone(folder: Path, tmp_path: Path) -> None:
    target = _database(tmp_path / "live.sqlite3", "jonas@example.org")
    (folder / "shop-20261120.sqlite3").write_bytes(b"not a database, and longer than a header" * 50)
    with pytest.raises(StoreError, match="restoring failed"):
        _store(folder).restore("shop-20261120.sqlite3", target)
    assert _emails(target) == ["jonas@example.org"]


def test_another_format_is_not_restored_from_here(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"only options\.format 'sqlite'"):
        _store(folder, format="pg_dump").restore("shop-20261120.sqlite3", tmp_path / "x")
