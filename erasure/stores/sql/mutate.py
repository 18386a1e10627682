"""Acting: one transaction for a batch, in the order given, every mutation guarded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import sqlalchemy as sa

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.values import Scalar
from erasure.stores.base import Key, Receipt, Secrets, Work
from erasure.stores.choosing import Given
from erasure.stores.resolving import effect_of
from erasure.stores.rows import Effect, Row, receipt_of, unique_keys
from erasure.stores.rules import hints_of
from erasure.stores.sql.accepted import needed, on_the_way, settled
from erasure.stores.sql.address import Address, KeyValues, address_of
from erasure.stores.sql.along import (
    Counted,
    Following,
    refuse_asleep,
    searched_by,
    take_along,
    takes_along,
)
from erasure.stores.sql.arrays import Arrays
from erasure.stores.sql.cycles import Cycle, cycles_of, defer
from erasure.stores.sql.errors import translated
from erasure.stores.sql.ghosts import Ghosts, Made
from erasure.stores.sql.keyed import Keyed, Lists, Target
from erasure.stores.sql.references import Planned, late_table, links_to, referred
from erasure.stores.sql.reflect import Schema
from erasure.stores.sql.rekey import Rewrites, rewrite_keys
from erasure.stores.sql.unchecked import Orphans, tests_at_once, unchecked

Keys = Mapping[KeyValues, Key]
Guards = Mapping[KeyValues, tuple[Scalar, ...]]


def keyed_for(connection: sa.Connection) -> Keyed:
    """The way of that dialect to address many rows at once."""
    return Arrays(connection) if connection.dialect.name == "postgresql" else Lists(connection)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A work, resolved: where it acts, what it does there, and to which keys."""

    work: Work
    address: Address
    effect: Effect
    keys: Keys

    @cached_property
    def guard(self) -> tuple[str, ...]:
        """Names of the columns that every mutation tests beside the key; what is inside one is
        tested before, under the row's lock."""
        return tuple([n for n in self.work.step.guard if n not in self.effect.guarded])

    def guard_of(self, key: Key) -> tuple[Scalar, ...]:
        """Those columns' values, as they were found."""
        inside, names = self.effect.guarded, self.work.step.guard
        if not inside:
            return key.guard
        pairs = zip(names, key.guard, strict=True)
        return tuple([value for name, value in pairs if name not in inside])

    def guards_of(self, keys: Keys) -> Guards:
        """The same of many keys."""
        if self.effect.guarded:
            return {values: self.guard_of(key) for values, key in keys.items()}
        return {values: key.guard for values, key in keys.items()}


def resolve(store: str, schema: Schema, work: Work, secrets: Secrets) -> Task:
    """Raises StoreError for whatever is missing in the live schema."""
    address = address_of(store, schema, work.step.dataset, work.step.guard)
    table = address.shape.table
    hints = hints_of(schema.rules.get(address.shape.collection, ()), address.shape.kinds)
    effect = effect_of(work.step, table, address.key, secrets, address.place, hints)
    if effect.removes or effect.rekeys:
        refuse_asleep(store, schema, address.shape.collection)
    return Task(work=work, address=address, effect=effect, keys=unique_keys(work))


def late_place(
    connection: sa.Connection, store: str, schema: Schema, tasks: Sequence[Task]
) -> str | None:
    """Where the late rows are, for a database that does not say which reference it was."""
    removing = [task.address for task in tasks if task.effect.removes]
    table = late_table(connection, schema, _planned(tasks), removing)
    return f"{store}.{table}" if table else None


def with_new_keys(connection: sa.Connection, schema: Schema, tasks: Sequence[Task]) -> list[Task]:
    """The tasks, with the new keys chosen where they rewrite some: they are told before they are
    written (RUN.md rule 9)."""
    return [
        looked_at(connection, schema, task)[0] if task.effect.rekeys and task.keys else task
        for task in tasks
    ]


def leading(task: Task, rows: Mapping[KeyValues, Row]) -> list[KeyValues]:
    """Rows whose reference to the person has to be replaced."""
    return [
        v
        for v, row in rows.items()
        if task.effect.left(task.keys[v], row).keys() & set(task.effect.replaced)
    ]


