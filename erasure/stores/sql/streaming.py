"""Answers of any length in bounded memory, and short ones in one message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg import capabilities

from erasure.stores.sql.connection import is_limited, is_reading

# As many rows are asked for at once: a person has seldom more in one table.
SHORT = 2_000


# Rows that the driver takes over at once; older libraries can do so one by one only.
_TAKEN = 1_000 if capabilities.has_stream_chunked() else 1
_Read = Callable[[Any], Any]


class Query(NamedTuple):
    """A statement, the same for a short answer, and the values of their parameters. ``text``: the
    statement as the driver takes it, with these values as they are; empty where it cannot."""

    statement: sa.Select[Any]
    few: sa.Select[Any]
    params: Mapping[str, Any]
    text: str = ""

    @staticmethod
    def of(statement: sa.Select[Any]) -> Query:
        """A statement that has its values in it."""
        return Query(statement, short_of(statement), {})


def short_of(statement: sa.Select[Any]) -> sa.Select[Any]:
    """One row more than a short answer has tells that it is none."""
    return statement.limit(SHORT + 1)


def partitions(
    connection: sa.Connection, query: Query, size: int, *, short: bool = False
) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows, ``size`` at a time. ``short``: they are probably few, so that they are asked for as
    one answer first; the server's cursor, which takes five messages more, is for the others."""
    # While it is read it counts as being carried out: not where that may only take so long.
    if query.text and is_reading(connection) and not is_limited(connection):
        yield from _streamed(connection, query, size)
        return
    if short:
        few = connection.execute(query.few, query.params).all()
        if len(few) <= SHORT:
            yield from (few[at : at + size] for at in range(0, len(few), size))
            return
    # So many for each message, from the first: a buffer that grows takes six to get there.
    streaming = {"yield_per": size * 4}
    with (
        _transaction(connection),
        connection.execute(query.statement, query.params, execution_options=streaming) as result,
    ):
        yield from result.partitions(size)


def _streamed(
    connection: sa.Connection, query: Query, size: int
) -> Iterator[Sequence[Sequence[Any]]]:
    """One message asks for all rows. They are taken over as they come, and the server goes on
    meanwhile: as far ahead as the network holds."""
    driver: Any = connection.connection.driver_connection
    dispatch: Any = connection.dispatch  # whoever listens to statements hears of this one, too
    try:
        with (
            driver.cursor() as cursor,
            closing(cursor.stream(query.text, query.params, size=_TAKEN)) as rows,
        ):
            told = (query.text, query.params, None, False)
            dispatch.before_cursor_execute(connection, cursor, *told)
            while some := list(islice(rows, size)):
                readers = _readers(connection.dialect, query.statement, cursor.description)
                yield [_read(row, readers) for row in some] if any(readers) else some
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate()
        raise sa.exc.DBAPIError(None, None, error, hide_parameters=True) from None


def _readers(
    dialect: sa.Dialect, statement: sa.Select[Any], told: Sequence[Any]
) -> list[_Read | None]:
    """What turns the driver's value of each column into ours, where they differ."""
    return [
        column.type.dialect_impl(dialect).result_processor(dialect, one.type_code)
        for column, one in zip(statement.selected_columns, told, strict=True)
    ]


def _read(row: Sequence[Any], readers: Sequence[_Read | None]) -> tuple[Any, ...]:
    return tuple([read(v) if read else v for v, read in zip(row, readers, strict=True)])


@contextmanager
def _transaction(connection: sa.Connection) -> Iterator[None]:
    """PostgreSQL has cursors in transactions only, and what reads may be in none."""
    if not is_reading(connection):
        yield
        return
    connection.exec_driver_sql("BEGIN")
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
