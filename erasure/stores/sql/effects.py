"""What a plan's steps would set off beside themselves: cascades to rows that no step names, and
triggers. Read from the schema alone, so it is the same for everybody with the same steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher
from erasure.stores.base import Key, Secrets, SideEffect, SideEffectKind, Step
from erasure.stores.resolving import effect_of
from erasure.stores.rows import Effect
from erasure.stores.sql.address import Address, KeyValues, address_of
from erasure.stores.sql.along import code_of, is_named, kind_of, named_fields, refuse_asleep
from erasure.stores.sql.cycles import cycles_of
from erasure.stores.sql.references import links_to
from erasure.stores.sql.reflect import Child, Schema
from erasure.stores.sql.triggers import Event, Trigger, Triggers

_NOTHING = Secrets(seed=b"", needles=Matcher(()))
_DEEDS: Mapping[SideEffectKind, str] = {
    "cascade": "deletes the rows of {child} that refer to them by {columns}",
    "set_null": "empties {columns} in the rows of {child} that refer to them",
    "set_default": "puts the default into {columns} in the rows of {child} that refer to them",
}
_EVENTS: Mapping[Event, str] = {
    "DELETE": "deleted",
    "INSERT": "added",
    "UPDATE": "changed",
}


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A step against the live schema. ``effect`` is None where it cannot be carried out there;
    ``why`` then says what stands in the way."""

    step: Step
    address: Address
    effect: Effect | None
    why: str = ""

    @property
    def goes(self) -> bool:
        """True where its rows go."""
        return self.effect is not None and self.effect.removes


