"""A look at a whole table without taking its rows apart: PostgreSQL's COPY, as one stream of text.

Most tables hold nothing of anybody who is looked for. The stream is searched in large pieces, and
only a table in which something may stand is read row by row. Whatever cannot be told exactly like
this - types that read differently as text, a time limit on statements - is read row by row, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa

from erasure.domain.needles import Matcher
from erasure.stores.documents import legible
from erasure.stores.sql.kinds import Bpchar
from erasure.stores.sql.octets import readings_of_hex

_PIECE = 2**20  # bytes
_SEPARATOR = "\x1f"  # is no letter, so no needle reaches from one reading into the next
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
# Their text in COPY is what a row's value is read as.
_ALIKE = (sa.String, sa.Integer, sa.Uuid, sa.Date, Bpchar)


def rows_without(
    connection: sa.Connection,
    table: sa.FromClause,
    columns: Sequence[sa.Label[Any]],
    needles: Matcher,
) -> int | None:
    """How many rows the table has, if none of the needles stands in these columns; None where one
    may, or nothing can be told."""
    driver = _driver(connection)
    texts = [text for column in columns if (text := _as_text(column)) is not None]
    if driver is None or not texts or len(texts) < len(columns):
        return None
    select = sa.select(*texts).select_from(table)
    statement = str(select.compile(connection)).replace("%%", "%")
    copy = f"COPY ({statement}) TO STDOUT (NULL '')"
    try:
        count = _count(driver, copy, needles)
    except (psycopg.Error, UnicodeError):
        count = None  # reading row by row says what is wrong
    if count is None:
        connection.rollback()  # a stream that was left early was cancelled
    return count


def _driver(connection: sa.Connection) -> psycopg.Connection[Any] | None:
    """The driver's own connection, where a statement may take as long as it takes."""
    if connection.dialect.driver != "psycopg":
        return None
    limit = connection.exec_driver_sql("SELECT current_setting('statement_timeout')").scalar_one()
    driver: Any = connection.connection.driver_connection
    told = isinstance(driver, psycopg.Connection) and driver.info.encoding == "utf-8"
    return driver if told and limit == "0" else None


def _as_text(column: sa.Label[Any]) -> sa.ColumnElement[Any] | None:
    """The column as a row's value would be read, or None where the two may differ."""
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return sa.cast(column.element, sa.Text())
    exact = isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float)
    return column.element if exact or isinstance(kind, _ALIKE) else None


def _count(driver: psycopg.Connection[Any], copy: str, needles: Matcher) -> int | None:
    count = 0
    with driver.cursor() as cursor, cursor.copy(copy.encode()) as lines:
        for piece in _pieces(lines):
            count += piece.count(b"\n")  # those inside a value are escaped
            text = piece.decode()
            if "\\" in text:
                text = _ESCAPED.sub(_plain, text)
                text = _SEPARATOR.join([legible(text), *readings_of_hex(text)])
            if needles.found_in(text):
                return None
    return count


def _pieces(lines: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Whole rows, so many that they are worth a search."""
    gathered: list[bytes] = []
    size = 0
    for line in lines:
        gathered.append(bytes(line))
        size += len(line)
        if size >= _PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _plain(found: re.Match[str]) -> str:
    return _CONTROLS.get(found[1], found[1])
