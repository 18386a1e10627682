"""Scratch databases: a world is built in one round trip, and read back past the product."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pymysql
from pymysql.constants import CLIENT
from sqlalchemy.engine import make_url

from tests.scenarios.generated.world import Column, Link, Rows, Table, Value, World


def quoted(name: str) -> str:
    """An identifier of standard SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """A value of standard SQL."""
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


class Engine(ABC):
    """A database that holds one world at a time."""

    url: str
    types: ClassVar[dict[str, str]]
    suffix = ""  # of CREATE TABLE

    @abstractmethod
    def execute(self, script: str) -> None:
        """Run many statements at once."""

    @abstractmethod
    def select(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one query."""

    @abstractmethod
    def script(self, world: World) -> str:
        """Everything that replaces what is there by this world."""

    @abstractmethod
    def at_once(self, link: Link) -> bool:
        """Whether a foreign key is tested before the transaction ends, row by row or statement
        by statement, so that two tables that need each other cannot both go."""

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """Release the connection."""

    def build(self, world: World) -> None:
        """Replace everything by this world."""
        self.execute(self.script(world))

    def read(self, world: World) -> Rows:
        """All rows of the world's tables."""
        rows: Rows = {}
        for table in world.tables:
            names = [c.name for c in table.columns]
            listed = ", ".join(map(quoted, names))
            found = self.select(f"SELECT {listed} FROM {quoted(table.name)}")
            rows[table.name] = [dict(zip(names, map(plain, row), strict=True)) for row in found]
        return rows

    def violations(self) -> list[tuple[Any, ...]]:
        """What the database itself finds broken, where it can be asked."""
        return []

    def table(self, table: Table, links: list[Link]) -> str:
        """CREATE TABLE, with those foreign keys in it."""
        parts = [self._column(c) for c in table.columns]
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, table.key))})")
        parts += [f"FOREIGN KEY {self.reference(link)}" for link in links]
        return f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)}){self.suffix};"

    def reference(self, link: Link) -> str:
        """A foreign key from its column on."""
        target = f"{quoted(link.target)} ({quoted(link.target_field)})"
        return f"({quoted(link.field)}) REFERENCES {target} ON DELETE {link.on_delete}"

    def inserts(self, world: World) -> list[str]:
        """One statement per table that has rows."""
        statements = []
        for table in world.tables:
            rows = world.rows[table.name]
            names = [c.name for c in table.columns]
            values = ", ".join(f"({', '.join(literal(r[n]) for n in names)})" for r in rows)
            into = f"{quoted(table.name)} ({', '.join(map(quoted, names))})"
            statements += [f"INSERT INTO {into} VALUES {values};"] if rows else []
        return statements

    def _column(self, column: Column) -> str:
        words = [quoted(column.name), self.type_of(column)]
        words += [] if column.nullable and not column.key else ["NOT NULL"]
        words += ["UNIQUE"] if column.unique else []
        return " ".join(words)

    def type_of(self, column: Column) -> str:
        """The type's name with its length."""
        if column.type == "text" and column.length:
            return f"VARCHAR({column.length})"
        return self.types[column.type]


def plain(value: Any) -> Value:
    """A value as the world has it."""
    return value if value is None or isinstance(value, int) else str(value)


def foreign_keys(world: World, table: Table) -> list[Link]:
    """References of a table that the database enforces."""
    return [link for link in world.links_of(table.name) if link.on_delete]


class Sqlite(Engine):
    """A file; foreign keys are off while it is filled."""

    types: ClassVar[dict[str, str]] = {"int": "INTEGER", "text": "TEXT", "uuid": "CHAR(36)"}

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, f"sqlite:///{path}"

    def script(self, world: World) -> str:
        tables = [self.table(t, foreign_keys(world, t)) for t in world.tables]
        return "BEGIN;" + "".join([*tables, *self.inserts(world)]) + "COMMIT;"

    def execute(self, script: str) -> None:
        self.path.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(script)

    def select(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()

    def at_once(self, link: Link) -> bool:
        return link.on_delete == "RESTRICT"

    def violations(self) -> list[tuple[Any, ...]]:
        return self.select("PRAGMA foreign_key_check")


class Postgresql(Engine):
    """A scratch database; foreign keys come after the rows."""

    types: ClassVar[dict[str, str]] = {"int": "INTEGER", "text": "TEXT", "uuid": "UUID"}

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        self._connection.close()

    def script(self, world: World) -> str:
        tables = [self.table(t, []) for t in world.tables]
        keys = [
            f"ALTER TABLE {quoted(t.name)} ADD FOREIGN KEY {self.reference(link)};"
            for t in world.tables
            for link in foreign_keys(world, t)
        ]
        start = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
        return "".join([start, *tables, *self.inserts(world), *keys])

    def reference(self, link: Link) -> str:
        return super().reference(link) + (" DEFERRABLE" if link.deferrable else "")

    def execute(self, script: str) -> None:
        self._connection.execute(script.encode())

    def select(self, statement: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement.encode()).fetchall()

    def at_once(self, link: Link) -> bool:
        # NO ACTION inside one table is tested at the end of its one DELETE.
        own = link.holder == link.target
        return link.on_delete == "RESTRICT" or not (link.deferrable or own)

    def violations(self) -> list[tuple[Any, ...]]:
        """Constraints that have not been validated."""
        return self.select("SELECT conname FROM pg_constraint WHERE NOT convalidated")


class Mariadb(Engine):
    """A scratch database; foreign keys are not tested while it is filled."""

    types: ClassVar[dict[str, str]] = {"int": "INTEGER", "text": "VARCHAR(120)", "uuid": "UUID"}
    suffix = " ENGINE=InnoDB"

    def __init__(self, url: str) -> None:
        self.url = url
        address = make_url(url)
        self._connection = pymysql.connect(
            host=address.host,
            port=address.port or 3306,
            user=address.username,
            password=address.password or "",
            database=address.database,
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
            sql_mode="ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES",
            init_command="SET foreign_key_checks = 0",
        )

    def close(self) -> None:
        self._connection.close()

    def script(self, world: World) -> str:
        old = [quoted(name) for (name,) in self.select("SHOW TABLES")]
        drops = [f"DROP TABLE {', '.join(old)};"] if old else []
        tables = [self.table(t, foreign_keys(world, t)) for t in world.tables]
        return "".join([*drops, *tables, *self.inserts(world)])

    def execute(self, script: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(script)
            while cursor.nextset():
                pass

    def select(self, statement: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def at_once(self, link: Link) -> bool:
        return link.holder != link.target
