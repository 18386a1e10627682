"""A run is opened: everything is found and sealed before the first row is touched."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import transaction

from erasure import vault
from erasure.domain.errors import StalePlan
from erasure.domain.finding import Findings, Person, Row
from erasure.domain.needles import Needle
from erasure.domain.steps import Step, Via
from erasure.domain.values import Scalar
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, Run, StoreRun
from erasure.runs import case, journal, windows
from erasure.runs.journal import Entry, RunStep
from erasure.runs.roots import roots_hashes
from erasure.runs.searching import (
    Mentions,
    Stores,
    Task,
    find_mentions,
    find_rows,
    gather_needles,
    guards_of,
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
    """What to search, from an approved plan: never wider than what was approved, and as it was
    approved, whatever has become of the catalogue since."""
    return Task(
        datasets=selectors.datasets() | {s.step.dataset.address: s.step.dataset for s in steps},
        edges=[case.edge_from_json(e) for e in plan.edges],
        seeds=case.seeds_from_json(plan.seeds),
        guards=guards_of(s.step for s in steps),
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
    """The rows of each step. Raises StalePlan for a row that no approved step covers.

    A row comes once, by the strongest effect; and once more by each reference in it that is to be
    cut, unless the row goes: then it may be one person's own and refer to another who leaves.
    """
    covered = {_place(s.step): s for s in steps}
    entries: list[Entry] = []
    for address, _, row in found.findings.walk():
        reading = found.task.guards.get(address, ())
        entries += _entries_of_row(address, row, reading, covered)
    for address, table in found.mentions.items():
        step = _covering(covered, address, "mention")
        entries += [Entry(ordinal=step.ordinal, key=m.key, people=m.people) for m in table.values()]
    return entries


def _entries_of_row(
    address: str, row: Row, reading: tuple[str, ...], covered: Mapping[_Place, RunStep]
) -> Iterator[Entry]:
    key = row.payload
    assert isinstance(key, Key)  # noqa: S101 - searching puts keys there
    # A store of models has keys without a guard.
    guard = dict(zip(reading, key.guard, strict=True)) if key.guard else {}
    cut: set[str] = set()
    own = _covering(covered, address, row.via) if row.via != "shallow" else None
    if own is None or own.step.action != "delete" or row.via == "refcount":
        for name, people in row.shallow_by.items():
            step = _covering(covered, address, "shallow", name)
            yield _entry(step, key, guard, people, row.carry)
            cut.add(name)
    if own is not None:
        # What a shallow step of this row cuts has been cut when the row's own step looks.
        guard |= dict.fromkeys(cut & guard.keys())
        people = row.deep_for if row.via == "deep" else row.owners
        yield _entry(own, key, guard, people, row.carry)


def _entry(
    step: RunStep,
    key: Key,
    guard: Mapping[str, Scalar],
    people: set[Person],
    carry: Mapping[str, Scalar],
) -> Entry:
    names = step.step.guard if guard else ()
    own = replace(key, guard=tuple(guard[name] for name in names))
    return Entry(ordinal=step.ordinal, key=own, people=set(people), carry=carry)


_Place = tuple[str, Via, str]  # dataset, how its rows are reached, the reference that is cut


def _place(step: Step) -> _Place:
    return step.dataset.address, step.via, step.cut[0] if step.via == "shallow" else ""


def _covering(covered: Mapping[_Place, RunStep], address: str, via: Via, name: str = "") -> RunStep:
    if (address, via, name) not in covered:
        raise StalePlan(f"{address}: rows are reached over {via}, which the plan does not name")
    return covered[address, via, name]


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


def counts_of(entries: Sequence[Entry]) -> Counter[tuple[Person, int]]:
    """Rows per person and step, by its ordinal."""
    return Counter((person, entry.ordinal) for entry in entries for person in entry.people)


def stale_members(
    requests: Sequence[ErasureRequest],
    plans: Mapping[UUID, Plan],
    found: Search,
    entries: Sequence[Entry],
) -> dict[UUID, str]:
    """Whose approved plan may not be carried out any more, and why."""
    version = selectors.catalogue_version()
    counts = counts_of(entries)
    roots = roots_hashes(found.task, found.findings, [str(r.id) for r in requests])
    stale = {}
    for request in requests:
        plan, person = plans[request.id], str(request.id)
        if plan.catalogue_version != version:
            stale[request.id] = "the catalogue has changed"
        elif plan.roots != roots[person]:
            stale[request.id] = "the identifiers lead to other rows than those approved"
        for step in plan.steps.all():
            if counts[person, step.ordinal] > step.ceiling:
                stale[request.id] = f"{step.dataset} holds many more rows than were approved"
    return stale


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
    needles: Mapping[Person, set[Needle]],
    entries: Sequence[Entry],
    *,
    by: str,
) -> Run:
    """Seal keys, needles and seed, and move everybody to ``executing``: all or nothing."""
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
        journal.seal_needles(run, needles)
        journal.write_batches(run, steps, entries, round_=0)
        StoreRun.objects.bulk_create(
            StoreRun(run=run, store=store, kind=kind)
            for store, kind in sorted({(s.store, s.kind) for s in steps})
        )
        windows.open_windows(run, requests, plan)
        move_all(requests, "executing", by=by, also={"run": run})
        move(run, "acting", by=by, because=f"{len(requests)} people, plan shape {plan.shape[:12]}")
        ledger.append(
            "sealed",
            {"run": str(run.id), "requests": len(requests), "batches": run.batches.count()},
        )
    return run
