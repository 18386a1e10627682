"""Triggers and rules as they stand now: which there are, and what sets them off.

One query per store. Triggers that only carry a foreign key out are none. What a trigger does is
its own: only a digest of its text is kept, by which a change is seen.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from erasure.stores.sql.reflect import Schema

Event = Literal["INSERT", "UPDATE", "DELETE"]
EVENTS: tuple[Event, ...] = ("INSERT", "UPDATE", "DELETE")

# A partition's trigger fires for rows of its parent; one that the parent handed down is counted
# there. Rules are told apart by nothing that matters here.
_POSTGRESQL = """
SELECT n.nspname, r.relname, t.tgname, (t.tgtype & 4) > 0, (t.tgtype & 16) > 0, (t.tgtype & 8) > 0,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr)),
       pg_catalog.pg_get_triggerdef(t.oid) || p.prosrc
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_class r ON r.oid = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled NOT IN ('D', 'R') AND (c.oid = r.oid OR NOT EXISTS (
  SELECT FROM pg_catalog.pg_trigger h
  WHERE h.tgrelid = r.oid AND h.tgname = t.tgname AND h.tgfoid = t.tgfoid))
UNION ALL
SELECT n.nspname, c.relname, w.rulename, w.ev_type = '3', w.ev_type = '2', w.ev_type = '4', '{}',
       pg_catalog.pg_get_ruledef(w.oid)
FROM pg_catalog.pg_rewrite w
JOIN pg_catalog.pg_class c ON c.oid = w.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND w.rulename <> '_RETURN' AND w.ev_enabled NOT IN ('D', 'R')
"""
_SQLITE = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'"
_MYSQL = """
SELECT event_object_schema, event_object_table, trigger_name, event_manipulation, action_statement
FROM information_schema.triggers
"""
# Of CREATE TRIGGER: the event, and the columns that an UPDATE must name.
_HEAD = re.compile(r"\b(DELETE|INSERT|UPDATE)\b(?:\s+OF\s+(.+?))?\s+ON\s", re.I | re.S)


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """``columns``, folded: an UPDATE sets it off only where it names one; empty for any."""

    name: str
    events: frozenset[Event]
    columns: frozenset[str]
    mark: str

    def fires(self, event: Event, changed: Iterable[str]) -> bool:
        """Whether that event, an UPDATE of the ``changed`` columns, sets it off."""
        if event not in self.events:
            return False
        named = {name.casefold() for name in changed}
        return event != "UPDATE" or not self.columns or bool(self.columns & named)


Triggers = Mapping[str, tuple[Trigger, ...]]


def read_triggers(connection: sa.Connection, schema: Schema) -> Triggers:
    """Those that writing a row can set off, by collection."""
    reader = _READERS.get(connection.dialect.name)
    found: dict[str, dict[str, Trigger]] = {}
    for collection, trigger in reader(connection, schema) if reader else ():
        if trigger.events:
            found.setdefault(collection, {})[trigger.name] = trigger
    return {name: tuple(t for _, t in sorted(named.items())) for name, named in found.items()}


def _postgresql(connection: sa.Connection, schema: Schema) -> Iterator[tuple[str, Trigger]]:
    for row in connection.exec_driver_sql(_POSTGRESQL):
        place, table, name, insert, update, delete, columns, text = row
        events: dict[Event, bool] = {"INSERT": insert, "UPDATE": update, "DELETE": delete}
        yield schema.collection(table, place), _trigger(name, events, columns, text)


def _sqlite(connection: sa.Connection, schema: Schema) -> Iterator[tuple[str, Trigger]]:
    by_folded = {name.casefold(): name for name in schema.shapes}
    for table, name, text in connection.exec_driver_sql(_SQLITE):
        head = _HEAD.search(text)
        event = head[1].upper() if head else ""
        columns = [c.strip(' \t\r\n"`[]') for c in head[2].split(",")] if head and head[2] else []
        # A head that cannot be read may be anything.
        events = {e: event in ("", e) for e in EVENTS}
        yield by_folded.get(table.casefold(), table), _trigger(name, events, columns, text)


def _mysql(connection: sa.Connection, schema: Schema) -> Iterator[tuple[str, Trigger]]:
    for place, table, name, event, text in connection.exec_driver_sql(_MYSQL):
        events = {e: event == e for e in EVENTS}
        yield schema.collection(table, place), _trigger(name, events, (), text)


def _trigger(name: str, events: Mapping[Event, bool], columns: Iterable[str], text: str) -> Trigger:
    return Trigger(
        name=name,
        events=frozenset(event for event, on in events.items() if on),
        columns=frozenset(column.casefold() for column in columns),
        mark=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


_Reader = Callable[[sa.Connection, Schema], Iterable[tuple[str, Trigger]]]
_READERS: Mapping[str, _Reader] = {
    "postgresql": _postgresql,
    "sqlite": _sqlite,
    "mysql": _mysql,
    "mariadb": _mysql,
}
