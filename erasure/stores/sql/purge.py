"""Physical removal: what "deleted" leaves in a database's own files, and until when."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import date
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.stores.base import Purged, Residue
from erasure.stores.sql import fulltext, statistics
from erasure.stores.sql.connection import Options
from erasure.stores.sql.errors import translate
from erasure.stores.sql.reflect import Schema, Shape

# How long to wait for transactions that can still see what was deleted, in seconds.
PATIENCE = 10.0
_VACUUM = "VACUUM leaves bytes in heap and index until they are overwritten"
_OWN = "let the product's user own the table, or set another 'purge'"
_INNODB = "InnoDB leaves bytes in its pages until they are overwritten"
_UNDO = "its redo and undo logs keep old images until they are overwritten"


def purge(
    engine: sa.Engine, store: str, schema: Schema, options: Options, collections: Set[str]
) -> Purged:
    """Remove what deleted rows left behind, as far as the store's options allow."""
    if options.refresh:
        _refresh(engine, store, options.refresh)
    if options.purge == "none":
        return Purged(residue="logically_deleted", note="the store's option 'purge' is none")
    names = collections & schema.shapes.keys()
    if engine.dialect.name == "sqlite":
        return _sqlite(engine, store, names)
    shapes = {name: schema.shapes[name] for name in sorted(names)}
    full = options.purge == "vacuum_full"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            known = [*shapes.values(), *_parents(schema, shapes)]
            analysed = [_quoted(connection, shape) for shape in known]
            analysed += [_of_view(connection, view) for view in options.refresh]
            return _postgresql(connection, store, shapes, analysed, full=full)
        if engine.dialect.name in ("mysql", "mariadb"):
            return _innodb(connection, store, shapes, full=full)
    return Purged(residue="logically_deleted", note="what this engine leaves is not known")


def _refresh(engine: sa.Engine, store: str, views: Sequence[str]) -> None:
    """A materialised view is a copy until it is built anew; the search by value reads it after
    this, whether or not it is listed. Twice does no harm."""
    if engine.dialect.name != "postgresql":
        raise StoreError(store, "option 'refresh': only PostgreSQL has materialised views")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for view in views:
            name = _of_view(connection, view)
            try:
                connection.exec_driver_sql(f"REFRESH MATERIALIZED VIEW {name}")
            except sa.exc.SQLAlchemyError as error:
                raise translate(error, f"{store}.{view}") from None


def _of_view(connection: sa.Connection, view: str) -> str:
    preparer: Any = connection.dialect.identifier_preparer
    return ".".join(preparer.quote(part) for part in view.split("."))


def _sqlite(engine: sa.Engine, store: str, tables: Iterable[str]) -> Purged:
    """VACUUM rewrites the file without the freed pages; the checkpoint empties the journal. What
    ANALYZE has sampled of indexed columns goes too: whole values stand in it."""
    connection = engine.raw_connection()
    try:
        cursor: Any = connection.cursor()
        samples = [row[0] for row in cursor.execute(_SAMPLES)]
        for name in samples:
            gone = f"DELETE FROM {name} WHERE lower(tbl) = lower(?)"  # noqa: S608 - one of ours
            cursor.executemany(gone, [(table,) for table in tables])
        untold = fulltext.merge(cursor)
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy = any(row[0] for row in cursor.fetchall())
    except sqlite3.Error as error:  # the driver's own: no layer is in between
        raise translate(error, store) from None
    finally:
        connection.close()
    if busy:
        raise StoreError(
            store,
            "the write-ahead log is still being read; close its readers and try again",
            permanent=False,
        )
    if untold:
        return Purged(residue="logically_deleted", note=fulltext.words_of(untold))
    return Purged(residue="purged")


_SAMPLES = """
SELECT name FROM sqlite_master WHERE name IN ('sqlite_stat2', 'sqlite_stat3', 'sqlite_stat4')
"""

# PostgreSQL

# Even VACUUM FULL copies a deleted row that a transaction older than the deletion may ask for:
# one that writes in any database of the server, or reads in this one, or on a standby.
_SEEN = """
SELECT pg_snapshot_xmin(pg_current_snapshot()) < CAST(:mark AS xid8) OR EXISTS (
  SELECT 1 FROM pg_stat_activity
  WHERE (datname = current_database() OR backend_type = 'walsender')
    AND pid <> pg_backend_pid() AND age(backend_xmin) > age(CAST(CAST(:mark AS xid8) AS xid)))
OR EXISTS (
  SELECT 1 FROM pg_replication_slots WHERE age(xmin) > age(CAST(CAST(:mark AS xid8) AS xid)))
"""
# What its log keeps, and what its planner does.
_LEFT = sa.text(f"""
SELECT current_setting('wal_keep_size'), current_setting('max_wal_size'),
  current_setting('archive_mode') <> 'off', (SELECT count(*) FROM pg_replication_slots),
  ({statistics.REMEMBERED})
""")  # noqa: S608 - a constant


def _parents(schema: Schema, shapes: Mapping[str, Shape]) -> list[Shape]:
    """Tables whose statistics are over the rows of these as well, because these inherit."""
    found: dict[str, Shape] = {}
    waiting = list(shapes.values())
    while waiting:
        for name in waiting.pop().table.inherits:
            if name not in shapes and name not in found:
                found[name] = schema.shapes[name]
                waiting.append(found[name])
    return list(found.values())


