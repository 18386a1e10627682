"""A shop of three people in SQLite: one leaves, one shares an address, one talks about both."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

EMAIL = "ann.archer@example.com"
NAME = "Ann Archer"
SCRIPT = """
CREATE TABLE address (id INTEGER PRIMARY KEY, street TEXT NOT NULL);
CREATE TABLE customer (
  id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE,
  address_id INTEGER REFERENCES address (id)
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer (id), wish TEXT
);
CREATE TABLE invoice (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer (id), issued_on TEXT
);
CREATE TABLE message (
  id INTEGER PRIMARY KEY, author_id INTEGER REFERENCES customer (id), body TEXT
);
INSERT INTO address VALUES (1, '12 Quiet Lane'), (2, '7 Loud Street');
INSERT INTO customer VALUES
  (0, 'Ann Archer', 'Ann.Archer@example.com', 1),
  (1, 'Ben Baker', 'ben.baker@example.com', 1),
  (2, 'Cleo Carter', 'cleo.carter@example.com', 2);
INSERT INTO orders VALUES (1, 0, 'leave it with Ben'), (2, 0, NULL), (3, 1, 'ring twice');
INSERT INTO invoice VALUES (1, 0, '2026-03-01'), (2, 1, '2026-03-02');
INSERT INTO message VALUES
  (1, 0, 'Where is my order?'),
  (2, 2, 'Ann Archer and Ben Baker wrote from ann.archer@example.com'),
  (3, 1, 'Thank you');
"""


def make_shop(path: Path) -> Path:
    """The shop's database at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
    return path


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in order."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "select name from sqlite_schema where type = 'table' order by name"
            )
        ]
        return {
            name: connection.execute(f"select * from {name} order by 1").fetchall()
            for name in names
            if not name.startswith("sqlite_")
        }
