"""Answers of any length in bounded memory, and short ones in one message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from erasure.stores.sql.connection import is_reading

# As many rows are asked for at once: a person has seldom more in one table.
SHORT = 2_000


def partitions(
    connection: sa.Connection, statement: sa.Select[Any], size: int, *, short: bool = False
) -> Iterator[Sequence[sa.Row[Any]]]:
    """The rows, ``size`` at a time. ``short``: they are probably few, so that they are asked for as
    one answer first; the server's cursor, which takes five messages more, is for the others."""
    if short:
        few = connection.execute(statement.limit(SHORT + 1)).all()
        if len(few) <= SHORT:
            yield from (few[at : at + size] for at in range(0, len(few), size))
            return
    streaming = {"stream_results": True, "max_row_buffer": size * 4}
    with (
        _transaction(connection),
        connection.execute(statement, execution_options=streaming) as result,
    ):
        yield from result.partitions(size)


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