def _postgresql(
    connection: sa.Connection,
    store: str,
    shapes: Mapping[str, Shape],
    analysed: Sequence[str],
    *,
    full: bool,
) -> Purged:
    """VACUUM frees the space but leaves bytes in heap and index; only a rewrite removes them.
    ANALYZE replaces the histograms, which hold values too: of everything in ``analysed``."""
    if full:
        _wait_for_older(connection, store)
    skipped = []
    for name, shape in shapes.items():
        table = _quoted(connection, shape)
        with _warnings(connection) as warned:
            connection.exec_driver_sql(f"VACUUM ({'FULL, ' if full else ''}ANALYZE) {table}")
        if warned and full:
            raise StoreError(f"{store}.{name}", f"VACUUM has skipped it; {_OWN}")
        skipped += [name] if warned else []
    known = []
    for table in analysed[len(shapes) :]:
        with _warnings(connection) as warned:
            connection.exec_driver_sql(f"ANALYZE {table}")
        known += [table] if warned else []
    names = [name.replace("%%", "%") for name in analysed]  # doubled for statements, not for values
    *log, told = connection.execute(_LEFT, {"names": names}).one()
    known += statistics.remembered(connection, told or ())
    words = [] if full else [_VACUUM]
    words += [f"VACUUM has skipped {', '.join(skipped)}: {_OWN}"] if skipped else []
    words += [statistics.words_of(known)] if known else []
    residue: Residue = "purged" if full and not known else "logically_deleted"
    return Purged(residue=residue, note="; ".join([*words, _words_of_log(*log)]))


@contextmanager
def _warnings(connection: sa.Connection) -> Iterator[list[str]]:
    """Codes of what PostgreSQL warns of meanwhile: a table that its user may not rewrite is no
    error to it, but passed over."""
    driver: Any = connection.connection.driver_connection
    warned: list[str] = []

    def note(notice: Any) -> None:
        if notice.severity_nonlocalized == "WARNING":
            warned.append(notice.sqlstate)

    driver.add_notice_handler(note)
    try:
        yield warned
    finally:
        driver.remove_notice_handler(note)


def _wait_for_older(connection: sa.Connection, store: str) -> None:
    mark = connection.exec_driver_sql("SELECT pg_snapshot_xmax(pg_current_snapshot())").scalar_one()
    until = monotonic() + PATIENCE
    while connection.execute(sa.text(_SEEN), {"mark": str(mark)}).scalar_one():
        if monotonic() > until:
            raise StoreError(
                store,
                "older transactions of the server may still ask for the deleted rows; end them "
                "and try again",
                permanent=False,
            )
        sleep(0.05)


def _words_of_log(kept: str, size: str, archived: bool, slots: int) -> str:
    words = [
        f"the write-ahead log keeps old images until it is recycled (max_wal_size {size}, "
        f"wal_keep_size {kept})"
    ]
    if slots:
        words.append(f"{slots} replication slots can hold it for longer")
    words.append(
        "it is archived, and the archive keeps them until it expires"
        if archived
        else "it is not archived"
    )
    return "; ".join(words)


# MariaDB and MySQL

_VARIABLES = """
SHOW GLOBAL VARIABLES
WHERE Variable_name IN ('log_bin', 'binlog_expire_logs_seconds', 'expire_logs_days')
"""
# By the clock that removes the logs, and a day later, so that the date is never too early.
_EXPIRY = "SELECT DATE(UTC_TIMESTAMP() + INTERVAL :seconds SECOND + INTERVAL 1 DAY)"


def _innodb(
    connection: sa.Connection, store: str, shapes: Mapping[str, Shape], *, full: bool
) -> Purged:
    """InnoDB removes deleted rows from its pages by itself, but not their bytes; a table that is
    built anew holds none of them. The binary log holds every row that was deleted."""
    versioned = [name for name, shape in shapes.items() if shape.table.kind == "versioned"]
    for name, shape in shapes.items() if full else ():
        if name not in versioned:
            _optimise(connection, f"{store}.{name}", _quoted(connection, shape))
    words = [] if full else [_INNODB]
    if versioned:
        words.append(f"the history of {', '.join(versioned)} keeps the rows; DELETE HISTORY there")
    sampled = statistics.sampled(connection, shapes.values())
    words += [statistics.words_of_samples(sampled)] if sampled else []
    words.append(_UNDO)
    seconds = _binary_log(connection)
    staying = bool(versioned or sampled)  # until somebody does something about it
    if seconds is None:
        done = full and not staying
        return Purged(residue="purged" if done else "logically_deleted", note="; ".join(words))
    if not seconds:
        words.append("its binary logs never expire; set binlog_expire_logs_seconds")
        return Purged(residue="logically_deleted", note="; ".join(words))
    until: date = connection.execute(sa.text(_EXPIRY), {"seconds": seconds}).scalar_one()
    words.append("its binary logs keep the rows until they expire")
    if staying:
        return Purged(residue="logically_deleted", note="; ".join(words))
    return Purged(residue="expires_on", until=until, note="; ".join(words))


def _optimise(connection: sa.Connection, place: str, table: str) -> None:
    """It tells of its errors in its answer."""
    for answer in connection.exec_driver_sql(f"OPTIMIZE TABLE {table}").all():
        if str(answer[2]).lower() == "error":
            raise StoreError(
                place,
                "OPTIMIZE TABLE failed; grant INSERT on it and make room, then try again",
                permanent=False,
            )


def _binary_log(connection: sa.Connection) -> int | None:
    """Seconds after which a binary log is removed, 0 for never; None without one."""
    told: dict[str, Any] = {row[0]: row[1] for row in connection.exec_driver_sql(_VARIABLES)}
    if told.get("log_bin", "OFF") == "OFF":
        return None
    days = float(told.get("expire_logs_days") or 0)
    return int(told.get("binlog_expire_logs_seconds") or 0) or int(days * 86_400)


def _quoted(connection: sa.Connection, shape: Shape) -> str:
    preparer: Any = connection.dialect.identifier_preparer
    return str(preparer.format_table(shape.clause))
