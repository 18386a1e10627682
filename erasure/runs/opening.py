"""A run is opened: everything is found and sealed before the first row is touched."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from erasure.domain.errors import StalePlan, WrongState
from erasure.domain.finding import By, Findings, KeyText, People, Person, Row, key_text
from erasure.domain.needles import Needle
from erasure.domain.plan import keeps_references
from erasure.domain.steps import KEPT, Step, Via
from erasure.domain.values import Many, Scalar
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Plan, Run, StoreRun
from erasure.runs import basis, case, exporting, journal, lease, seeds, windows
from erasure.runs.earlier import Kept, kept_before
from erasure.runs.journal import RunStep
from erasure.runs.pieces import Pieces, going_of
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
from erasure.runs.segments import Entry
from erasure.stores.base import Key, Selector
from erasure.transitions import move, move_all
from lineage import selectors
from lineage.errors import UnknownIdentity
from lineage.prepared import insert
from lineage.schema import Inspection

# Per plan, of each of its steps: its ordinal, its dataset, and how many rows are not too many.
Ceilings = dict[UUID, list[tuple[int, str, int]]]
_SET_ACTIONS = frozenset({"expire", "notify", "manual"})


@dataclass(frozen=True, kw_only=True)
class Search:
    """Everything one search over a run's people has found; ``pieces``: rows that are all dealt with
    alike, which are not among the findings; ``kept``: what earlier cases of theirs have left until
    a day, which is nothing of this run's to change."""

    task: Task
    findings: Findings
    pieces: Pieces
    mentions: Mentions
    needles: Mapping[Person, set[Needle]]
    kept: Kept


def task_of(plan: Plan, steps: Sequence[RunStep], given: case.Given) -> Task:
    """What to search, from an approved plan: never wider than what was approved, and as it was
    approved, whatever has become of the catalogue since."""
    edges = [case.edge_from_json(e) for e in plan.edges]
    named = {s.step.dataset.address: s.step.dataset for s in steps}
    passed = {end for e in edges for end in (e.origin, e.destination)} - named.keys()
    return Task(
        datasets={**selectors.entries(passed | plan.seeds.keys() - named.keys()), **named},
        edges=edges,
        seeds=case.seeds_from_json(plan.seeds),
        guards=guards_of(s.step for s in steps),
        wanted=case.wanted_of(given),
    )


def search(
    task: Task,
    steps: Sequence[RunStep],
    given: case.Given,
    stores: Stores,
    *,
    packed: Collection[str],
    kept: Kept | None = None,
) -> Search:
    """Find by key, gather the needles, find by value. ``packed``: stores of which no row that is
    dealt with as all of its table are is looked at afterwards: it is only counted and written down.
    ``kept``: what earlier cases have left, where that was read already."""
    kept = kept_before(given) if kept is None else kept
    # Where an earlier case has left rows, each is looked at.
    going = going_of(steps, task.guards, () if kept.rows else packed)
    pieces = Pieces(going, task.carries())
    findings = find_rows(task, stores, pieces=pieces)
    pieces.pack()
    needles = gather_needles(findings, task.datasets, stores)
    for person, owned in pieces.needles.items():
        needles.setdefault(person, set()).update(owned)
    case.add_given(needles, given)
    mentions = find_mentions([s.step for s in steps], needles, findings, stores)
    return Search(
        task=task, findings=findings, pieces=pieces, mentions=mentions, needles=needles, kept=kept
    )


def entries_of(found: Search, steps: Sequence[RunStep]) -> list[Entry]:
    """The rows of each step. Raises StalePlan for a row that no approved step covers.

    A row comes once, by the strongest effect; and once more by each reference in it that is to be
    cut.
    """
    covered = {_place(s.step): s for s in steps}
    entries: list[Entry] = []
    for address, table in found.findings.rows.items():
        reading = found.task.guards.get(address, ())
        going = covered.get((address, "deep", ()))
        if going is not None and (going.step.action != "delete" or going.step.guard != reading):
            going = None
        for text, row in table.items():
            if going is not None and row.via == "deep" and not row.parts:
                # Nearly every row: all of it goes, so there is nothing in it to be cut.
                entries.append(Entry(going.ordinal, key_of(row), text, row.deep_for, row.carry))
            else:
                entries += _entries_of_row(address, text, row, reading, covered)
    for address, mentioned in found.mentions.items():
        step = _covering(covered, address, "mention")
        entries += [
            Entry(ordinal=step.ordinal, key=m.key, text=text, people=frozenset(m.people))
            for text, m in mentioned.items()
        ]
    return list(_left_alone(entries, steps, found.kept)) if found.kept.rows else entries


