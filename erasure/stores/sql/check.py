"""Postconditions, read anew by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from erasure.stores.base import Failure, Key, Secrets, Work
from erasure.stores.choosing import Given
from erasure.stores.rows import failures
from erasure.stores.sql.accepted import needed, settled
from erasure.stores.sql.errors import translated
from erasure.stores.sql.mutate import Task, keyed_for, resolve
from erasure.stores.sql.references import links_to, referred
from erasure.stores.sql.reflect import Schema


def check(
    connection: sa.Connection,
    store: str,
    schema: Schema,
    works: Sequence[Work],
    secrets: Secrets,
) -> Iterator[Failure]:
    """What does not hold, counted by reason."""
    for work in works:
        task = resolve(store, schema, work, secrets)
        if not task.keys:
            continue

        def still_referred(keys: Sequence[Key], task: Task = task) -> list[Key]:
            return _still_referred(connection, store, schema, task, keys)

        with translated(task.address.place):
            names = needed(schema, task.address, task.effect)
            found = dict(keyed_for(connection).rows(task.address, list(task.keys), names))
            given = Given(keys=task.keys, rows=found)
            effect = settled(connection, schema, task.address, task.effect, given)
            rows = [(task.keys[values], row) for values, row in found.items()]
            reasons = Counter(failures(effect, rows, still_referred))
        for why, count in sorted(reasons.items()):
            yield Failure(dataset=work.step.dataset.address, why=why, count=count)


def _still_referred(
    connection: sa.Connection, store: str, schema: Schema, task: Task, keys: Sequence[Key]
) -> list[Key]:
    links = links_to(store, schema, task.address, task.work.step.referrers)
    names = list(dict.fromkeys(c for link in links for c in link.target_columns))
    values = [key.values for key in keys]
    rows = dict(keyed_for(connection).rows(task.address, values, names))
    kept = referred(connection, links, task.address, rows, going=task.effect.removes)
    return [key for key in keys if key.values in kept]
