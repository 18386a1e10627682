"""A run is opened: everything is found and sealed before the first row is touched."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from erasure import vault
from erasure.domain.errors import StalePlan
from erasure.domain.finding import Findings, Person
from erasure.domain.needles import Needle
from erasure.domain.plan import MODEL_ACTIONS
from erasure.domain.steps import Via
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, Run, StoreRun
from erasure.runs import case, journal
from erasure.runs.journal import Entry, RunStep
from erasure.runs.roots import roots_hash
from erasure.runs.searching import (
    Mentions,
    Stores,
    Task,
    find_mentions,
    find_rows,
    gather_needles,
)
from erasure.stores.base import Key, Selector
from erasure.transitions import move, move_all
from lineage import selectors

_SET_ACTIONS = frozenset({"expire", "notify", "manual"})


@dataclass(frozen=True, kw_only=True)
class Search:
    """Everything one search over a run's people has found."""

    task: Task
    findings: Findings
    mentions: Mentions
    needles: Mapping[Person, set[Needle]]


def task_of(plan: Plan, steps: Sequence[RunStep], given: case.Given) -> Task:
    """What to search, from an approved plan: never wider than what was approved."""
    return Task(
        datasets=selectors.datasets(),
        edges=[case.edge_from_json(e) for e in plan.edges],
        seeds=case.seeds_from_json(plan.seeds),
        guards={s.step.dataset.address: s.step.guard for s in steps if s.step.guard},
        wanted=case.wanted_of(given),
    )


def search(task: Task, steps: Sequence[RunStep], given: case.Given, stores: Stores) -> Search:
    """Find by key, gather the needles, find by value."""
    findings = find_rows(task, stores)
    needles = gather_needles(findings, task.datasets, stores)
    case.add_given(needles, given)
    mentions = find_mentions([s.step for s in steps], needles, findings, stores)
    return Search(task=task, findings=findings, mentions=mentions, needles=needles)


def entries_of(found: Search, steps: Sequence[RunStep]) -> list[Entry]:
    """One entry per row and step. Raises StalePlan for a row that no approved step covers."""
    ordinals = {(s.step.dataset.address, s.step.via): s.ordinal for s in steps}
    entries = []
    for address, _, row in found.findings.walk():
        assert isinstance(row.payload, Key)  # noqa: S101 - searching puts keys there
        entries.append(
            Entry(
                ordinal=_ordinal(ordinals, address, row.via),
                key=row.payload,
                people=row.people,
                carry=row.carry,
            )
        )
    for address, table in found.mentions.items():
        ordinal = _ordinal(ordinals, address, "mention")
        entries += [Entry(ordinal=ordinal, key=m.key, people=m.people) for m in table.values()]
    return entries


def _ordinal(ordinals: Mapping[tuple[str, Via], int], address: str, via: Via) -> int:
    if (address, via) not in ordinals:
        raise StalePlan(f"{address}: rows are reached over {via}, which the plan does not name")
    return ordinals[(address, via)]


def set_entries(steps: Sequence[RunStep], people: set[Person], stores: Stores) -> list[Entry]:
    """Entries of steps about whole sets: backups that hold everybody, recipients to be told."""
    entries = []
    for s in steps:
        if s.step.action not in _SET_ACTIONS:
            continue
        selector = Selector(dataset=s.step.dataset)
        keys = [found.key for found in stores.get(s.store).find(selector, ())]
        keys = keys or [Key(values=())]
        entries += [Entry(ordinal=s.ordinal, key=k, people=set(people)) for k in keys]
    return entries


def stale_members(
    requests: Sequence[ErasureRequest], plans: Mapping[UUID, Plan], found: Search
) -> dict[UUID, str]:
    """Whose approved plan may not be carried out any more, and why."""
    version = selectors.catalogue_version()
    counts: Counter[tuple[Person, str, str]] = Counter()
    for address, _, row in found.findings.walk():
        counts.update((person, address, row.via) for person in row.people)
    stale = {}
    for request in requests:
        why = _stale_because(str(request.id), plans[request.id], version, found, counts)
        if why:
            stale[request.id] = why
    return stale


def _stale_because(
    person: Person,
    plan: Plan,
    version: str,
    found: Search,
    counts: Mapping[tuple[Person, str, str], int],
) -> str:
    if plan.catalogue_version != version:
        return "the catalogue has changed"
    if plan.roots != roots_hash(found.task, found.findings, person):
        return "the identifiers lead to other rows than those approved"
    for step in plan.steps.all():
        if counts[person, step.dataset, step.via] > step.ceiling:
            return f"{step.dataset} holds many more rows than were approved"
    return ""


def schema_changed(plan: Plan, stores: Stores) -> str:
    """Names the store whose schema is no longer the approved one; empty when all are."""
    approved: dict[str, str] = plan.fingerprints
    for name, fingerprint in approved.items():
        if stores.get(name).inspect().fingerprint != fingerprint:
            return name
    return ""


def write_run(
    plan: Plan,
    steps: Sequence[RunStep],
    requests: Sequence[ErasureRequest],
    found: Search,
    sets: Sequence[Entry],
    *,
    by: str,
) -> Run:
    """Seal keys, needles and seed, and move everybody to ``executing``: all or nothing."""
    entries = [*entries_of(found, steps), *sets]
    run_id = uuid.uuid4()
    with transaction.atomic():
        seed = vault.seal(vault.make_key(run_id, "run"), os.urandom(32), label=f"seed:{run_id}")
        run = Run.objects.create(
            id=run_id,
            sealed_seed=seed,
            steps=[
                {"ordinal": s.ordinal, "store": s.store, "kind": s.kind, "spec": s.step.to_json()}
                for s in steps
            ],
        )
        journal.seal_needles(run, found.needles)
        journal.write_batches(run, steps, entries, round_=0)
        StoreRun.objects.bulk_create(
            StoreRun(run=run, store=store, kind=kind)
            for store, kind in sorted({(s.store, s.kind) for s in steps})
        )
        move_all(requests, "executing", by=by, also={"run": run})
        move(run, "acting", by=by, because=f"{len(requests)} people, plan shape {plan.shape[:12]}")
        ledger.append(
            "sealed",
            {"run": str(run.id), "requests": len(requests), "batches": run.batches.count()},
        )
    return run


def is_model(step: RunStep) -> bool:
    """Model steps wait until the data they train on are clean."""
    return step.step.action in MODEL_ACTIONS