def _left_alone(entries: Iterable[Entry], steps: Sequence[RunStep], kept: Kept) -> Iterator[Entry]:
    """Without what would change a row that an earlier case of the same person has left."""
    by_ordinal = {s.ordinal: s.step for s in steps}
    sparing = {s.step.dataset.address: s.step.kept for s in steps if s.step.via == "deep"}
    for entry in entries:
        step = by_ordinal[entry.ordinal]
        if step.action not in KEPT:
            spared = sparing.get(step.dataset.address, ())
            entry.people = kept.without(entry.people, step, entry.text, entry.key, spared)
        if entry.people:
            yield entry


def _entries_of_row(
    address: str,
    text: KeyText,
    row: Row,
    reading: tuple[str, ...],
    covered: Mapping[_Place, RunStep],
) -> Iterator[Entry]:
    key = key_of(row)
    people = row.deep_for if row.via == "deep" else row.owners
    own = _covering(covered, address, row.via) if row.via != "shallow" else None
    cut: set[str] = set()
    for names, theirs in _cuts_of_row(address, row, own, covered).items():
        step = _covering(covered, address, "shallow", names)
        yield from _entries(step, _guarded(key, reading, step), text, theirs, row)
        cut.update((step.step.held or step.step).cut)
    if own is not None:
        yield from _entries(own, _guarded(key, reading, own, cut), text, people, row)


def key_of(row: Row) -> Key:
    assert isinstance(row.payload, Key)  # noqa: S101 - searching puts keys there
    return row.payload


def _cuts_of_row(
    address: str, row: Row, own: RunStep | None, covered: Mapping[_Place, RunStep]
) -> By:
    """References to cut, and for whom: none in a row that goes; none that leads to whose row it
    is, where the law keeps it as it is; and where their own row stays, also what it was reached
    by, if that goes. What only stands still is cut, too, when the row's own step is taken."""
    if own is None or row.via == "refcount":
        return row.shallow_by
    if own.step.action == "delete":
        return {}
    if keeps_references(own.step):
        others = {names: people - row.deep_for for names, people in row.shallow_by.items()}
        return {names: people for names, people in others.items() if people}
    left = {n: p for n, p in row.deep_by.items() if (address, "shallow", n) in covered}
    return {**row.shallow_by, **left} if left else row.shallow_by


def _guarded(key: Key, reading: tuple[str, ...], step: RunStep, cut: Collection[str] = ()) -> Key:
    """The key with the step's own guard, out of everything that the search has read. What a
    shallow step of this row cuts has been cut when the row's own step looks."""
    names = step.step.guard
    if not key.guard or (names == reading and not cut):  # a store of models has no guards
        return key
    read = dict(zip(reading, key.guard, strict=True))
    guard = tuple([None if name in cut else read[name] for name in names])
    return key._replace(guard=guard)


def _entries(step: RunStep, key: Key, text: KeyText, people: People, row: Row) -> Iterator[Entry]:
    """One for everybody; of a field that holds values of several people, each gets their own."""
    if not row.parts.keys() & set(step.step.guard):
        yield Entry(ordinal=step.ordinal, key=key, text=text, people=people, carry=row.carry)
        return
    for person in sorted(people):
        mine = key._replace(guard=_own_parts(step.step.guard, key.guard, person, row))
        alone = frozenset({person})
        yield Entry(ordinal=step.ordinal, key=mine, text=text, people=alone, carry=row.carry)


def _own_parts(
    names: Sequence[str], guard: tuple[Scalar, ...], person: Person, row: Row
) -> tuple[Scalar, ...]:
    return tuple(
        Many(tuple(item for item, people in row.parts[name].items() if person in people))
        if name in row.parts and value is not None
        else value
        for name, value in zip(names, guard, strict=True)
    )


# Dataset, how its rows are reached, and the reference that is cut.
_Place = tuple[str, Via, tuple[str, ...]]


def _place(step: Step) -> _Place:
    return step.dataset.address, step.via, step.reference if step.via == "shallow" else ()


def _covering(
    covered: Mapping[_Place, RunStep], address: str, via: Via, reference: tuple[str, ...] = ()
) -> RunStep:
    if (address, via, reference) not in covered:
        raise StalePlan(f"{address}: rows are reached over {via}, which the plan does not name")
    return covered[address, via, reference]


def set_entries(steps: Sequence[RunStep], people: set[Person], stores: Stores) -> list[Entry]:
    """Entries of steps about whole sets: backups that hold everybody, recipients to be told."""
    entries = []
    for s in steps:
        if s.step.action not in _SET_ACTIONS:
            continue
        selector = Selector(dataset=s.step.dataset)
        keys = [found.key for found in stores.get(s.store).find(selector, ())]
        keys = keys or [Key(values=())]
        entries += [
            Entry(ordinal=s.ordinal, key=k, text=key_text(k.values), people=frozenset(people))
            for k in keys
        ]
    return entries


