"""Tables and rows in a real database, written and read past the store."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from erasure.domain.values import Scalar
from erasure.stores.sql import SqlStore
from lineage.schema import Column, Table
from tests.stores.company import Row, RowHarness


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that SQLAlchemy sends meanwhile."""
    sent: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def quoted(name: str) -> str:
    """An identifier as every database takes it; MariaDB in its ANSI mode."""
    return '"' + name.replace('"', '""') + '"'


def _column(column: Column) -> str:
    words = [quoted(column.name), column.data_type]
    words += ["NOT NULL"] if not column.nullable else []
    words += ["UNIQUE"] if column.unique and not column.primary_key else []
    return " ".join(words)


def ddl(table: Table) -> str:
    """CREATE TABLE with its keys."""
    parts = [_column(c) for c in table.columns]
    if table.primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, table.primary_key))})")
    for key in table.foreign_keys:
        columns, target = (", ".join(map(quoted, c)) for c in (key.columns, key.target_columns))
        name = f"CONSTRAINT {quoted(key.name)} " if key.name else ""
        deferrable = " DEFERRABLE" if key.deferrable else ""
        parts.append(
            f"{name}FOREIGN KEY ({columns}) REFERENCES {quoted(key.target)} ({target}) "
            f"ON DELETE {key.on_delete} ON UPDATE {key.on_update}{deferrable}"
        )
    parts += [f"CONSTRAINT {quoted(c.name)} CHECK ({c.expression})" for c in table.checks]
    return f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)})"


class SqlHarness(RowHarness):
    """The statements; a database gives ``execute``, its url and its placeholder."""

    url: str
    placeholder: str
    blob: str
    serial: str  # an integer key that the database numbers
    statements_for_2000_refused_rows = 250
    # Columns of types that this database alone has (sql_accepted_any.Kind).
    kinds: Sequence[Any] = ()
    matches = ""  # the operator of regular expressions, where checks may use it
    folds = False  # texts that differ in case or accents are equal to it, unless told otherwise
    defers = True  # a reference can be declared DEFERRABLE
    longest: int | None = None  # characters that an index takes, where they are limited
    versioned = True  # an unchanged schema is recognised without being read

    def execute(self, statement: str, *rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a statement, once per row of parameters, and commit."""
        raise NotImplementedError

    def script(self, statements: Sequence[str]) -> None:
        """Run statements without parameters."""
        for statement in statements:
            self.execute(statement)

    def clear(self) -> None:
        """Drop everything."""
        raise NotImplementedError

    def create(self, tables: Sequence[Table], rows: Mapping[str, Sequence[Row]]) -> None:
        self.clear()
        self.fill(tables, rows)

    def fill(self, tables: Sequence[Table], rows: Mapping[str, Sequence[Row]]) -> None:
        """Make the tables in what is there already."""
        self.script([ddl(table) for table in tables])
        for table in tables:
            self.insert(table.name, *rows.get(table.name, ()))

    def insert(self, table: str, *rows: Row) -> None:
        if not rows:
            return
        names = list(rows[0])
        places = ", ".join([self.placeholder] * len(names))
        into = f"{quoted(table)} ({', '.join(map(quoted, names))})"
        if self.placeholder == "%s":
            into = into.replace("%", "%%")
        statement = f"INSERT INTO {into} VALUES ({places})"
        self.execute(statement, *([row[n] for n in names] for row in rows))

    def delete(self, table: str, **where: Scalar) -> None:
        tests = " AND ".join(f"{quoted(n)} = {self.placeholder}" for n in where)
        self.execute(f"DELETE FROM {quoted(table)} WHERE {tests}", list(where.values()))

    def read(self, table: str) -> list[dict[str, Scalar]]:
        names = self.columns(table)
        rows = self.execute(f"SELECT {', '.join(map(quoted, names))} FROM {quoted(table)}")
        return [dict(zip(names, row, strict=True)) for row in sorted(rows, key=repr)]

    def add_foreign_key(self, table: str, column: str, target: str, on_delete: str) -> None:
        """Close a cycle of references."""
        raise NotImplementedError

    def add_trigger(self, table: str) -> None:
        """A trigger named ``watch`` that does nothing."""
        raise NotImplementedError

    def add_insert_trigger(self, table: str) -> None:
        """A trigger named ``welcome`` on added rows."""
        self.execute(
            f"CREATE TRIGGER welcome AFTER INSERT ON {table} FOR EACH ROW "
            "INSERT INTO trail VALUES (1)"
        )

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns."""
        raise NotImplementedError

    def prepare_kinds(self) -> None:
        """Make the types that ``kinds`` needs."""

    def folding(self) -> str:
        """A text type of 40 characters whose collation ignores case."""
        raise NotImplementedError

    def takes(self, name: str) -> bool:
        """Whether a table of the engine may have that name."""
        return True

    def analyse(self, table: str) -> None:
        """Let the engine estimate rows."""
        self.execute(f"ANALYZE {quoted(table)}")

    def raw(self, table: str) -> bytes:
        """Every byte of the table's own files, as they are on disk. Skips where they are not
        readable, but fails in the gate."""
        raise NotImplementedError

    def elsewhere(self, statement: str) -> None:
        """Run a statement in another process."""
        child = multiprocessing.get_context("spawn").Process(
            target=_run, args=(type(self), self.place, statement)
        )
        child.start()
        child.join(60)
        assert child.exitcode == 0

    @property
    def place(self) -> Any:
        """What another harness of this class is made with."""
        return self.url

    def close(self) -> None:
        """Release what is held."""

    def store(self, **options: Any) -> SqlStore:
        return SqlStore(name=self.name, url=self.url, options=options)


def _run(kind: type[SqlHarness], place: Any, statement: str) -> None:
    harness = kind(place)  # type: ignore[call-arg]
    harness.execute(statement)
    harness.close()


def bytes_at(paths: Iterable[Path]) -> bytes:
    """Everything in these files of a server on this machine."""
    try:
        return b"".join(path.read_bytes() for path in paths)
    except OSError:
        stop = pytest.fail if os.environ.get("CI_GATE") else pytest.skip
        stop("the server's files are not readable here")
