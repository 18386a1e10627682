"""From a reach to ordered steps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from erasure.domain.errors import UsageError
from erasure.domain.masking import masked_fields
from erasure.domain.steps import KEPT, Action, Ghost, Referrer, Step, Via, taken_later
from erasure.domain.turns import in_turn, ranks
from erasure.domain.world import Ways
from erasure.domain.world import World as World
from lineage.graph import Dataset, Edge, Reach, Reference, Stop, StoreEntry

# What a store of that kind can do with a dataset that no row-level path leads to.
_DERIVED_ACTIONS: Mapping[str, Action] = {
    "backups": "expire",
    "model_registry": "retrain",
    "mlflow": "retrain",
    "manual": "notify",
}
# These are not searched for somebody else's text that mentions the person.
_NO_TEXT_KINDS = frozenset(_DERIVED_ACTIONS)
MODEL_ACTIONS = frozenset({"retrain", "unlearn", "retire"})
STAYING = frozenset({"anonymize", "redact", "restrict"})


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One step before it is counted: where it acts, why, and the path that led there."""

    store: StoreEntry
    step: Step
    path: tuple[str, ...]
    reason: str


def draft_steps(reach: Reach, world: World) -> list[Draft]:
    """Every step of the plan, in order. Raises UsageError where nothing was decided."""
    ways = Ways(reach)
    drafts = [d for stop in reach.stops for d in _steps_of(stop, ways, world)]
    drafts += _mentions(drafts, world)
    refuse_contradictions(drafts, reach, world)
    drafts.sort(key=lambda d: d.store.name)
    order = ranks(world)
    stores = (list(own) for _, own in groupby(drafts, key=lambda d: d.store.name))
    return [own[n] for own in stores for n in in_turn([d.step for d in own], order, world)]


def _steps_of(stop: Stop, ways: Ways, world: World) -> list[Draft]:
    dataset = world.datasets[stop.address]
    store = world.stores[dataset.store]
    if dataset.action == "ignore":
        return []
    into = ways.into(stop.address)
    effects = {e.effect for e in into} | ({"deep"} if stop.seeds else set())
    if not effects:
        return _derived(stop, dataset, store)
    steps = [
        _row_step(dataset, cast(Via, via), ways, world)
        for via in ("deep", "refcount")
        if via in effects
    ]
    steps += _shallow_steps(dataset, into, world)
    return [_draft(store, step, stop.path) for step in steps]


def _draft(store: StoreEntry, step: Step, path: tuple[str, ...]) -> Draft:
    return Draft(store=store, step=step, path=path, reason=_reason(step))


def _row_step(dataset: Dataset, via: Via, ways: Ways, world: World) -> Step:
    action = _decided(dataset, world)
    staying = action in STAYING
    held = world.held.get(dataset.address, ())
    return Step(
        dataset=dataset,
        action=action,
        via=via,
        guard=guard_fields(dataset, held) if via == "deep" else (),
        reference=reached_by(dataset, held) if via == "deep" else (),
        cut=_cuts(dataset, ways, world) if staying and via == "deep" else (),
        redact=dataset.free_text if staying else (),
        # Who keeps a shared row alive; who follows a key that is rewritten.
        referrers=referrers(dataset, world) if via == "refcount" or action == "anonymize" else (),
        live_key=() if dataset.key or action != "anonymize" else _key(dataset, world),
    )


def _shallow_steps(dataset: Dataset, into: Sequence[Edge], world: World) -> list[Step]:
    """One step per reference, so that a row loses the one that leads to the person and no other:
    in somebody else's row, and in their own that stays while what it refers to goes.
    The reference itself is the guard: whoever's row it is, it is cut while it leads there."""
    shallow = [e for e in into if e.effect == "shallow" or _left_behind(dataset, e, world)]
    ghosts = {e.destination_fields: _ghost(dataset, e, world) for e in shallow if e.reference.ghost}
    return [
        Step(
            dataset=dataset,
            action="redact",
            via="shallow",
            guard=tuple(n for n in names if n not in dataset.key),
            reference=names,
            cut=() if names in ghosts else cuttable(dataset, names, world),
            ghost=ghosts.get(names),
            redact=dataset.free_text,
        )
        for names in sorted({e.destination_fields for e in shallow})
    ]


def _ghost(dataset: Dataset, edge: Edge, world: World) -> Ghost:
    """Where the row is made that takes the person's place. Raises UsageError where none can."""
    target = world.datasets[edge.origin]
    place = f"{dataset.address}.{', '.join(edge.destination_fields)}"
    if edge.reference.also:
        raise UsageError(
            f"{place}: a reference of several fields gets no ghost row; make one of them nullable "
            "and declare `on_erase: shallow`"
        )
    if edge.destination_field in dataset.key:
        raise UsageError(
            f"{place}: is part of the key and cannot lead elsewhere; declare `on_erase: deep`"
        )
    if target.store != dataset.store:
        raise UsageError(
            f"{place}: a ghost row is made in the same store only; declare `on_erase: shallow`"
        )
    return Ghost(dataset=target, field=edge.reference.target_field)