def resolve(store: str, schema: Schema, step: Step) -> Resolved:
    """Raises StoreError where the table is missing; a step that cannot be carried out is told."""
    address = address_of(store, schema, step.dataset, step.guard)
    try:
        effect = effect_of(step, address.shape.table, address.key, _NOTHING, address.place)
        if effect.removes or effect.rekeys:
            refuse_asleep(store, schema, address.shape.collection)
    except StoreError as error:
        return Resolved(step=step, address=address, effect=None, why=str(error))
    return Resolved(step=step, address=address, effect=effect)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What one step sets off."""

    cascades: tuple[SideEffect, ...]
    triggers: tuple[SideEffect, ...]


@dataclass(frozen=True)
class _Write:
    """A table that is written, and how; ``columns`` of an UPDATE."""

    collection: str
    event: Event
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Going:
    """A work with rows, as cycles are looked for."""

    address: Address
    effect: Effect
    keys: Mapping[KeyValues, Key]


def besides(
    store: str, dialect: str, schema: Schema, triggers: Triggers, resolved: Sequence[Resolved]
) -> list[Beside]:
    """Per step, in order, what it sets off: each side effect once, as they follow each other."""
    named = named_fields(schema, (r.step for r in resolved))
    broken = _broken(dialect, schema, resolved)
    found = []
    for position, one in enumerate(resolved):
        edges = list(unnamed(schema, one, named))
        writes = [*_own_writes(store, schema, one), *broken.get(position, ())]
        if dialect not in ("mysql", "mariadb"):  # there a cascade sets no trigger off
            writes += [_cascaded(child) for _, child in edges]
        cascades = {
            code_of(store, child): _cascade(store, parent, child) for parent, child in edges
        }
        fired = {
            effect.code: effect
            for write in writes
            for trigger in triggers.get(write.collection, ())
            if trigger.fires(write.event, write.columns)
            for effect in [_trigger(store, write.collection, trigger)]
        }
        found.append(Beside(cascades=tuple(cascades.values()), triggers=tuple(fired.values())))
    return found


def side_effects(
    dialect: str, store: str, schema: Schema, steps: Sequence[Step], triggers: Triggers
) -> list[tuple[SideEffect, ...]]:
    """The same as the protocol has it."""
    resolved = [resolve(store, schema, step) for step in steps]
    found = besides(store, dialect, schema, triggers, resolved)
    return [(*one.cascades, *one.triggers) for one in found]


def unnamed(
    schema: Schema, resolved: Resolved, named: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, Child]]:
    """References that act by themselves when rows of a step go, with the table they refer to,
    transitively. A shared row goes only when nobody refers to it, and takes nothing along."""
    if not resolved.goes or resolved.step.via != "deep":
        return
    first = resolved.address.shape.collection
    waiting, seen = deque([first]), {first}
    planned = True
    while waiting:
        parent = waiting.popleft()
        for child in schema.children.get(parent, ()):
            kind = kind_of(child.key)
            if kind is None or (planned and is_named(child, named)):
                continue
            yield parent, child
            if kind == "cascade" and child.collection not in seen:
                seen.add(child.collection)
                waiting.append(child.collection)
        planned = False


def forbidding(
    store: str, schema: Schema, resolved: Resolved, named: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    """References that would not let rows go: to rows of the step, and to rows that go along."""
    if resolved.goes and resolved.step.via == "deep":
        first = resolved.address.shape.collection
        for child in schema.children.get(first, ()):
            if kind_of(child.key) is None and not is_named(child, named):
                yield (
                    f"{store}.{child.collection}: no search follows {'+'.join(child.key.columns)}, "
                    f"and a row here that refers to a row of {first} keeps it, and with it the "
                    "whole step, from going; declare that reference in the catalogue "
                    "(direction from), of a dataset with another action than ignore"
                )
    for _, along in unnamed(schema, resolved, named):
        if kind_of(along.key) == "cascade":
            for child in schema.children.get(along.collection, ()):
                if kind_of(child.key) is None:
                    yield (
                        f"{store}.{child.collection}: a row here that refers to a row of "
                        f"{along.collection} keeps it from going along, and with it the whole "
                        "step; declare both tables and their references in the catalogue"
                    )


def _own_writes(store: str, schema: Schema, resolved: Resolved) -> Iterator[_Write]:
    effect = resolved.effect
    if effect is None or effect.untouched:
        return
    collection = resolved.address.shape.collection
    if effect.removes:
        yield _Write(collection, "DELETE")
        return
    yield _Write(collection, "UPDATE", (*effect.changing, *effect.replaced, *effect.rekeys))
    if ghost := resolved.step.ghost:
        yield _Write(schema.collection(ghost.dataset.name, ghost.dataset.schema), "INSERT")
    if effect.rekeys:
        for link in links_to(store, schema, resolved.address, resolved.step.referrers):
            if set(link.target_columns) & set(effect.rekeys):
                yield _Write(link.shape.collection, "UPDATE", link.columns)


def _broken(dialect: str, schema: Schema, resolved: Sequence[Resolved]) -> dict[int, list[_Write]]:
    """Cycles are broken by an UPDATE of rows that go later, by the position of their step."""
    keys: Mapping[KeyValues, Key] = {(): Key(values=())}
    known = [(n, r.address, r.effect) for n, r in enumerate(resolved) if r.effect is not None]
    tasks = [_Going(address, effect, keys) for _, address, effect in known]
    writes: dict[int, list[_Write]] = {}
    for cycle in cycles_of(dialect, schema, tasks):
        position, address, _ = known[cycle.position]
        write = _Write(address.shape.collection, "UPDATE", cycle.columns)
        writes.setdefault(position, []).append(write)
    return writes


def _cascaded(child: Child) -> _Write:
    if kind_of(child.key) == "cascade":
        return _Write(child.collection, "DELETE")
    return _Write(child.collection, "UPDATE", child.key.columns)


def _cascade(store: str, parent: str, child: Child) -> SideEffect:
    kind = kind_of(child.key)
    assert kind is not None  # noqa: S101 - only acting references come here
    columns = ", ".join(child.key.columns)
    deed = _DEEDS[kind].format(child=child.collection, columns=columns)
    return SideEffect(
        code=code_of(store, child),
        kind=kind,
        place=f"{store}.{child.collection}",
        mark=f"{child.key.on_delete}: {parent}({', '.join(child.key.target_columns)})",
        words=f"deleting rows of {parent} also {deed}; no step names those rows, so what they "
        "hold is neither searched for elsewhere nor listed",
        remedy=f"declare {child.collection} and its reference {columns} in the catalogue and "
        "plan again, or accept it",
    )


def _trigger(store: str, collection: str, trigger: Trigger) -> SideEffect:
    events = " or ".join(_EVENTS[event] for event in sorted(trigger.events))
    return SideEffect(
        code=f"trigger:{store}.{collection}.{trigger.name}",
        kind="trigger",
        place=f"{store}.{collection}",
        mark=trigger.mark,
        words=f"the trigger {trigger.name} runs when rows of {collection} are {events}; if it "
        "copies the old row, as audit triggers do, the personal data in it stay there",
        remedy="read what it does; let it copy nothing personal or declare the table it writes "
        "to, then accept it once for all plans of this shape",
    )
