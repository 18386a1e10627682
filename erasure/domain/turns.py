"""Which dataset, and which step, comes before which. Pure.

Children come before parents, cuts before deletes, shared rows last, when everybody's references
to them have been cut; but before a row that would not be let go while they refer to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from erasure.domain.ordering import Pair, in_order
from erasure.domain.steps import Step
from erasure.domain.world import World
from lineage.graph import Dataset
from lineage.schema import ForeignKey

_VIA_ORDER: Mapping[str, int] = {"mention": 0, "shallow": 0, "deep": 1, "refcount": 2}
_FORBIDS = 3  # how much a pair matters that cannot be got round
_COUNTED = 4  # and one that decides whether a shared row stays


def in_turn(steps: Sequence[Step], order: Mapping[str, int], world: World) -> list[int]:
    """The places of one store's steps, as they are carried out; ``order`` is of datasets."""
    turn = sorted(range(len(steps)), key=lambda n: _position(steps[n], order))
    first = [n for n in turn if not _VIA_ORDER[steps[n].via]]
    rows = turn[len(first) :]
    pairs = _pairs([steps[n] for n in rows], world)
    names = in_order(map(_name, range(len(rows))), pairs) if pairs else map(_name, range(len(rows)))
    return first + [rows[int(name)] for name in names]


def _position(step: Step, order: Mapping[str, int]) -> tuple[int, int, str, Sequence[str]]:
    address = step.dataset.address
    return _VIA_ORDER[step.via], order[address], address, step.cut or step.reference


def _name(place: int) -> str:
    return f"{place:09}"


def _pairs(steps: Sequence[Step], world: World) -> Mapping[Pair, int]:
    """Which of these have to keep their order, or to change it: none, unless a shared row has to
    go before a row of the person's own."""
    shared = {s.dataset.address for s in steps if s.via == "refcount" and s.action == "delete"}
    if not shared:
        return {}
    own = {s.dataset.address for s in steps if s.via == "deep"}
    places: dict[str, list[int]] = {}
    for n, step in enumerate(steps):
        places.setdefault(step.dataset.address, []).append(n)
    among = [(a, b, w) for a, b, w in _precedences(world) if a != b and {a, b} <= places.keys()]
    if not any(a in shared and b in own and w >= _FORBIDS for a, b, w in among):
        return {}
    pairs: dict[Pair, int] = {}
    for a, b, weight in among:
        for first, then in product(places[a], places[b]):
            found = _weighs(steps[first], steps[then], weight)
            pairs[_name(first), _name(then)] = max(
                found, pairs.get((_name(first), _name(then)), -1)
            )
    return {pair: weight for pair, weight in pairs.items() if weight >= 0}


def _weighs(first: Step, then: Step, weight: int) -> int:
    """How much it matters that this one comes first; less than nothing where it need not."""
    if then.via == "refcount":
        return _COUNTED
    if first.via == "deep":
        return weight
    # Rows of their own are forbidden for certain; shared ones only where such a row refers to one.
    return weight - 1 if weight >= _FORBIDS else -1


def ranks(world: World) -> dict[str, int]:
    """Position of every dataset: holders of references before their targets, ``after`` obeyed.

    A circle is entered where a reference can be nulled, if it has such a place; the store then
    defers or nulls (see the SQL store).
    """
    pairs: dict[tuple[str, str], int] = {}
    for first, then, weight in _precedences(world):
        if first != then:
            pairs[first, then] = max(weight, pairs.get((first, then), 0))
    return {address: n for n, address in enumerate(in_order(world.datasets, pairs))}


def _precedences(world: World) -> Iterable[tuple[str, str, int]]:
    """(first, then, how much it matters)."""
    for reference in world.references:
        yield reference.holder, reference.target, 0
    by_table = {(d.store, d.name): a for a, d in world.datasets.items()}
    for address, dataset in world.datasets.items():
        for earlier in dataset.after:
            if earlier in world.datasets:
                yield earlier, address, _FORBIDS
        yield from _letting_go(dataset, by_table, world)


def _letting_go(
    holder: Dataset, by_table: Mapping[tuple[str, str], str], world: World
) -> Iterable[tuple[str, str, int]]:
    """What its references make it precede. Where it forbids that a row goes, it does so where the
    row would only go along."""
    address = holder.address
    for name, key in _targets(holder, by_table, world):
        target = by_table[holder.store, name]
        weight = _weight(world, address, target, key)
        yield address, target, weight
        for taker in _takers(target, by_table, world) if weight >= _FORBIDS else ():
            if taker != address:
                yield address, taker, _FORBIDS


def _takers(address: str, by_table: Mapping[tuple[str, str], str], world: World) -> Iterable[str]:
    """Datasets whose rows take its rows along as they go, and those that take theirs along."""
    waiting, seen = [address], {address}
    while waiting:
        dataset = world.datasets[waiting.pop()]
        for name, key in _targets(dataset, by_table, world):
            target = by_table[dataset.store, name]
            if key is None or key.on_delete != "CASCADE" or target in seen:
                continue
            if world.datasets[target].action == "delete" and not _nullable(world, dataset, key):
                seen.add(target)
                waiting.append(target)
                yield target


def _targets(
    dataset: Dataset, by_table: Mapping[tuple[str, str], str], world: World
) -> Iterable[tuple[str, ForeignKey | None]]:
    """Names of the datasets' tables that a live table refers to, and by what; None where that is
    through tables that the catalogue does not know: what goes along can be referred to, too."""
    table = world.table(dataset)
    waiting, seen = [table] if table else [], set()
    while waiting:
        holder = waiting.pop()
        for key in holder.foreign_keys:
            name = key.target.rpartition(".")[2]
            if (dataset.store, name) in by_table:
                yield name, key if holder is table else None
            elif key.target not in seen:
                seen.add(key.target)
                through = world.inspections[dataset.store].tables.get(key.target)
                waiting += [through] if through else []


def _weight(world: World, holder: str, target: str, key: ForeignKey | None) -> int:
    """What stays lets everybody stay before it. What can be nulled can wait where it goes, and is
    to be nulled before where it stays; what takes its rows along must not do so before their turn,
    and what is tested at the end can wait until then; what forbids cannot be got round at all."""
    if key is None or world.datasets[target].action != "delete":
        return 0
    if _nullable(world, world.datasets[holder], key):
        return int(world.datasets[holder].action != "delete")
    waits = key.deferrable and key.on_delete == "NO ACTION"
    return _FORBIDS if key.on_delete in ("NO ACTION", "RESTRICT") and not waits else 1


def _nullable(world: World, holder: Dataset, key: ForeignKey) -> bool:
    """True where a reference can be cut in rows that stay for now."""
    table = world.table(holder)
    columns = [table.get(name) for name in key.columns] if table else []
    return any(column and column.nullable for column in columns)
