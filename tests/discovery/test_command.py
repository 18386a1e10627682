"""``discover_lineage`` as an operator calls it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from django.core.management import CommandError, call_command

from lineage.importers import fideslang
from tests.discovery.conftest import Make
from tests.discovery.strangers import english, german
from tests.discovery.test_sampling import statements

pytestmark = pytest.mark.django_db


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """What the command says on standard output and on standard error."""
    capsys.readouterr()
    call_command("discover_lineage", *arguments)
    said = capsys.readouterr()
    return said.out, said.err


def test_the_draft_goes_out_and_the_summary_aside(
    on_sqlite: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run(capsys, on_sqlite(german(Random(1))))
    assert err.splitlines() == [
        "tables: 5, 5 of them sampled; columns: 30",
        "columns with a suggestion: 13 high, 4 medium, 0 low; without: 13",
        "references: 0 declared; by name and values: 3 high, 1 medium, 0 low",
        "left to a person: 3 to decide, 5 to confirm",
    ]
    assert fideslang.read_text(out, "draft.yml").warnings == ()


def test_no_value_is_shown_anywhere(
    make: Make, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    company = english(Random(1))
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
    try:
        out, err = run(capsys, make(company))
    finally:
        logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    told = out + err + caplog.text
    assert "sampled values are email addresses" in told
    values = {str(v) for rows in company.rows.values() for row in rows for v in row}
    assert [v for v in values if len(v) > 5 and not v.isdigit() and v in told] == []


def test_no_row_is_read_where_that_is_asked(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    url = make(german(Random(1)))
    with statements() as sent:
        out, err = run(capsys, url, "--no-values")
    assert [text for text in sent if '"kunde"' in text] == []
    assert err.startswith("tables: 5, 0 of them sampled")
    assert "sampled" not in out
    assert "high: name 'vorname'; " in out


def test_so_many_rows_are_looked_at(on_sqlite: Make, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, on_sqlite(german(Random(1))), "--rows", "12")
    assert "name 'vorname' and 12 of 12 sampled values are written like names" in out


@pytest.mark.parametrize("rows", ["0", "-1", "many", "10001", "²"])
def test_a_senseless_number_of_rows_is_refused(on_sqlite: Make, rows: str) -> None:
    with pytest.raises(
        CommandError, match="--rows: must be a whole number from 1 to 10000; for none, --no-values"
    ):
        call_command("discover_lineage", on_sqlite(german(Random(1))), f"--rows={rows}")


def test_a_table_that_cannot_be_read_is_named_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table t (id integer primary key, email text)")
        database.execute("insert into t values (1, 'mira@example.com')")
    with path.open("r+b") as file:
        file.seek(4096)  # the page of the table, behind that of the schema
        file.write(bytes(4096))
    out, err = run(capsys, f"sqlite:///{path}")
    assert err.splitlines()[0] == "tables: 1, 0 of them sampled; columns: 2"
    assert err.splitlines()[-1].startswith("not sampled: t: ")
    assert "mira" not in out + err
    assert "identity: email" in out


def test_a_store_that_cannot_be_looked_into_is_drafted_by_its_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "people.jsonl").write_text('{"email": "mira.quell@example.com"}\n')
    catalogue = tmp_path / "c.yml"
    catalogue.write_text(
        f'store: [{{name: lake, kind: files, url: "file://{lake}", options: {{format: jsonl}}}}]\n'
    )
    call_command("import_lineage", str(catalogue))
    out, err = run(capsys, "lake")
    assert " 0 of them sampled" in err
    assert "mira.quell" not in out + err
