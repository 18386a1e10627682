"""The walk becomes a plan: ordered steps with reasons, counted by the stores, and a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from django.conf import settings
from django.utils import timezone

from erasure.domain.errors import StoreError, UsageError
from erasure.domain.identity import HANDLED
from erasure.domain.keeping import Keep, kept, partly
from erasure.domain.parts import refuse_parts
from erasure.domain.plan import Draft, World, draft_steps, loose_paths, refuse_contradictions
from erasure.domain.rebuilding import refuse_rebuild
from erasure.domain.roles import Actor, deed
from erasure.domain.steps import Step
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, PlanStep
from erasure.runs import basis, case, explaining, foreseeing, holding, opening, webhooks, windows
from erasure.runs.earlier import Kept, kept_before, left_by_earlier, told_of_earlier
from erasure.runs.journal import RunStep
from erasure.runs.looking import Look, look, nothing_known
from erasure.runs.once import looked_up_once
from erasure.runs.roots import crowds, refuse_conflict, roots_hashes
from erasure.runs.searching import Stores, Task, guards_of
from erasure.runs.spelling import spelt_otherwise
from erasure.stores.base import Explanation
from erasure.transitions import move
from lineage import downstream, keeping, selectors
from lineage.documents import misplaced
from lineage.graph import Dataset, Edge, Reach
from lineage.part import Part
from lineage.prepared import insert

# A plan stays true while rows grow a little; beyond this an officer must look again.
GROWTH = 2
SLACK = 100


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would be done, counted and explained: a plan that nobody has stored yet.

    ``findings``: what has to be accepted with it; ``explained``: per draft, as JSON.
    """

    reach: Reach
    drafts: Sequence[Draft]
    counts: Sequence[int]
    seeds: Mapping[str, Mapping[str, str]]
    edges: Sequence[Edge]
    roots: str
    fingerprints: Mapping[str, str]
    part: Part
    basis: str
    warnings: Sequence[str] = field(default_factory=tuple)
    findings: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    explained: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    undo: int = 0  # seconds
    look: Look = field(default_factory=Look)  # by value, where no row was found
    otherwise: str = ""  # what to tell whoever answers that there is nothing

    @property
    def rows(self) -> int:
        """Rows of the person, in whatever way they were reached."""
        return sum(self.counts)


@deed("plan")
@looked_up_once()
def make_plan(request: ErasureRequest, *, by: Actor) -> Plan | None:
    """Plan an identified request, and move it to ``planned``, or to ``gathering`` where a copy is
    asked for and nothing is erased; None when nothing is known of the person, who then gets
    ``no_data``, never "completed", and whose identifiers are shredded, or, where a look by value
    sees them, ``blocked``; who was erased before is looked for again, and of whom an earlier case
    has left something that is decided and told.
    Raises UsageError for a right that is neither."""
    if request.right not in HANDLED:
        raise UsageError(f"request {request.id}: asks for {request.right}, not for erasure")
    excepted, preview = holding.excepted(request), preview_plan(request)
    with ledger.together():
        case.hold_still([request.pk])
        decided = holding.excepted(request) == excepted
        plan = _planned(request, preview, by) if decided else None
    if not decided:
        return make_plan(request, by=by)  # an exception was decided, or lifted, meanwhile
    if request.state == "no_data":
        case.forget_identifiers(request)
    return plan


def _planned(request: ErasureRequest, preview: Preview, by: Actor) -> Plan | None:
    """Store the plan, or say that there is nothing to plan; joins the caller's transaction."""
    for old in request.plans.filter(state__in=("draft", "approved")).only("state"):
        if old.state == "draft":
            old.delete()
        else:
            move(old, "stale", by=by, because="planned again")
    carried_out = _was_carried_out(request)
    if preview.rows or (not carried_out and left_by_earlier(request)):
        plan = _store(request, preview)
        to = "planned" if request.right == "erasure" else "gathering"
        move(request, to, by=by, because=f"plan {plan.digest[:12]}")
        return plan
    if carried_out:
        # Something was seen of an erased person, and no step leads to it any more.
        move(request, "awaiting_rescan", by=by, because="nothing more is found by key")
        return None
    if seen := preview.look.seen:
        move(request, "blocked", by=by, because=seen, also={"blocked_because": seen})
        return None
    why = nothing_known(request, preview.otherwise, preview.look.left)
    move(request, "no_data", by=by, because=why, also={"closed_at": timezone.now()})
    return None


def _was_carried_out(request: ErasureRequest) -> bool:
    return bool(request.run_id) and request.plans.filter(state="carried_out").exists()


def preview_plan(request: ErasureRequest) -> Preview:
    """Walk, inspect, decide and count; writes nothing but which holds are about this person."""
    given = case.given_by([request])
    with Stores() as stores:
        preview = _preview(request, given, stores)
        if preview.rows or _was_carried_out(request):
            return preview
        otherwise = spelt_otherwise(given, request.only_store, stores)
    shared = frozenset(d.step.dataset.address for d in preview.drafts if d.step.via == "refcount")
    seen = look(request, given, case.seeds_from_json(preview.seeds), shared)
    return replace(preview, otherwise=otherwise, look=seen)


