"""Dates and moments that only PostgreSQL has: infinity, before the year 1, after the year 9999.

They are read as the text that the server writes, compared with nothing but themselves, and handed
back as that text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

_TYPES = ("date", "timestamp", "timestamptz")
_ODD = re.compile(r"-?infinity|[0-9]{4,}-[0-9]{2}-[0-9]{2}.* BC|[0-9]{5,}-[0-9]{2}-[0-9]{2}.*")


def read_all(connection: psycopg.Connection[Any]) -> None:
    """From now on it reads every date that a column can hold."""
    for name in _TYPES:
        oid = psycopg.adapters.types[name].oid
        usual = psycopg.adapters.get_loader(oid, Format.TEXT)
        if usual is not None:
            connection.adapters.register_loader(oid, _or_text(usual))


@cache
def _or_text(usual: type[psycopg.abc.Loader]) -> type[Loader]:
    class OrText(Loader):
        """The driver's value, or the server's text where Python has none."""

        def __init__(self, oid: int, connection: Any = None) -> None:
            super().__init__(oid, connection)
            self._load = usual(oid, connection).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except psycopg.DataError:
                return bytes(data).decode()

    return OrText


def or_odd(normal: Callable[[object], Hashable]) -> Callable[[object], Hashable]:
    """The normal form of a moment; of one that Python has not, its text."""

    def form(value: object) -> Hashable:
        if isinstance(value, str) and _ODD.fullmatch(value.strip()):
            return value.strip()
        return normal(value)

    return form
