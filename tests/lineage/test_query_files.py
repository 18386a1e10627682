"""Scripts and query logs tell which columns flow where, and nothing of the values in them stays."""

from __future__ import annotations

import csv
import json
import os
import zlib
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from lineage import selectors
from lineage.event_models import HeardFlow, HeardRun, StoredEvent
from tests.lineage.heard_cast import effects, open_codes, reach, shop

__all__ = ["shop"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shop")]

SECRET = "ann.archer@example.com"
SCRIPT = f"""
-- one person's visits, by hand
create temp table recent as select id, city from customer where email <> '{SECRET}';
insert into mart.visitors (who, hashed, town)
  select c.id, md5(c.email), r.city from customer c join recent r on r.id = c.id;
insert into sums select count(*) as n from customer;
delete from customer where email = '{SECRET}';
"""
MART = "postgres://db:5432/shop.mart.visitors"


def give(path: Path, store: str = "db") -> None:
    call_command("import_lineage", str(path), format="sql", store=store)


def stored() -> str:
    events = (zlib.decompress(bytes(row.body)).decode() for row in StoredEvent.objects.all())
    facts = (json.dumps(run.facts) for run in HeardRun.objects.all())
    columns = (json.dumps(flow.columns) for flow in HeardFlow.objects.all())
    return "\n".join([*events, *facts, *columns])


def script(folder: Path, text: str = SCRIPT) -> Path:
    path = folder / "nightly.sql"
    path.write_text(text)
    os.utime(path, (1_790_000_000, 1_790_000_000))
    return path


def test_a_script_makes_what_it_fills_reachable_by_the_keys_it_copies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give(script(tmp_path))
    assert "3 tables that queries fill" in capsys.readouterr().out
    assert effects()[MART] == "deep"
    _, found = reach()
    (into,) = [e for e in found.edges if e.destination == MART]
    assert (into.origin, into.destination_field) == ("shop.customer", "who")
    flows = [f for d in selectors.snapshot().derivations if d.downstream == MART for f in d.flows]
    assert ("hashed", "email", "TRANSFORMATION", True) in [tuple(f) for f in flows]
    # by way of the table that was there for a moment only
    assert ("town", "city", "IDENTITY", False) in [tuple(f) for f in flows]
    assert ("derived-without-key", "postgres://db:5432/shop.public.sums") in open_codes()


def test_no_value_of_a_text_is_kept(tmp_path: Path) -> None:
    give(script(tmp_path))
    assert MART.rpartition(".")[2] in stored()
    assert "ann" not in stored()
    assert "select" not in stored().lower()


def test_giving_it_again_learns_nothing_new(tmp_path: Path) -> None:
    give(script(tmp_path))
    before = (stored(), StoredEvent.objects.count())
    give(script(tmp_path))
    assert (stored(), StoredEvent.objects.count()) == before


def csv_line(text: str, *, database: str = "shop", minute: int = 0) -> list[str]:
    time = f"2026-11-20 10:{minute:02}:00.123 UTC"
    return [time, "etl", database, *["x"] * 10, text, *[""] * 12]


def json_line(text: str, *, database: str = "shop", minute: int = 0) -> str:
    time = f"2026-11-20 10:{minute:02}:00.123 UTC"
    return json.dumps({"timestamp": time, "dbname": database, "message": text})


FILLS = "insert into mart.{0} select id as who from customer where email = '{1}'"
LOGGED = [
    ("statement: " + FILLS.format("a", SECRET), "shop"),
    ("duration: 12.3 ms  statement: " + FILLS.format("a", "bob@example.com"), "shop"),
    ("execute <unnamed>: " + FILLS.format("b", SECRET), "shop"),
    ("statement: " + FILLS.format("elsewhere", SECRET), "other"),
    (f"statement: select * from customer where email = '{SECRET}'", "shop"),
    ("connection authorized: user=etl", "shop"),
    (f"statement: insert into ( '{SECRET}'", "shop"),
]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_query_log_says_the_same_of_what_was_carried_out_in_that_database(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"postgresql.{form}"
    with path.open("w", newline="") as file:
        for minute, (text, database) in enumerate(LOGGED):
            if form == "csv":
                csv.writer(file).writerow(csv_line(text, database=database, minute=minute))
            else:
                file.write(json_line(text, database=database, minute=minute) + "\n")
    give(tmp_path)  # the folder that it is in
    said = capsys.readouterr()
    assert "2 tables that queries fill" in said.out
    assert said.err.count("cannot be parsed as postgres") == 1
    assert SECRET not in said.err
    assert f"{path}:7: " in said.err
    assert effects() == {f"postgres://db:5432/shop.mart.{name}": "deep" for name in "ab"}
    assert "example.com" not in stored()


def test_a_star_that_hides_columns_takes_no_source_for_mere_influence(tmp_path: Path) -> None:
    text = "insert into mart.wide select * from customer c join unknown_table u on u.id = c.id"
    give(script(tmp_path, text))
    wide = [d for d in selectors.snapshot().derivations if d.downstream.endswith(".wide")]
    assert {d.upstream for d in wide} >= {"shop.customer"}
    assert selectors.snapshot().influences == ()


@pytest.mark.parametrize(
    ("name", "store", "words"),
    [
        ("nightly.sql", None, "say which store"),
        ("nightly.sql", "dbb", "unknown store; did you mean 'db'"),
        ("nightly.txt", "db", "is no .sql, .csv, .json and no folder"),
        ("absent.sql", "db", "cannot be read"),
        ("broken.json", "db", "not written in UTF-8, or no log"),
    ],
)
def test_what_cannot_be_used_is_said_by_its_place(
    name: str, store: str | None, words: str, tmp_path: Path
) -> None:
    script(tmp_path)
    (tmp_path / "nightly.txt").write_text(SCRIPT)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(CommandError, match=words) as caught:
        call_command("import_lineage", str(tmp_path / name), format="sql", store=store)
    assert caught.value.returncode == 2
    assert not StoredEvent.objects.exists()
