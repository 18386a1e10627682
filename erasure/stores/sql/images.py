"""Before-images: read under the locks of the transaction that deletes or changes the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from erasure.domain.values import Scalar
from erasure.stores.base import Image, Keeper, Left, Receipt
from erasure.stores.images import digest, exact_key
from erasure.stores.sql.address import KeyValues
from erasure.stores.sql.along import kind_of
from erasure.stores.sql.exact import Exact, Imaged
from erasure.stores.sql.ghosts import Made
from erasure.stores.sql.mutate import Task, keyed_for
from erasure.stores.sql.references import link_of, links_to, referring
from erasure.stores.sql.reflect import Schema

Place = tuple[str, KeyValues]
Owner = tuple[int, KeyValues]


@dataclass(kw_only=True)
class _Group:
    """Rows of one table that one task deals with last; ``task`` is None for rows that follow: a
    key that is rewritten, or rows that go. ``goes``: and they go with them. ``kept``: those of
    which an image was taken."""

    address: Imaged
    position: int
    task: Task | None = None
    goes: bool = False
    keys: list[KeyValues] = field(default_factory=list)
    kept: list[KeyValues] = field(default_factory=list)


class Images:
    """The images of one batch. ``connection`` is inside its transaction."""

    def __init__(
        self, connection: sa.Connection, store: str, schema: Schema, tasks: Sequence[Task]
    ) -> None:
        self._connection, self._store, self._schema = connection, store, schema
        self._exact = Exact(connection, store, schema)
        self._keyed = keyed_for(connection)
        self._tasks = tasks
        self._owners: dict[Place, list[Owner]] = {}
        self._moved: dict[Place, KeyValues] = {}
        self._groups = self._grouped()

    def hand_to(self, keeper: Keeper) -> None:
        """Read every row that is going to be deleted or changed, locked, in the order of acting."""
        self._groups = [*self._along(), *self._groups, *self._followers()]
        for group in self._groups:
            names = group.task.effect.reads if group.task else ()
            for key, values, row in self._exact.rows(group.address, group.keys, names, lock=True):
                place = (group.address.shape.collection, key)
                if self._concerns(group, place, row):
                    group.kept.append(key)
                    keeper.keep(
                        Image(
                            collection=place[0],
                            key_names=group.address.key,
                            key=key,
                            values=values,
                            whose=tuple(self._owners[place]),
                            now=self._moved.get(place, ()),
                        )
                    )

    def hand_added(self, keeper: Keeper, added: Sequence[tuple[Task, Made]]) -> None:
        """Images of rows that the batch has added: before it there was nothing."""
        for task, made in added:
            collection = made.address.shape.collection
            group = _Group(address=self._exact.address(collection, made.address.key), position=0)
            for holder, key in made.keys.items():
                whose = tuple(self._owners[task.address.shape.collection, holder])
                names = made.address.key
                keeper.keep(
                    Image(collection=collection, key_names=names, key=key, values={}, whose=whose)
                )
                group.kept.append(key)
            self._groups.append(group)

    def left(self, receipts: Sequence[Receipt]) -> Iterator[Left]:
        """How the rows were left, read before the commit."""
        for group in self._groups:
            keys = group.kept
            if group.task and group.task.effect.removes:
                receipt = receipts[group.position]
                stay = {key.values for key in (*receipt.kept, *receipt.reused)}
                keys = [key for key in keys if key in stay]
            collection = group.address.shape.collection
            now = {self._moved.get((collection, key), key): key for key in keys}
            by_text = {exact_key(found): key for found, key in now.items()}
            for found, values, _ in self._exact.rows(group.address, list(now)):
                key = by_text[exact_key(found)]
                moved = self._moved.get((collection, key), ())
                yield Left(collection=collection, key=key, digest=digest(values), now=moved)

    def _grouped(self) -> list[_Group]:
        """Every row once, with the step that removes it, or else the first that changes it."""
        chosen: dict[Place, int] = {}
        for position, task in enumerate(self._tasks):
            if task.effect.untouched:
                continue
            for key in task.keys:
                place = (task.address.shape.collection, key)
                self._owners.setdefault(place, []).append((position, key))
                if task.effect.removes or place not in chosen:
                    chosen[place] = position
                self._note_move(place, task, key)
        groups: dict[int, _Group] = {}
        for (collection, key), position in chosen.items():
            task = self._tasks[position]
            if position not in groups:
                address = self._exact.address(collection, task.address.key)
                groups[position] = _Group(address=address, position=position, task=task)
            groups[position].keys.append(key)
        return [groups[position] for position in sorted(groups)]

    def _note_move(self, place: Place, task: Task, key: KeyValues) -> None:
        if new := task.effect.rewritten(task.keys[key]):
            old: dict[str, Scalar] = dict(zip(task.address.key, key, strict=True))
            self._moved[place] = tuple({**old, **new}.values())

    def _followers(self) -> list[_Group]:
        """Rows that refer to a key that is rewritten; one without a key of its own cannot be told
        apart, and follows the key back when that is put back."""
        found: dict[str, _Group] = {}
        for position, task in enumerate(self._tasks):
            if not task.effect.rekeys or not task.keys:
                continue
            for place, owners in self._referring(task):
                if place in self._owners:
                    continue
                collection, key = place
                if collection not in found:
                    primary = self._schema.shapes[collection].table.primary_key
                    address = self._exact.address(collection, primary)
                    found[collection] = _Group(address=address, position=position)
                found[collection].keys.append(key)
                self._owners[place] = owners
        return list(found.values())

    def _along(self) -> list[_Group]:
        """Rows that go, or lose their reference, with rows that go: the furthest first, so that
        they come back last. One without a key of its own cannot be put back; the plan says so."""
        levels: list[list[_Group]] = []
        going = [group for group in self._groups if group.task and group.task.effect.removes]
        while going:
            level = [child for parent in going for child in self._children(parent)]
            levels.append(level)
            going = [group for group in level if group.goes]
        return [group for level in reversed(levels) for group in level]

    def _children(self, parent: _Group) -> Iterator[_Group]:
        collection = parent.address.shape.collection
        for child in self._schema.children.get(collection, ()):
            kind, link = kind_of(child.key), link_of(self._schema, child)
            primary = link.shape.table.primary_key
            if kind is None or not primary:
                continue
            owners: dict[Any, list[Owner]] = {}
            targets = []
            for key, values in self._going(parent, link.target_columns):
                targets.append(values)
                owners.setdefault(link.normal(values), []).extend(self._owners[collection, key])
            address = self._exact.address(child.collection, primary)
            group = _Group(address=address, position=parent.position, goes=kind == "cascade")
            for normal, row in referring(self._connection, link, targets, primary):
                place = (child.collection, tuple(row.values()))
                if place not in self._owners:
                    self._owners[place] = owners[normal]
                    group.keys.append(place[1])
            if group.keys:
                yield group

    def _going(
        self, group: _Group, names: Sequence[str]
    ) -> Iterator[tuple[KeyValues, tuple[Scalar, ...]]]:
        """Rows of a group that go, locked, with those columns; not those that are somebody
        else's by now."""
        task, guard = group.task, group.task.guard if group.task else ()
        rows = self._keyed.rows(group.address, group.keys, [*names, *guard], lock=True)
        for key, row in rows:
            now = tuple(row[n] for n in guard)
            theirs = task is None or now == task.guard_of(task.keys[key])
            if theirs or not guard:
                yield key, tuple(row[n] for n in names)

    def _referring(self, task: Task) -> Iterator[tuple[Place, list[Owner]]]:
        key_names, collection = task.address.key, task.address.shape.collection
        referrers = task.work.step.referrers
        for link in links_to(self._store, self._schema, task.address, referrers):
            primary = link.shape.table.primary_key
            followed = set(link.target_columns) & set(task.effect.rekeys)
            if not primary or not followed or not set(link.target_columns) <= set(key_names):
                continue
            places = [key_names.index(n) for n in link.target_columns]
            targets = {tuple(key[i] for i in places): key for key in task.keys}
            by_normal = {link.normal(target): key for target, key in targets.items()}
            for normal, row in referring(self._connection, link, targets, primary):
                owner = self._owners[collection, by_normal[normal]]
                yield (link.shape.collection, tuple(row.values())), owner

    def _concerns(self, group: _Group, place: Place, row: Mapping[str, Scalar]) -> bool:
        """False for a row that is somebody else's now, or that is as it is to be already. Where
        several steps meet in one row, what the later ones see is not there yet."""
        task = group.task
        if task is None or len(self._owners[place]) > 1:
            return True
        key = task.keys[place[1]]
        if task.effect.state(key, row) == "reused":
            return False
        if task.effect.removes:
            return True
        effect = task.effect
        return bool(effect.changes(key, row) or effect.left(key, row) or effect.rewritten(key))
