"""A company without a foreign key: drafted, imported nearly as it is, one person forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

from tests.discovery.strangers import german
from tests.scenarios.conftest import Installation

PURPOSE = "purpose: sale, legal_basis: contract, retention: {period: 3y}"


def rows(path: Path) -> dict[str, set[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as database:
        tables = ("kunde", "auftrag", "auftragsposition", "artikel", "mitarbeiter")
        return {t: set(database.execute(f"select * from {t}").fetchall()) for t in tables}


def test_a_drafted_reference_takes_the_orders_of_the_forgotten_along_and_nobody_elses(
    installation: Installation, tmp_path: Path
) -> None:
    path, draft = tmp_path / "firma.sqlite", tmp_path / "firma.yml"
    company = german(Random(1))
    with closing(sqlite3.connect(path)) as database, database:
        for table, columns in company.tables.items():
            database.execute(f"create table {table} ({columns})")
            places = ", ".join("?" * len(company.rows[table][0]))
            database.executemany(f"insert into {table} values ({places})", company.rows[table])
    installation.must("discover_lineage", f"sqlite:///{path}", "--out", str(draft))
    text = draft.read_text()
    draft.write_text(text.replace("{store: firma}", f"{{store: firma, {PURPOSE}}}"))
    installation.must("import_lineage", str(draft))
    before = rows(path)
    key = next(row[0] for row in before["kunde"] if row[9] == "person7@example.org")
    orders = {row for row in before["auftrag"] if row[1] == key}
    lines = {row for row in before["auftragsposition"] if row[1] in {o[0] for o in orders}}
    assert orders
    assert lines
    done = installation.erase("email=person7@example.org")
    assert done["outcome"] == "completed"
    after = rows(path)
    assert before["auftrag"] - after["auftrag"] == orders
    assert before["auftragsposition"] - after["auftragsposition"] == lines
    assert len(before["kunde"] - after["kunde"]) == 1
    assert (after["artikel"], after["mitarbeiter"]) == (before["artikel"], before["mitarbeiter"])
