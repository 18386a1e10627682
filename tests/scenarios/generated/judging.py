"""Comparing what a database holds with what it should hold, row by row and value by value; and
whether it could be got there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from tests.scenarios.generated.oracle import Expected, Follows, Masked, Outcome, Place
from tests.scenarios.generated.world import MARK, Column, Link, Rows, Value, World

Actual = dict[str, dict[Value, dict[str, Value]]]


def by_mark(rows: Rows) -> Actual:
    """Rows by table and mark."""
    return {name: {row[MARK]: row for row in listed} for name, listed in rows.items()}


def differences(expected: Expected, actual: Rows) -> Iterator[str]:
    """Every row and value that is not as it should be."""
    now = by_mark(actual)
    for table, rows in expected.items():
        for mark in sorted(rows.keys() | now[table].keys(), key=str):
            if mark not in now[table]:
                yield f"{table}#{mark}: is gone"
            elif mark not in rows:
                yield f"{table}#{mark}: is still there"
            else:
                for name, value in rows[mark].items():
                    if not _as_told(value, now[table][mark][name], now):
                        yield f"{table}#{mark}.{name}: {now[table][mark][name]!r}, not {value!r}"


def _as_told(told: Value | Masked | Follows, value: Value, now: Actual) -> bool:
    if isinstance(told, Masked):
        return value is not None and value != told.before
    if isinstance(told, Follows):
        table, mark = told.place
        return value == now[table][mark][told.field]
    return value == told


def doubtful(
    world: World, rows: Rows, theirs: Collection[Place], anybodys: Collection[Place]
) -> list[Place]:
    """Rows that no way leads to, and that have the identity of one of ``theirs``: somebody who
    belongs to another person has one row there and one beside. An officer has to say whose it is.
    ``anybodys``: rows of everybody who leaves."""
    known = set(mailboxes(world, rows, theirs))
    return [
        (table.name, row[MARK])
        for table in world.tables
        for row in rows[table.name]
        for name in table.named(identity=True)
        if (table.name, row[MARK]) not in anybodys and str(row[name]).casefold() in known
    ]


def mailboxes(world: World, rows: Rows, places: Collection[Place]) -> Iterator[str]:
    """The identities in these rows, folded."""
    for table in world.tables:
        for row in rows[table.name]:
            for name in table.named(identity=True):
                if (table.name, row[MARK]) in places and (value := row[name]) is not None:
                    yield str(value).casefold()


def broken(world: World, rows: Rows) -> Iterator[str]:
    """Foreign keys, NOT NULL, uniqueness and lengths, asked of the rows themselves."""
    for link in world.links:
        held = {row[link.target_field] for row in rows[link.target]}
        for row in rows[link.holder]:
            value = row[link.field]
            if link.on_delete and value is not None and value not in held:
                yield f"{link.holder}#{row[MARK]}.{link.field} leads nowhere"
    for table in world.tables:
        keys = [tuple(row[n] for n in table.key) for row in rows[table.name]]
        if len(set(keys)) < len(keys):
            yield f"{table.name}: a key stands there twice"
        for column in table.columns:
            values = [row[column.name] for row in rows[table.name]]
            yield from (f"{table.name}.{column.name}: {why}" for why in _unfit(column, values))


def _unfit(column: Column, values: list[Value]) -> Iterator[str]:
    filled = [value for value in values if value is not None]
    if len(filled) < len(values) and (column.key or not column.nullable):
        yield "NULL"
    if column.unique and len(set(filled)) < len(filled):
        yield "is not unique"
    if column.length and any(len(str(value)) > column.length for value in filled):
        yield "is too long"


def stuck(
    world: World, outcome: Outcome, before: Rows, at_once: Callable[[Link], bool]
) -> list[str]:
    """Tables whose rows go need each other: in a circle that nothing can be nulled in, two forbid
    it, and are asked before the last has gone. What one would take along, another one needs; and
    a shared row goes when nobody refers to it any more."""
    reached = outcome.reached.values()
    shared = {t for one in reached for t, _ in one.shared & outcome.gone - one.deep}
    needs: dict[str, dict[str, bool]] = {}
    for link in world.links:
        column = world.table(link.holder).get(link.field)
        counted = link.declared and link.target in shared
        found = link.declared and link.direction != "to"
        cut = column.nullable and not column.key and (found or link.holder not in shared)
        hard = counted or (link.on_delete in ("NO ACTION", "RESTRICT") and at_once(link))
        if counted or ((hard or link.on_delete == "CASCADE") and not cut):
            targets = {r[link.target_field] for r in before[link.target]
                       if (link.target, r[MARK]) in outcome.gone}  # fmt: skip
            holders = [r for r in before[link.holder] if (link.holder, r[MARK]) in outcome.gone]
            if any(r[link.field] in targets for r in holders):
                there = needs.setdefault(link.holder, {})
                there[link.target] = hard or there.get(link.target, False)
    circles = {t: list(_circles(needs, (t,), 0)) for t in needs}
    return [f"{t} needs what needs it" for t, found in circles.items()
            if any(hard > 1 or hard == length for hard, length in found)]  # fmt: skip


def _circles(
    needs: Mapping[str, Mapping[str, bool]], path: tuple[str, ...], hard: int
) -> Iterator[tuple[int, int]]:
    """How many forbid in each circle from the first of the path, and how long it is."""
    for there, more in needs.get(path[-1], {}).items():
        if there == path[0]:
            yield hard + more, len(path)
        elif there not in path:
            yield from _circles(needs, (*path, there), hard + more)
