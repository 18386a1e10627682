"""What acting would refuse to put into the rows, said while nothing has been touched."""

from __future__ import annotations

import secrets as chance
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.stores.base import Key, Secrets, Work
from erasure.stores.rows import Effect, Row
from erasure.stores.sql.address import KeyValues
from erasure.stores.sql.errors import translated
from erasure.stores.sql.ghosts import Ghosts
from erasure.stores.sql.mutate import Task, leading, looked_at, resolve
from erasure.stores.sql.reflect import Schema

AT_ONCE = 10_000
_SAMPLE = 100  # rows of a work in which it is asked whether a value can change at all
_SEEDS = 24
_DRAWS = frozenset({"null", "random", "fake"})
# Where a random value is always the same, and says nothing.
_EMPTY = frozenset({"json", "xml", "interval", "array", "empty"})


def foresee(
    connection: sa.Connection, store: str, schema: Schema, works: Sequence[Work], secrets: Secrets
) -> None:
    """Raise what acting would refuse; nothing is locked or written."""
    for work in works:
        for start in range(0, len(work.keys), AT_ONCE):
            part = replace(work, keys=work.keys[start : start + AT_ONCE])
            task = resolve(store, schema, part, secrets)
            if not (task.effect.removes or task.effect.untouched):
                _foresee(connection, store, schema, task)


def _foresee(connection: sa.Connection, store: str, schema: Schema, task: Task) -> None:
    task, rows = looked_at(connection, schema, task)
    if task.effect.replaced:
        with translated(task.address.place):
            ghosts = Ghosts(connection, store, schema)
            ghosts.foresee(task.work.step, task.effect.seed, leading(task, rows))
    stuck = dict(islice(_standing(task, rows), _SAMPLE))
    for _ in range(_SEEDS):
        if not stuck:
            return
        keys: Mapping[KeyValues, Key] = {values: task.keys[values] for values in stuck}
        effect = replace(task.effect, seed=chance.token_bytes(32))
        again = dict(
            _standing(*looked_at(connection, schema, replace(task, effect=effect, keys=keys)))
        )
        stuck = {v: names & again[v] for v, names in stuck.items() if names & again.get(v, set())}
    name = min(name for names in stuck.values() for name in names)
    raise StoreError(
        f"{task.address.place}.{name}",
        "no other value than the one that stands there is accepted, so it cannot be anonymised; "
        "declare `method: constant: …`, or `personal: false` with `because`",
    )


def _standing(task: Task, rows: Mapping[KeyValues, Row]) -> Iterator[tuple[KeyValues, set[str]]]:
    """Rows in which a value that is to be drawn comes out as it was, and its column. By chance a
    narrow column may; it must not have to. Raises StoreError for what cannot be anonymised."""
    for values, row in rows.items():
        key = task.keys[values]
        if task.effect.state(key, row) != "ours":
            continue
        changes = task.effect.changes(key, row) | task.effect.rewritten(key)
        whole = task.effect.masked.keys() & set(task.effect.changing)  # not inside a document
        names = {n for n in whole if row[n] is not None and n not in changes}
        if same := {n for n in names if _is_drawn(task.effect, n)}:
            yield values, same


def _is_drawn(effect: Effect, name: str) -> bool:
    method = effect.masked[name].method
    drawn = (method.name if method else "null") in _DRAWS
    return drawn and effect.slot((), name, None).family not in _EMPTY
