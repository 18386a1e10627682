"""What a plan would do, told by the stores themselves, and what of it has to be accepted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from erasure.domain.errors import UsageError
from erasure.domain.finding import Person, mode_of
from erasure.domain.needles import Needle
from erasure.domain.plan import STAYING
from erasure.domain.steps import KEPT, Step, in_the_end
from erasure.models import Plan
from erasure.runs import journal
from erasure.runs.journal import RunStep
from erasure.runs.searching import Stores
from erasure.runs.segments import Entry
from erasure.stores.base import (
    Approach,
    Explains,
    Explanation,
    Secrets,
    Selector,
    SideEffect,
    Store,
    Work,
)
from erasure.stores.choosing import Foresees
from lineage.graph import Edge

# By the ordinal of a step; a store that cannot explain leaves its steps out.
Explanations = Mapping[int, Explanation]
Seeds = Mapping[str, Mapping[str, str]]


def explain_steps(
    steps: Sequence[RunStep], edges: Sequence[Edge], seeds: Seeds, stores: Stores
) -> dict[int, Explanation]:
    """Ask every store that can explain how it would carry its steps out."""
    told: dict[int, Explanation] = {}
    for store, listed in _by_store(steps).items():
        adapter = stores.get(store)
        if isinstance(adapter, Explains):
            approaches = [
                Approach(step=s.step, searches=tuple(_searches(s.step, edges, seeds)))
                for s in listed
            ]
            explained = adapter.explain(approaches)
            later = triggers_later(adapter, [s.step for s in listed])
            told |= {
                s.ordinal: replace(e, triggers=(*e.triggers, *found))
                for s, e, found in zip(listed, explained, later, strict=True)
            }
    return told


def triggers_later(store: Explains, steps: Sequence[Step]) -> list[tuple[SideEffect, ...]]:
    """Per step, the triggers that run when what the law keeps until a day, or a hold until its
    release, is erased then: they are accepted with the plan, since nobody is asked on that day."""
    kept = {
        place: in_the_end(step)
        for place, step in enumerate(steps)
        if step.action == "retain" and (step.dataset.until or step.held)
    }
    effects = store.side_effects(list(kept.values())) if kept else []
    found = {
        place: tuple(e for e in one if e.kind == "trigger")
        for place, one in zip(kept, effects, strict=True)
    }
    return [found.get(place, ()) for place in range(len(steps))]


def _by_store(steps: Sequence[RunStep]) -> dict[str, list[RunStep]]:
    found: dict[str, list[RunStep]] = {}
    for step in steps:
        found.setdefault(step.store, []).append(step)
    return found


def _searches(step: Step, edges: Sequence[Edge], seeds: Seeds) -> Iterator[Selector]:
    """The searches that lead to a step's rows, each once."""
    dataset = step.dataset
    if step.via == "mention":
        yield Selector(dataset=dataset, mode="text", fields=step.redact)
        return
    seeded = seeds.get(dataset.address, ()) if step.via == "deep" else ()
    every: dict[tuple[str, ...], None] = {(name,): None for name in seeded}
    every |= dict.fromkeys(
        e.destination_fields
        for e in edges
        if e.destination == dataset.address
        and e.effect == step.via
        and step.reference in ((), e.destination_fields)
    )
    for fields in every:
        found = dataset.get(fields[0])
        mode = mode_of(found.identity if found else None) if len(fields) == 1 else "together"
        yield Selector(dataset=dataset, mode=mode, fields=fields)


def acceptable(effect: SideEffect, steps: Sequence[RunStep]) -> bool:
    """Nobody can accept that rows which the law keeps go along: a store then refuses the step."""
    return effect.kind == "trigger" or _kept(effect, steps) is None


def _kept(effect: SideEffect, steps: Sequence[RunStep]) -> Step | None:
    for s in steps:
        dataset = s.step.dataset
        names = {dataset.name, f"{dataset.schema}.{dataset.name}"}
        if s.step.action in KEPT and effect.place in {f"{s.store}.{name}" for name in names}:
            return s.step
    return None


def codes_along(told: Explanation, steps: Sequence[RunStep]) -> tuple[str, ...]:
    """Codes of the cascades that a step may let happen once its plan is approved."""
    return tuple(sorted(e.code for e in told.cascades if acceptable(e, steps)))


def unasked(steps: Sequence[RunStep], told: Explanations) -> set[str]:
    """Stores that need no keys of rows that are deleted to tell what would happen: nothing goes
    along with them, and nothing stays there that they could be held by."""
    stores = {s.store for s in steps}
    stores -= {s.store for s in steps if s.ordinal in told and told[s.ordinal].cascades}
    staying = (s for s in steps if s.step.action in STAYING and s.step.via == "deep")
    return stores - {s.store for s in staying}


