"""Putting back, in memory: the meaning of ``Captures`` without a database in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.base import Image, Keeper, Left, Missing, Receipt, Secrets, Standing, Work
from erasure.stores.images import digest, how_it_stands, refuse_moved
from erasure.stores.rows import comparable, unique_keys

if TYPE_CHECKING:
    from erasure.stores.memory import World
    from erasure.stores.memory_batch import Batch

Row = dict[str, Scalar]
KeyValues = tuple[Scalar, ...]
Place = tuple[str, KeyValues]


class PutsBack:
    """What a store in memory adds to acting: images, and the way back."""

    name: str

    def _world(self) -> World:
        raise NotImplementedError

    def _acted(self, works: Sequence[Work], secrets: Secrets) -> tuple[list[Receipt], Batch]:
        """Carry out the works on a copy of the rows."""
        raise NotImplementedError

    def capture(self, works: Sequence[Work], secrets: Secrets, keeper: Keeper) -> list[Receipt]:
        """Carry out the works; images and what is left of the rows go to ``keeper`` first."""
        world = self._world()
        with world.lock:
            receipts, batch = self._acted(works, secrets)
            left = []
            for image, after in _changes(world, batch, works):
                keeper.keep(image)
                left += [after] if after else []
            keeper.seal(left)
            world.rows = batch.rows
        return receipts

    def compare(self, images: Iterable[Image]) -> Iterator[Standing]:
        """What stands now in the place of each image."""
        world = self._world()
        for image in images:
            yield _standing(world, image)

    def restore(self, images: Iterable[Image]) -> None:
        """Put the rows back on a copy, and the copy in place when every one is as it was."""
        world = self._world()
        with world.lock:
            wanted = list(refuse_moved(self.compare(images), self.name))
            rows = world.copy()
            for image in wanted:
                table = rows[image.collection]
                row = _find(table, image.key_names, image.now or image.key)
                if row is None:
                    table.append(dict(image.values))
                else:
                    row.clear()
                    row.update(image.values)
            for image in wanted:
                if any(_missing(world, rows, image)):
                    raise StoreError(
                        f"{self.name}.{image.collection}", "rows would refer to rows that have gone"
                    )
            world.rows = rows


def _find(rows: Sequence[Row], names: Sequence[str], key: KeyValues) -> Row | None:
    return next((row for row in rows if tuple(row[n] for n in names) == key), None)


@dataclass
class _Touched:
    """What some works name: how rows are identified, whose each is, and keys that change."""

    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    whose: dict[Place, list[tuple[int, KeyValues]]] = field(default_factory=dict)
    moved: dict[Place, KeyValues] = field(default_factory=dict)


def _touched(batch: Batch, works: Sequence[Work]) -> _Touched:
    touched = _Touched()
    for position, work in enumerate(works):
        effect, _ = batch.resolve(work)
        name = work.step.dataset.name
        touched.names.setdefault(name, effect.key)
        for values, key in unique_keys(work).items():
            touched.whose.setdefault((name, values), []).append((position, values))
            if new := effect.rewritten(key):
                old = dict(zip(effect.key, values, strict=True))
                touched.moved[name, values] = tuple({**old, **new}.values())
    return touched


def _changes(
    world: World, batch: Batch, works: Sequence[Work]
) -> Iterator[tuple[Image, Left | None]]:
    """An image of every row that the batch changed, and how the row was left where it stays."""
    touched = _touched(batch, works)
    # Whoever's key was rewritten accounts for the rows that refer to it.
    accounted = [owner for place in touched.moved for owner in touched.whose[place]]
    for name, rows in world.rows.items():
        names = touched.names.get(name) or world.tables[name].primary_key
        for row in rows if names else ():
            key = tuple(row[n] for n in names)
            now = touched.moved.get((name, key), ())
            after = _find(batch.rows[name], names, now or key)
            owners = tuple(touched.whose.get((name, key), accounted))
            if after == row or not owners:
                continue
            image = Image(
                collection=name, key_names=names, key=key, values=dict(row), whose=owners, now=now
            )
            left = Left(collection=name, key=key, digest=digest(after), now=now) if after else None
            yield image, left


def _standing(world: World, image: Image) -> Standing:
    table = world.rows.get(image.collection)
    if table is None:
        raise StoreError(image.collection, "the table is missing; nothing can be put back into it")
    at_key = _find(table, image.key_names, image.key)
    now = _find(table, image.key_names, image.now) if image.now else at_key
    how = how_it_stands(image, at_key, now)
    if how == "left" and _taken(world, image, now):
        how = "taken"
    missing = tuple(_missing(world, world.rows, image)) if how == "left" else ()
    return Standing(image=image, how=how, missing=missing)


def _taken(world: World, image: Image, itself: Row | None) -> bool:
    """Another row has a value that has to be unique."""
    unique = [c.name for c in world.tables[image.collection].columns if c.unique]
    return any(
        row is not itself and row[name] == image.values[name] is not None
        for row in world.rows[image.collection]
        for name in unique
    )


def _missing(world: World, rows: Mapping[str, Sequence[Row]], image: Image) -> Iterator[Missing]:
    for key in world.tables[image.collection].foreign_keys:
        values = tuple(image.values[n] for n in key.columns)
        wanted = [comparable(v) for v in values]
        found = any(
            [comparable(row[n]) for n in key.target_columns] == wanted for row in rows[key.target]
        )
        if not found and None not in wanted:
            yield Missing(collection=key.target, columns=key.target_columns, values=values)
