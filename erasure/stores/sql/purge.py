"""Physical removal: what "deleted" leaves in a database's own files, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.stores.base import Purged
from erasure.stores.sql.connection import Options
from erasure.stores.sql.reflect import Schema
from lineage.graph import Dataset

_WAL = "the server's write-ahead log and its backups keep old images until they expire"
_BINLOG = "InnoDB removes old rows at its own purge; binary logs keep images until they expire"


def purge(
    engine: sa.Engine, store: str, schema: Schema, options: Options, datasets: Sequence[Dataset]
) -> Purged:
    """Remove what deleted rows left behind, as far as the store's options allow."""
    if options.purge == "none":
        return Purged(residue="logically_deleted", note="the store's option 'purge' is none")
    dialect = engine.dialect.name
    if dialect == "sqlite":
        return _sqlite(engine, store)
    if dialect == "postgresql":
        return _postgresql(engine, schema, options, datasets)
    return Purged(residue="logically_deleted", note=_BINLOG)


def _sqlite(engine: sa.Engine, store: str) -> Purged:
    """VACUUM rewrites the file without the freed pages; the checkpoint empties the journal."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy = any(row[0] for row in cursor.fetchall())
    finally:
        connection.close()
    if busy:
        raise StoreError(
            store,
            "the write-ahead log is still being read; close its readers and try again",
            permanent=False,
        )
    return Purged(residue="purged")


def _postgresql(
    engine: sa.Engine, schema: Schema, options: Options, datasets: Sequence[Dataset]
) -> Purged:
    """VACUUM frees the space but leaves bytes in heap and index; only a rewrite removes them.
    ANALYZE replaces the histograms, which hold values too."""
    full = options.purge == "vacuum_full"
    names = {schema.collection(d.name, d.schema) for d in datasets} & schema.shapes.keys()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in sorted(names):
            table = _quoted(engine, schema.shapes[name].clause)
            connection.exec_driver_sql(f"VACUUM ({'FULL, ' if full else ''}ANALYZE) {table}")
    if full:
        return Purged(residue="purged", note=_WAL)
    return Purged(
        residue="logically_deleted",
        note=f"VACUUM leaves bytes in heap and index until they are overwritten; {_WAL}",
    )


def _quoted(engine: sa.Engine, clause: sa.TableClause) -> str:
    preparer: Any = engine.dialect.identifier_preparer
    return str(preparer.format_table(clause))