def rows_along(
    steps: Sequence[RunStep], entries: Sequence[Entry], told: Explanations, stores: Stores
) -> dict[str, int]:
    """How many rows would go along now, by code. Raises UsageError where the law keeps one."""
    effects = {e.code: e for explanation in told.values() for e in explanation.cascades}
    counts: dict[str, int] = {}
    for store, listed in _by_store(steps).items():
        if not any(told[s.ordinal].cascades for s in listed if s.ordinal in told):
            continue
        adapter = stores.get(store)
        if isinstance(adapter, Explains):
            works = journal.works_of(entries, steps, store)
            every = [works.get(s.ordinal, Work(step=s.step, keys=())) for s in listed]
            counts |= adapter.along(every)
    for code, rows in counts.items():
        kept = _kept(effects[code], steps)
        if rows and kept is not None:
            raise UsageError(
                f"{kept.dataset.address}: is retained, and {rows} of its rows would change with "
                f"rows that are deleted ({code}); declare that reference in the catalogue"
            )
    return counts


def refuse_values(
    steps: Sequence[RunStep],
    entries: Sequence[Entry],
    needles: Mapping[Person, set[Needle]],
    stores: Stores,
) -> None:
    """Raise StoreError where a store will find no value that a column takes, with the remedy."""
    secrets = Secrets(seed=os.urandom(32), needles=journal.matcher_of(needles))
    for store in _by_store(steps):
        adapter = stores.get(store)
        if isinstance(adapter, Foresees):
            adapter.foresee(list(journal.works_of(entries, steps, store).values()), secrets)


def findings_of(
    told: Explanations, steps: Sequence[RunStep], rows: Mapping[str, int]
) -> list[dict[str, Any]]:
    """What has to be accepted with the plan, as JSON, in the order of the steps."""
    effects = {
        effect.code: effect
        for explanation in told.values()
        for effect in explanation.effects
        if acceptable(effect, steps)
    }
    return [
        {**vars(effect), "rows": None if effect.kind == "trigger" else rows.get(code, 0)}
        for code, effect in effects.items()
    ]


def warnings_of(told: Explanations, steps: Sequence[RunStep]) -> list[str]:
    """What costs time or may be missed, and cascades that no one can accept."""
    found = [warning for explanation in told.values() for warning in explanation.warnings]
    found += [
        f"{effect.place}: the law keeps rows here, and {effect.words.partition(';')[0]}; the "
        "store refuses that step once there is such a row: declare the reference in the catalogue"
        for explanation in told.values()
        for effect in explanation.cascades
        if not acceptable(effect, steps)
    ]
    return sorted(set(found))


def shown(
    ordinal: int,
    told: Explanations,
    versions: Mapping[int, Sequence[Mapping[str, Any]]],
    steps: Sequence[RunStep],
) -> dict[str, Any]:
    """What is kept with a step: how its store does it, or what becomes of each of its versions."""
    if ordinal in told:
        return to_json(told[ordinal], steps)
    return {"versions": list(versions[ordinal])} if ordinal in versions else {}


def to_json(told: Explanation, steps: Sequence[RunStep]) -> dict[str, Any]:
    """An explanation as it is kept with its step."""
    return {
        "statement": told.statement,
        "rows": told.rows,
        "index": list(told.index),
        "locks": told.locks,
        "stays": told.stays,
        "effects": [effect.code for effect in told.effects if acceptable(effect, steps)],
    }


def changed(plan: Plan, steps: Sequence[RunStep], stores: Stores) -> str:
    """The code of a side effect that is another one now than what was approved; else empty."""
    for store in _by_store(steps):
        if code := changed_in(plan, steps, store, stores.get(store)):
            return code
    return ""


def changed_in(plan: Plan, steps: Sequence[RunStep], name: str, store: Store) -> str:
    """The same of one store."""
    if not isinstance(store, Explains):
        return ""
    listed = [s.step for s in steps if s.store == name]
    effects = [*store.side_effects(listed), *triggers_later(store, listed)]
    now = {(e.code, e.mark) for one in effects for e in one if acceptable(e, steps)}
    explained = [step.explained for step in plan.steps.all() if step.store == name]
    codes = {code for one in explained for code in one.get("effects", ())}
    approved = {(f["code"], f["mark"]) for f in plan.findings if f["code"] in codes}
    return min((code for code, _ in now ^ approved), default="")
