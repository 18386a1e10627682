"""What a plan would do, told by the stores themselves, and what of it has to be accepted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from erasure.domain.bulk import kind_along
from erasure.domain.errors import StoreError, UsageError
from erasure.domain.finding import Person, mode_of
from erasure.domain.needles import Needle
from erasure.domain.plan import STAYING
from erasure.domain.steps import KEPT, Step, taken_later
from erasure.models import Plan, PlanStep
from erasure.runs import journal
from erasure.runs.journal import RunStep
from erasure.runs.pieces import Pieces
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
from erasure.stores.blocks import ForeseesInParts
from erasure.stores.choosing import Foresees
from lineage.graph import Dataset, Edge
from lineage.prepared import Prepared, Slot

# By the ordinal of a step; a store that cannot explain leaves its steps out.
Explanations = Mapping[int, Explanation]
Seeds = Mapping[str, Mapping[str, str]]
_EXPLAINED = Prepared(
    lambda: (
        PlanStep.objects.filter(
            plan__request=Slot("request"),
            plan__state__in=("approved", "carried_out"),
            store=Slot("store"),
        )
        .order_by("-plan__made_at")
        .values_list("plan", "explained", "plan__findings")
    )
)


def explain_steps(
    steps: Sequence[RunStep], edges: Sequence[Edge], seeds: Seeds, stores: Stores
) -> dict[int, Explanation]:
    """Ask every store that can explain how it would carry its steps out."""
    told: dict[int, Explanation] = {}
    datasets = {s.step.dataset.address: s.step.dataset for s in steps}
    for store, listed in _by_store(steps).items():
        adapter = stores.get(store)
        if isinstance(adapter, Explains):
            approaches = [
                Approach(step=s.step, searches=tuple(_searches(s.step, edges, seeds, datasets)))
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
    kept = [(place, one) for place, step in enumerate(steps) for one in taken_later(step)]
    effects = store.side_effects([one for _, one in kept]) if kept else []
    found: dict[int, dict[SideEffect, None]] = {}
    for (place, _), told in zip(kept, effects, strict=True):
        triggers = (effect for effect in told if effect.kind == "trigger")
        found.setdefault(place, {}).update(dict.fromkeys(triggers))
    return [tuple(found.get(place, ())) for place in range(len(steps))]


def _by_store(steps: Sequence[RunStep]) -> dict[str, list[RunStep]]:
    found: dict[str, list[RunStep]] = {}
    for step in steps:
        found.setdefault(step.store, []).append(step)
    return found


def _searches(
    step: Step, edges: Sequence[Edge], seeds: Seeds, datasets: Mapping[str, Dataset]
) -> Iterator[Selector]:
    """The searches that lead to a step's rows, each once."""
    dataset = step.dataset
    if step.via == "mention":
        yield Selector(dataset=dataset, mode="text", fields=step.redact)
        return
    seeded = seeds.get(dataset.address, {}) if step.via == "deep" else {}
    every: dict[tuple[tuple[str, ...], str | None], None] = {
        ((name,), kind): None for name, kind in seeded.items()
    }
    every |= dict.fromkeys(
        (e.destination_fields, None if e.reference.also else kind_along(e, datasets))
        for e in edges
        if e.destination == dataset.address
        and e.effect == step.via
        and step.reference in ((), e.destination_fields)
    )
    for fields, kind in every:
        mode = mode_of(kind) if len(fields) == 1 else "together"
        yield Selector(dataset=dataset, mode=mode, fields=fields)


def acceptable(effect: SideEffect, steps: Sequence[RunStep]) -> bool:
    """Nobody can accept that rows which the law keeps go along, or rows of a table that the plan
    acts on: whose they are says the search, and it does not lead to them. A store then refuses
    the step."""
    return effect.kind == "trigger" or _forbidding(effect, steps) is None


def _forbidding(effect: SideEffect, steps: Sequence[RunStep]) -> Step | None:
    """The step because of which nobody can accept it."""
    here = [s.step for s in steps if effect.place in _places(s)]
    kept = next((step for step in here if step.action in KEPT), None)
    taken = next(iter(here), None) if effect.kind == "cascade" else None
    return kept or taken


def _places(step: RunStep) -> set[str]:
    dataset = step.step.dataset
    return {f"{step.store}.{name}" for name in (dataset.name, f"{dataset.schema}.{dataset.name}")}


def codes_along(told: Explanation, steps: Sequence[RunStep]) -> tuple[str, ...]:
    """Codes of the cascades that a step may let happen once its plan is approved."""
    return tuple(sorted(e.code for e in told.cascades if acceptable(e, steps)))