def looked_at(
    connection: sa.Connection, schema: Schema, task: Task
) -> tuple[Task, Mapping[KeyValues, Row]]:
    """The task with its values chosen, and its rows as they are now; nothing is locked."""
    names = needed(schema, task.address, task.effect)
    rows = dict(keyed_for(connection).rows(task.address, list(task.keys), names))
    with translated(task.address.place):
        given = Given(keys=task.keys, rows=rows)
        effect = settled(connection, schema, task.address, task.effect, given)
    return replace(task, effect=effect), rows


class Batch:
    """Works carried out in one transaction. ``connection`` is inside it."""

    def __init__(
        self,
        connection: sa.Connection,
        store: str,
        schema: Schema,
        tasks: Sequence[Task],
    ) -> None:
        self._connection, self._store, self._schema = connection, store, schema
        self._keyed = keyed_for(connection)
        self._tasks = tasks
        # Guards of rows that this batch has itself changed on the way (a cycle's reference).
        self._changed: dict[tuple[str, KeyValues], tuple[Scalar, ...]] = {}
        self._stuck: dict[str, str] = {}
        self._rewrites: list[tuple[Task, Rewrites]] = []
        self._cycles: list[Cycle] = []
        self._orphans = Orphans(connection, self._keyed, store, schema)
        # By task, the rows that it has made.
        self.ghosts: list[tuple[Task, Made]] = []
        # What went along with the rows of the work that is being carried out.
        self._along: Counted = {}

    @cached_property
    def _planned(self) -> Planned:
        return _planned(self._tasks)

    def carry_out(self) -> list[Receipt]:
        """Act in order; a receipt per work."""
        defer(self._connection, self._schema)
        for task in self._tasks:
            if not task.address.proven and task.keys:
                self._refuse_doubles(task)
        self._cycles = list(cycles_of(self._connection.dialect.name, self._schema, self._tasks))
        for task in self._tasks:  # of shared rows it is not known yet which go
            self._break_cycles(task, {} if task.work.step.via == "refcount" else task.keys)
        receipts = []
        for task in self._tasks:
            with translated(task.address.place):
                receipts.append(self._act(task))
        # Last: keys and guards of all the other rows were found with the old keys in them.
        for task, rewrites in self._rewrites:
            self._rewrite(task, rewrites)
        self._orphans.refuse()
        return receipts

    def _refuse_doubles(self, task: Task) -> None:
        """The catalogue says that these fields identify a row; nothing in the store does."""
        seen: set[KeyValues] = set()
        for key, _ in self._keyed.rows(task.address, list(task.keys), ()):
            if key in seen:
                raise StoreError(
                    task.address.place,
                    f"several rows have one key ({', '.join(task.address.key)}); "
                    "declare the fields that identify a row",
                )
            seen.add(key)

    def _break_cycles(self, task: Task, keys: Keys) -> None:
        for cycle in self._cycles:
            if self._tasks[cycle.position] is task:
                self._break(cycle, task, keys)

    def _break(self, cycle: Cycle, task: Task, keys: Keys) -> None:
        """Null the nullable side of a cycle in rows that this batch deletes later."""
        if not cycle.columns:
            self._stuck[cycle.parent] = task.address.shape.collection
            return
        names = list(dict.fromkeys((*task.guard, *cycle.columns)))
        targets = []
        for key, row in self._keyed.rows(task.address, list(keys), names, lock=True):
            now = tuple(row[n] for n in task.guard)
            if now == self._guard(task, key) and any(row[c] is not None for c in cycle.columns):
                targets.append(Target(key=key, guard=now, changes=dict.fromkeys(cycle.columns)))
        if not targets:
            return
        with translated(task.address.place):
            self._keyed.update(task.address, task.guard, targets)
        for target in targets:
            self._changed[task.address.shape.collection, target.key] = tuple(
                None if n in cycle.columns else v
                for n, v in zip(task.guard, target.guard, strict=True)
            )

    def _guard(self, task: Task, key: KeyValues) -> tuple[Scalar, ...]:
        changed = self._changed.get((task.address.shape.collection, key))
        if changed is not None:
            return changed
        return task.guard_of(task.keys[key]) if task.guard else ()

    def _act(self, task: Task) -> Receipt:
        if not task.keys:
            return receipt_of(task.work, task.keys)
        kept = self._shared(task) if task.work.step.via == "refcount" else set()
        keys = {v: key for v, key in task.keys.items() if v not in kept} if kept else task.keys
        if task.work.step.via == "refcount":
            self._break_cycles(task, keys)
        reused: list[Key] = []
        self._along = {}
        if keys and not task.effect.untouched:
            act = self._remove if task.effect.removes else self._change
            reused = act(task, keys)
        stay = [task.keys[values] for values in task.keys if values in kept] if kept else []
        receipt = receipt_of(task.work, task.keys, reused=reused, kept=stay)
        along = {task.keys[values]: dict(counts) for values, counts in self._along.items()}
        return replace(receipt, along=along) if along else receipt

    def _shared(self, task: Task) -> set[KeyValues]:
        """Lock shared rows, in key order, before counting who refers to them: two runs that each
        see the other's reference would leave an orphan."""
        links = links_to(self._store, self._schema, task.address, task.work.step.referrers)
        names = list(dict.fromkeys(c for link in links for c in link.target_columns))
        rows = dict(self._keyed.rows(task.address, list(task.keys), names, lock=True))
        return referred(self._connection, links, task.address, rows, going=task.effect.removes)

    def _remove(self, task: Task, keys: Keys) -> list[Key]:
        place = task.address.place
        keys, others = self._theirs(task, keys) if task.effect.guarded else (keys, [])
        guards: Guards = dict.fromkeys(keys, ())
        if self._changed:
            guards = {values: self._guard(task, values) for values in keys}
        elif task.guard:
            guards = task.guards_of(keys)
        if takes_along(self._schema, task.address):
            with translated(place):
                self._along = self._gone_along(task, guards)
        try:
            with translated(place, late=True):
                left = self._delete(task, guards)
        except LateRows:
            self._refuse_order(task)
            raise
        reused = others
        for key, row in self._keyed.rows(task.address, left, task.guard):
            if tuple(row[n] for n in task.guard) == guards[key]:
                raise StoreError(place, "rows stayed; a trigger, rule or row policy keeps them")
            reused.append(keys[key])
        return reused

    def _gone_along(self, task: Task, guards: Guards) -> Counted:
        allowed = frozenset(task.work.step.along)
        here = (self._connection, self._store, self._schema, self._planned)
        following = Following(*here, allowed=allowed)
        return take_along(following, self._keyed, task.address, guards, task.guard)

    def _theirs(self, task: Task, keys: Keys) -> tuple[Keys, list[Key]]:
        """The keys without those of rows that are somebody else's by what their documents say."""
        found = self._keyed.rows(task.address, list(keys), task.effect.reads, lock=True)
        others = {v: keys[v] for v, row in found if task.effect.state(keys[v], row) == "reused"}
        return {v: key for v, key in keys.items() if v not in others}, list(others.values())

    def _delete(self, task: Task, guards: Guards) -> list[KeyValues]:
        collection = task.address.shape.collection
        own = self._stuck.get(collection) == collection
        if not (own and tests_at_once(self._connection)):
            return self._keyed.delete(task.address, task.guard, guards)
        self._orphans.expect(task.address, list(guards))
        with unchecked(self._connection):
            return self._keyed.delete(task.address, task.guard, guards)

    def _refuse_order(self, task: Task) -> None:
        """A reference that cannot be nulled is no late row: asking again would not help."""
        child = self._stuck.get(task.address.shape.collection)
        if child is not None:
            raise StoreError(
                task.address.place,
                f"'{child}' refers to it by a column that refuses NULL and goes later; "
                f"declare `after: [{child}]` on this collection, or let that column be NULL",
            ) from None

    def _change(self, task: Task, keys: Keys) -> list[Key]:
        names = needed(self._schema, task.address, task.effect)
        given = Given(
            keys=keys,
            rows=dict(self._keyed.rows(task.address, list(keys), names, lock=True)),
        )
        here = (self._connection, self._schema, task.address)
        with translated(task.address.place):
            task = replace(task, effect=settled(*here, task.effect, given))
            if task.effect.replaced:
                task = self._haunted(task, given)
            parked = on_the_way(*here, task.effect, given)
        reused, targets, rewrites = [], [], {}
        for values, row in given.rows.items():
            key = keys[values]
            state = task.effect.state(key, row)
            if state == "reused":
                reused.append(key)
                continue
            changes = task.effect.changes(key, row) if state == "ours" else {}
            if changes:
                targets.append(Target(key=values, guard=_now(task, row), changes=changes))
            if new := task.effect.rewritten(key):
                rewrites[values] = new
        with translated(task.address.place):
            self._update(task, given, targets, parked)
            self._refuse_undone(task, [target.key for target in targets])
        if rewrites:
            self._rewrites.append((task, rewrites))
        return reused

    def _haunted(self, task: Task, given: Given) -> Task:
        """A ghost row for each row that still leads to the person."""
        ghosts = Ghosts(self._connection, self._store, self._schema)
        made = ghosts.make(task.work.step, task.effect.seed, leading(task, given.rows))
        self.ghosts.append((task, made))
        (name,) = task.effect.replaced
        kind, choices = task.address.kind(name), dict(task.effect.choices)
        for values, there in made.values.items():
            alike = type(there) is type(given.rows[values][name])
            # As the referring column has it, which may be text where the key is a number.
            to = there if alike else next(iter(kind.probes(there)), there)
            choices[values] = {**choices.get(values, {}), name: to}
        return replace(task, effect=replace(task.effect, choices=choices))

    def _update(
        self,
        task: Task,
        given: Given,
        targets: Sequence[Target],
        parked: Mapping[KeyValues, Mapping[str, Scalar]],
    ) -> None:
        """Write the new values; first, rows that hold what another one gets step aside."""
        aside = [
            Target(key=v, guard=_now(task, given.rows[v]), changes=changes)
            for v, changes in parked.items()
        ]
        self._keyed.update(task.address, task.guard, aside)
        last = [
            replace(t, guard=_now(task, {**given.rows[t.key], **parked.get(t.key, {})}))
            for t in targets
        ]
        self._keyed.update(task.address, task.guard, last if parked else targets)

    def _rewrite(self, task: Task, rewrites: Rewrites) -> None:
        referrers = task.work.step.referrers
        links = links_to(self._store, self._schema, task.address, referrers)
        with translated(task.address.place):
            rewrite_keys(self._connection, self._keyed, task.address, links, rewrites)

    def _refuse_undone(self, task: Task, keys: Sequence[KeyValues]) -> None:
        """Read back what was written: a row that came out otherwise would look reused later."""
        for key, row in self._keyed.rows(task.address, keys, task.effect.reads):
            left = task.effect.changes(task.keys[key], row)
            if left:
                raise StoreError(
                    task.address.place,
                    f"did not keep what was written to {', '.join(sorted(left))}; a trigger or "
                    "the column's type changes it: declare another method",
                )


def _now(task: Task, row: Row) -> tuple[Scalar, ...]:
    return tuple(row[name] for name in task.guard)


def _planned(tasks: Sequence[Task]) -> Planned:
    removed: dict[str, set[KeyValues]] = {}
    fields: dict[str, set[str]] = {}
    keys: dict[str, set[KeyValues]] = {}
    for task in tasks:
        keys.setdefault(task.address.shape.collection, set()).update(task.keys)
        fields.setdefault(task.address.shape.collection, set()).update(searched_by(task.work.step))
        if task.effect.removes:
            removed.setdefault(task.address.shape.collection, set()).update(task.keys)
    return Planned(
        removed={name: frozenset(keys) for name, keys in removed.items()},
        fields={name: frozenset(names) for name, names in fields.items()},
        keys={name: frozenset(values) for name, values in keys.items()},
    )