def _preview(request: ErasureRequest, given: case.Given, stores: Stores) -> Preview:
    wanted = case.wanted_of(given)
    part = selectors.part(wanted, request.only_store)
    datasets, reach = part.catalogue.datasets, part.reach
    world = _look_at(part, stores)
    left = kept_before(given)
    earlier = left if request.right == "erasure" else Kept()  # a copy takes nothing from it
    drafts = _drafted(keeps := holding.keeps_of(request), earlier, reach, world)
    edges = [e for e in reach.edges if datasets[e.destination].action != "ignore"]
    seeds = _seeds(reach, datasets)
    task = Task(
        datasets=datasets,
        edges=edges,
        seeds=case.seeds_from_json(seeds),
        guards=guards_of(d.step for d in drafts),
        wanted=wanted,
    )
    refuse_conflict(task, stores)
    steps = _run_steps(drafts)
    told = explaining.explain_steps(steps, edges, seeds, stores)
    drafts = [_accepting(draft, told.get(n), steps) for n, draft in enumerate(drafts)]
    steps = _run_steps(drafts)
    packed = explaining.unasked(steps, told, stores)
    found = opening.search(task, steps, given, stores, packed=packed, kept=earlier)
    entries = opening.entries_of(found, steps)
    keeps = holding.recognised(request, found.needles, keeps)
    counts = opening.counts_of(found, entries)
    person, undo = str(request.id), windows.offered(request)
    _refuse_uncuttable((s.step for s in steps if counts[person, s.ordinal]), world)
    explaining.refuse_values(steps, entries, found.needles, stores, found.pieces)
    rows = explaining.rows_along(steps, entries, told, stores)
    listed = [counts[person, s.ordinal] for s in steps]
    versions = foreseeing.decisions(request, steps, entries, stores)
    return Preview(
        reach=reach,
        drafts=drafts,
        counts=listed,
        seeds=seeds,
        edges=edges,
        roots=roots_hashes(task, found.findings, [person])[person],
        fingerprints=opening.relied_on(steps, world.inspections),
        part=part,
        basis=basis.basis_of(part),
        warnings=[
            *(_kept_elsewhere(request) if left.rows else ()),
            *holding.warnings_of(keeps, drafts),
            *_left_open(reach, world),
            *explaining.warnings_of(told, steps),
            *webhooks.warnings_of(s.store for s in steps if s.step.action == "notify"),
            *(windows.cannot_undo(drafts, listed, stores) if undo else ()),
        ],
        findings=[
            *_too_many(drafts, listed),
            *crowds(task, found.findings, stores),
            *explaining.findings_of(told, steps, rows),
        ],
        explained=_shown(steps, told, versions, foreseeing.last_days(steps, entries, found.pieces)),
        undo=undo,
    )


def _shown(
    steps: Sequence[RunStep],
    told: Mapping[int, Explanation],
    versions: Mapping[int, Sequence[Mapping[str, Any]]],
    days: Mapping[int, date],
) -> list[dict[str, Any]]:
    return [explaining.shown(s.ordinal, told, versions, days, steps) for s in steps]


def _kept_elsewhere(request: ErasureRequest) -> Iterator[str]:
    """What earlier cases of the person keep, in words."""
    for one in told_of_earlier(request):
        until = f" until {one['until']}" if one["until"] else ""
        yield f"{one['dataset']}: {one['rows']} rows stay{until}; {one['reason']}"


def _drafted(keeps: Sequence[Keep], earlier: Kept, reach: Reach, world: World) -> list[Draft]:
    """The steps, with those standing still that a hold or an exception is about."""
    refuse_parts(reach, world)
    drafts = kept(partly(lambda w: draft_steps(reach, w), world, keeps), reach.edges, keeps)
    refuse_contradictions(drafts, reach, world)
    return [earlier.guarding(draft) for draft in drafts]


