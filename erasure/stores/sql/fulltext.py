"""Full-text tables of SQLite (FTS3, FTS4, FTS5): their indices keep words of rows that went, in
parts of their own, until these are merged; and for ever where nobody has told them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator

_MASTER = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%'"
_MODULE = re.compile(r"\bUSING\s+(fts[345])\b", re.IGNORECASE)
_CONTENT = re.compile(
    r"[(,]\s*content\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|\[([^\]]*)\]|`([^`]*)`|([^\s,)]+))", re.I
)
# Compares what an index holds with the texts that it is over, which stand in another table.
_COMPARE = {
    "fts4": "INSERT INTO {0}({0}) VALUES ('integrity-check')",
    "fts5": "INSERT INTO {0}({0}, rank) VALUES ('integrity-check', 1)",
}
# It does not agree; or its table, or its module, is not there.
_UNTOLD = ("SQLITE_CORRUPT", "SQLITE_ERROR")

_WHY = (
    "it has no texts to compare with, or differs from them; have triggers tell it what goes, and "
    "INSERT INTO it the word 'rebuild', or fill it anew"
)


def merge(cursor: sqlite3.Cursor) -> list[str]:
    """Merge the parts of every full-text index, without what was deleted in it. Names those that
    may keep words all the same. Raises the driver's errors."""
    return [
        name for name, module, sql in _tables(cursor) if not _forgets(cursor, name, module, sql)
    ]


def words_of(names: Iterable[str]) -> str:
    """What is said of them."""
    named = f"the full-text table {', '.join(names)} may keep words of rows that went"
    return f"{named} ({_WHY})"


def _tables(cursor: sqlite3.Cursor) -> Iterator[tuple[str, str, str]]:
    for name, sql in cursor.execute(_MASTER).fetchall():
        if found := _MODULE.search(sql):
            yield name, found[1].lower(), sql


def _forgets(cursor: sqlite3.Cursor, name: str, module: str, sql: str) -> bool:
    outside = _CONTENT.search(sql) if module in _COMPARE else None
    quoted = '"' + name.replace('"', '""') + '"'
    statements = [f"INSERT INTO {quoted}({quoted}) VALUES ('optimize')"]  # noqa: S608 - quoted
    if outside and any(outside.groups()):
        statements.append(_COMPARE[module].format(quoted))
    try:
        for statement in statements:
            cursor.execute(statement)
    except sqlite3.DatabaseError as error:
        if not error.sqlite_errorname.startswith(_UNTOLD):
            raise
        return False
    return outside is None or any(outside.groups())