def cuttable(dataset: Dataset, names: tuple[str, ...], world: World) -> tuple[str, ...]:
    """Which fields of a reference to set to NULL. One NULL makes a composite reference void (SQL's
    MATCH SIMPLE), so fields that are also part of the key or of another reference, or refuse NULL,
    are spared where there is another."""
    if len(names) == 1:
        return names
    table = world.table(dataset)
    refuse = {c.name for c in table.columns if not c.nullable} if table else set()
    elsewhere = {
        name
        for r in world.held.get(dataset.address, ())
        if r.holder_fields != names
        for name in r.holder_fields
    }
    key = _key(dataset, world)
    for spared in (refuse | elsewhere, refuse):
        left = tuple(n for n in names if n not in spared and n not in key)
        if left:
            return left
    return names


def _decided(dataset: Dataset, world: World) -> Action:
    default = _DERIVED_ACTIONS.get(world.stores[dataset.store].kind)
    action = dataset.action or default
    if action is None:
        raise UsageError(
            f"{dataset.address}: nobody decided what happens here; "
            "add `erasure: {action: …}` to the collection and import the catalogue again"
        )
    return cast(Action, action)


def guard_fields(dataset: Dataset, references: Iterable[Reference]) -> tuple[str, ...]:
    """Fields that say whose row it is: identities and references that rows are reached by.

    Taken from the catalogue, not from one person's reach, so that everybody's steps agree. None
    that leads to a ghost row once the row's own step looks: nobody knows its key before.
    """
    names = {f.name for f in dataset.identities}
    names |= set(reached_by(dataset, (r for r in references if not r.ghost)))
    return tuple(sorted(names - set(dataset.key)))


def reached_by(dataset: Dataset, references: Iterable[Reference]) -> tuple[str, ...]:
    """Fields of every reference that leads to rows of ``dataset``, those of its key included."""
    reaching = (
        r for r in references if r.holder == dataset.address and r.direction in (None, "from")
    )
    return tuple(sorted({name for r in reaching for name in r.holder_fields}))


def referrers(dataset: Dataset, world: World) -> tuple[Referrer, ...]:
    """Declared fields of the same store that can refer to a row of ``dataset``."""
    found = []
    for reference in world.aimed.get(dataset.address, ()):
        holder = world.datasets[reference.holder]
        if holder.store == dataset.store:
            found.append(
                Referrer(
                    collection=holder.name,
                    field=reference.holder_field,
                    target_field=reference.target_field,
                    schema=holder.schema,
                    also=reference.also,
                )
            )
    return tuple(sorted(found, key=lambda r: (r.collection, r.field)))


def _left_behind(dataset: Dataset, edge: Edge, world: World) -> bool:
    """The person's own row stays, and the row of theirs that it refers to goes. A reference that
    is part of the key is never nulled."""
    stays = dataset.action in ("anonymize", "redact")
    goes = edge.effect == "deep" and world.datasets[edge.origin].action == "delete"
    if edge.forward or not stays or not goes:
        return False
    key = _key(dataset, world)
    return not set(cuttable(dataset, edge.destination_fields, world)).issubset(key)


def _cuts(dataset: Dataset, ways: Ways, world: World) -> tuple[str, ...]:
    """References of the person's row to shared rows."""
    cut = {
        name
        for e in ways.out_of(dataset.address)
        if e.effect == "refcount"
        for name in cuttable(dataset, e.origin_fields, world)
    }
    return tuple(sorted(cut.difference(_key(dataset, world))))


def _key(dataset: Dataset, world: World) -> tuple[str, ...]:
    """Fields of its key: as the catalogue tells them, or else its database."""
    table = world.table(dataset)
    return dataset.key or (table.primary_key if table else ())


def _derived(stop: Stop, dataset: Dataset, store: StoreEntry) -> list[Draft]:
    """A dataset that only a derivation leads to: its store's kind says what can be done."""
    action = dataset.action or _DERIVED_ACTIONS.get(store.kind)
    if action is None:
        raise UsageError(
            f"{dataset.address}: derived from personal data and nobody decided what happens; "
            "add an action, a reference that leads to its rows, or `ignore` with `because`"
        )
    if action == "redact" and dataset.free_text:
        return []  # found by value: the mention step does it
    if store.kind not in _DERIVED_ACTIONS:
        raise UsageError(
            f"{dataset.address}: '{action}' needs a way to its rows; "
            "add a reference to the data it was derived from"
        )
    return [_draft(store, Step(dataset=dataset, action=cast(Action, action)), stop.path)]