def unasked(steps: Sequence[RunStep], told: Explanations, stores: Stores) -> set[str]:
    """Stores that need not see all keys together to tell what would happen: nothing goes along
    with rows that are deleted, and nothing stays there that they could be held by."""
    along = {s.store for s in steps if s.ordinal in told and told[s.ordinal].cascades}
    return {
        store
        for store, listed in _by_store(steps).items()
        if store not in along and _in_parts([s.step for s in listed], stores.get(store))
    }


def _in_parts(steps: Sequence[Step], store: Store) -> bool:
    if not any(step.action in STAYING and step.via == "deep" for step in steps):
        return True
    return isinstance(store, ForeseesInParts) and store.foresees_in_parts(steps)


def rows_along(
    steps: Sequence[RunStep], entries: Sequence[Entry], told: Explanations, stores: Stores
) -> dict[str, int]:
    """How many rows would go along now, by code. Raises UsageError where nobody can accept it."""
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
        step = _forbidding(effects[code], steps)
        if rows and step is not None:
            raise UsageError(f"{step.dataset.address}: {_refusal(step, rows, code)}")
    return counts


def _refusal(step: Step, rows: int, code: str) -> str:
    if step.action in KEPT:
        return (
            f"is retained, and {rows} of its rows would change with rows that are deleted "
            f"({code}); declare that reference in the catalogue"
        )
    return (
        f"{rows} of its rows would go along with rows that are deleted ({code}), and no search "
        "leads to them by it; declare that reference in the catalogue (direction from)"
    )


def refuse_values(
    steps: Sequence[RunStep],
    entries: Sequence[Entry],
    needles: Mapping[Person, set[Needle]],
    stores: Stores,
    pieces: Pieces | None = None,
) -> None:
    """Raise StoreError where a store will find no value that a column takes, with the remedy.
    ``pieces``: what is not among the entries, of stores that need not see all of it together."""
    secrets = Secrets(seed=os.urandom(32), needles=journal.matcher_of(needles))
    for store, listed in _by_store(steps).items():
        adapter = stores.get(store)
        if isinstance(adapter, Foresees):
            adapter.foresee(list(journal.works_of(entries, steps, store).values()), secrets)
            for s in listed:
                for piece in pieces.of(s.ordinal) if pieces and s.step.action in STAYING else ():
                    adapter.foresee([Work(step=s.step, keys=tuple(piece.keys()))], secrets)


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
        f"{effect.place}: {_why(step)}, and {effect.words.partition(';')[0]}; the "
        "store refuses that step once there is such a row: declare the reference in the catalogue"
        for explanation in told.values()
        for effect in explanation.cascades
        if (step := _forbidding(effect, steps)) is not None
    ]
    return sorted(set(found))


def _why(step: Step) -> str:
    if step.action in KEPT:
        return "the law keeps rows here"
    return "rows here go by a step of their own or not at all"


def shown(
    ordinal: int,
    told: Explanations,
    versions: Mapping[int, Sequence[Mapping[str, Any]]],
    days: Mapping[int, date],
    steps: Sequence[RunStep],
) -> dict[str, Any]:
    """What is kept with a step: how its store does it, or what becomes of each of its versions; and
    the last day of what stays until one."""
    last = {"last_day": days[ordinal].isoformat()} if ordinal in days else {}
    if ordinal in told:
        return {**to_json(told[ordinal], steps), **last}
    return {"versions": list(versions[ordinal])} if ordinal in versions else last


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
        explained = [step.explained for step in plan.steps.all() if step.store == store]
        approved = _approved(explained, plan.findings)
        if code := _changed_in(approved, steps, store, stores.get(store)):
            return code
    return ""


def changed_since(people: Iterable[Person], steps: Sequence[RunStep], store: Store) -> str:
    """The same of one store, for a run's people, who share their plan's steps. Raises StoreError
    when it is gone."""
    for person in people:
        told = _EXPLAINED.all(request=UUID(person), store=store.name)
        if told:
            latest, _, findings = told[0]
            approved = _approved(
                [explained for plan, explained, _ in told if plan == latest], findings
            )
            return _changed_in(approved, steps, store.name, store)
    raise StoreError("run", "its approved plan is gone; plan again")


def _approved(
    explained: Iterable[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]]
) -> set[tuple[str, str]]:
    codes = {code for one in explained for code in one.get("effects", ())}
    return {(f["code"], f["mark"]) for f in findings if f["code"] in codes}


def _changed_in(
    approved: set[tuple[str, str]], steps: Sequence[RunStep], name: str, store: Store
) -> str:
    if not isinstance(store, Explains):
        return ""
    listed = [s.step for s in steps if s.store == name]
    effects = [*store.side_effects(listed), *triggers_later(store, listed)]
    now = {(e.code, e.mark) for one in effects for e in one if acceptable(e, steps)}
    return min((code for code, _ in now ^ approved), default="")
