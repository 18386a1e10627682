"""Names as engineers really give them: spaces, quotes, upper case, dots, words of YAML. What is
drafted from such tables is imported as it stands, fits the tables, and forgets the right person."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import yaml

from tests.scenarios.conftest import Installation
from tests.stores.postgresql import scratch_database

PERSON = "Customer Data"
TABLES = (
    'say "hi"', "it's", "ORDERS", "orders", "Größe & Maß", "true", "123", "select", "a.b", "~",
    "{x}: [y]", "# not a comment", " leading", "trailing ", "back\\slash", "new\nline", "naïve-😀",
    "tab\tname", "1e3", "percent % s", "bell\x07", "-", "a: b", "%(x)s", ":colon", "?",
    "line\u2028",
)  # fmt: skip
COLUMNS = (
    "E-Mail Address", 'the "nick"', "person's", "UPPER", "upper", "Straße", "yes", "7", "order",
    "c.d", "{z}", "#hash", " first", "last ", "b\\s", "two\nlines", "😀", "a\tb", "~", ":bind",
    "%s", "\x01", "%(y)s",
)  # fmt: skip
SAID = "purpose: sale, legal_basis: contract, retention: {period: 3y, starts: the last order}"
Run = Callable[[str], list[tuple[object, ...]]]


def ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def script() -> Iterator[str]:
    """Two people, and tables that refer to both; a view, and a table about nobody."""
    key = ident("Person Id")
    columns = ", ".join(f"{ident(c)} VARCHAR(80)" for c in COLUMNS)
    yield f"CREATE TABLE {ident(PERSON)} ({key} INTEGER PRIMARY KEY, {columns})"
    for number in (1, 2):
        given = ", ".join(f"'{c}{number}'" for c in "bcdefghijklmnopqrstuvw")
        mail = f"'person{number}@example.org'"
        yield f"INSERT INTO {ident(PERSON)} VALUES ({number}, {mail}, {given})"
    for number, name in enumerate(TABLES):
        column, who = ident(COLUMNS[number % len(COLUMNS)]), ident("Of Whom?")
        yield (
            f"CREATE TABLE {ident(name)} ({column} INTEGER PRIMARY KEY, {who} INTEGER "
            f"REFERENCES {ident(PERSON)} ({key}), amount INTEGER)"
        )
        yield f"INSERT INTO {ident(name)} VALUES (10, 1, 5), (20, 2, 5), (21, 2, 6)"
    yield f"CREATE VIEW {ident('A view')} AS SELECT {ident(COLUMNS[0])} FROM {ident(PERSON)}"
    yield f"CREATE TABLE {ident('Die Farben')} ({ident('No.')} INTEGER PRIMARY KEY, hue INTEGER)"
    yield f"INSERT INTO {ident('Die Farben')} VALUES (1, 7), (2, 8)"


def on_sqlite(folder: Path) -> Iterator[tuple[str, Run]]:
    path = folder / "odd names.sqlite3"

    def run(statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchall()

    yield f"sqlite:///{path}", run


def on_postgresql(folder: Path) -> Iterator[tuple[str, Run]]:
    for url in scratch_database("odd"):
        with psycopg.connect(url, autocommit=True) as connection:

            def run(statement: str) -> list[tuple[object, ...]]:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

            yield url, run


@pytest.fixture(
    params=[
        pytest.param(on_sqlite, id="sqlite"),
        pytest.param(on_postgresql, id="postgresql", marks=pytest.mark.postgres),
    ]
)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Run]]:
    """The tables, and a way to ask them."""
    for url, run in request.param(tmp_path):
        for statement in script():
            # SQLite tells no upper case from lower in a name.
            if "sqlite" in url:
                statement = statement.replace('"orders"', '"orders "').replace('"upper"', '"up"')
            run(statement)
        yield url, run


def test_tables_with_odd_names_are_drafted_imported_checked_and_erased_from(
    odd: tuple[str, Run], installation: Installation, tmp_path: Path
) -> None:
    url, run = odd
    draft = tmp_path / "odd.yml"
    installation.must("discover_lineage", url, "--out", str(draft))
    text = draft.read_text(encoding="utf-8")
    assert "Größe & Maß" in text
    assert "naïve-😀" in text
    (dataset,) = yaml.safe_load(text)["dataset"]
    collections = {c["name"]: c for c in dataset["collections"]}
    spelt = {"orders": "orders "} if "sqlite" in url else {}
    named = [spelt.get(name, name) for name in TABLES]
    assert set(collections) == {PERSON, *named, "A view", "Die Farben"}
    store = dataset["erasure"]["store"]
    draft.write_text(text.replace(f"{{store: {store}}}", f"{{store: {store}, {SAID}}}"))
    installation.must("import_lineage", str(draft))
    assert "nothing to mend" in installation.must("check_lineage")
    done = installation.erase("email=PERSON1@example.org")
    assert done["outcome"] == "completed", done
    assert run(f"SELECT {ident('Person Id')} FROM {ident(PERSON)}") == [(2,)]
    for name in named:
        assert run(f"SELECT amount FROM {ident(name)} ORDER BY 1") == [(5,), (6,)], name
    assert run(f"SELECT count(*) FROM {ident('Die Farben')}") == [(2,)]