def _mentions(drafts: Sequence[Draft], world: World) -> list[Draft]:
    """Free text anywhere in the catalogue may mention the person, whoever wrote it."""
    reached = {d.step.dataset.address: d.path for d in drafts}
    found = []
    for dataset in world.datasets.values():
        store = world.stores[dataset.store]
        if not dataset.free_text or store.kind in _NO_TEXT_KINDS or dataset.action == "ignore":
            continue
        step = Step(
            dataset=dataset,
            action="redact",
            via="mention",
            guard=(),
            redact=dataset.free_text,
        )
        found.append(_draft(store, step, reached.get(dataset.address, ("found by value",))))
    return found


def _reason(step: Step) -> str:
    if step.via == "mention":
        return "somebody's text may mention the person"
    if step.via == "shallow":
        words = "refers to the person; the row is somebody else's and stays"
        return f"{words}; a ghost row takes the person's place" if step.ghost else words
    words = step.dataset.because
    if step.via == "refcount":
        return words or "goes if the person's reference was the last"
    if step.action == "retain":
        return words or step.dataset.legal_reference
    return words or "the person's own"


def refuse_contradictions(drafts: Sequence[Draft], reach: Reach, world: World) -> None:
    """A row kept untouched cannot refer to a row that goes, nor have a key that changes."""
    _refuse_moving_keys(drafts, world)
    _refuse_uncounted(drafts, world)
    action = {d.step.dataset.address: d.step.action for d in drafts if d.step.via == "deep"}
    for edge in reach.edges:
        gone = edge.effect == "deep" and action.get(edge.origin) == "delete"
        if gone and action.get(edge.destination) == "retain" and not edge.forward:
            raise UsageError(
                f"{edge.destination}: is retained and refers to {edge.origin}, which is deleted; "
                f"let {edge.origin} be anonymized, or kept as well"
            )


def _refuse_uncounted(drafts: Sequence[Draft], world: World) -> None:
    """A shared row goes with the last that refers to it. Who does from another store is not
    counted where it goes."""
    for draft in drafts:
        dataset = draft.step.dataset
        if draft.step.via != "refcount" or draft.step.action != "delete":
            continue
        for reference in world.aimed.get(dataset.address, ()):
            if world.datasets[reference.holder].store != dataset.store:
                raise UsageError(
                    f"{dataset.address}: is shared, and {reference.holder}."
                    f"{reference.holder_field} refers to it from another store, where nobody "
                    "counts who still needs it; let it be anonymized or kept, or take that "
                    "reference out of the catalogue"
                )


def _refuse_moving_keys(drafts: Sequence[Draft], world: World) -> None:
    """A row kept until its day is found by its key then: none may change with the rewritten one of
    a row that it refers to."""
    steps = {d.step.dataset.address: d.step for d in drafts if d.step.via == "deep"}
    for address, step in steps.items():
        if step.action != "anonymize":
            continue
        rewritten = {f.name for f in masked_fields(step.dataset)} & set(step.key)
        for reference in world.aimed.get(address, ()):
            pairs = zip(reference.holder_fields, reference.target_fields, strict=True)
            moving = {mine for mine, theirs in pairs if theirs in rewritten}
            holder = steps.get(reference.holder)
            if holder and holder.action in KEPT and moving & set(_key(holder.dataset, world)):
                raise UsageError(
                    f"{reference.holder}: is kept, and its key would change with that of "
                    f"{address}: nothing would be found on its day; declare `primary_key: true` on "
                    f"fields of it that stay, or let {address} be kept as well"
                )


def loose_paths(reach: Reach, world: World) -> list[str]:
    """A warning for datasets into which every way leads over a reference that may be NULL: such a
    row is nobody's, as far as keys tell."""
    loose, ways_in = [], Ways(reach)
    for stop in reach.stops:
        dataset = world.datasets[stop.address]
        table = world.table(dataset)
        into = [e for e in ways_in.into(stop.address) if e.effect == "deep"]
        if table is None or stop.seeds or not into or dataset.action == "ignore":
            continue
        ways = {e.destination_fields for e in into}
        nullable = {column.name for column in table.columns if column.nullable}
        nullable |= {name for way in ways for name in way if table.inside(name)}
        # One NULL makes a composite reference void.
        if not any(e.forward for e in into) and all(nullable & set(way) for way in ways):
            loose.append(f"{dataset.address} ({', '.join(sorted(map('+'.join, ways)))})")
    if not loose:
        return []
    return [
        f"reached only where the reference is filled in: {', '.join(loose)}; a row with NULL there "
        "is found by the values in it and not by its key: fill it in, or let the column refuse NULL"
    ]


def keeps_references(step: Step) -> bool:
    """Whether the person's own row stays as it is, now and when a hold on it has ended."""
    return step.action in KEPT and not (step.held and taken_later(step)[0].action in STAYING)
