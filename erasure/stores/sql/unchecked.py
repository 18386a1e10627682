"""InnoDB tests a reference row by row and at once, and knows no deferring. What can only be right
at the end of a batch (a key rewritten with its references, a row that refers to itself) is done
with the tests off, on rows that are locked, and tested here instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from erasure.domain.errors import LateRows
from erasure.stores.sql.address import Address, KeyValues
from erasure.stores.sql.keyed import Keyed, Row
from erasure.stores.sql.references import links_to, referring
from erasure.stores.sql.reflect import Schema


def tests_at_once(connection: sa.Connection) -> bool:
    """True for InnoDB."""
    return connection.dialect.name in ("mysql", "mariadb")


@contextmanager
def unchecked(connection: sa.Connection) -> Iterator[None]:
    """References are neither tested nor followed meanwhile, by this session alone."""
    connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
    try:
        yield
    finally:
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")


class Orphans:
    """Rows that went without a test: what refers to them must have gone too."""

    def __init__(self, connection: sa.Connection, keyed: Keyed, store: str, schema: Schema) -> None:
        self._connection, self._keyed = connection, keyed
        self._store, self._schema = store, schema
        self._gone: list[tuple[Address, dict[KeyValues, Row]]] = []

    def expect(self, address: Address, keys: Sequence[KeyValues]) -> None:
        """Hold these rows and remember what others refer to in them, before they go."""
        links = links_to(self._store, self._schema, address, ())
        names = list(dict.fromkeys(c for link in links for c in link.target_columns))
        self._gone.append((address, dict(self._keyed.rows(address, keys, names, lock=True))))

    def refuse(self) -> None:
        """At the end of the batch. Raises LateRows where something refers to a row that went."""
        for address, rows in self._gone:
            stayed = {key for key, _ in self._keyed.rows(address, list(rows), ())}
            gone = [row for key, row in rows.items() if key not in stayed]
            for link in links_to(self._store, self._schema, address, ()):
                targets = [tuple(row[name] for name in link.target_columns) for row in gone]
                for _ in referring(self._connection, link, targets):
                    raise LateRows(f"{self._store}.{link.shape.collection}")