def counts_of(found: Search, entries: Sequence[Entry]) -> Counter[tuple[Person, int]]:
    """Rows per person and step, by its ordinal."""
    counts = Counter((person, entry.ordinal) for entry in entries for person in entry.people)
    return counts + found.pieces.counts


def stale_members(
    requests: Sequence[ErasureRequest],
    plans: Mapping[UUID, Plan],
    ceilings: Ceilings,
    given: case.Given,
    found: Search,
    entries: Sequence[Entry],
) -> dict[UUID, str]:
    """Whose approved plan may not be carried out any more, and why."""
    outdated = _outdated(requests, plans, given)
    counts = counts_of(found, entries)
    roots = roots_hashes(found.task, found.findings, [str(r.id) for r in requests])
    stale = {}
    for request in requests:
        plan, person = plans[request.id], str(request.id)
        if request.id in outdated:
            stale[request.id] = "the catalogue has changed where the plan rests on it"
        elif plan.roots != roots[person]:
            stale[request.id] = "the identifiers lead to other rows than those approved"
        for ordinal, dataset, ceiling in ceilings[plan.pk]:
            if counts[person, ordinal] > ceiling:
                stale[request.id] = f"{dataset} holds many more rows than were approved"
    return stale


def _outdated(
    requests: Sequence[ErasureRequest], plans: Mapping[UUID, Plan], given: case.Given
) -> set[UUID]:
    """Whose plan would come out differently, the catalogue being what it is now. Nearly everybody
    is known by the same kinds of identifier: those are asked about once."""
    known: dict[tuple[frozenset[str], str, str], bool] = {}
    found = set()
    for request in requests:
        kinds = frozenset(kind for kind, _ in given[str(request.id)])
        name = (kinds, request.only_store, plans[request.id].catalogue_version)
        if name not in known:
            known[name] = _is_outdated(*name)
        if known[name]:
            found.add(request.id)
    return found


def _is_outdated(kinds: Iterable[str], store: str, rests_on: str) -> bool:
    try:
        return basis.changed(selectors.part(kinds, store), rests_on)
    except UnknownIdentity:
        return True


def relied_on(steps: Sequence[RunStep], inspections: Mapping[str, Inspection]) -> dict[str, str]:
    """Per store, the fingerprint of what the steps there rely on: their tables, and those whose
    references decide whether a shared row stays."""
    collections: dict[str, set[str]] = {s.store: set() for s in steps}
    for s in steps:
        held = ((r.schema, r.collection) for r in s.step.referrers)
        for schema, name in ((s.step.dataset.schema, s.step.dataset.name), *held):
            qualified = f"{schema}.{name}"
            known = qualified in inspections[s.store].parts
            collections[s.store].add(qualified if known else name)
    return {
        store: inspections[store].fingerprint_of(names)
        for store, names in sorted(collections.items())
    }


def schema_changed(plan: Plan, steps: Sequence[RunStep], stores: Stores) -> str:
    """Names the store in which what the plan relies on is no longer what was approved; empty when
    all is."""
    now = relied_on(steps, {name: stores.get(name).inspect() for name in {s.store for s in steps}})
    return next((store for store, digest in now.items() if plan.fingerprints[store] != digest), "")


def write_run(
    plan: Plan,
    steps: Sequence[RunStep],
    requests: Sequence[ErasureRequest],
    found: Search,
    entries: Sequence[Entry],
    *,
    by: str,
) -> Run:
    """Seal keys, needles and seed, and move everybody to ``executing``: all or nothing. Raises
    WrongState where somebody's copy was ordered while they were searched for: it comes first."""
    run_id = uuid.uuid4()
    with ledger.together():
        case.hold_still([request.pk for request in requests])
        if exporting.awaited(requests):
            raise WrongState("run: a copy was ordered while it was being opened; it comes first")
        run = Run(
            id=run_id,
            sealed_seed=seeds.new_seed(run_id, steps),
            steps=[
                {"ordinal": s.ordinal, "store": s.store, "kind": s.kind, "spec": s.step.to_json()}
                for s in steps
            ],
        )
        insert([run])
        journal.seal_needles(run, found.needles, first=True)
        written = journal.write_batches(run, steps, entries, round_=0, pieces=found.pieces)
        kinds = dict(sorted((s.store, s.kind) for s in steps))
        insert([StoreRun(run=run, store=store, kind=kind) for store, kind in kinds.items()])
        lease.make_free(run, kinds)
        windows.open_windows(run, requests, plan)
        move_all(requests, "executing", by=by, also={"run": run})
        move(run, "acting", by=by, because=f"{len(requests)} people, plan shape {plan.shape[:12]}")
        ledger.record(
            "sealed",
            {"run": str(run.id), "requests": len(requests), "batches": written},
        )
    return run