def _too_many(drafts: Sequence[Draft], counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A plan beyond what the installation holds possible for one person, to be accepted."""
    rows, most = sum(counts), settings.LETHE_MOST_ROWS
    if rows > most:
        largest = max(zip(counts, drafts, strict=True), key=lambda pair: pair[0])[1]
        yield {
            "code": "many-rows",
            "kind": "many",
            "place": largest.step.dataset.address,
            "mark": str(most),
            "words": f"{rows} rows would be touched, most of them here; more than {most} "
            "(LETHE_MOST_ROWS) are seldom one person's",
            "remedy": "look at the path that leads here: an identifier that many share, or a "
            "reference in the wrong direction",
            "rows": rows,
        }


def _left_open(reach: Reach, world: World) -> list[str]:
    return [*loose_paths(reach, world), *downstream.warnings(reach, world.datasets)]


def _run_steps(drafts: Sequence[Draft]) -> list[RunStep]:
    return [
        RunStep(ordinal=n, store=d.store.name, kind=d.store.kind, step=d.step)
        for n, d in enumerate(drafts)
    ]


def _accepting(draft: Draft, told: Explanation | None, steps: Sequence[RunStep]) -> Draft:
    """The step lets happen what is accepted with the plan, and nothing else."""
    along = explaining.codes_along(told, steps) if told else ()
    return replace(draft, step=replace(draft.step, along=along)) if along else draft


def _look_at(part: Part, stores: Stores) -> World:
    """Inspect every store of the reach and of free text; refuse what has gone from it."""
    datasets, reach = part.catalogue.datasets, part.reach
    entries = {s.name: s for s in part.catalogue.stores}
    names = {datasets[s.address].store for s in reach.stops}
    names |= {d.store for d in datasets.values() if d.free_text and d.action != "ignore"}
    inspections = {name: stores.get(name).inspect() for name in sorted(names)}
    world = World(
        datasets=datasets,
        stores=entries,
        references=part.catalogue.references,
        inspections=inspections,
    )
    for dataset in (datasets[stop.address] for stop in reach.stops):
        refuse_rebuild(dataset, entries[dataset.store], inspections[dataset.store])
        _refuse_missing(dataset, world)
    return world


def _refuse_missing(dataset: Dataset, world: World) -> None:
    """A table or column that the plan needs but that has gone."""
    inspection = world.inspections[dataset.store]
    if not inspection.tables or dataset.action == "ignore":
        return
    table = world.table(dataset)
    if table is None:
        raise StoreError(
            dataset.address,
            f"{inspection.absent(*_names(dataset))}; correct the catalogue",
        )
    if not table.columns:
        return
    keyed = world.stores[dataset.store].kind == "sql"
    for name in (f.name for f in dataset.fields):
        why = misplaced(dataset, table, name) if keyed and "." in name else ""
        if why:
            raise StoreError(f"{dataset.address}.{name}", why)
        if table.get(name) is None and "." not in name:
            raise StoreError(
                dataset.address,
                f"the column {name} has gone; correct the catalogue and import it again",
            )


def _names(dataset: Dataset) -> tuple[str, ...]:
    """What its table may be called in an inspection."""
    return (f"{dataset.schema}.{dataset.name}", dataset.name)


def _refuse_uncuttable(steps: Iterable[Step], world: World) -> None:
    """A reference that would have to be cut and cannot be: better now than half-way through."""
    for step, name in [(s, n) for s in steps for n in s.cut]:
        table = world.table(step.dataset)
        column = table.get(name) if table and not table.inside(name) else None
        if column is not None and not column.nullable:
            raise StoreError(
                f"{step.dataset.address}.{name}",
                "the reference cannot be cut, the column refuses NULL; declare "
                f"`- {{name: {name}, erasure: {{on_erase: {{shallow: ghost}}}}}}` for a row that "
                "takes the person's place, or `on_erase: deep` if the row is theirs",
            )


def _seeds(reach: Reach, datasets: Mapping[str, Dataset]) -> dict[str, dict[str, str]]:
    return {
        stop.address: {name: _identity(datasets[stop.address], name) for name in stop.seeds}
        for stop in reach.stops
        if stop.seeds and datasets[stop.address].action != "ignore"
    }


def _identity(dataset: Dataset, name: str) -> str:
    found = dataset.get(name)
    assert found is not None and found.identity  # noqa: S101, PT018 - a seed is an identity
    return found.identity


def _store(request: ErasureRequest, preview: Preview) -> Plan:
    steps = [
        {
            "ordinal": n,
            "store": d.store.name,
            "kind": d.store.kind,
            "spec": d.step.to_json(),
            "statement": explained.get("statement", ""),
        }
        for n, (d, explained) in enumerate(zip(preview.drafts, preview.explained, strict=True))
    ]
    ceilings = [count * GROWTH + SLACK for count in preview.counts]
    content = {
        "steps": steps,
        "edges": [case.edge_to_json(e) for e in preview.edges],
        "seeds": preview.seeds,
        "catalogue": preview.basis,
        "fingerprints": preview.fingerprints,
        "effects": sorted([found["code"], found["mark"]] for found in preview.findings),
        **({"undo": preview.undo} if preview.undo else {}),
    }
    keeping.keep(preview.basis, preview.part)
    plan = Plan.objects.create(
        request=request,
        digest=_digest({**content, "roots": preview.roots, "ceilings": ceilings}),
        shape=_digest(content),
        catalogue_version=preview.basis,
        fingerprints=preview.fingerprints,
        roots=preview.roots,
        edges=content["edges"],
        seeds=preview.seeds,
        warnings=list(preview.warnings),
        findings=list(preview.findings),
        undo_seconds=preview.undo,
    )
    planned = [
        PlanStep(
            plan=plan,
            ordinal=n,
            store=d.store.name,
            store_kind=d.store.kind,
            dataset=d.step.dataset.address,
            action=d.step.action,
            via=d.step.via,
            spec=d.step.to_json(),
            path=list(d.path),
            reason=d.reason,
            counted=count,
            ceiling=ceiling,
            explained=explained,
            on_hold=holding.stands_still(d.step),
        )
        for n, (d, count, ceiling, explained) in enumerate(
            zip(preview.drafts, preview.counts, ceilings, preview.explained, strict=True)
        )
    ]
    insert(planned)
    ledger.record("plan", {"request": str(request.id), "digest": plan.digest})
    return plan


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
